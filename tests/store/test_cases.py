import json
from datetime import timedelta

import pytest

from dermaxai.errors import NotFound, UsageError
from dermaxai.store.cases import (
    CaseSearch,
    add_waiting,
    case_summary,
    find_case,
    index_case,
    list_cases,
    new_case_id,
)
from dermaxai.store.indexing import search_words
from dermaxai.store.tables import CaseRow, now
from tests.sample_case import draw_photo, make_case

CASES = (
    # id, caption, name, disagreement, faithfulness, state
    ("a1", "a dark brown lesion", "one.jpg", 0.2, -0.1, "ready"),
    ("b2", "Тёмно-коричневое образование", "два.png", 0.9, None, "ready"),
    ("c3", "a blue-white veil, 100% certain", "Three_3.jpg", None, 0.3, "ready"),
    ("d4", "", "four.jpg", None, None, "waiting"),
    ("e5", "a lesion that is gone", "five.jpg", 0.5, 0.5, "gone"),
    ("f6", "Zebra", "_.jpg", 0.5, 0.1, "failed"),
)


@pytest.fixture
def filled(store):
    begin = now()
    with store.write() as session:
        for place, (case_id, caption, name, disagreement, faithfulness, state) in enumerate(CASES):
            session.add(
                CaseRow(
                    id=case_id, folder=case_id, sha256="", name=name, caption=caption, state=state,
                    created=begin + timedelta(seconds=place), changed=begin, facts={},
                    disagreement=disagreement, faithfulness=faithfulness,
                    words=search_words([caption, name]),
                )
            )  # fmt: skip
    return store


def ids(store, **search):
    with store.read() as session:
        page = list_cases(session, CaseSearch(**search))
    return [row.id for row in page.rows]


def test_a_photo_waits(store):
    case_id = new_case_id()
    with store.write() as session:
        add_waiting(session, case_id, draw_photo(), name="Родинка\udcff\0.jpg", owner="anna")
    with store.read() as session:
        row = find_case(session, case_id)
    assert (row.state, row.revision, row.owner, row.folder) == ("waiting", 0, "anna", case_id)
    assert (row.width, row.height, row.sha256) == (400, 300, "7f3a" * 16)
    assert row.name == "Родинка?.jpg"
    assert row.facts == {"removed": ["GPSInfo", "DateTime"], "notes": ["turned upright"]}


@pytest.mark.parametrize("name", ["unknown", "../a1", "", "a1\n"])
def test_a_case_that_is_not_there(filled, name):
    with filled.read() as session, pytest.raises(NotFound):
        find_case(session, name)


@pytest.mark.parametrize(
    ("search", "wanted"),
    [
        ({}, ["f6", "d4", "c3", "b2", "a1"]),
        ({"descending": False}, ["a1", "b2", "c3", "d4", "f6"]),
        ({"sort": "disagreement"}, ["b2", "f6", "a1", "d4", "c3"]),
        ({"sort": "disagreement", "descending": False}, ["a1", "f6", "b2", "c3", "d4"]),
        ({"sort": "faithfulness", "descending": False}, ["a1", "f6", "c3", "b2", "d4"]),
        ({"sort": "caption", "descending": False}, ["d4", "c3", "a1", "f6", "b2"]),
        ({"sort": "name", "descending": False}, ["f6", "d4", "a1", "c3", "b2"]),
        ({"state": "ready"}, ["c3", "b2", "a1"]),
        ({"state": "gone"}, ["e5"]),
        ({"text": "LESION"}, ["a1"]),
        ({"text": "lesion dark"}, ["a1"]),
        ({"text": "lesion veil"}, []),
        ({"text": "темно коричневое"}, ["b2"]),
        ({"text": "ТЁМНО-КОРИЧНЕВОЕ"}, ["b2"]),
        ({"text": "два"}, ["b2"]),
        ({"text": "100%"}, ["c3"]),
        ({"text": "%"}, ["c3"]),
        ({"text": "a%n"}, []),
        ({"text": "/"}, []),
        ({"text": "\\"}, []),
        ({"text": "'; DROP TABLE cases; --"}, []),
        ({"limit": 2}, ["f6", "d4"]),
        ({"limit": 2, "after": 2}, ["c3", "b2"]),
        ({"after": 100}, []),
    ],
)
def test_the_list_is_the_same_in_both_databases(filled, search, wanted):
    assert ids(filled, **search) == wanted


def test_a_part_of_the_list_knows_the_whole(filled):
    with filled.read() as session:
        assert list_cases(session).total == 5
        assert list_cases(session, CaseSearch(limit=1, after=4)).total == 5
        assert list_cases(session, CaseSearch(text="dark")).total == 1


@pytest.mark.parametrize("search", [{"sort": "words"}, {"limit": 0}, {"limit": 501}, {"after": -1}])
def test_a_list_that_cannot_be(filled, search):
    with pytest.raises(UsageError):
        ids(filled, **search)


def test_a_summary_is_json_without_what_stays_inside(store):
    with store.write() as session:
        row = index_case(session, "abc", make_case())
    told = json.loads(json.dumps(case_summary(row)))
    assert told["caption"] == make_case().caption.text
    assert told["facts"]["methods"] == ["grad_eclip", "evidence"]
    assert not {"folder", "sha256", "words", "case_sha256"} & (set(told) | set(told["facts"]))


def test_before_a_blind_reading_a_summary_says_nothing_of_the_machine(store):
    case = make_case()
    with store.write() as session:
        row = index_case(session, "abc", case)
    told = json.dumps(case_summary(row, blind=True))
    for word in (case.caption.text, "streaks", "grad_eclip", "disagreement", "faithful", "outside"):
        assert word not in told
