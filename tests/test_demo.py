"""The embedded model as it ships: made by its recipe, and held to what its card says of its captions."""

import json
import tomllib
from pathlib import Path

import pytest

import dermaxai
from dermaxai.embedded.figures import repeated
from dermaxai.embedded.strangers import DRAWN, draw_set
from dermaxai.loading import demo_folder
from dermaxai.phantom import draw_phantom, sample_plans
from dermaxai.statements import is_whole, read_facts
from dermaxai.training.recipe import read_recipe as read_training

RECIPES = Path(__file__).parent.parent / "recipes"
RECIPE = tomllib.loads((RECIPES / "demo.toml").read_text(encoding="utf-8"))
COUNT = 24


@pytest.fixture(scope="module")
def model():
    return dermaxai.load("demo")


@pytest.fixture(scope="module")
def captions(model):
    """English and Russian of drawn lesions nobody trained on."""
    photos = [draw_phantom(plan, seed=i).image for i, plan in enumerate(sample_plans(COUNT, seed=31))]
    english, russian = (model.describe(photos, language) for language in ("en", "ru"))
    return list(zip(english, russian, strict=True))


def test_the_encoder_is_the_one_of_the_recipe():
    config = json.loads((demo_folder() / "encoder" / "open_clip_config.json").read_text(encoding="utf-8"))
    made_by = config["recipe"]
    assert {name: made_by[name] for name in RECIPE["encoder"]} == RECIPE["encoder"]


def test_the_captioner_is_the_one_of_the_recipe():
    """It was trained before recipes had their present form, so its card names the same values otherwise."""
    card = (demo_folder() / "captioner" / "card.md").read_text(encoding="utf-8")
    made_by = json.loads(card.partition("Recipe: ")[2])
    recipe = read_training(RECIPES / "demo_captioner.toml")
    how = recipe.training
    sizes = recipe.captioner.sizes.model_dump(exclude_none=True)
    assert {name: made_by[name] for name in sizes} == sizes
    assert (made_by["views"], made_by["balance"]) == (recipe.features.views, recipe.data.balance)
    assert made_by["rank"] == recipe.captioner.adapters["default"].rank
    assert (made_by["bridge_rate"], made_by["lora_rate"]) == (how.rates.qformer, how.rates.lora)
    same = ("steps", "batch", "weight_decay", "noise", "shift", "check_every")
    assert {name: made_by[name] for name in same} == {name: getattr(how, name) for name in same}


def test_it_stays_small():
    size = sum(path.stat().st_size for path in demo_folder().rglob("*") if path.is_file())
    assert size < 30e6


def test_captions_are_whole_sentences_without_repetition(captions):
    for case in [case for pair in captions for case in pair]:
        assert is_whole(case.caption.text, case.caption.language), case.caption.text
        assert repeated(case.caption.text) == 0


def test_both_languages_state_the_same_facts(captions):
    for english, russian in captions:
        assert read_facts(english.caption.text, "en") == read_facts(russian.caption.text, "ru")


def test_captions_follow_the_photo(captions):
    assert len({english.caption.text for english, _ in captions}) >= 5


def test_most_drawn_lesions_are_inside(captions):
    assert sum(english.outside.flag for english, _ in captions) <= COUNT // 4


@pytest.mark.parametrize("name", sorted(DRAWN))
def test_strangers_are_flagged(model, name):
    cases = model.describe(draw_set(name, 12, seed=77))
    assert sum(case.outside.flag for case in cases) >= 11
