import pytest

from dermaxai.errors import SettingError
from dermaxai.training.recipe import read_recipe
from dermaxai.training.spelling import check_spelling, fit_captions
from dermaxai.training.texts import Texts
from tests.captioner import tiny
from tests.training.small import samples, write_recipe_world


class Photo:
    appearance = None

    def __init__(self, sample):
        self.sample = sample


class Told:
    """Captions as they are given."""

    languages = ("en", "ru")

    def __init__(self, **captions):
        self.captions = captions

    def of(self, photo):
        return {language: said[photo] for language, said in self.captions.items()}


def test_shares_by_language():
    captioner = tiny.captioner(max_tokens=40)
    foreign = "A large lesion \u2620."
    fits = fit_captions(captioner, range(2), Told(en=[tiny.ENGLISH[0], foreign], ru=tiny.RUSSIAN[:2]))
    assert (fits["en"].captions, fits["en"].misspelt, fits["ru"].misspelt) == (2, 0.5, 0.0)
    assert 0 < fits["en"].unknown < 0.2
    short = tiny.captioner(max_tokens=5)
    assert fit_captions(short, range(2), Told(en=tiny.ENGLISH[:2]))["en"].cut == 1


def test_a_language_that_the_tokenizer_cannot_spell_is_refused():
    captioner = tiny.captioner(max_tokens=40)
    with pytest.raises(SettingError, match="pieces of captions in 'en'") as told:
        fit_captions(captioner, range(2), Told(en=["\u2620 \u2621", "\u2620"]))
    assert "captioner.templates" in str(told.value)
    check_spelling(captioner, {})


def test_it_is_told_before_anything_trains(tmp_path, monkeypatch):
    from dermaxai.training.plan import plan_of

    world = write_recipe_world(tmp_path)
    monkeypatch.setattr(Texts, "of", lambda *asked: {"en": "\u2620 \u2621"})
    with pytest.raises(SettingError, match="does not know"):
        plan_of(read_recipe(world))


def test_photos_of_which_nothing_is_said():
    texts = Texts("real", ("ru",), ())
    assert fit_captions(tiny.captioner(), map(Photo, samples(3)), texts) == {}
