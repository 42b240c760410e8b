import pytest
import torch

from dermaxai.data.manifest import Manifest
from dermaxai.errors import DataError, SettingError
from dermaxai.training.assembling import assemble
from dermaxai.training.journal import read_journal
from dermaxai.training.recipe import read_recipe
from dermaxai.training.running import train_recipe
from dermaxai.training.shard_items import items_of as shard_items
from dermaxai.training.shards import write_shards
from dermaxai.training.team import AcceleratedTeam
from tests.training.small import write_manifest, write_photos, write_recipe_world


@pytest.fixture(scope="module")
def world(tmp_path_factory, bundle):
    """Photos whose training part is in shards only."""
    folder = tmp_path_factory.mktemp("streamed")
    recipe = write_recipe_world(folder)
    write_photos(folder, 20)
    write_manifest(folder / "manifest.parquet", 20, folder)
    manifest = Manifest.open(folder / "manifest.parquet")
    write_shards(shard_items(manifest, manifest.rows("train")), folder / "shards", per_shard=3)
    for row in manifest.rows("train"):
        (folder / f"{row}.png").unlink()
    encoder = f"encoder.name={(bundle / 'encoder').as_posix()}"
    features = f"features={{live = true, lanes = 2, window = 2, shards = '{(folder / 'shards').as_posix()}'}}"
    return recipe, (encoder, features)


def test_a_training_from_shards_learns_and_resumes(world, tmp_path):
    path, changes = world
    recipe = read_recipe(path, changes)
    train_recipe(recipe, tmp_path / "whole", device="cpu")

    def listen(record):
        if record.get("step") == 4:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        train_recipe(recipe, tmp_path / "broken", device="cpu", listen=listen)
    train_recipe(recipe, tmp_path / "broken", device="cpu", resume=True)
    losses = [
        [one["loss"] for one in read_journal(tmp_path / name / "log.jsonl")] for name in ("whole", "broken")
    ]
    assert losses[0] == losses[1]
    assert len(losses[0]) == 8


def test_processes_share_the_stream(world, tmp_path):
    path, changes = world
    feed = assemble(read_recipe(path, changes), tmp_path, AcceleratedTeam("cpu")).feed
    for step in (0, 5):
        (whole,) = feed.read(step, rank=0, world=1)
        parts = [feed.read(step, rank=rank, world=2)[0] for rank in (0, 1)]
        assert [number for part in parts for number in part.numbers] == list(whole.numbers)
        assert parts[0].texts + parts[1].texts == whole.texts
        torch.testing.assert_close(torch.cat([part.patches for part in parts]), whole.patches)


def test_what_does_not_go_with_a_stream(world):
    path, changes = world
    for change, said in (
        ("data.balance=0.5", "leave out data.balance"),
        ("training.batch=3", "multiple of features.lanes"),
    ):
        with pytest.raises(SettingError, match=said):
            read_recipe(path, [*changes, change])


def test_photos_that_the_recipe_does_not_learn_from(world, tmp_path):
    path, changes = world
    folder = path.parent
    manifest = Manifest.open(folder / "manifest.parquet")
    write_shards(shard_items(manifest, manifest.rows("validation")), tmp_path / "other", per_shard=2)
    other = changes[1].replace((folder / "shards").as_posix(), (tmp_path / "other").as_posix())
    with pytest.raises(DataError, match="does not learn from"):
        train_recipe(read_recipe(path, [changes[0], other]), tmp_path / "run", device="cpu")


def test_photos_that_are_not_on_disk_make_no_shards(world, tmp_path):
    manifest = Manifest.open(world[0].parent / "manifest.parquet")
    with pytest.raises(DataError, match="is not at"):
        write_shards(shard_items(manifest, manifest.rows("train")), tmp_path)
