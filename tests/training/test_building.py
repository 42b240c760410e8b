import pytest

from dermaxai.captioner import save_captioner
from dermaxai.errors import SettingError, WeightsMismatch
from dermaxai.training.building import Seen, build_captioner
from dermaxai.training.recipe import read_recipe
from tests.captioner import tiny
from tests.training.small import RECIPE

SEEN = Seen("demo", "ab" * 32, tiny.WIDTH)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    folder = tmp_path_factory.mktemp("built")
    tiny.write_t5(folder / "t5", "mt5")
    place = folder / "recipe.toml"
    place.write_text(RECIPE.format(folder=folder.as_posix()), encoding="utf-8")
    save_captioner(tiny.captioner(encoder="demo"), folder / "trained")
    return place


def test_a_new_captioner_is_what_the_recipe_says(path):
    captioner = build_captioner(read_recipe(path, ["captioner.templates=[]"]), SEEN)
    config = captioner.config
    assert (config.encoder, config.encoder_sha256, config.encoder_width) == ("demo", "ab" * 32, 24)
    assert (config.bridge.hidden, config.bridge.queries, config.max_tokens) == (16, 4, 40)
    assert config.languages["ru"].decoder_prefix == "<ru>"
    assert captioner.adapters.settings["default"].rank == 2
    assert captioner.adapters.active == "default"


def test_the_seed_decides_the_first_weights(path):
    one, same, other = (
        build_captioner(read_recipe(path, [f"training.seed={seed}"]), SEEN) for seed in (0, 0, 1)
    )
    assert (one.bridge.queries == same.bridge.queries).all()
    assert (one.bridge.queries != other.bridge.queries).any()


def test_a_bridge_alone_needs_no_adapter(path):
    captioner = build_captioner(read_recipe(path, ["training.mode=bridge", "captioner.adapters={}"]), SEEN)
    assert captioner.adapters.active is None


def test_a_trained_captioner_keeps_its_adapters(path):
    start = (path.parent / "trained").as_posix()
    changes = [f"captioner={{start = '{start}'}}", "training.adapter=second"]
    captioner = build_captioner(read_recipe(path, changes), SEEN)
    assert sorted(captioner.adapters.settings) == ["default", "second"]
    assert captioner.adapters.active == "second"
    again = build_captioner(read_recipe(path, changes[:1]), SEEN)
    assert list(again.adapters.settings) == ["default"]


def test_layers_that_this_t5_does_not_have_are_refused(path):
    recipe = read_recipe(path, ["captioner.adapters.default.layers=['wi']"])  # That T5 is gated.
    with pytest.raises(SettingError, match="this T5 has none of the layers wi"):
        build_captioner(recipe, SEEN)


@pytest.mark.parametrize("seen", [Seen("demo", "ab" * 32, 25), Seen("demo", "cd" * 32, 24)])
def test_patches_of_another_encoder_are_refused(path, seen):
    start = (path.parent / "trained").as_posix()
    with pytest.raises(WeightsMismatch, match="Take the cache of its own encoder"):
        build_captioner(read_recipe(path, [f"captioner={{start = '{start}'}}"]), seen)
