"""The closed form of the gradient against autograd through the whole last block, per kind of pooling."""

import numpy as np
import pytest
import torch

from dermaxai.explain.base import Explained, text_directions, with_graph
from dermaxai.explain.pooling import layer_of_directions, target_layer
from dermaxai.types import Target
from tests.explain.conftest import GOLDEN, encoded_golden

TARGETS = [
    Target("query", "a dark mole"),
    Target("concept", "raised"),
    Target("query", "skin", against="mole"),
]


def test_gradient_is_that_of_autograd_through_the_whole_tail(tower):
    encoder, encoded = tower
    directions = text_directions(encoder, TARGETS)
    with with_graph():
        found = layer_of_directions(encoder, encoded, directions)
        tail = encoder.tail(encoded.tail_input.clone()[None].requires_grad_())
    # A MAP head reads normed patches: they are the layer.
    layer = tail.normed[:, tail.first_patch :] if tail.pooling != "map" else tail.patches
    assert torch.allclose(found.activations, layer[0].detach(), atol=1e-6)
    for gradient, direction in zip(found.gradients, directions, strict=True):
        source = tail.normed if tail.pooling != "map" else tail.patches
        (wanted,) = torch.autograd.grad(tail.pooled[0] @ direction, source, retain_graph=True)
        wanted = wanted[0, tail.first_patch :] if tail.pooling != "map" else wanted[0]
        assert wanted.abs().max() > 0
        assert (gradient - wanted).abs().max() < 1e-4 * wanted.abs().max()


def test_many_methods_share_one_layer(tower):
    encoder, encoded = tower
    model = Explained(encoder)
    with with_graph():
        first = target_layer(model, encoded, TARGETS)
        assert target_layer(model, encoded, list(TARGETS)) is first
        assert target_layer(model, encoded, TARGETS[:1]) is not first


@pytest.mark.shared
@pytest.mark.parametrize("photo", ["ISIC_0024525", "ISIC_0024306", "ISIC_0026154"])
def test_equals_the_reference_gradients(clip, photo):
    encoded = encoded_golden(photo)
    for number in range(2):
        golden = np.load(GOLDEN / f"{photo}__t{number}__cams.npz")
        direction = torch.from_numpy(golden["text_emb"]).reshape(1, -1)
        with with_graph():
            found = layer_of_directions(clip, encoded, direction)
        for name, ours in (("activations", found.activations), ("gradients", found.gradients[0])):
            wanted = golden[name].reshape(golden[name].shape[-3], -1).T
            assert np.abs(ours.numpy() - wanted).max() < 1e-4 * np.abs(wanted).max(), name
