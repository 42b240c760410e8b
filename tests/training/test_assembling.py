import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from dermaxai.captioner import load_captioner
from dermaxai.errors import DataError, SettingError
from dermaxai.explain.evidence import mean_of
from dermaxai.training.assembling import assemble, once
from dermaxai.training.recipe import read_recipe
from dermaxai.training.running import train_recipe
from dermaxai.training.team import AcceleratedTeam
from tests.captioner import tiny
from tests.training.small import write_cache, write_manifest, write_photos, write_recipe_world


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return write_recipe_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def team():
    return AcceleratedTeam("cpu")


@pytest.fixture(scope="module")
def trained(world):
    folder = world.parent / "run"
    train_recipe(read_recipe(world), folder, device="cpu")
    return folder


def test_a_recipe_becomes_a_captioner_with_its_card(trained):
    captioner = load_captioner(trained / "captioner")
    card = (trained / "captioner" / "card.md").read_text()
    assert captioner.config.encoder == "demo"
    assert captioner.mean_patches.shape == (9, 24)
    assert "ham10000 (16 photos), skincap (8 photos); manifest" in card
    assert "Licence of the weights: CC BY-NC 4.0" in card
    assert captioner.config.tables["licence"] == "CC BY-NC 4.0"
    assert captioner.config.tables["adapter"] == "default"
    assert json.loads((trained / "run.json").read_text())["photos"] == 24


def test_an_adapter_is_stacked_beside_the_first(world, trained):
    start = trained / "captioner"
    changes = [
        f"captioner={{start = '{start}'}}", "training.mode=lora", "training.adapter=skincap",
        "data.datasets.skincap=1", "training.batch=2",
    ]  # fmt: skip
    folder = world.parent / "second"
    train_recipe(read_recipe(world, changes), folder, device="cpu")
    before, after = (load_file(place / "bridge.safetensors") for place in (start, folder / "captioner"))
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    first = load_file(start / "adapter" / "adapter_model.safetensors")
    kept = load_file(folder / "captioner" / "adapter" / "adapter_model.safetensors")
    second = load_file(folder / "captioner" / "adapter" / "skincap" / "adapter_model.safetensors")
    assert all(torch.equal(value, kept[name]) for name, value in first.items())
    assert any(value.abs().max() > 0 for name, value in second.items() if "lora_B" in name)
    captioner = load_captioner(folder / "captioner")
    assert captioner.config.tables["adapter"] == captioner.adapters.active == "skincap"


def test_resume_names_what_differs(world, trained):
    with pytest.raises(SettingError) as told:
        train_recipe(read_recipe(world, ["training.batch=2", "training.seed=1"]), trained, resume=True)
    assert "training.batch was 4, is 2" in str(told.value)
    assert "training.seed was 0, is 1" in str(told.value)
    changed = read_recipe(world, ["training.log_every=3"])
    assert train_recipe(changed, trained, resume=True, device="cpu").step == 6


def test_views_languages_and_datasets_are_drawn(world, tmp_path, team):
    changes = [
        "features.views=2",
        "data.languages={en = 1, ru = 3}",
        "data.datasets={skincap = 1, ham10000 = 3}",
    ]
    job = assemble(read_recipe(world, changes), tmp_path, team)
    seen = [reading for step in range(100) for reading in job.feed.read(step, rank=0, world=1)]
    languages = [language for one in seen for language in one.languages]
    assert languages.count("ru") / len(languages) == pytest.approx(0.75, abs=0.06)
    assert {one.patches.shape for one in seen} == {(4, 9, 24)}
    again = assemble(read_recipe(world, changes), tmp_path, team).feed.read(99, rank=0, world=1)
    assert torch.equal(again[0].patches, seen[-1].patches)
    assert again[0].texts == seen[-1].texts
    shares = [job.feed.read(5, rank=rank, world=2)[0] for rank in (0, 1)]
    assert sorted(n for share in shares for n in share.numbers) == sorted(seen[5].numbers)


def test_a_mixture_has_its_shares(world, tmp_path, team):
    """Captions of policy 'real' are SkinCAP's, those of the other dataset are composed."""
    job = assemble(read_recipe(world, ["data.datasets={skincap = 1, ham10000 = 3}"]), tmp_path, team)
    english = [
        text
        for step in range(250)
        for text in job.feed.read(step, rank=0, world=1)[0].texts
        if text.isascii()
    ]
    assert sum(text == "A dark papule." for text in english) / len(english) == 0.25


