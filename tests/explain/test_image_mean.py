"""The mean image: measured from photos, kept exactly, and never taken for another encoder's."""

import json
from dataclasses import replace

import pytest
import torch
import typer
from typer.testing import CliRunner

from dermaxai.cli import Commands
from dermaxai.commands.concepts import concepts, concepts_mean
from dermaxai.encoders import load_encoder
from dermaxai.errors import DataError, NotSupported
from dermaxai.explain.image_mean import (
    ENOUGH,
    file_name,
    find_mean,
    measure_mean,
    read_mean,
)
from dermaxai.loading import demo_folder
from tests.encoders import tiny

PHOTOS = [tiny.photo(80, 100, seed) for seed in range(5)]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    made = tiny.open_clip_folder(tmp_path_factory.mktemp("models") / "clip")
    return load_encoder(made.name, made.source, offline=True)


@pytest.fixture
def mean(encoder):
    return measure_mean(encoder, PHOTOS, "clinical", about="drawn", batch=2)


@pytest.fixture
def app():
    """The command as the command line calls it, under its name."""
    made = typer.Typer(cls=Commands, pretty_exceptions_enable=False)
    made.command()(concepts)
    made.command()(concepts_mean)
    return made


def rewrite(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_it_is_the_mean_of_the_embeddings(encoder, mean):
    wanted = torch.stack([one.pooled for one in encoder.encode(PHOTOS)]).double().mean(0)
    assert torch.allclose(mean.vector, wanted, atol=1e-6)
    assert mean.vector.norm() < 1
    assert (mean.n, mean.kind, mean.encoder_sha256, mean.about) == (5, "clinical", encoder.sha256, "drawn")
    assert mean.title == f"clinical, 5 photos, {mean.sha256[:8]}"


def test_photos_are_asked_for_as_they_are_needed(encoder, mean):
    found = measure_mean(encoder, iter(PHOTOS), "clinical", about="drawn", batch=2)
    assert found.sha256 == mean.sha256
    with pytest.raises(DataError, match="no photo"):
        measure_mean(encoder, [], "clinical")


def test_what_is_written_is_read_bit_for_bit(mean, tmp_path):
    place = mean.save(tmp_path / "new" / "mean.json")
    found = read_mean(place)
    assert torch.equal(found.vector, mean.vector)
    assert found.sha256 == mean.sha256 == json.loads(place.read_text())["sha256"]
    assert found.title == mean.title
    assert replace(mean, n=6).sha256 != mean.sha256


@pytest.mark.parametrize("change", [{"n": 9}, {"kind": "dermoscopic"}, {"vector": [0.5]}, {"sha256": "0"}])
def test_a_changed_file_is_refused(mean, tmp_path, change):
    place = mean.save(tmp_path / "mean.json")
    rewrite(place, **change)
    with pytest.raises(DataError, match="was changed"):
        read_mean(place)


@pytest.mark.parametrize("change", [{"vector": [float("nan")]}, {"vector": []}, {"kind": "x-ray"}])
def test_what_is_no_mean_is_refused(mean, tmp_path, change):
    if "vector" in change:
        change = {"vector": torch.tensor(change["vector"])}
    place = replace(mean, **change).save(tmp_path / "mean.json")
    with pytest.raises(DataError, match="its kind or its vector"):
        read_mean(place)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"vector": [1.0]}', "\xff"])
def test_other_files_are_refused(tmp_path, text):
    place = tmp_path / "mean.json"
    place.write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match="mean"):
        read_mean(place)
    with pytest.raises(DataError, match="cannot be read"):
        read_mean(tmp_path / "nothing.json")


def test_the_mean_of_another_encoder_or_kind_is_refused(encoder, mean, tmp_path):
    place = mean.save(tmp_path / "mean.json")
    assert find_mean(encoder, "clinical", place).sha256 == mean.sha256
    with pytest.raises(NotSupported, match=r"clinical photos; needed: .*dermoscopic.*concepts-mean"):
        find_mean(encoder, "dermoscopic", place)
    replace(mean, encoder="other", encoder_sha256="ab" * 32).save(place)
    with pytest.raises(NotSupported, match=r"made by 'other'.*--kind clinical"):
        find_mean(encoder, "clinical", place)


def test_looked_up_at_the_given_place_then_in_the_encoders_folder(encoder, mean, tmp_path, monkeypatch):
    with pytest.raises(
        NotSupported, match=r"no mean of clinical photos.*concepts-mean PHOTOS --kind clinical"
    ):
        find_mean(encoder, "clinical")
    monkeypatch.setattr(encoder, "folder", tmp_path, raising=False)
    with pytest.raises(NotSupported, match=r"image_mean_clinical\.json"):
        find_mean(encoder, "clinical")
    mean.save(tmp_path / file_name("clinical"))
    assert find_mean(encoder, "clinical").about == "drawn"
    given = replace(mean, about="given").save(tmp_path / "given.json")
    assert find_mean(encoder, "clinical", given).about == "given"
    with pytest.raises(DataError, match="cannot be read"):
        find_mean(encoder, "clinical", tmp_path / "nothing.json")


def test_the_embedded_encoder_brings_its_own():
    demo = load_encoder("demo", demo_folder() / "encoder", offline=True)
    mean = find_mean(demo, "dermoscopic")
    assert (mean.encoder, mean.encoder_sha256, mean.kind) == ("demo", demo.sha256, "dermoscopic")
    assert mean.n >= ENOUGH
    assert mean.vector.shape == (demo.card.embed,)
    assert 0.1 < mean.vector.norm() < 1
    with pytest.raises(NotSupported, match="no mean of clinical"):
        find_mean(demo, "clinical")


def test_the_command_measures_leaves_out_and_goes_on(app, bundle, photos, broken, tmp_path):
    listed, place = tmp_path / "without.txt", tmp_path / "out" / "mean.json"
    listed.write_text(f"{photos[1].stem}\n")
    words = [
        "concepts-mean",
        *map(str, [*photos, broken]),
        "--kind",
        "clinical",
        "--about",
        "drawn",
        "--model",
        str(bundle),
    ]
    done = CliRunner().invoke(app, [*words, "-o", str(place), "--without", str(listed), "--json"])
    assert done.exit_code == 0, done.output
    row, mean = json.loads(done.stdout), read_mean(place)
    assert (row["n"], row["kind"], row["sha256"]) == (2, "clinical", mean.sha256)
    assert mean.about == "drawn"
    assert "1 of 3 photos could not be read" in done.stderr
    assert f"with at least {ENOUGH}" in done.stderr
    assert broken.name in done.stderr


def test_the_command_needs_a_photo_and_a_place(app, bundle, tmp_path):
    words = ["--kind", "clinical", "--model", str(bundle), "-o"]
    nothing = CliRunner().invoke(app, ["concepts-mean", str(tmp_path), *words, str(tmp_path / "mean.json")])
    assert nothing.exit_code == DataError.exit_code
    assert "no photo" in nothing.stderr
    assert not (tmp_path / "mean.json").exists()
    folder = CliRunner().invoke(app, ["concepts-mean", str(tmp_path), *words, str(tmp_path)])
    assert folder.exit_code == 2
    assert "is a folder" in folder.stderr
