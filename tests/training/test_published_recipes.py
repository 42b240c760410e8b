"""Every recipe of the repository is one, and names what there is."""

from pathlib import Path

import pytest

from dermaxai.data.cards import card_names as dataset_names
from dermaxai.encoders.cards import card_names
from dermaxai.errors import SettingError
from dermaxai.training.checking import check_recipe
from dermaxai.training.recipe import read_recipe

HOME = Path(__file__).parent.parent.parent / "recipes"
RECIPES = sorted(
    path
    for path in HOME.rglob("*.toml")
    if not path.name.startswith("demo") and "[study]" not in path.read_text(encoding="utf-8")
)
"""Those of the embedded model are tried with it, studies with theirs."""


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_only_the_user_s_files_are_missing(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recipe = read_recipe(path)
    assert recipe.encoder.name in card_names()
    assert set(recipe.data.datasets) <= set(dataset_names())
    with pytest.raises(SettingError) as told:
        check_recipe(recipe)
    assert "2 faults" in str(told.value)
    assert "There is no manifest" in str(told.value)
    assert "There is no feature cache" in str(told.value)


def test_every_family_of_encoders_has_one():
    families = {read_recipe(path).encoder.name for path in (HOME / "encoders").glob("*.toml")}
    assert len(families) == 9


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_its_head_tells_how_it_is_started(path):
    head = path.read_text(encoding="utf-8").split("[data]")[0]
    assert f"train {path.relative_to(HOME.parent).as_posix()}" in head
    assert "features build" in head
