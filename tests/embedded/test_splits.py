"""One lesion never stands on two sides of a split."""

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dermaxai.embedded.language import LanguageRecipe
from dermaxai.embedded.lesions import LesionPhoto
from dermaxai.embedded.photos import Measured
from dermaxai.embedded.recipes import EncoderRecipe, read_recipe, read_stage
from dermaxai.embedded.splits import split_by_lesion
from dermaxai.errors import SettingError
from dermaxai.training.recipe import read_recipe as read_training

RECIPE = Path(__file__).parents[2] / "recipes" / "demo.toml"


def rows_of(lesions) -> Measured:
    rows = [
        LesionPhoto(f"ISIC_{number}", f"HAM_{lesion}", "nv", Path()) for number, lesion in enumerate(lesions)
    ]
    return Measured(tuple(rows), torch.zeros(0, 3, 2, 2), torch.zeros(0, 2, 2), ())


@given(st.lists(st.integers(0, 30), min_size=1, max_size=80), st.sets(st.integers(0, 79)), st.floats(0, 1))
def test_no_lesion_on_two_sides(lesions, tested, share):
    data = rows_of(lesions)
    ids = frozenset(f"ISIC_{number}" for number in tested)
    split = split_by_lesion(data, ids, share)
    sides = [{lesions[i] for i in part} for part in (split.train, split.validation, split.test)]
    assert not sides[0] & (sides[1] | sides[2])
    assert not sides[1] & sides[2]
    assert {data.rows[i].image for i in split.test} == ids & {row.image for row in data.rows}
    every = [*split.train, *split.validation, *split.test]
    assert len(set(every)) == len(every)
    left = set(range(len(lesions))) - set(every)
    assert {lesions[i] for i in left} <= sides[2]


def test_the_split_does_not_depend_on_what_else_is_there():
    lesions = list(range(400))
    whole = split_by_lesion(rows_of(lesions), frozenset(), 0.1)
    part = split_by_lesion(rows_of(lesions[:100]), frozenset(), 0.1)
    assert part.validation == tuple(i for i in whole.validation if i < 100)
    assert 20 <= len(whole.validation) <= 60


def test_the_shipped_recipe_can_be_read():
    recipe = read_recipe(RECIPE)
    encoder = read_stage(EncoderRecipe, recipe, "encoder")
    assert encoder.steps == sum(phase.steps for phase in encoder.phases)
    assert encoder.phase_at(0).pixels == 112
    assert encoder.phase_at(encoder.steps - 1).pixels == 224
    assert encoder.phase_at(encoder.steps + 5) == encoder.phases[-1]
    read_stage(LanguageRecipe, recipe, "language")
    training = read_training(RECIPE.parent / recipe["captioner"])
    assert (training.training.steps, training.features.views) == (600, 3)
    ids = (RECIPE.parent / recipe["test_ids"]).read_text(encoding="utf-8").split()
    assert len(set(ids)) == len(ids) > 400


def test_recipes_that_cannot_be_used(tmp_path):
    with pytest.raises(SettingError, match=r"none\.toml cannot be read"):
        read_recipe(tmp_path / "none.toml")
    (tmp_path / "broken.toml").write_text("[encoder")
    with pytest.raises(SettingError, match=r"broken\.toml cannot be read"):
        read_recipe(tmp_path / "broken.toml")
    with pytest.raises(SettingError, match=r"no table \[language\]"):
        read_stage(LanguageRecipe, {"seed": 1}, "language")
    with pytest.raises(SettingError, match=r"\[language\]: unknown widht\. Known: width"):
        read_stage(LanguageRecipe, {"language": {"widht": 3}}, "language")
    with pytest.raises(SettingError, match=r"\[encoder\.phases\]: .*keep"):
        read_stage(EncoderRecipe, {"encoder": {"phases": [{"steps": 1, "batch": 1, "pixels": 1}]}}, "encoder")
    assert read_stage(LanguageRecipe, {"seed": 7, "language": {"steps": 3}}, "language").seed == 7
