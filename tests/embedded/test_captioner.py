"""Bridge and LoRA train; encoder and T5 base stay bit for bit; an interruption changes nothing."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dermaxai.captioner.agreement import LEAD
from dermaxai.captioner.decoder import base_state
from dermaxai.data.ham10000 import DIAGNOSES
from dermaxai.embedded import captioner as stage
from dermaxai.embedded.captioner import (
    CaptionerRecipe,
    CaptionerTraining,
    Views,
    build_captioner,
    encode_views,
    mean_patches,
    own_words,
    score_captions,
)
from dermaxai.embedded.language import LanguageRecipe, train_language
from dermaxai.errors import SettingError
from tests.embedded.conftest import COUNT
from tests.embedded.test_language import RECIPE as LANGUAGE

RECIPE = CaptionerRecipe(
    hidden=32,
    layers=1,
    heads=2,
    queries=4,
    rank=2,
    views=2,
    steps=4,
    batch=2,
    check_every=2,
)
SLOTS = ("diagnosis", "size", "symmetry", "border", "colour", "same facts")


@pytest.fixture(scope="module")
def text_folder(tmp_path_factory):
    assert isinstance(LANGUAGE, LanguageRecipe)
    place = tmp_path_factory.mktemp("text") / "t5"
    train_language(LANGUAGE, place)
    return place


@pytest.fixture(scope="module")
def views(measured, encoder):
    return encode_views(measured, range(COUNT), encoder, views=range(2))


@pytest.fixture
def start(encoder, text_folder, views):
    def begin() -> CaptionerTraining:
        made = build_captioner(RECIPE, encoder, train_language(LANGUAGE, text_folder))
        return CaptionerTraining(made, views, views, RECIPE)

    return begin


@pytest.fixture
def scored(monkeypatch):
    """Validation that costs nothing: the captions after step 2 count as the best ones."""
    monkeypatch.setattr(stage, "score_captions", lambda captioner, views: dict.fromkeys(SLOTS, next(values)))
    values = iter([0.9, 0.1, 0.1, 0.1, 0.1])


def copy_of(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


def test_views_are_the_photos_then_augmented_copies(measured, encoder, views):
    assert views.patches.shape == (2 * COUNT, 196, 64)
    pixels = (measured.photos.float() / 255 - 0.5) / 0.5
    assert torch.equal(views.patches[:COUNT], encoder.forward(pixels).patches.half())
    assert not torch.equal(views.patches[COUNT:], views.patches[:COUNT])
    assert views.diagnosis[:COUNT] == views.diagnosis[COUNT:]
    assert [DIAGNOSES[label] for label in views.diagnosis[:COUNT]] == [row.diagnosis for row in measured.rows]
    assert views.facts[COUNT - 1].size is None
    again = encode_views(measured, range(COUNT), encoder, views=range(2))
    assert torch.equal(again.patches, views.patches)
    assert again.facts == views.facts
    assert torch.allclose(mean_patches(views, COUNT), views.patches[:COUNT].float().mean(dim=0))


@pytest.mark.usefixtures("scored")
def test_frozen_parts_stay_and_the_best_state_is_put_back(start, encoder, tmp_path):
    training = start()
    base, tower = copy_of_base(training), copy_of(encoder.module)
    before = copy_of(training.captioner)
    training.run(tmp_path)
    assert same(copy_of_base(training), base)
    assert same(copy_of(encoder.module), tower)
    after = copy_of(training.captioner)
    assert not torch.equal(after["bridge.queries"], before["bridge.queries"])
    assert same(after, torch.load(tmp_path / "captioner.best", weights_only=True))
    last = torch.load(tmp_path / "captioner.state", weights_only=True)
    assert last["step"] == 4
    assert not same(after, last["weights"])
    assert not any(value.requires_grad for value in training.captioner.parameters())
    lines = (tmp_path / "captioner.csv").read_text().splitlines()
    assert lines[0].startswith("step,loss,diagnosis,size")
    assert [line.split(",")[0] for line in lines[1:]] == ["2", "4"]


def copy_of_base(training):
    return {name: value.clone() for name, value in base_state(training.captioner.t5).items()}


@pytest.mark.usefixtures("scored")
def test_resumed_training_is_the_uninterrupted_one(start, tmp_path, monkeypatch):
    monkeypatch.setattr(stage, "score_captions", lambda captioner, views: dict.fromkeys(SLOTS, 0.5))
    whole = start()
    whole.run(tmp_path / "whole")
    cut = start()
    step = CaptionerTraining.advance

    def stop(self):
        if self.step == 3:
            raise KeyboardInterrupt
        return step(self)

    with monkeypatch.context() as patch:
        patch.setattr(CaptionerTraining, "advance", stop)
        with pytest.raises(KeyboardInterrupt):
            cut.run(tmp_path / "cut")
    torch.rand(7)
    start().run(tmp_path / "cut")
    one, other = (
        torch.load(tmp_path / name / "captioner.state", weights_only=True) for name in ("whole", "cut")
    )
    assert one["step"] == other["step"] == 4
    assert same(one["weights"], other["weights"])
    assert torch.equal(one["random"], other["random"])


@pytest.mark.usefixtures("scored")
def test_another_encoder_does_not_go_on_from_it(start, tmp_path):
    start().run(tmp_path)
    other = start()
    other.made_from = "the fingerprint with another encoder"
    with pytest.raises(SettingError, match=r"Delete captioner\.state"):
        other.run(tmp_path)


def test_the_fingerprint_knows_encoder_text_model_recipe_and_facts(start, views):
    one = start()
    assert start().made_from == one.made_from
    fewer = Views(views.patches[1:], views.facts[1:], views.diagnosis[1:])
    assert CaptionerTraining(one.captioner, fewer, views, RECIPE).made_from != one.made_from
    assert CaptionerTraining(one.captioner, views, views, replace(RECIPE, rank=3)).made_from != one.made_from
    one.captioner.base_sha256 = "other"
    assert CaptionerTraining(one.captioner, views, views, RECIPE).made_from != start().made_from


def test_own_words_are_neither_mended_nor_brought_into_agreement(start):
    captioner = start().captioner
    before = captioner.config
    with own_words(captioner):
        assert LEAD not in captioner.config.tables
        assert captioner.config.tables["name"] == "demo"
    assert captioner.config is before


def test_scores_of_captions(monkeypatch, views):
    """Perfect captions score 1 in everything; the same captions of other photos do not."""
    from dermaxai.data.weak_captions import caption

    def say(facts):
        return lambda captioner, views: {
            language: [caption(fact, language, np.random.default_rng(0)) for fact in facts]
            for language in ("en", "ru")
        }

    monkeypatch.setattr(stage, "describe_views", say(views.facts))
    assert score_captions(None, views) == dict.fromkeys(SLOTS, 1.0)
    monkeypatch.setattr(stage, "describe_views", say(views.facts[::-1]))
    wrong = score_captions(None, views)
    assert wrong["diagnosis"] < 0.5
    assert wrong["same facts"] == 1


def test_an_untrained_captioner_writes_both_languages(start, views):
    few = Views(views.patches[:2], views.facts[:2], views.diagnosis[:2])
    captioner = start().captioner
    captioner.config = captioner.config.with_changes(max_tokens=6)
    texts = stage.describe_views(captioner, few)
    assert [len(texts[language]) for language in ("en", "ru")] == [2, 2]
    assert 0 <= score_captions(captioner, few)["same facts"] <= 1