def test_validation_sees_other_photos_as_they_are(world, tmp_path, team):
    job = assemble(read_recipe(world, ["validation.metric=facts"]), tmp_path, team)
    figures = job.check.measure(job.captioner)
    assert figures["goal"] == figures["facts"]
    assert 0 <= figures["facts"] <= 1
    assert figures["loss"] > 0
    assert job.check.measure(job.captioner) == figures


def test_photos_without_features_are_a_fault_or_left_out(tmp_path, team):
    world = write_recipe_world(tmp_path)
    write_cache(tmp_path / "fewer", 20)
    changes = [f"features.cache={(tmp_path / 'fewer').as_posix()}"]
    with pytest.raises(DataError, match="10 of 30 photos have no patches"):
        assemble(read_recipe(world, changes), tmp_path / "run", team)
    job = assemble(read_recipe(world, [*changes, "features.skip_missing=true"]), tmp_path / "run", team)
    assert job.told["photos"] == 16


def test_a_run_is_not_resumed_on_a_cache_that_has_grown(tmp_path):
    world = write_recipe_world(tmp_path)
    write_cache(tmp_path / "fewer", 20)
    changes = [f"features.cache={(tmp_path / 'fewer').as_posix()}", "features.skip_missing=true"]
    train_recipe(read_recipe(world, changes), tmp_path / "run", device="cpu")
    write_cache(tmp_path / "fewer", 25)
    with pytest.raises(SettingError, match="photos was"):
        train_recipe(read_recipe(world, changes), tmp_path / "run", resume=True, device="cpu")


def test_nothing_to_compare_is_a_fault(tmp_path, team):
    world = write_recipe_world(tmp_path)
    write_cache(tmp_path / "fewer", 4)
    changes = [f"features.cache={(tmp_path / 'fewer').as_posix()}", "features.skip_missing=true"]
    with pytest.raises(DataError, match=r"Of no photo in data\.validation"):
        assemble(read_recipe(world, changes), tmp_path / "run", team)


def test_a_captioner_of_pooled_patches_explains_photos_with_all_of_theirs(tmp_path, team):
    world = write_recipe_world(tmp_path)
    write_cache(tmp_path / "pooled", 30, pooling="2x2", rows=2, columns=2)
    changes = [f"features.cache={(tmp_path / 'pooled').as_posix()}"]
    captioner = assemble(read_recipe(world, changes), tmp_path / "run", team).captioner
    assert captioner.mean_patches.shape == (24,)
    assert mean_of(captioner, tiny.encoded(encoder="demo")).shape == (9, 24)


def test_texts_are_gone_through_once(world, tmp_path, team):
    told = []
    for _ in range(2):
        assemble(read_recipe(world), tmp_path, team, lambda *progress: told.append(progress))
    assert told == [(30, 30)]


def test_live_photos_must_be_on_disk(world, tmp_path, team):
    changes = ["features={live = true}"]
    with pytest.raises(DataError, match="30 of 30 photos have no patches"):
        assemble(read_recipe(world, changes), tmp_path, team)


def test_live_training_leaves_the_encoder_as_it_is(bundle, tmp_path):
    from dermaxai.encoders import load_encoder

    world = write_recipe_world(tmp_path)
    write_photos(tmp_path, 10)
    write_manifest(tmp_path / "manifest.parquet", 10, tmp_path)
    encoder = (bundle / "encoder").as_posix()
    before = load_encoder(encoder).sha256
    changes = ["features={live = true}", f"encoder.name={encoder}", "training.steps=2"]
    folder = tmp_path / "run"
    assert train_recipe(read_recipe(world, changes), folder, device="cpu").step == 2
    config = load_captioner(folder / "captioner").config
    assert config.encoder_sha256 == before == load_encoder(encoder).sha256
    assert (folder / "captioner" / "statistics.safetensors").is_file()


def test_of_one_photo_the_row_that_says_most():
    photos = np.array(["a", "a", "b", "b", "c"])
    assert once(photos, np.array([1, 5, 4, 4, 0])).tolist() == [1, 2]


def test_a_damaged_survey_is_made_again(world, tmp_path, team):
    assemble(read_recipe(world), tmp_path, team)
    whole = (tmp_path / "texts.npz").read_bytes()
    (tmp_path / "texts.npz").write_bytes(whole[: len(whole) // 2])
    assemble(read_recipe(world), tmp_path, team)
    assert (tmp_path / "texts.npz").read_bytes() == whole
