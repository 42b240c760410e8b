"""Two languages state the same facts where a leading language is named."""

from types import SimpleNamespace

import pytest
import torch

from dermaxai.captioner import agreement
from dermaxai.statements import Facts, read_facts, wordings_of
from dermaxai.types import Caption

LARGE = Facts("large", "asymmetric", "irregular", ("dark brown", "red"), "mel")
SMALL = Facts("small", "symmetric", "regular", ("light brown",), "nv")


class Scorer:
    """Stands in for a captioner: remembers what it was asked to score."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def score_patches(self, patches, text, language):
        self.asked.append(text)
        return [say(text, language)]


def say(text: str, language: str) -> Caption:
    return Caption(text, language, (), (1,), (-0.5,))


def sentences(facts: Facts, language: str, wording: int = 0) -> str:
    return " ".join(options[wording] for options, _ in wordings_of(facts, language))


@pytest.mark.parametrize("facts", [LARGE, SMALL, Facts(diagnosis="df")])
def test_a_caption_with_other_facts_is_replaced(facts):
    scorer = Scorer()
    other = SMALL if facts is not SMALL else LARGE
    (agreed,) = agreement.agree(
        scorer, torch.zeros(1, 4, 2), [say(sentences(facts, "en"), "en")], [say(sentences(other, "ru"), "ru")]
    )
    assert read_facts(agreed.text, "ru") == facts
    assert scorer.asked == [agreed.text]


def test_a_caption_that_agrees_keeps_its_own_wording():
    scorer, own = Scorer(), say(sentences(LARGE, "ru", 1), "ru")
    assert agreement.agree(scorer, torch.zeros(1, 4, 2), [say(sentences(LARGE, "en"), "en")], [own]) == [own]
    assert scorer.asked == []


def test_a_broken_caption_is_mended_in_its_own_language():
    whole, broken = (
        say(sentences(SMALL, "en", 1), "en"),
        sentences(LARGE, "en").replace("dark brown and red", "red and red"),
    )
    mended = agreement.mend(Scorer(), torch.zeros(2, 4, 2), [whole, say(broken, "en")])
    assert mended[0] is whole
    assert mended[1].text == broken.replace("red and red", "red")


def test_a_broken_caption_is_replaced():
    broken = say("Крупное асимметричное с неровной границей. Цвет.", "ru")
    (agreed,) = agreement.agree(Scorer(), torch.zeros(1, 4, 2), [say(sentences(LARGE, "en"), "en")], [broken])
    assert agreed.text == sentences(LARGE, "ru")


def test_free_text_is_left_alone():
    free = SimpleNamespace(config=SimpleNamespace(tables={}))
    own = [say("Anything at all", "en")]
    assert agreement.one_set_of_facts(free, torch.zeros(1, 4, 2), own, lambda lead: []) == own
