"""`dermaxai train` and `dermaxai validate` as their user calls them."""

import pytest
import typer
from typer.testing import CliRunner

from dermaxai.cli import Commands
from dermaxai.commands.data_moving import shards
from dermaxai.commands.training import train, validate
from tests.training.small import write_manifest, write_photos, write_recipe_world


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return write_recipe_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def call():
    app = typer.Typer(cls=Commands, pretty_exceptions_enable=False)
    app.command()(train)
    app.command()(validate)
    app.command()(shards)

    def run(*words):
        return CliRunner().invoke(app, [str(word) for word in words])

    return run


def test_validate_prints_ok_and_the_plan(call, world):
    done = call("validate", world, "--set", "training.batch=6")
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0] == "OK"
    assert "train: 24 photos (ham10000 16, skincap 8)" in lines
    assert "steps: 6 (1.50 epochs)" in lines


def test_validate_tells_all_faults_and_leaves_with_2(call, world):
    for changes, count in (
        (("training.stesp=1", "training.batch=0"), 2),
        (("encoder.name=x", "captioner.t5=y"), 3),
    ):
        words = [word for change in changes for word in ("--set", change)]
        done = call("validate", world, *words)
        assert done.exit_code == 2
        assert f"recipe.toml: {count} faults:" in done.stderr
        assert "Traceback" not in done.output


def test_what_only_the_weights_tell_is_no_ok(call, world):
    done = call("validate", world, "--set", "captioner.languages.en.decoder_prefix=none")
    assert done.exit_code == 2
    assert "OK" not in done.stdout
    assert "not a special token" in done.stderr


def test_train_prints_the_captioner_and_resumes(call, world, tmp_path):
    out = tmp_path / "run"
    done = call("train", world, "-o", out, "--device", "cpu", "--threads", 1)
    assert done.exit_code == 0, done.output
    assert done.stdout.strip() == str(out / "captioner")
    assert "mode bridge+lora: 13,008 trainable" in done.stderr
    assert "step 6: validation loss" in done.stderr
    again = call("train", world, "-o", out, "--device", "cpu")
    assert again.exit_code == 2
    assert "--resume" in again.stderr
    assert call("train", world, "-o", out, "--device", "cpu", "--resume").exit_code == 0
    assert (out / "run.html").is_file()


def test_shards_are_written_once(call, tmp_path):
    write_photos(tmp_path, 10)
    write_manifest(tmp_path / "manifest.parquet", 10, tmp_path)
    words = ("shards", tmp_path / "manifest.parquet", "-o", tmp_path / "shards", "--per-shard", 3)
    for _ in range(2):
        done = call(*words)
        assert done.exit_code == 0, done.output
        assert done.stdout.strip() == str(tmp_path / "shards")
        assert "8 photos in 3 shards" in done.stderr
    done = call(*words[:3], tmp_path / "some", "--dataset", "skincap")
    assert "3 photos in 1 shards" in done.stderr
