import pytest

from dermaxai.errors import UsageError
from dermaxai.reading.typed import clean_text


def test_what_no_database_takes_is_left_out():
    assert clean_text("a\x00b\ud800c\x1b[0m", 10, "A comment") == "abc[0m"


def test_letters_of_any_script_stay():
    assert clean_text("пигментная сеть 👁‍🗨\tда\nнет", 50, "A comment") == "пигментная сеть 👁‍🗨\tда\nнет"


def test_too_long_is_said_with_both_numbers():
    assert clean_text("x" * 5 + "  ", 5, "A comment") == "xxxxx"
    with pytest.raises(UsageError, match="A comment has at most 5 characters, not 6"):
        clean_text("x" * 6, 5, "A comment")
