"""Baseline maps: what they depend on, and what not."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import signal

from dermaxai.errors import NotSupported, SettingError
from dermaxai.explain.base import WORDS, AbstractMethod, Explained
from dermaxai.measure.maps import BASELINES
from dermaxai.measure.maps.baselines import CentredGaussian, EdgeMap, RandomMap
from dermaxai.types import SkinImage, Target
from tests.encoders import tiny
from tests.measure.maps import toy

ASKED = [Target("query", "a dark mole"), Target("concept", "skin"), Target("diagnosis", "melanoma")]


def explain(method, encoder, photo, targets=ASKED):
    return method.explain(Explained(encoder), encoder.encode([photo])[0], targets)


@pytest.mark.parametrize("name", BASELINES)
def test_every_row_is_a_method_that_answers_everything(tower, name):
    kind = BASELINES.load(name)
    encoder, encoded = tower
    method = kind.of_variant(next(iter(kind.variants)))
    assert issubclass(kind, AbstractMethod)
    assert method.answers >= WORDS
    maps = method.explain(Explained(encoder), encoded, ASKED)
    for heat, target in zip(maps, ASKED, strict=True):
        assert (heat.target, heat.method, heat.variant) == (target, kind.name, method.variant)
        assert heat.values.shape == encoded.grid
        assert heat.values.min() >= 0
        assert np.ptp(heat.values) > 0
    same = (maps[0].values == maps[1].values).all()
    assert same != method.reads_question
    again = method.explain(Explained(encoder), encoded, ASKED[::-1])[::-1]
    assert all((one.values == other.values).all() for one, other in zip(maps, again, strict=True))


@pytest.mark.parametrize("name", BASELINES)
def test_words_of_a_caption(model, photos, name):
    encoded = model.encoder.encode([model.read(photos[0])])[0]
    caption = model.captioner.describe(encoded, "en")[0]
    targets = [Target("word", word.text, index) for index, word in enumerate(caption.words)]
    asked = Explained(model.encoder, model.captioner, caption)
    maps = BASELINES.load(name)().explain(asked, encoded, targets)
    assert [heat.target for heat in maps] == targets
    with pytest.raises(NotSupported, match="caption"):
        BASELINES.load(name)().explain(Explained(model.encoder), encoded, targets)


def test_a_random_map_follows_photo_question_and_seed():
    encoder = toy.Toy()
    one, other = (toy.photo_of(toy.colours_of(seed)) for seed in (1, 2))
    first = explain(RandomMap(), encoder, one)
    assert (explain(RandomMap(), encoder, one, ASKED[1:2])[0].values == first[1].values).all()
    # The very same pixels in another file are the same photo.
    copy = SkinImage(one.pixels.copy(), "f" * 64)
    assert (explain(RandomMap(), encoder, copy)[0].values == first[0].values).all()
    changed = [
        explain(RandomMap(), encoder, other)[0],
        explain(RandomMap(seed=1), encoder, one)[0],
        first[1],
        explain(RandomMap(), encoder, one, [replace(ASKED[0], against="skin")])[0],
        explain(RandomMap(), encoder, one, [replace(ASKED[0], text="A dark mole")])[0],
    ]
    for heat in changed:
        assert abs(np.corrcoef(heat.values.ravel(), first[0].values.ravel())[0, 1]) < 0.6
        assert (heat.values != first[0].values).all()
    assert (RandomMap().variant, RandomMap(seed=3).variant) == ("uniform", "uniform, seed 3")
    with pytest.raises(SettingError):
        RandomMap(seed=-1)


def test_random_values_are_uniform():
    encoder = toy.Toy()
    photo = toy.photo_of(toy.colours_of(1))
    targets = [Target("query", f"text {number}") for number in range(200)]
    values = np.stack([heat.values for heat in explain(RandomMap(), encoder, photo, targets)])
    counts = np.histogram(values, 10, (0, 1))[0]
    assert np.abs(counts / values.size - 0.1).max() < 0.01
    assert abs(np.corrcoef(values.reshape(200, -1)) - np.eye(200)).max() < 0.75


def test_without_kept_pixels_a_photo_is_known_by_its_tokens():
    encoder = toy.Toy()
    encoded = [
        replace(encoder.encode([toy.photo_of(toy.colours_of(seed))])[0], pixels=None) for seed in (1, 2)
    ]
    one, other = (RandomMap().explain(Explained(encoder), photo, ASKED[:1])[0] for photo in encoded)
    assert (one.values != other.values).any()
    with pytest.raises(NotSupported, match="pixels"):
        EdgeMap().explain(Explained(encoder), encoded[0], ASKED[:1])


def test_the_gaussian_by_hand(tower):
    encoder, encoded = tower
    (heat,) = CentredGaussian().explain(Explained(encoder), encoded, ASKED[:1])
    rows, columns = encoded.grid
    for row in range(rows):
        for column in range(columns):
            down, across = row / (rows - 1) - 0.5, column / (columns - 1) - 0.5
            assert heat.values[row, column] == pytest.approx(np.exp(-(down**2 + across**2) / 0.125), rel=1e-5)


def test_edges_by_two_convolutions(tower):
    """On the normalised pixels of every kind of encoder; the rim that the grid leaves is not counted."""
    encoder, _ = tower
    encoded = encoder.encode([tiny.photo(90, 120, 4)])[0]
    (heat,) = EdgeMap().explain(Explained(encoder), encoded, ASKED[:1])
    mean, std = (torch.tensor(values)[:, None, None] for values in (encoder.card.mean, encoder.card.std))
    photo = (encoded.pixels * std + mean).double().numpy()
    assert -0.01 < photo.min() < photo.max() < 1.01
    light = 0.2126 * photo[0] + 0.7152 * photo[1] + 0.0722 * photo[2]
    wide = np.pad(light, 1, mode="edge")
    kernel = np.array([[1, 0, -1], [2, 0, -2], [1, 0, -1]])
    strength = np.hypot(*(signal.convolve2d(wide, one, mode="valid") for one in (kernel, kernel.T)))
    side = encoder.tower.patch
    for row in range(encoded.grid[0]):
        for column in range(encoded.grid[1]):
            cell = strength[row * side : (row + 1) * side, column * side : (column + 1) * side]
            assert heat.values[row, column] == pytest.approx(cell.mean(), rel=1e-4, abs=1e-6)


def test_a_single_edge_is_where_it_is():
    colours = np.full((6, 6, 3), -0.5)
    colours[:, 3:] = 0.5
    (heat,) = explain(EdgeMap(), toy.Toy(), toy.photo_of(colours), ASKED[:1])
    assert (heat.values[:, [2, 3]] > 0.1).all()
    assert heat.values[:, [0, 1, 4, 5]] == pytest.approx(0)
