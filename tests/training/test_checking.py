import pytest

from dermaxai.captioner import save_captioner
from dermaxai.errors import SettingError
from dermaxai.training.checking import check_recipe
from dermaxai.training.plan import plan_of
from dermaxai.training.recipe import read_recipe
from tests.captioner import tiny
from tests.training.small import write_cache, write_manifest, write_photos, write_recipe_world


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


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"layer": "embedding", "pooling": "class", "rows": 1, "columns": 1}, "holds image embeddings"),
        ({"width": 12}, "its patches are 12 wide, captioner.start reads 24"),
        (
            {"weights_sha256": "ef" * 32},
            "its patches are of weights efefefefefef, captioner.start reads abab",
        ),
    ],
)
def test_a_cache_that_the_captioner_cannot_read(world, tmp_path, changes, said):
    save_captioner(tiny.captioner(encoder="demo", encoder_sha256="ab" * 32), tmp_path / "trained")
    write_cache(tmp_path / "cache", 30, **changes)
    start, cache = (place.as_posix() for place in (tmp_path / "trained", tmp_path / "cache"))
    assert said in faults(world, f"features.cache={cache}", f"captioner={{start = '{start}'}}")


def test_a_part_without_any_features(world, tmp_path):
    write_cache(tmp_path / "cache", 4)
    changes = [f"features.cache={(tmp_path / 'cache').as_posix()}", "features.skip_missing=true"]
    told = faults(world, *changes)
    assert told.endswith("1 fault:\n  - features.cache: it lacks all 6 photos in data.validation; bring them")
    assert "it lacks 20 of 24 photos in data.train" in faults(world, changes[0])
    write_cache(tmp_path / "cache", 20)
    lines = list(plan_of(read_recipe(world, changes)).lines())
    assert lines[2:4] == ["without patches, left out: 8", "steps: 6 (1.50 epochs)"]


def test_live_photos_that_are_gone(tmp_path):
    world = write_recipe_world(tmp_path)
    write_photos(tmp_path, 10)
    write_manifest(tmp_path / "manifest.parquet", 10, tmp_path)
    (tmp_path / "3.png").unlink()
    told = faults(world, "features={live = true}")
    assert told.endswith(
        "the disk lacks 1 of 8 photos in data.train; bring them, or set features.skip_missing = true"
    )
    check_recipe(read_recipe(world, ["features={live = true, skip_missing = true}"]))


def test_one_damaged_file_is_one_fault(world, tmp_path):
    (tmp_path / "captioner.json").write_text("{")
    told = faults(world, f"captioner={{start = '{tmp_path.as_posix()}'}}")
    assert told.startswith("tried.toml: 1 fault:")
    assert "is no readable JSON" in told


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
    fits = plan_of(read_recipe(world, ["captioner.max_tokens=500"])).fits
    assert {language: fit.cut for language, fit in fits.items()} == {"en": 0, "ru": 0}


def test_the_plan_without_weights_says_so(world, plain_environment):
    lines = list(plan_of(read_recipe(world, ["captioner.t5=google-t5/none"])).lines())
    assert lines[3].startswith("what trains is not known yet: ")


def test_epochs_become_steps(world):
    changes = ["training={epochs = 2.5, batch = 4}"]
    assert plan_of(read_recipe(world, changes)).steps == 15
