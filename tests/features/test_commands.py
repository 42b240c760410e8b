"""`dermaxai features …`, as the command line answers."""

import hashlib
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from dermaxai.cli import Commands
from dermaxai.commands import features as module
from dermaxai.encoders import load_encoder
from dermaxai.features import FeatureCache, estimating
from tests.encoders import tiny

pytestmark = pytest.mark.usefixtures("plain_environment")
TINY = "openclip"


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return tiny.BUILDERS[TINY](tmp_path_factory.mktemp("models") / TINY).name


@pytest.fixture
def run(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    app = typer.Typer(cls=Commands, pretty_exceptions_enable=False)
    app.add_typer(module.features, name="features")

    def invoke(*words, **how):
        return CliRunner().invoke(app, ["features", *map(str, words)], **how)

    return invoke


@pytest.fixture
def manifest(photos, tmp_path, monkeypatch):
    """A path that the reader of manifests takes for one of three photos."""
    entries = [
        SimpleNamespace(
            sample=SimpleNamespace(
                path=path, id=path.name, sha256=hashlib.sha256(path.read_bytes()).hexdigest()
            ),
            appearance=None,
        )
        for path in photos
    ]
    opened = SimpleNamespace(
        rows=lambda unique: np.arange(len(entries)), samples=lambda rows: [entries[row] for row in rows]
    )
    monkeypatch.setattr("dermaxai.data.manifest.Manifest.open", lambda path: opened)
    opened.entries = entries
    return opened


def objects(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


# ---- estimate -----------------------------------------------------------------------------------


def test_estimate_needs_no_weights(run, monkeypatch):
    monkeypatch.setattr(estimating, "free_bytes", lambda place: 70 * 10**9)
    done = run("estimate", "--encoder", "dermlip-vit-b16", "--images", 403563)
    assert done.exit_code == 0, done.output
    for words in ("121.5 GB", "61.1 GB", "30.4 GB", "196 x 768", "49 x 768", "1 x 512", "403,563 x 1"):
        assert words in done.stdout
    assert "403,563 images x 1 x 196 patches x 768 x 2 bytes: 121.5 GB" in done.stderr
    assert (
        "What fits: --pool all --dtype int8 (61.1 GB), or --pool 7 --dtype float16 (30.4 GB)" in done.stderr
    )
    assert "weights of 'dermlip-vit-b16' are not here" in done.stderr


def test_estimate_as_json_with_views(run):
    rows = objects(run("estimate", "-e", "make", "--images", 1000, "--views", 3, "--json"))
    assert len(rows) == 6
    first = rows[0]
    assert first["bytes"] == 3000 * (196 * 768 * 2 + 56)
    assert (first["pooling"], first["dtype"], first["seconds"]) == ("all", "float16", None)
    assert first["free"] > 0


def test_estimate_with_weights_is_timed(run, weights):
    done = run("estimate", "-e", weights, "--images", 10)
    assert "16 x 64" in done.stdout
    assert "Encoding a photo takes" in done.stderr


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [(("-e", "nobody", "--images", 5), 2, "nobody"), (("-e", "make"), 2, "images"),
     (("-e", "make", "--images", 0), 2, "equal to 1")],
)  # fmt: skip
def test_estimate_of_nothing(run, words, code, told):
    done = run("estimate", *words)
    assert done.exit_code == code
    assert told in done.output
    assert "Traceback" not in done.output


# ---- build, info, check -------------------------------------------------------------------------


def test_build_writes_a_cache_and_goes_on(run, weights, manifest):
    done = run("build", "m.parquet", "-e", weights, "-o", "caches", "--yes", "--limit", 2)
    assert done.exit_code == 0, done.output
    cache = FeatureCache.open("caches")
    assert done.stdout.strip() == str(cache.folder)
    assert len(cache) == 2
    assert "To be written: 2 of 2 views" in done.stderr
    assert "Rounding to float16 changes the features by 0.000" in done.stderr
    again = run("build", "m.parquet", "-e", weights, "-o", "caches", "--yes", "--json")
    assert "To be written: 1 of 3 views" in again.stderr
    (row,) = objects(again)
    assert (row["written"], row["present"], row["failed"]) == (1, 2, [])
    encoder = load_encoder(weights, offline=True)
    FeatureCache.open("caches").key.check_encoder(encoder)


def test_build_in_another_form(run, weights, manifest):
    words = ("--pool", 2, "--dtype", "int8", "--views", 2, "--seed", 5, "--precision", "bfloat16")
    done = run("build", "m.parquet", "-e", weights, "-o", "caches", "--yes", *words)
    assert done.exit_code == 0, done.output
    cache = FeatureCache.open("caches")
    assert (cache.tokens, cache.views, len(cache)) == (4, 2, 6)
    (told,) = objects(run("info", "caches", "--json"))
    assert (told["pooling"], told["dtype"], told["seed"], told["precision"]) == ("2x2", "int8", 5, "bfloat16")
    assert (told["photos"], told["entries"], told["digest"]) == (3, 6, cache.key.digest)
    assert 0 < told["loss"] < 0.02
    plain = run("info", "caches").stdout
    assert "weights_sha256" in plain


def test_build_reports_what_it_cannot_use(run, weights, manifest, broken):
    manifest.entries[1].sample.path = broken
    done = run("build", "m.parquet", "-e", weights, "-o", "caches", "--yes")
    assert done.exit_code == 1
    assert "two.png: " in done.stderr
    assert "2 written, 0 were there, 1 failed" in done.stderr
    assert "Traceback" not in done.output


def test_build_asks_first(run, weights, manifest, monkeypatch):
    done = run("build", "m.parquet", "-e", weights, "-o", "caches")
    assert done.exit_code == 2
    assert "Add --yes" in done.stderr
    monkeypatch.setattr(module, "sys", SimpleNamespace(stdin=SimpleNamespace(isatty=lambda: True)))
    refused = run("build", "m.parquet", "-e", weights, "-o", "caches", input="n\n")
    assert refused.exit_code == 1
    assert "Start?" in refused.stderr
    assert not Path("caches").exists()
    assert run("build", "m.parquet", "-e", weights, "-o", "caches", input="y\n").exit_code == 0
    assert len(FeatureCache.open("caches")) == 3


def test_build_refuses_a_disk_that_is_too_small(run, weights, manifest, monkeypatch):
    monkeypatch.setattr(estimating, "free_bytes", lambda place: 3000)
    done = run("build", "m.parquet", "-e", weights, "-o", "caches", "--yes")
    assert done.exit_code == 2
    assert "do not fit there. What fits: --pool class" in done.stderr


@pytest.mark.parametrize("pool", ["half", "-1", "9", "0"])
def test_build_with_a_pooling_that_there_is_not(run, weights, manifest, pool):
    done = run("build", "m.parquet", "-e", weights, "-o", "caches", "--yes", f"--pool={pool}")
    assert done.exit_code == 2
    assert "--pool is" in done.stderr or "grid has 4 x 4" in done.stderr


def test_build_of_no_photo(run, weights, manifest):
    manifest.entries.clear()
    done = run("build", "m.parquet", "-e", weights, "-o", "caches", "--yes")
    assert done.exit_code == 2
    assert "names no photo" in done.stderr


def test_check_and_drop(run, weights, manifest):
    run("build", "m.parquet", "-e", weights, "-o", "caches", "--yes")
    sound = run("check", "caches")
    assert (sound.exit_code, sound.stdout.strip()) == (0, "0 damaged of 3")
    cache = FeatureCache.open("caches")
    place = cache.folder / "shard-00000.bin"
    data = bytearray(place.read_bytes())
    data[cache.record] ^= 1
    place.write_bytes(data)
    found = run("check", "caches", "--json")
    assert (found.exit_code, objects(found)) == (4, [{"entries": 3, "damaged": [1], "dropped": False}])
    dropped = run("check", "caches", "--drop")
    assert (dropped.exit_code, dropped.stdout.strip()) == (0, "1 damaged of 3")
    again = run("build", "m.parquet", "-e", weights, "-o", "caches", "--yes")
    assert "1 written, 2 were there" in again.stderr
    assert run("check", "caches").exit_code == 0


@pytest.mark.parametrize("command", ["info", "check"])
def test_no_cache(run, command):
    done = run(command, "nowhere")
    assert done.exit_code == 1
    assert "features build" in done.stderr
