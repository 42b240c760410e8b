import json

import pytest
from sqlalchemy import select

from dermaxai.errors import Conflict, NotSignedIn, UsageError
from dermaxai.reading.judging import Judgement, feedback_json, give_feedback, newest, own_feedback
from dermaxai.reading.looking import hash_caption
from dermaxai.store.audit import verify
from dermaxai.store.tables import Event, Feedback
from tests.reading.conftest import Somebody
from tests.sample_case import ENGLISH

BOX = {"kind": "box", "points": [[10, 20], [110, 70]]}


def test_an_answer_is_kept_with_what_was_looked_at(any_study):
    any_study.answer("r1", "wrong_place", regions=[BOX], comment="  further left\x00 ")
    with any_study.store.read() as session:
        (row,) = session.scalars(select(Feedback))
        assert (row.word, row.text, row.answer, row.method) == (2, "asymmetric", "wrong_place", "grad_eclip")
        assert row.caption_sha256 == hash_caption(ENGLISH)
        assert row.revision == 1
        assert row.regions == [{"kind": "box", "points": [[10.0, 20.0], [110.0, 70.0]]}]
        assert row.comment == "further left"


def test_nothing_is_overwritten_and_the_newest_counts(study):
    first = study.answer("r1", "agree")
    second = study.answer("r1", "wrong_word")
    other = study.answer("r1", "agree", word=4)
    study.answer("r2", "wrong_place")
    with study.store.read() as session:
        mine = own_feedback(session, study.readers["r1"], "one")
        assert [row.id for row in mine] == [second, other]
        assert session.get(Feedback, first).answer == "agree"


def test_the_event_says_who_and_how_much_but_not_what(study):
    study.answer("r1", "wrong_place", regions=[BOX], comment="Frau Müller, links")
    with study.store.read() as session:
        event = session.scalar(select(Event).where(Event.action == "feedback.given"))
        assert (event.actor, event.subject) == ("r1", "one")
        detail = json.loads(event.detail)
        assert detail["regions"] == 1
        assert detail["characters"] == 18
        assert "Müller" not in event.detail
        assert "asymmetric" not in event.detail
        assert verify(session).intact


def test_the_answer_and_its_event_come_together_or_not_at_all(study):
    def answer_and_fail():
        with study.store.write() as session:
            row, looked = study.looked(session)
            give_feedback(session, study.readers["r1"], row, looked, Judgement("agree", ENGLISH, 2))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        answer_and_fail()
    with study.store.read() as session:
        assert session.scalar(select(Feedback)) is None
        assert session.scalar(select(Event).where(Event.action == "feedback.given")) is None


def test_an_answer_to_another_caption_is_a_conflict(study):
    with pytest.raises(Conflict, match="another caption"):
        study.answer("r1", caption="a small lesion")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"answer": "maybe"}, "no answer"),
        ({"word": 10}, "no word 10"),
        ({"word": -1}, "no word -1"),
        ({"method": "lime"}, "no map of 'lime'"),
        ({"regions": [{"kind": "point", "points": [[500, 1]]}]}, "outside the photo"),
        ({"comment": "x" * 2001}, "at most 2000"),
    ],
)
def test_what_does_not_fit_is_refused_and_leaves_nothing(study, given, said):
    with pytest.raises(UsageError, match=said):
        study.answer("r1", **given)
    with study.store.read() as session:
        assert session.scalar(select(Feedback)) is None


def test_the_caption_as_a_whole(study):
    study.answer("r1", "wrong_word", word=None, method="")
    with study.store.read() as session:
        (row,) = session.scalars(select(Feedback))
        assert (row.word, row.text, row.method) == (None, "", "")


def test_nobody_answers_without_a_pseudonym(study):
    study.readers["nobody"] = Somebody("local", None)
    with pytest.raises(NotSignedIn):
        study.answer("nobody")


def test_newest_keeps_answers_to_different_captions_apart():
    rows = [
        Feedback(id=number, case_id="a", reader_id=1, caption_sha256=sha, word=0)
        for number, sha in enumerate(["x", "y", "x"])
    ]
    assert [row.id for row in newest(rows)] == [1, 2]


def test_an_answer_to_an_earlier_caption_is_told_as_such(study):
    study.answer("r1")
    with study.store.read() as session:
        (row,) = session.scalars(select(Feedback))
        assert feedback_json(row, hash_caption(ENGLISH))["current"]
        assert not feedback_json(row, hash_caption("another"))["current"]
