"""Loops tell how far they are, whoever started the work hears it, and what stops it comes out unchanged."""

from threading import Thread

import pytest

from dermaxai.progress import beat, heard_by, part, stage, steps


class Enough(Exception):
    """Raised by who listens."""


@pytest.fixture
def told():
    return []


@pytest.fixture
def hear(told):
    return lambda name, share: told.append((name, round(share, 6)))


def shares(told):
    return [share for _, share in told]


def test_where_nobody_listens_a_loop_is_as_it_was():
    beat()
    with stage("a"), part(0.0, 0.5):
        assert list(steps(iter("abc"))) == ["a", "b", "c"]


def test_every_step_is_told_after_it(hear, told):
    with heard_by(hear):
        for number, _ in enumerate(steps("abcd")):
            assert len(told) == number
    assert shares(told) == [0.25, 0.5, 0.75, 1.0]


def test_a_loop_inside_a_step_counts_as_a_part_of_it(hear, told):
    with heard_by(hear):
        for _ in steps("ab"):
            list(steps("abcd"))
    assert shares(told) == [0.125, 0.25, 0.375, 0.5, 0.5, 0.625, 0.75, 0.875, 1.0, 1.0]


def test_what_has_no_length_is_counted_by_who_knows(hear, told):
    with heard_by(hear):
        list(steps(iter("abcd"), 4))
    assert shares(told) == [0.25, 0.5, 0.75, 1.0]


def test_no_steps_tell_nothing(hear, told):
    with heard_by(hear):
        assert list(steps(())) == []
    assert told == []


def test_parts_divide_what_is_at_hand(hear, told):
    with heard_by(hear):
        for _ in steps("ab"):
            with part(0.0, 0.5):
                list(steps("ab"))
            with part(0.5, 1.0):
                beat()
    assert shares(told) == [0.125, 0.25, 0.25, 0.25, 0.5, 0.5, 0.625, 0.75, 0.75, 0.75, 1.0, 1.0]


def test_a_stage_is_told_by_its_name_from_nothing_to_all(hear, told):
    with heard_by(hear):
        with stage("first"):
            list(steps("ab"))
        with stage("second"):
            beat()
    first, second = told[:4], told[4:]
    assert first == [("first", 0.0), ("first", 0.5), ("first", 1.0), ("first", 1.0)]
    assert second == [("second", 0.0), ("second", 0.0), ("second", 1.0)]


def fail_in_a_loop():
    with stage("first"):
        for _ in steps("abcd"):
            for _ in steps("ab"):
                raise ZeroDivisionError


def test_a_stage_that_fails_is_not_told_as_done_and_the_next_begins_anew(hear, told):
    with heard_by(hear):
        with pytest.raises(ZeroDivisionError):
            fail_in_a_loop()
        with stage("second"):
            list(steps("ab"))
    assert told == [("first", 0.0), ("second", 0.0), ("second", 0.5), ("second", 1.0), ("second", 1.0)]


def test_a_step_after_one_that_failed_counts_as_it_would(hear, told):
    with heard_by(hear):
        for letter in steps("abcd"):
            try:
                for _ in steps("ab"):
                    assert letter != "a", "the first fails within"
            except AssertionError:
                pass
    assert shares(told)[0] == 0.25
    assert shares(told)[-3:] == [0.875, 1.0, 1.0]


def test_a_share_never_falls(hear, told):
    with heard_by(hear), stage("work"):
        list(steps("abcd"))
        list(steps("ab"))
        beat()
    assert shares(told) == sorted(shares(told))


def test_who_listens_stops_the_work_where_it_is():
    work = iter("abcd")

    def stop(_name, share):
        if share >= 0.5:
            raise Enough

    with pytest.raises(Enough), heard_by(stop), stage("work"):
        list(steps(work, 4))
    assert list(work) == ["c", "d"]
    assert list(steps("ab")) == ["a", "b"]


def test_who_listens_further_in_hears_it_alone(hear, told):
    inner = []
    with heard_by(hear):
        with heard_by(lambda name, share: inner.append(share)):
            list(steps("a"))
        assert told == []
        list(steps("a"))
    assert inner == shares(told) == [1.0]


def test_work_of_another_thread_is_not_heard(hear, told):
    with heard_by(hear):
        other = Thread(target=lambda: list(steps("ab")))
        other.start()
        other.join()
    assert told == []
