from hypothesis import given
from hypothesis import strategies as st

from dermaxai.jobs.order import QUESTIONS_IN_A_ROW, Turn, line_up


@st.composite
def queues(draw):
    rows = draw(
        st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 6), st.booleans()), min_size=1, max_size=25)
    )
    return [
        Turn(number, owner, f"case-{case}", is_photo) for number, (owner, case, is_photo) in enumerate(rows)
    ]


def ids(turns):
    return [turn.id for turn in turns]


def photos(owner, numbers):
    return [Turn(number, owner, f"case-{number}", True) for number in numbers]


def test_one_photo_does_not_wait_for_fifty_of_somebody_else():
    waiting = [*photos("many", range(50)), *photos("one", [50])]
    past = photos("many", [-1])
    assert ids(line_up(waiting, past))[:3] == [50, 0, 1]


def test_turns_go_round_and_an_owner_is_served_in_order():
    waiting = [*photos("a", [1, 2, 3]), *photos("b", [4, 5]), *photos("c", [6])]
    assert ids(line_up(waiting, [])) == [1, 4, 6, 2, 5, 3]
    assert ids(line_up(waiting, [Turn(0, "a", "x", True), Turn(-1, "b", "y", True)])) == [6, 1, 4, 2, 5, 3]


def test_questions_come_first_but_do_not_starve_photos():
    questions = [Turn(number, "a", f"asked-{number}", False) for number in range(10, 22)]
    waiting = [*photos("b", [1, 2]), *questions]
    order = [turn.is_photo for turn in line_up(waiting, [])]
    assert order.index(True) == QUESTIONS_IN_A_ROW
    assert [place for place, is_photo in enumerate(order) if is_photo] == [4, 9]


@given(queues(), queues())
def test_every_job_has_its_turn_once_and_those_of_a_case_in_order(waiting, past):
    order = list(line_up(waiting, past))
    assert sorted(ids(order)) == ids(waiting)
    for case in {turn.case_id for turn in waiting}:
        own = [turn.id for turn in order if turn.case_id == case]
        assert own == sorted(own)


@given(queues())
def test_nobody_is_served_twice_while_another_owner_of_the_same_kind_could_be(waiting):
    """Each job about a case of its own: then every owner's turn comes in every round."""
    waiting = [Turn(turn.id, turn.owner, f"own-{turn.id}", turn.is_photo) for turn in waiting]
    for is_photo in (True, False):
        owners = [turn.owner for turn in line_up(waiting, []) if turn.is_photo == is_photo]
        left = {owner: owners.count(owner) for owner in owners}
        served = dict.fromkeys(left, 0)
        for owner in owners:
            served[owner] += 1
            behind = [served[other] for other in left if served[other] < left[other]]
            assert served[owner] <= min(behind, default=served[owner]) + 1
