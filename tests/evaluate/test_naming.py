from hypothesis import given
from hypothesis import strategies as st

from dermaxai.evaluate.naming import LONGEST, Namer, key_of, slug


@given(st.text(max_size=200))
def test_every_name_is_a_plain_file_name(text):
    found = slug(text)
    assert found
    assert set(found) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert len(found) <= LONGEST + 13


@given(st.lists(st.text(max_size=5), max_size=8))
def test_no_name_twice(texts):
    namer = Namer()
    names = [namer.name(text) for text in texts]
    assert len(set(names)) == len(names)


def test_other_scripts_and_long_names_are_told_apart():
    assert slug("слово") != slug("запрос")
    assert slug("a" * 200) != slug("a" * 199)
    assert slug("en, weak captions") == "en-weak-captions"
    assert key_of("a") != key_of("b")
