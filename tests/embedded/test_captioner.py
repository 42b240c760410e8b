"""The embedded captioner goes the way of every other: manifest, features, recipe; judged by its facts."""

import csv

import numpy as np
import pytest
import torch
from PIL import Image

from dermaxai.captioner.decoder import base_state, load_t5
from dermaxai.data.manifest import Manifest
from dermaxai.embedded import captioner as stage
from dermaxai.embedded.captioner import (
    FactsCheck,
    Views,
    as_published,
    encode_views,
    run_recipe,
    score_captions,
    write_features,
    write_manifest,
)
from dermaxai.embedded.language import NAME, train_language
from dermaxai.embedded.lesions import DIAGNOSES
from dermaxai.embedded.splits import Split
from dermaxai.training.recipe import read_recipe
from tests.embedded.conftest import COUNT
from tests.embedded.test_language import RECIPE as LANGUAGE

SLOTS = ("diagnosis", "size", "symmetry", "border", "colour", "same facts")
SPLIT = Split(tuple(range(8)), (8, 9), (10,))
RECIPE = """
[data]
manifest = "{out}/ham10000.parquet"
captions = "demo"
[features]
cache = "{out}/features"
views = 2
[encoder]
name = "demo"
[captioner]
bridge = "tiny"
sizes = {{ hidden = 32, layers = 1, heads = 2, queries = 4 }}
t5 = "{out}/t5"
max_tokens = 20
languages = {{ en = {{ decoder_prefix = "<en>" }}, ru = {{ decoder_prefix = "<ru>" }} }}
[training]
steps = 4
batch = 2
warmup = 0
check_every = 2
save_every = 2
log_every = 2
"""


@pytest.fixture(scope="module")
def stages(measured, encoder, tmp_path_factory):
    """A run's folder after its first stages: photos as published, manifest, features, text model, recipe."""
    out = tmp_path_factory.mktemp("run")
    photos = out / "ham" / "HAM10000_images_part_1"
    photos.mkdir(parents=True)
    with (out / "ham" / "HAM10000_metadata.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["lesion_id", "image_id", "dx", "dx_type", "age", "sex", "localization"])
        for row, pixels in zip(measured.rows, measured.photos, strict=True):
            Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(photos / f"{row.image}.jpg", quality=95)
            table.writerow([row.lesion, row.image, row.diagnosis, "histo", "50", "male", "back"])
    manifest = write_manifest(measured, SPLIT, out / "ham", out)
    write_features(manifest, encoder, out, views=2)
    train_language(LANGUAGE, out / "t5")
    (out / "recipe.toml").write_text(RECIPE.format(out=out.as_posix()))
    return out


@pytest.fixture(scope="module")
def views(measured, encoder):
    return encode_views(measured, range(COUNT), encoder)


def test_every_photo_is_in_the_part_of_the_split(stages, measured):
    manifest = Manifest.open(stages / "ham10000.parquet")
    parts = {one.sample.id: one.split for one in manifest.samples(manifest.rows(unique=False))}
    wanted = {"train": SPLIT.train, "validation": SPLIT.validation, "test": (*SPLIT.test, 11)}
    for part, rows in wanted.items():
        assert {name for name, given in parts.items() if given == part} == {
            f"ham10000/{measured.rows[row].image}" for row in rows
        }


def test_features_are_written_once(stages, encoder, monkeypatch):
    before = {path: path.read_bytes() for path in (stages / "features").rglob("shard-*")}
    assert before
    monkeypatch.setattr(type(encoder), "forward", None)
    write_features(stages / "ham10000.parquet", encoder, stages, views=2)
    assert before == {path: path.read_bytes() for path in (stages / "features").rglob("shard-*")}


def test_photos_are_encoded_as_they_are(measured, encoder, views):
    pixels = (measured.photos.float() / 255 - 0.5) / 0.5
    assert torch.equal(views.patches, encoder.forward(pixels).patches.half())
    assert [DIAGNOSES[label] for label in views.diagnosis] == [row.diagnosis for row in measured.rows]
    assert views.facts[COUNT - 1].size is None


def test_a_recipe_of_the_command_trains_it(stages, views, tmp_path):
    recipe = read_recipe(stages / "recipe.toml")
    records = []
    captioner = run_recipe(recipe, tmp_path / "once", views, records.append)
    assert [record["step"] for record in records if record["kind"] == "validation"] == [2, 4]
    assert {"diagnosis", "same facts", "goal"} <= records[-1].keys()
    base, trained = base_state(load_t5(stages / "t5").model), base_state(captioner.t5)
    assert all(torch.equal(value, trained[name]) for name, value in base.items())
    assert captioner.mean_patches.shape == (196, 64)
    as_published(captioner, NAME)
    assert captioner.config.t5 == NAME
    assert str(tmp_path) not in str(captioner.config)
    assert captioner.config.tables["leading language"] == "en"


def test_scores_of_captions(monkeypatch, views):
    """Perfect captions score 1 in everything; the same captions of other photos do not."""
    from dermaxai.data.weak_captions import caption

    def say(facts):
        return lambda captioner, views: {
            language: [caption(fact, language, np.random.default_rng(0)) for fact in facts]
            for language in ("en", "ru")
        }

    views = Views(views.patches.repeat(2, 1, 1), views.facts * 2, views.diagnosis * 2)
    monkeypatch.setattr(stage, "describe_views", say(views.facts))
    assert score_captions(None, views) == dict.fromkeys(SLOTS, 1.0)
    monkeypatch.setattr(stage, "describe_views", say(views.facts[::-1]))
    wrong = score_captions(None, views)
    assert wrong["diagnosis"] < 0.5
    assert wrong["same facts"] == 1


def test_the_goal_is_the_diagnosis_and_the_mean_of_the_rest(monkeypatch, stages, views, tmp_path):
    scores = {"diagnosis": 0.5, "size": 1.0, "symmetry": 0.5, "border": 0.5, "colour": 0.0, "same facts": 0.1}
    monkeypatch.setattr(stage, "score_captions", lambda captioner, views: scores)
    recipe = read_recipe(stages / "recipe.toml", ["training.steps=1"])
    captioner = run_recipe(recipe, tmp_path, views, lambda record: None)
    assert FactsCheck(views).measure(captioner) == {**scores, "goal": 1.0}


def test_an_untrained_captioner_writes_both_languages(stages, views, tmp_path):
    few = Views(views.patches[:2], views.facts[:2], views.diagnosis[:2])
    recipe = read_recipe(stages / "recipe.toml", ["training.steps=1"])
    captioner = run_recipe(recipe, tmp_path, few, lambda record: None)
    texts = stage.describe_views(captioner, few)
    assert [len(texts[language]) for language in ("en", "ru")] == [2, 2]
    assert 0 <= score_captions(captioner, few)["same facts"] <= 1
