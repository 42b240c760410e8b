import pytest

from dermaxai.errors import NotFound
from dermaxai.reading.blind import OwnReading, give_reading
from dermaxai.reading.telling import blind_readings_of, readings_of
from dermaxai.store.cases import find_case


def test_the_answers_that_count_by_reader_and_word(study):
    study.answer("r2", "agree", word=4)
    study.answer("r1", "agree", word=5)
    study.answer("r1", "agree", word=2)
    study.answer("r1", "wrong_word", word=2, comment="no")
    study.answer("r1", "agree", word=None)
    study.answer("r1", "agree", case="two")
    with study.store.read() as session:
        told = readings_of(session, "one")
    assert [(one["pseudonym"], one["word"], one["answer"]) for one in told] == [
        ("r1", None, "agree"),
        ("r1", 2, "wrong_word"),
        ("r1", 5, "agree"),
        ("r2", 4, "agree"),
    ]
    assert told[1]["comment"] == "no"
    assert told[1]["regions"] == []


def test_a_reader_is_told_of_nobody_else(study):
    study.answer("r1")
    study.answer("r2")
    with study.store.read() as session:
        told = readings_of(session, "one", study.readers["r2"].reader)
    assert [one["pseudonym"] for one in told] == ["r2"]


def test_answers_to_an_earlier_caption_are_left_out(study):
    study.answer("r1")
    with study.store.write() as session:
        find_case(session, "one").caption = "another"
    with study.store.read() as session:
        assert readings_of(session, "one") == []


def test_what_readers_saw_alone(study):
    with study.store.write() as session:
        for name in ("r2", "r1"):
            give_reading(session, study.readers[name], "one", OwnReading(f"seen by {name}"), blind=True)
    with study.store.read() as session:
        told = blind_readings_of(session, "one")
        assert [(one["pseudonym"], one["findings"]) for one in told] == [
            ("r1", "seen by r1"),
            ("r2", "seen by r2"),
        ]
        assert len(blind_readings_of(session, "one", study.readers["r1"].reader)) == 1


def test_an_unknown_case(study):
    with study.store.read() as session, pytest.raises(NotFound):
        readings_of(session, "three")
