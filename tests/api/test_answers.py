"""Answers that are kept."""

from dermaxai.api.answers import Shelf, make_answer


def test_the_answer_used_longest_ago_goes_first():
    answers = [make_answer(bytes([number]) * 500) for number in range(3)]
    shelf = Shelf(limit=1000)
    for number in (0, 1):
        shelf.keep(str(number), 1, answers[number])
    assert shelf.find("0", 1) is answers[0]
    shelf.keep("2", 1, answers[2])
    assert [shelf.find(str(number), 1) for number in range(3)] == [answers[0], None, answers[2]]


def test_one_answer_is_kept_however_large():
    shelf = Shelf(limit=10)
    large = shelf.keep("a", 1, make_answer(b"x" * 5000))
    assert shelf.find("a", 1) is large


def test_a_version_takes_the_place_of_the_one_before():
    shelf = Shelf(limit=1200)
    for number in range(50):
        shelf.keep("a", number, make_answer(bytes([number]) * 500))
    other = shelf.keep("b", 1, make_answer(b"y" * 500))
    assert [shelf.find("a", number) is not None for number in (0, 48, 49)] == [False, False, True]
    assert shelf.find("b", 1) is other


def test_what_is_forgotten_makes_room():
    shelf = Shelf(limit=1000)
    for name in ("a", "b"):
        shelf.keep(name, 1, make_answer(name.encode() * 500))
    shelf.drop("a")
    shelf.drop("nothing")
    shelf.keep("c", 1, make_answer(b"c" * 500))
    assert [shelf.find(name, 1) is not None for name in "abc"] == [False, True, True]


def test_small_answers_are_not_packed():
    assert make_answer(b"{}").packed == b""
    assert 0 < len(make_answer(b"0" * 5000).packed) < 5000


def test_the_mark_is_that_of_the_content():
    assert make_answer(b"a").mark == make_answer(b"a").mark != make_answer(b"b").mark
