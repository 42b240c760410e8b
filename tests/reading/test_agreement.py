from itertools import combinations

import numpy as np
import pytest

from dermaxai.reading.agreement import ANSWERS, Given, _pairwise, by_item, collect, concord, overlap
from dermaxai.reading.regions import dice
from dermaxai.store.cases import find_case
from tests.reading.test_kappa import slow_kappa

LEFT = {"kind": "box", "points": [[0, 0], [200, 300]]}
RIGHT = {"kind": "box", "points": [[200, 0], [400, 300]]}
MIDDLE = {"kind": "box", "points": [[100, 0], [300, 300]]}
POINT = {"kind": "point", "points": [[5, 5]]}


def given(case, reader, word, answer, *regions, method="m"):
    return Given(case, reader, word, method, answer, regions, 300, 400)


def study_of(items):
    """Answers from {(case, word): letters}, a letter per reader: a, p, w for the three answers."""
    names = dict(zip("apw", ANSWERS, strict=True))
    return [
        given(case, reader, word, names[letter])
        for (case, word), letters in items.items()
        for reader, letter in enumerate(letters)
    ]


def test_kappa_of_answers_with_other_numbers_of_readers():
    items = {("one", 0): "aap", ("one", 1): "ww", ("two", 0): "aaaaa", ("two", 3): "apw", ("three", 1): "a"}
    found = concord(study_of(items))
    assert (found.items, found.single, found.fewest, found.most) == (4, 1, 2, 5)
    assert found.kappa.value == pytest.approx(float(slow_kappa(list(items.values()), "apw")), abs=1e-6)
    assert found.agreement.value == pytest.approx((1 / 3 + 1 + 1 + 0) / 4, abs=1e-6)
    assert sum(share.value for share in found.shares.values()) == pytest.approx(1)
    assert found.undefined == ""


def test_the_interval_holds_the_value_and_narrows_with_cases():
    generator = np.random.default_rng(4)
    letters = ["".join(generator.choice(list("aaapw"), 4)) for _ in range(300)]
    few = concord(study_of({(f"c{n}", 0): letters[n] for n in range(20)}))
    many = concord(study_of({(f"c{n}", 0): letters[n] for n in range(300)}))
    for found in (few, many):
        assert found.kappa.low <= found.kappa.value <= found.kappa.high
    assert many.kappa.high - many.kappa.low < (few.kappa.high - few.kappa.low) / 2


def test_answers_by_chance_have_a_kappa_around_nothing():
    generator = np.random.default_rng(8)
    letters = {(f"c{n}", 0): "".join(generator.choice(list("apw"), 5)) for n in range(400)}
    assert abs(concord(study_of(letters)).kappa.value) < 0.05


def test_one_answer_only_is_said():
    found = concord(study_of({("one", 0): "aaa", ("two", 0): "aa"}))
    assert (found.kappa.value, found.undefined) == (None, "one_answer")
    assert found.agreement.value == 1
    assert found.as_json()["answers"]["agree"]["kappa"]["value"] is None


def test_no_item_with_two_readers_is_said():
    found = concord(study_of({("one", 0): "a"}))
    assert (found.items, found.single, found.undefined) == (0, 1, "no_items")
    assert concord([]).undefined == "no_items"


def test_one_case_has_a_value_but_no_interval():
    found = concord(study_of({("one", 0): "aap", ("one", 1): "aww"}))
    assert found.kappa.value is not None
    assert found.kappa.low is None


def test_readers_before_maps_of_different_methods_are_counted():
    answers = [given("one", 1, 0, "agree", method="m"), given("one", 2, 0, "agree", method="n")]
    assert concord(answers).mixed == 1


def test_dice_of_every_pair():
    answers = [
        given("one", 1, 0, "agree", LEFT),
        given("one", 2, 0, "wrong_place", MIDDLE),
        given("one", 3, 0, "wrong_place", RIGHT),
        given("two", 1, 0, "agree", LEFT),
        given("two", 2, 0, "agree", LEFT, RIGHT),
    ]
    found = overlap(answers)
    assert (found.items, found.dice.n) == (2, 4)
    assert found.dice.value == pytest.approx(np.mean([0.5, 0, 0.5, 2 / 3]), abs=0.01)


def test_all_pairs_at_once_are_dice_of_each():
    masks = np.random.default_rng(6).random((4, 30, 40)) < 0.3
    wanted = [dice(first, second) for first, second in combinations(masks, 2)]
    assert _pairwise(masks) == pytest.approx(wanted)


def test_points_wrong_words_and_lonely_marks_have_no_dice():
    answers = [
        given("one", 1, 0, "agree", LEFT),
        given("one", 2, 0, "agree", POINT),
        given("one", 3, 0, "wrong_word", LEFT),
        given("one", 4, 0, "agree"),
    ]
    found = overlap(answers)
    assert (found.items, found.single) == (0, 1)
    assert found.dice.value is None


def test_what_is_collected_counts_once(study):
    study.answer("r1", "agree")
    study.answer("r1", "wrong_place", regions=[LEFT])
    study.answer("r2", "agree")
    study.answer("r2", "agree", case="two")
    with study.store.read() as session:
        found = collect(session)
    assert [(one.case, one.answer) for one in found.given] == [
        ("one", "wrong_place"),
        ("one", "agree"),
        ("two", "agree"),
    ]
    assert (found.replaced, found.outdated) == (1, 0)
    assert found.given[0].mask.mean() == pytest.approx(0.5, abs=0.01)
    assert found.given[1].mask is None
    with study.store.write() as session:
        find_case(session, "one").caption = "another"
    with study.store.read() as session:
        found = collect(session)
    assert ([one.case for one in found.given], found.outdated) == (["two"], 3)


def test_items_are_case_and_word():
    answers = [given("one", 1, 0, "agree"), given("one", 1, None, "agree"), given("two", 1, 0, "agree")]
    assert set(by_item(answers)) == {("one", 0), ("one", None), ("two", 0)}
