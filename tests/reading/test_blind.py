import json
import math

import pytest
from sqlalchemy import select

from dermaxai.errors import Conflict, NotAllowed, NotFound, NotSignedIn, UsageError
from dermaxai.messages import with_said
from dermaxai.reading.blind import (
    OwnReading,
    check_search,
    give_reading,
    may_see,
    must_read_first,
    own_reading,
    read_cases,
    reading_json,
    veil,
    veil_jobs,
)
from dermaxai.store.cases import case_summary, find_case
from dermaxai.store.tables import Event, Reading
from tests.reading.conftest import Somebody

LEAD = Somebody("lead", 99, by="token", is_admin=True)
LOCAL = Somebody("local", None, by="local", is_admin=True)


def give(study, reader="r1", case="one", blind=True, **said):
    said = {"findings": "a dark spot", **said}
    with study.store.write() as session:
        return give_reading(session, study.readers[reader], case, OwnReading(**said), blind=blind)


def sees(study, person, case="one", blind=True):
    with study.store.read() as session:
        return may_see(session, person, case, blind)


def test_own_reading_first_then_the_machines(any_study):
    r1, r2 = any_study.readers["r1"], any_study.readers["r2"]
    assert not sees(any_study, r1)
    give(any_study, diagnosis="nevus", confidence=4, seconds=12.5)
    assert sees(any_study, r1)
    assert not sees(any_study, r1, "two")
    assert not sees(any_study, r2)
    with any_study.store.read() as session:
        assert read_cases(session, r1) == {"one"}
        assert read_cases(session, r2) == frozenset()
        told = reading_json(own_reading(session, r1, "one"))
        assert (told["findings"], told["diagnosis"]) == ("a dark spot", "nevus")
        assert (told["confidence"], told["seconds"]) == (4, 12.5)


def test_everybody_sees_everything_without_blind_mode(study):
    assert sees(study, study.readers["r1"], blind=False)
    assert sees(study, LOCAL, blind=False)


def test_the_lead_of_a_study_sees_everything_but_nobody_without_a_token(study):
    assert sees(study, LEAD)
    assert not must_read_first(LEAD, True)
    assert not sees(study, LOCAL)
    assert not sees(study, Somebody("local", None, by="local"))


def test_a_reading_cannot_be_changed(any_study):
    give(any_study)
    with pytest.raises(Conflict, match="cannot be changed"):
        give(any_study, findings="now I see it")
    with any_study.store.read() as session:
        assert [row.findings for row in session.scalars(select(Reading))] == ["a dark spot"]


def test_a_reading_with_the_caption_in_sight_is_none(study):
    with pytest.raises(Conflict, match="in sight"):
        give(study, blind=False)
    study.readers["lead"] = LEAD
    with pytest.raises(Conflict, match="in sight"):
        give(study, "lead")


def test_the_event_holds_no_words(study):
    give(study, findings="Frau Müller", diagnosis="melanoma", confidence=2)
    with study.store.read() as session:
        event = session.scalar(select(Event).where(Event.action == "reading.given"))
        assert (event.actor, event.subject) == ("r1", "one")
        assert json.loads(event.detail) == {"revision": 1, "confidence": 2, "characters": 19}


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"findings": " \n "}, "what you see"),
        ({"findings": "x" * 4001}, "4000"),
        ({"diagnosis": "x" * 501}, "500"),
        ({"confidence": 0}, "Confidence"),
        ({"confidence": 6}, "Confidence"),
        ({"seconds": -1}, "Seconds"),
        ({"seconds": math.nan}, "Seconds"),
        ({"seconds": math.inf}, "Seconds"),
    ],
)
def test_what_says_nothing_or_too_much_is_refused(study, said, why):
    with pytest.raises(UsageError, match=why):
        give(study, **said)


def test_who_and_what_must_be_known(study):
    with pytest.raises(NotFound):
        give(study, case="three")
    study.readers["nobody"] = LOCAL
    with pytest.raises(NotSignedIn):
        give(study, "nobody")


def test_a_page_left_open_over_night_counts_as_a_day(study):
    assert give(study, seconds=1e9).seconds == 86400


def test_the_veil_leaves_only_what_was_there_before_the_model(study):
    with study.store.read() as session:
        told = veil(case_summary(find_case(session, "one")))
    assert told["hidden"] is True
    assert told["id"] == "one"
    text = json.dumps(told, default=str)
    for word in ("asymmetric", "lesion", "grad_eclip", "streaks", "disagreement", "faithfulness", "caption"):
        assert word not in text


def test_jobs_of_unread_cases_repeat_no_text(study):
    views = [
        {
            "case": case,
            "kind": "contrast",
            "state": "failed",
            "stages": [
                {"name": "zebra", "state": "failed", "note": "zebra", "said": {"ru": {"note": "zebra"}}}
            ],
            "error": with_said({"error": "UsageError", "message": "Its text: zebra", "hint": "zebra"}),
        }
        for case in ("one", "two")
    ]
    give(study, case="two")
    with study.store.read() as session:
        hidden, seen = veil_jobs(session, study.readers["r1"], True, views)
        assert veil_jobs(session, study.readers["r1"], False, views) == views
    assert seen == views[1]
    assert "zebra" not in json.dumps(hidden)
    assert (hidden["state"], hidden["error"]["error"]) == ("failed", "UsageError")
    assert hidden["error"]["said"] == {"ru": {"message": "Не получилось."}}


def test_a_list_is_not_searched_or_sorted_by_what_it_hides():
    reader = Somebody("r1", 1)
    for text, sort in (("lesion", "created"), ("", "caption"), ("", "disagreement"), ("", "faithfulness")):
        with pytest.raises(NotAllowed, match="blind mode"):
            check_search(reader, True, text, sort)
        check_search(reader, False, text, sort)
        check_search(LEAD, True, text, sort)
    check_search(reader, True, " ", "created")
    check_search(reader, True, "", "name")
