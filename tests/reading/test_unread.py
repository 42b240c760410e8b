from dataclasses import replace

from sqlalchemy import select

from dermaxai.cases import save_case
from dermaxai.reading.blind import OwnReading, give_reading
from dermaxai.reading.unread import Progress, find_next, is_unread
from dermaxai.store.cases import CaseSearch, find_case, index_case
from dermaxai.store.tables import CaseRow, now
from tests.reading.conftest import Somebody
from tests.sample_case import make_case, write_caption


def unread_of(study, person, blind=False):
    with study.store.read() as session:
        return set(session.scalars(select(CaseRow.id).where(is_unread(session, person, blind))))


def next_of(study, person, case_id="", *, blind=False, **order):
    with study.store.read() as session:
        return find_next(session, person, blind=blind, order=replace(CaseSearch(), **order), case_id=case_id)


def change(study, case_id, case):
    """The case is made anew, as by one more method."""
    with study.store.write() as session:
        row = find_case(session, case_id)
        save_case(case, study.shelf.case_folder(row))
        index_case(session, case_id, case)


def add_row(study, case_id, state):
    with study.store.write() as session:
        made = now()
        session.add(
            CaseRow(id=case_id, folder=case_id, sha256="", state=state, created=made, changed=made, facts={})
        )


def test_a_case_is_read_with_an_own_answer(any_study):
    r1, r2 = any_study.readers["r1"], any_study.readers["r2"]
    any_study.answer("r1", case="one")
    any_study.answer("r1", "wrong_word", case="one", word=None, method="")
    assert unread_of(any_study, r1) == {"two"}
    assert unread_of(any_study, r2) == {"one", "two"}
    assert next_of(any_study, r1) == Progress("two", 1, 2)
    any_study.answer("r1", case="two")
    assert unread_of(any_study, r1) == set()
    assert next_of(any_study, r1) == Progress(None, 2, 2)


def test_without_a_pseudonym_nothing_is_read(any_study):
    any_study.answer("r1", case="one")
    for blind in (False, True):
        assert unread_of(any_study, Somebody("local", None, by="local"), blind) == {"one", "two"}


def test_an_answer_counts_while_the_caption_is_the_same(any_study):
    r1 = any_study.readers["r1"]
    any_study.answer("r1", case="one")
    change(any_study, "one", make_case(methods=("grad_eclip",)))
    assert unread_of(any_study, r1) == {"two"}
    change(any_study, "one", replace(make_case(), captions=(write_caption("a pale lesion", "en"),)))
    assert unread_of(any_study, r1) == {"one", "two"}
    assert next_of(any_study, r1).read == 0


def test_in_blind_mode_a_case_is_read_with_an_own_reading(any_study):
    r1 = any_study.readers["r1"]
    any_study.answer("r1", case="one")
    assert unread_of(any_study, r1, blind=True) == {"one", "two"}
    with any_study.store.write() as session:
        give_reading(session, r1, "two", OwnReading("a dark spot"), blind=True)
    assert unread_of(any_study, r1, blind=True) == {"one"}
    assert unread_of(any_study, any_study.readers["r2"], blind=True) == {"one", "two"}
    assert next_of(any_study, r1, "two", blind=True) == Progress("one", 1, 2)
    lead = replace(r1, by="token", is_admin=True)
    assert unread_of(any_study, lead, blind=True) == {"two"}


def test_what_is_not_made_is_not_to_be_read(any_study):
    for state in ("waiting", "failed", "gone"):
        add_row(any_study, state, state)
    assert unread_of(any_study, any_study.readers["r1"]) == {"one", "two"}
    assert next_of(any_study, any_study.readers["r1"]).cases == 2
    assert next_of(any_study, any_study.readers["r1"], "failed", descending=False).case == "one"


def test_the_next_is_behind_this_one_in_the_lists_order_and_goes_round(any_study):
    for name in ("a", "b", "c"):
        add_row(any_study, name, "ready")
    r1 = any_study.readers["r1"]
    names = {"sort": "created"}
    seen = [
        next_of(any_study, r1, name, **names).case for name in ("", "c", "b", "a", "two", "one", "no such")
    ]
    assert seen == ["c", "b", "a", "two", "one", "c", "c"]
    upwards = {"sort": "created", "descending": False}
    assert [next_of(any_study, r1, name, **upwards).case for name in ("", "one", "c")] == [
        "one",
        "two",
        "one",
    ]
    any_study.answer("r1", case="two")
    assert next_of(any_study, r1, "a").case == "one"
    with any_study.store.write() as session:
        find_case(session, "b").disagreement = 1.9
    assert next_of(any_study, r1, sort="disagreement").case == "b"


def test_the_only_one_left_has_no_next(any_study):
    any_study.answer("r1", case="one")
    assert next_of(any_study, any_study.readers["r1"], "two") == Progress(None, 1, 2)
