"""The toy is what its first lines say."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dermaxai.encoders.tail import open_blocks, run_tower
from dermaxai.explain import METHODS
from dermaxai.explain.base import text_directions
from dermaxai.types import Target
from tests.measure.maps import toy


@given(st.integers(0, 10_000), st.integers(0, 10_000))
def test_cosines_are_sums_over_whatever_is_left(seed, drawn):
    image, encoder = toy.photo_of(toy.colours_of(seed)), toy.Toy(torch.float64)
    encoded = encoder.encode([image])[0]
    tokens = encoder.tower.embed(encoded.pixels[None].double())
    kept = np.random.default_rng(drawn).random(36) < 0.5
    left = tokens[:, np.flatnonzero(np.r_[True, kept])]
    for block in encoder.tower.blocks:
        left = encoder.tower.run(block, left)
    embedding = encoder.tower.read_out(left).embedding[0].numpy()
    for text in ("red", "a cyan mole", "anything"):
        cosine = embedding @ toy.direction(text) / np.linalg.norm(embedding)
        parts = toy.truth(image, text).ravel()[kept]
        assert cosine == pytest.approx(parts.sum(), abs=0.002 * np.abs(toy.truth(image, text)).sum())


def test_blocks_open_to_what_they_are():
    encoder = toy.Toy()
    pixels = encoder.encode([toy.photo_of(toy.colours_of(3))])[0].pixels[None]
    features = run_tower(encoder.tower, pixels)
    opened = open_blocks(encoder.tower, encoder.tower.embed(pixels))
    assert torch.allclose(opened[-1].tokens[:, 1:], features.patches)
    assert torch.allclose(
        opened[-1].tokens[:, 0], encoder.tower.read_out(opened[-1].tokens).embedding, atol=1e-4
    )
    assert torch.allclose(encoder.tail(features.tail_input).pooled, features.pooled, atol=1e-6)


def test_texts_are_directions():
    encoder = toy.Toy()
    red, cyan, other = text_directions(
        encoder, [Target("query", text) for text in ("a red mole", "cyan", "something else")]
    )
    assert torch.equal(red, -cyan)
    assert float(other.norm()) == pytest.approx(1)
    assert float(other[0]) == 0


@pytest.mark.parametrize("name", ["occlusion", "grad_eclip", "decomposition"])
def test_methods_find_the_truth(name):
    subject = toy.subject_of(toy.photo_of(toy.colours_of(1)))
    options = {"where": "input"} if name == "occlusion" else {}
    texts = ("red", "a yellow mole")
    maps = METHODS.load(name)(**options).explain(
        subject.model, subject.encoded, [Target("query", text) for text in texts]
    )
    for heat, text in zip(maps, texts, strict=True):
        assert np.corrcoef(heat.values.ravel(), toy.truth(subject.image, text).ravel())[0, 1] > 0.9999
