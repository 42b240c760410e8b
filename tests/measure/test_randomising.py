"""Weights drawn again: on copies, tensor by tensor, the same for a seed."""

import numpy as np
import pytest
import torch

from dermaxai.errors import NotSupported
from dermaxai.explain.base import Explained
from dermaxai.measure.randomising import (
    draw_again,
    encode_again,
    encode_pixels,
    with_random_blocks,
    with_random_weights,
)
from dermaxai.questions import find_method
from dermaxai.types import Target
from tests.encoders.tiny import photo
from tests.explain.snapshot import snapshot


def numbers(block):
    return [parameter.clone() for parameter in block.parameters()]


@pytest.mark.parametrize("count", [0, 1, None])
def test_only_the_last_blocks_of_a_copy_are_drawn(tower, count):
    encoder, encoded = tower
    before = snapshot(encoder.module)
    changed = with_random_blocks(encoder, torch.Generator().manual_seed(0), count)
    found = encode_again(changed, encoded)
    assert snapshot(encoder.module) == before
    blocks = list(zip(encoder.tower.blocks, changed.tower.blocks, strict=True))
    drawn = len(blocks) if count is None else count
    for place, (own, other) in enumerate(blocks):
        same = all(torch.equal(a, b) for a, b in zip(numbers(own), numbers(other), strict=True))
        assert same == (place < len(blocks) - drawn)
    again = encode_again(encoder, encoded)
    assert torch.equal(again.pooled, found.pooled) == (drawn == 0)
    assert torch.allclose(again.patches, encoded.patches, atol=1e-5)
    assert found.grid == encoded.grid


def test_each_tensor_keeps_its_mean_and_spread_and_constants_stay():
    layer = torch.nn.Sequential(torch.nn.Linear(200, 300), torch.nn.LayerNorm(300))
    with torch.no_grad():
        layer[0].weight.mul_(3).add_(0.7)
    before = [one.detach().clone() for one in layer.parameters()]
    draw_again(layer, torch.Generator().manual_seed(4))
    weight, bias, scale, shift = (one.detach() for one in layer.parameters())
    assert not torch.equal(weight, before[0])
    assert float(weight.mean()) == pytest.approx(float(before[0].mean()), abs=0.01)
    assert float(weight.std()) == pytest.approx(float(before[0].std()), rel=0.02)
    assert abs(np.corrcoef(weight.flatten().detach(), before[0].flatten())[0, 1]) < 0.02
    assert not torch.equal(bias, before[1])
    assert torch.equal(scale, before[2])
    assert torch.equal(shift, before[3])


def test_the_seed_decides(tower):
    encoder, _ = tower
    one, same, other = (with_random_weights(Explained(encoder), seed) for seed in (3, 3, 4))
    parts = [numbers(model.encoder.tower.blocks[-1]) for model in (one, same, other)]
    assert all(torch.equal(a, b) for a, b in zip(parts[0], parts[1], strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(parts[0], parts[2], strict=True))


def test_words_are_explained_through_a_drawn_bridge(model):
    image = model.read(photo(64, 64, 1))
    (encoded,) = model.encoder.encode([image])
    caption = model.captioner.describe(encoded)[0]
    own = Explained(model.encoder, model.captioner, caption)
    before = snapshot(model.captioner), snapshot(model.encoder.module)
    changed = with_random_weights(own, 1)
    kept = with_random_weights(own, 1, bridge=False)
    method, asked = find_method("evidence:input_x_gradient"), [Target("word", caption.words[1].text, 1)]
    heats = [
        one.explain(two, encoded, asked)[0].values
        for one, two in ((method, own), (method, changed), (method, kept))
    ]
    assert (snapshot(model.captioner), snapshot(model.encoder.module)) == before
    assert not np.allclose(heats[0], heats[1])
    assert np.array_equal(heats[0], heats[2])
    assert changed.captioner.t5 is model.captioner.t5
    assert kept.captioner is model.captioner


def test_other_pixels_lie_where_the_photo_lay(tower):
    encoder, encoded = tower
    both = torch.stack([encoded.pixels, encoded.pixels.flip(-1)])
    own, mirrored = encode_pixels(encoder, encoded, both)
    assert torch.allclose(own.pooled, encoded.pooled, atol=1e-5)
    assert own.placement == mirrored.placement == encoded.placement
    assert torch.equal(mirrored.pixels, both[1])
    assert not torch.allclose(mirrored.patches, own.patches)


def test_a_photo_without_pixels_is_refused(tower):
    import dataclasses

    encoder, encoded = tower
    with pytest.raises(NotSupported, match="pixels"):
        encode_again(encoder, dataclasses.replace(encoded, pixels=None))
