"""An English article belongs to the word after it."""

import pytest

from dermaxai.explain.articles import decided_tokens, first_of, is_article, with_article
from dermaxai.types import Caption, Word

TEXT = "A lesion with an irregular border. It is a"


def caption(text: str = TEXT, language: str = "en") -> Caption:
    words, start = [], 0
    for number, piece in enumerate(text.split()):
        start = text.index(piece, start)
        bare = piece.strip(".")
        words.append(Word(bare, start, start + len(bare), (number,), -0.1))
        start += len(piece)
    return Caption(text, language, tuple(words), tuple(range(len(words))), (-0.1,) * len(words))


def test_the_article_is_decided_with_its_word():
    said = caption()
    assert decided_tokens(said, said.find("irregular")) == (3, 4)
    assert decided_tokens(said, said.find("lesion")) == (0, 1)
    assert decided_tokens(said, said.find("border")) == (5,)


def test_an_article_alone_decides_nothing():
    said = caption()
    assert is_article(said, 3)
    assert decided_tokens(said, 3) == ()
    assert not is_article(said, len(said.words) - 1)


def test_every_token_of_a_word_is_counted_once():
    said = caption()
    counted = [place for index in range(len(said.words)) for place in decided_tokens(said, index)]
    assert sorted(counted) == list(range(len(said.words)))


@pytest.mark.parametrize(("rival", "spelled"), [("regular", "a regular"), ("irregular", "an irregular")])
def test_a_rival_brings_its_own_article(rival, spelled):
    said = caption()
    assert with_article(said, said.find("irregular"), rival) == spelled
    assert with_article(said, said.find("border"), rival) == rival


def test_other_languages_have_no_such_article():
    said = caption(language="ru")
    assert first_of(said, said.find("irregular")) == said.find("irregular")
