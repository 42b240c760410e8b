"""ROAD beside pytorch-grad-cam's, and beside one mask at a time."""

import numpy as np
import pytest
import torch
from torch import nn

from dermaxai.encoders import load_encoder
from dermaxai.explain.base import Explained, text_directions
from dermaxai.measure.maps.base import Protocol, Subject, tie_order
from dermaxai.measure.maps.probe import probe_of
from dermaxai.measure.maps.road import PERCENTAGES, Road
from dermaxai.types import Target
from tests.encoders import tiny
from tests.measure.maps import toy
from tests.measure.maps.test_deletion import heat_of
from tests.measure.maps.test_probe import NO_PHOTO, QUERIES


def slow_road(subject, heat):
    """One mask per call."""
    order = tie_order(heat, subject.protocol.seed)
    probe = probe_of(subject, "noisy linear")
    differences = []
    for share in PERCENTAGES:
        scores = []
        for gone in (order[::-1], order):
            kept = torch.ones(1, len(order), dtype=torch.bool)
            kept[0, gone[: round(share * len(order) / 100)].copy()] = False
            scores.append(float(probe.scores(probe.see(kept), [heat.target])[0, 0]))
        differences.append((scores[0] - scores[1]) / 2)
    return np.mean(differences)


@pytest.mark.parametrize("removal", ["tokens", "blur"])
def test_one_mask_at_a_time(tower, removal):
    encoder, encoded = tower
    subject = Subject(Explained(encoder), encoded, NO_PHOTO, Protocol(removal=removal))
    maps = [heat_of(encoded, target) for target in QUERIES]
    expected = [slow_road(subject, heat) for heat in maps]
    np.testing.assert_allclose(Road().measure(subject, maps), expected, atol=2e-5)
    assert Road().measure(subject, []) == []


def test_words_one_mask_at_a_time(model, photos):
    encoded = model.encoder.encode([model.read(photos[0])])[0]
    caption = model.captioner.describe(encoded, "en")[0]
    subject = Subject(Explained(model.encoder, model.captioner, caption), encoded, NO_PHOTO)
    targets = [Target("word", caption.words[2].text, 2), Target("word", "lesion", 3, "nodule")]
    maps = [heat_of(encoded, target) for target in targets]
    expected = [slow_road(subject, heat) for heat in maps]
    np.testing.assert_allclose(Road().measure(subject, maps), expected, atol=2e-5)


class Cosine(nn.Module):
    def __init__(self, encoder, text):
        super().__init__()
        self.encoder, self.text = encoder, text

    def forward(self, pixels):
        return self.encoder.forward(pixels).pooled @ self.text


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_same_as_pytorch_grad_cam(tmp_path, monkeypatch):
    """A grid of 10 x 10, so that each percentage is a whole number of patches; without the noise."""
    from pytorch_grad_cam.metrics.road import ROADCombined

    made = tiny.open_clip_folder(tmp_path / "tower", image_size=80, patch_size=8)
    encoder = load_encoder(made.name, made.source, offline=True)
    encoded = encoder.encode([tiny.photo(90, 120)])[0]
    assert encoded.grid == (10, 10)
    monkeypatch.setattr("torch.randn_like", torch.zeros_like)
    monkeypatch.setattr(
        "dermaxai.measure.maps.imputing.Imputer.__init__.__kwdefaults__", {"noise": 0.0, "seed": 0}
    )
    target = Target("query", "a dark mole")
    heat = heat_of(encoded, target, np.random.default_rng(3).random((10, 10)))
    text = text_directions(encoder, [target])[0]
    fine = heat.values.repeat(8, 0).repeat(8, 1)[None]
    theirs = ROADCombined()(encoded.pixels[None], fine, [lambda output: output], Cosine(encoder, text))
    (ours,) = Road().measure(Subject(Explained(encoder), encoded, NO_PHOTO), [heat])
    assert ours == pytest.approx(float(np.squeeze(theirs)), abs=1e-6)
    assert abs(ours) > 1e-4


@pytest.mark.parametrize("seed", range(3))
def test_the_true_map_beats_others(seed):
    """Where neighbours have nothing in common; a fill from neighbours is only nearly what the toy adds up."""
    subject = toy.subject_of(toy.photo_of(toy.colours_of(seed)))
    right = toy.truth(subject.image, "red")
    drawn = np.random.default_rng(seed).random((12, *right.shape))
    values = Road().measure(subject, [toy.heat_of(subject, one) for one in (right, -right, *drawn)])
    assert values[0] > max(values[1:])
    assert values[1] == min(values)
    # Not to the last digit: equal values of an 8-bit photo keep their drawn order.
    assert values[1] == pytest.approx(-values[0], rel=0.02)
    assert abs(np.mean(values[2:])) < 4 * np.std(values[2:]) / np.sqrt(12)
