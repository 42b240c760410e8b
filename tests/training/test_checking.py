import pytest

from dermaxai.errors import SettingError
from dermaxai.training.checking import check_recipe
from dermaxai.training.plan import plan_of
from dermaxai.training.recipe import read_recipe
from tests.training.small import write_recipe_world


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return write_recipe_world(tmp_path_factory.mktemp("world"))


def faults(world, *changes):
    with pytest.raises(SettingError) as told:
        check_recipe(read_recipe(world, changes), "tried.toml")
    return str(told.value)


def test_a_good_recipe_passes(world):
    check_recipe(read_recipe(world))


def test_all_faults_of_the_world_at_once(world):
    text = faults(
        world, "encoder.name=demoo", "data.datasets.ham1000=1", "captioner.t5=nowhere", "features.views=9",
        "training.adapter=other",
    )  # fmt: skip
    assert text.startswith("tried.toml: 6 faults:")
    for said in (
        "No encoder is called 'demoo'. Did you mean 'demo'?",
        "Did you mean 'ham10000'?",
        "'nowhere' is neither a folder nor a hub id",
        "features.views: the cache has 2, not 9",
        "features.cache: it holds 'demo', encoder.name is 'demoo'",
        "'other' is none of the adapters default",
    ):
        assert said in text


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (["data.manifest=none.parquet"], "There is no manifest"),
        (["features.cache=none"], "There is no feature cache"),
        (["encoder.name=make"], "features.cache: it holds 'demo', encoder.name is 'make'"),
        (["encoder.source=none"], "there is nothing at 'none'"),
        (["captioner={start = 'none'}"], "there is no captioner in 'none'"),
        (["training.mode=lora"], "leaves a new bridge untrained"),
        (["captioner.sizes.heads=3"], "must be a multiple of heads"),
        (["captioner.sizes.headz=3"], "captioner.sizes"),
        (['data.train=["test"]'], "data.train: no photo of these parts"),
        (["data.captions=real", "data.languages={ru = 1}"], "none has a caption of policy 'real' in"),
        (["captioner.languages={en = {}}", "data.languages={ru = 1}"], "the captioner writes en, not ru"),
        (["captioner.languages={en = {}, ru = {}}"], "two have the same prompt"),
        (
            ["captioner.languages={ru = {}}", "captioner.templates=['en']"],
            "only a captioner that writes English",
        ),
        (["training.adapter=a-b", "captioner.adapters={}"], "is no name"),
    ],
)
def test_single_faults(world, changes, said):
    assert said in faults(world, *changes)


def test_the_plan_tells_what_will_happen(world):
    lines = list(plan_of(read_recipe(world, ["training.batch=6"])).lines())
    assert lines[0] == "train: 24 photos (ham10000 16, skincap 8)"
    assert lines[1] == "validation: 6 photos (ham10000 4, skincap 2)"
    assert lines[2] == "steps: 6 (1.50 epochs)"
    assert lines[3].startswith("mode bridge+lora: 13,008 trainable")
    assert lines[-1].startswith("memory per process:")


def test_the_plan_tells_what_is_cut_off(world):
    lines = list(plan_of(read_recipe(world, ["captioner.max_tokens=9"])).lines())
    assert lines[4].startswith("captions longer than captioner.max_tokens, whose end is cut off: ")
    assert plan_of(read_recipe(world, ["captioner.max_tokens=500"])).cut == 0


def test_the_plan_without_weights_says_so(world, plain_environment):
    lines = list(plan_of(read_recipe(world, ["captioner.t5=google-t5/none"])).lines())
    assert lines[3].startswith("what trains is not known yet: ")


def test_epochs_become_steps(world):
    changes = ["training={epochs = 2.5, batch = 4}"]
    assert plan_of(read_recipe(world, changes)).steps == 15
