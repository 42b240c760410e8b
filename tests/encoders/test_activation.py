"""The check of GELU against QuickGELU finds the one that a model was made with, or says that it cannot."""

import json
import math
import warnings
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from dermaxai.cli import app
from dermaxai.encoders import activation, load_encoder
from dermaxai.encoders.cards import read_card
from dermaxai.encoders.folders import card_of_folder
from dermaxai.errors import DataError, NotSupported, ShapeError, UsageError
from dermaxai.phantom import draw_phantom, sample_plans
from tests.encoders import tiny

TEXTS = ["a dark mole", "pale skin", "a red spot", "many dots", "a scar", "a wide blue area"]


def near_photo(seed):
    """Photos that hardly differ: what tells them apart is smaller than what the wrong activation changes."""
    one, other = (tiny.photo(70, 70, each).pixels.astype(float) for each in (99, seed))
    return replace(tiny.photo(70, 70), pixels=(0.95 * one + 0.05 * other).round().astype(np.uint8))


LABELS = [*range(len(TEXTS))] * 8
PHOTOS = [near_photo(seed) for seed in range(len(LABELS))]


class Matching:
    """An encoder whose photo i agrees with text i by the cosine `agreement`."""

    logit_scale = 10.0

    def __init__(self, agreement):
        self.pooled = agreement * torch.eye(4) + (1 - agreement**2) ** 0.5 * torch.eye(4).roll(1, 0)

    def encode_text(self, texts):
        return torch.eye(4)

    def encode(self, images):
        return [SimpleNamespace(pooled=self.pooled[index]) for index in images]


@pytest.mark.parametrize("truth", ["gelu", "quick_gelu"])
def test_the_better_match_is_preferred(truth):
    verdict = activation.compare_activations(
        lambda choice: Matching(0.9 if choice == truth else 0.6), range(4), ["text"] * 4, range(4)
    )
    assert verdict.better == truth
    right, wrong = (verdict.gelu, verdict.quick_gelu)[:: 1 if truth == "gelu" else -1]
    logits = torch.tensor([9.0, 10 * 0.19**0.5, 0, 0])
    assert right == pytest.approx(float(logits.log_softmax(0)[0]), abs=1e-5)
    assert right > wrong
    assert right > verdict.chance == -math.log(4)
    assert verdict.margin == pytest.approx(right - wrong)
    assert str(verdict).startswith(f"{truth} fits better; 4 pairs")


@pytest.mark.parametrize(("margin", "error", "decided"), [(0.1, 0.03, True), (0.1, 0.04, False)])
def test_a_margin_within_its_error_decides_nothing(margin, error, decided):
    verdict = activation.ActivationVerdict("gelu", -1.0, -1.0 - margin, -2.0, 9, error)
    assert verdict.decided == decided
    assert ("undecided" in str(verdict)) != decided
    assert not replace(verdict, chance=-0.5).decided


def plant(folder, truth):
    """A tiny CLIP whose photos give what sets their texts apart, exactly so with one activation only."""
    tiny.open_clip_folder(folder, quick_gelu=truth == "quick_gelu")
    encoder = load_encoder(folder)
    encoder.module.visual.proj = None
    pixels = torch.stack([encoder.preprocess(photo)[0] for photo in PHOTOS])
    with torch.no_grad():
        seen = encoder.module.visual(pixels)
    state = load_file(folder / "open_clip_model.safetensors")
    words = encoder.encode_text(TEXTS).double()
    fitted = torch.linalg.lstsq(seen.double(), (words - words.mean(0))[LABELS], driver="gelsd").solution
    state |= {"visual.proj": fitted.float().contiguous(), "logit_scale": torch.tensor(100.0).log()}
    save_file(state, folder / "open_clip_model.safetensors")
    return folder


@pytest.mark.parametrize("truth", ["gelu", "quick_gelu"])
def test_the_activation_that_a_model_was_made_with_is_found(tmp_path, truth):
    folder = plant(tmp_path / "planted", truth)
    card = card_of_folder(folder)
    verdict = activation.check_activation(card, PHOTOS, TEXTS, LABELS, source=folder)
    assert verdict.decided, str(verdict)
    assert verdict.better == truth
    assert verdict.pairs == len(PHOTOS)


def test_labels_must_fit(tmp_path):
    tiny.open_clip_folder(tmp_path / "small")
    card = card_of_folder(tmp_path / "small")
    for labels in ([0, 1], [0, 1, 9]):
        with pytest.raises(ShapeError, match=f"{len(labels)} labels"):
            activation.check_activation(card, PHOTOS[:3], tiny.TEXTS, labels, source=tmp_path / "small")


