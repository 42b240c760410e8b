"""Max-sensitivity beside one noisy photo at a time."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from dermaxai.errors import NotSupported
from dermaxai.explain.base import Explained
from dermaxai.measure.maps.base import Protocol, Subject
from dermaxai.measure.maps.sensitivity import MaxSensitivity, noisy_pixels
from dermaxai.questions import find_method
from dermaxai.types import SkinImage, Target
from tests.measure.maps import toy

NO_PHOTO = SkinImage(np.zeros((2, 2, 3), np.uint8), "")


def slow(subject, heat, method):
    """Every noisy photo encoded and asked by itself."""
    largest = 0.0
    for pixels in noisy_pixels(subject):
        found = subject.model.encoder.forward(pixels[None])
        encoded = replace(
            subject.encoded,
            patches=found.patches[0],
            pooled=found.pooled[0],
            tail_input=found.tail_input[0],
            pixels=pixels,
        )
        (other,) = method.explain(Explained(subject.model.encoder), encoded, [heat.target])
        away = sum(
            (float(a) - float(b)) ** 2 for a, b in zip(other.values.flat, heat.values.flat, strict=True)
        )
        largest = max(largest, math.sqrt(away))
    return largest / math.sqrt(sum(float(value) ** 2 for value in heat.values.flat))


@pytest.mark.parametrize("name", ["grad_eclip", "occlusion", "decomposition"])
def test_as_one_photo_at_a_time(tower, name):
    encoder, encoded = tower
    method = find_method(name)
    subject = Subject(
        Explained(encoder),
        encoded,
        NO_PHOTO,
        Protocol(noisy_photos=3),
        {(method.name, method.variant): method},
    )
    maps = method.explain(subject.model, encoded, [Target("query", "dark mole"), Target("query", "skin")])
    found = MaxSensitivity().measure(subject, maps)
    assert found == pytest.approx([slow(subject, heat, method) for heat in maps], rel=1e-3)
    assert found == MaxSensitivity().measure(subject, maps)


def test_of_the_toy_it_is_known():
    """A patch's colour moves by the mean of its noise, which nothing else changes."""
    subject = toy.subject_of(toy.photo_of(toy.colours_of(3)), protocol=Protocol(noisy_photos=5, radius=0.2))
    maps = toy.perfect_maps(subject, ("red", "cyan"))
    noise = (noisy_pixels(subject) - subject.encoded.pixels)[:, 0].numpy().astype(np.float64)
    cells = noise.reshape(5, toy.GRID, toy.PATCH, toy.GRID, toy.PATCH).mean((2, 4)) / toy.ANCHOR
    expected = max(np.linalg.norm(one) for one in cells) / np.linalg.norm(maps[0].values)
    assert MaxSensitivity().measure(subject, maps) == pytest.approx([expected] * 2, rel=0.01)


def test_noise_is_as_large_as_the_radius_says_and_no_larger():
    protocol = Protocol(noisy_photos=4, radius=0.1, seed=5)
    subject = toy.subject_of(toy.photo_of(toy.colours_of(1)), protocol=protocol)
    away = (noisy_pixels(subject) - subject.encoded.pixels).abs()
    # The toy's values reach from -1 to 1.
    assert 0.19 < float(away.max()) <= 0.2 + 1e-6
    assert float(away.mean()) == pytest.approx(0.1, rel=0.05)
    assert torch.equal(noisy_pixels(subject), noisy_pixels(subject))


def test_more_noise_moves_more():
    image = toy.photo_of(toy.colours_of(2))
    values = [
        MaxSensitivity().measure(subject, toy.perfect_maps(subject))[0]
        for subject in (
            toy.subject_of(image, protocol=Protocol(radius=radius)) for radius in (0.01, 0.1, 0.5)
        )
    ]
    assert values == sorted(values)
    assert values[2] == pytest.approx(50 * values[0], rel=0.05)


def test_a_map_of_zeros_has_none_and_no_maps_no_numbers():
    subject = toy.subject_of(toy.photo_of(toy.colours_of(2)))
    (heat,) = toy.perfect_maps(subject)
    assert math.isnan(MaxSensitivity().measure(subject, [replace(heat, values=0 * heat.values)])[0])
    assert MaxSensitivity().measure(subject, []) == []


def test_who_made_the_map_must_be_known():
    subject = toy.subject_of(toy.photo_of(toy.colours_of(2)))
    with pytest.raises(NotSupported, match="Nobody is known"):
        MaxSensitivity().measure(subject, [toy.heat_of(subject, np.ones(36))])