def test_the_embedded_encoder_is_never_judged_wrongly():
    """It was trained with GELU; on drawn photos both fit almost alike, so at most the check is undecided."""
    drawn = [draw_phantom(plan, seed, height=168, width=224) for seed, plan in enumerate(sample_plans(24, 5))]
    texts = list(dict.fromkeys(phantom.captions["en"] for phantom in drawn))
    labels = [texts.index(phantom.captions["en"]) for phantom in drawn]
    verdict = activation.check_activation(
        read_card("demo"), [phantom.image for phantom in drawn], texts, labels, offline=True
    )
    assert max(verdict.gelu, verdict.quick_gelu) > verdict.chance
    assert not (verdict.decided and verdict.better == "quick_gelu"), str(verdict)


@pytest.mark.parametrize("name", ["biomedclip", "dermlip-panderm-base", "siglip-so400m-384", "panderm-base"])
def test_towers_without_the_choice_are_not_loaded_at_all(name):
    with pytest.raises(NotSupported, match="vision-only" if name == "panderm-base" else "never built with"):
        activation.check_activation(read_card(name), PHOTOS, TEXTS, LABELS, offline=True)


# ---- labelled photos -------------------------------------------------------------------------------


def save_photo(path, photo):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.ascontiguousarray(photo.pixels)).save(path)


@pytest.fixture
def table(tmp_path):
    """A CSV table, its photos in a folder beside it."""
    for index, photo in enumerate(PHOTOS):
        save_photo(tmp_path / "photos" / f"{index}.png", photo)
    rows = [f'photos/{index}.png,"{text}"' for index, text in enumerate(TEXTS * 8)]
    (tmp_path / "labels.csv").write_text("\n".join(["file,text", *rows]) + "\n")
    return tmp_path / "labels.csv"


def test_labels_of_a_table(table):
    found = activation.read_labelled(table, "never {} used")
    assert found.texts == tuple(TEXTS)
    assert found.labels == tuple(LABELS)
    assert found.photos[0] == table.parent / "photos" / "0.png"


def test_labels_of_folders(tmp_path):
    for name in ("seborrheic_keratosis", "nevus"):
        for index in range(2):
            save_photo(tmp_path / name / f"{index}.png", PHOTOS[index])
    (tmp_path / ".hidden").mkdir()
    found = activation.read_labelled(tmp_path, "a photo of {}")
    assert found.texts == ("a photo of nevus", "a photo of seborrheic keratosis")
    assert found.labels == (0, 0, 1, 1)
    assert [photo.parent.name for photo in found.photos[::2]] == ["nevus", "seborrheic_keratosis"]


def test_labels_that_cannot_be_read_are_named(tmp_path):
    with pytest.raises(UsageError, match="nowhere"):
        activation.read_labelled(tmp_path / "nowhere")
    with pytest.raises(DataError, match="at least two"):
        activation.read_labelled(tmp_path)
    (tmp_path / "labels.csv").write_text("path,diagnosis\na.png,nevus\n")
    with pytest.raises(DataError, match="path, diagnosis; expected file and text"):
        activation.read_labelled(tmp_path / "labels.csv")


# ---- the command, and what loading says ------------------------------------------------------------


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.mark.usefixtures("plain_environment")
def test_the_command_judges_and_says_what_to_do(table, tmp_path):
    folder = plant(tmp_path / "planted", "quick_gelu")
    done = run("models", "activation", folder, "--on", table)
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("quick_gelu fits better; 48 pairs")
    assert "copy the card" in done.stderr
    row = json.loads(run("models", "activation", folder, "--on", table, "--json").stdout)
    assert (row["better"], row["decided"], row["card"]) == ("quick_gelu", True, "unknown")


@pytest.mark.usefixtures("plain_environment")
def test_the_command_ends_in_readable_errors(table):
    assert run("models", "activation", "maek", "--on", table).exit_code == 2
    done = run("models", "activation", "panderm-base", "--on", table)
    assert done.exit_code == 2
    assert "vision-only" in done.stderr
    assert run("models", "activation", "make", "--on", table).exit_code == 3


def test_loading_warns_where_nobody_knows_the_activation(tmp_path):
    tiny.open_clip_folder(tmp_path / "small")
    plain = card_of_folder(tmp_path / "small")
    doubtful = replace(plain, name="make", repo_id="xieji-x/MAKE", config={"embed_dim": 24})
    with pytest.warns(UserWarning, match="dermaxai models activation make --on"):
        assert load_encoder(doubtful, tmp_path / "small").card.activation == "unknown"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_encoder(plain, tmp_path / "small")
        load_encoder(replace(doubtful, activation="gelu"), tmp_path / "small")
