"""What every encoder of every kind must do, on tiny models in their genuine formats."""

import math

import pytest
import torch

from dermaxai.encoders import load_encoder
from dermaxai.errors import NotSupported
from tests.encoders.tiny import TEXTS, photo

PHOTOS = [photo(90, 120), photo(100, 75, seed=1), photo(64, 64, seed=2)]


def pixels_of(encoder, photos=PHOTOS):
    return torch.stack([encoder.preprocess(image)[0] for image in photos])


def fingerprint(module):
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def hooks_of(module):
    return sum(
        len(part._forward_hooks) + len(part._forward_pre_hooks) + len(part._backward_hooks)
        for part in module.modules()
    )


def flags_of(module):
    return [
        (name, part.training, getattr(part, "fused_attn", None), getattr(part, "output_tokens", None))
        for name, part in module.named_modules()
    ]


def test_shapes(pair):
    encoder, _ = pair
    features = encoder.forward(pixels_of(encoder))
    patches = encoder.grid[0] * encoder.grid[1]
    first = encoder.tower.first_patch
    assert features.patches.shape == (3, patches, encoder.width)
    assert features.tail_input.shape == (3, patches + first, encoder.width)
    assert features.pooled.shape == (3, encoder.card.embed)
    assert encoder.card.width == encoder.width
    assert not features.pooled.requires_grad


def test_pooled_is_the_library_s_embedding_at_unit_length(pair):
    encoder, made = pair
    pixels = pixels_of(encoder)
    with torch.no_grad():
        expected = torch.nn.functional.normalize(made.image(pixels), dim=-1)
    pooled = encoder.forward(pixels).pooled
    assert torch.allclose(pooled.norm(dim=-1), torch.ones(3), atol=1e-6)
    assert torch.allclose(pooled, expected, atol=2e-6)
    assert not torch.allclose(pooled[0], pooled[1], atol=1e-3)


def test_text_is_the_library_s_embedding_at_unit_length(pair):
    encoder, made = pair
    if made.text is None:
        assert not encoder.has_text
        with pytest.raises(NotSupported, match="vision-only"):
            encoder.encode_text(TEXTS)
        with pytest.raises(NotSupported, match="vision-only"):
            _ = encoder.logit_scale
        return
    with torch.no_grad():
        expected = torch.nn.functional.normalize(made.text(TEXTS), dim=-1)
    found = encoder.encode_text(TEXTS)
    assert torch.allclose(found, expected, atol=2e-6)
    assert torch.allclose(encoder.encode_text(TEXTS[:1]), expected[:1], atol=2e-6)
    assert encoder.logit_scale == pytest.approx(math.exp(made.model.logit_scale.item()), rel=1e-5)


def test_tail_is_the_forward_pass(pair):
    encoder, _ = pair
    features = encoder.forward(pixels_of(encoder))
    tail = encoder.tail(features.tail_input.clone().requires_grad_(True))
    assert torch.allclose(tail.patches, features.patches, atol=5e-6)
    assert torch.allclose(tail.pooled, features.pooled, atol=1e-6)
    heads = tail.attention.shape[1]
    tokens = features.tail_input.shape[1]
    assert tail.attention.shape == (3, heads, tokens, tokens)
    assert (
        tail.queries.shape
        == tail.keys.shape
        == tail.values.shape
        == (3, heads, tokens, encoder.width // heads)
    )
    assert torch.allclose(tail.attention.sum(-1), torch.ones(3, heads, tokens), atol=1e-5)
    merged = (tail.attention @ tail.values).transpose(1, 2).flatten(2)
    assert torch.allclose(merged, tail.context, atol=1e-6)


def test_every_stage_of_the_tail_has_a_gradient(pair):
    encoder, _ = pair
    features = encoder.forward(pixels_of(encoder))
    tail = encoder.tail(features.tail_input.clone().requires_grad_(True))
    stages = [tail.normed, tail.queries, tail.keys, tail.values, tail.attention, tail.context, tail.tokens]
    if tail.pooling == "map":
        stages += [
            tail.patches,
            tail.pool_keys,
            tail.pool_values,
        ]  # the query is the learnt probe, a constant
        stages += [tail.pool_attention, tail.pool_context]
        assert torch.allclose(tail.pool_attention.sum(-1), torch.ones(()), atol=1e-5)
    else:
        assert tail.pool_attention is None
    wanted = torch.nn.functional.normalize(torch.ones(encoder.card.embed), dim=0)
    for gradient in torch.autograd.grad((tail.pooled @ wanted).sum(), stages):
        assert torch.isfinite(gradient).all()
        assert gradient.abs().max() > 0
    assert all(
        parameter.grad is None and not parameter.requires_grad for parameter in encoder.module.parameters()
    )


def test_without_requires_grad_there_is_no_graph(pair):
    encoder, _ = pair
    features = encoder.forward(pixels_of(encoder))
    assert not encoder.tail(features.tail_input).pooled.requires_grad


def test_what_the_pooling_reads(pair):
    """Class pooling gives the block's patch outputs no gradient; mean gives the class token none."""
    encoder, _ = pair
    features = encoder.forward(pixels_of(encoder))
    tail = encoder.tail(features.tail_input.clone().requires_grad_(True))
    gradient = torch.autograd.grad(tail.pooled[:, 0].sum(), tail.tokens)[0].abs().amax(dim=(0, 2))
    if tail.pooling == "class":
        assert gradient[0] > 0
        assert gradient[1:].max() == 0
    elif tail.pooling == "mean":
        assert gradient[0] == 0
        assert gradient[1:].min() > 0
    else:
        assert gradient.min() > 0


def test_the_same_photo_gives_the_same_numbers(pair):
    encoder, _ = pair
    pixels = pixels_of(encoder)
    first, second = encoder.forward(pixels), encoder.forward(pixels)
    assert torch.equal(first.pooled, second.pooled)
    assert torch.equal(first.patches, second.patches)


def test_a_batch_is_its_photos_one_by_one(pair):
    encoder, _ = pair
    together = encoder.encode(PHOTOS)
    for image, encoded in zip(PHOTOS, together, strict=True):
        alone = encoder.encode([image])[0]
        assert torch.allclose(alone.pooled, encoded.pooled, atol=1e-5)
        assert torch.allclose(alone.patches, encoded.patches, atol=1e-4)
        assert alone.placement == encoded.placement
        assert (encoded.grid, encoded.encoder) == (encoder.grid, encoder.card.name)


def test_nothing_about_the_model_changes(pair):
    encoder, made = pair
    before, flags, hooks = fingerprint(encoder.module), flags_of(encoder.module), hooks_of(encoder.module)
    features = encoder.forward(pixels_of(encoder))
    encoder.tail(features.tail_input.clone().requires_grad_(True)).pooled.sum().backward()
    if made.text:
        encoder.encode_text(TEXTS)
    with pytest.raises(Exception, match=r".+"):
        encoder.tail(features.tail_input[:, :, :-1])
    after = fingerprint(encoder.module)
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert flags_of(encoder.module) == flags
    assert hooks_of(encoder.module) == hooks
    assert not encoder.module.training


def test_bfloat16_is_close(pair):
    encoder, made = pair
    half = load_encoder(made.name, made.source, dtype=torch.bfloat16, offline=True)
    full, rounded = encoder.encode(PHOTOS), half.encode(PHOTOS)
    assert rounded[0].patches.dtype == torch.bfloat16
    for one, other in zip(full, rounded, strict=True):
        assert float(one.pooled @ other.pooled) > 0.995
        assert other.pooled.norm() == pytest.approx(1, abs=1e-6)
    tail = half.tail(torch.stack([item.tail_input for item in rounded]).requires_grad_(True))
    assert torch.allclose(tail.pooled, torch.stack([item.pooled for item in rounded]), atol=0.05)
    tail.pooled.sum().backward()
    if made.text:
        cosines = (half.encode_text(TEXTS) * encoder.encode_text(TEXTS)).sum(-1)
        assert cosines.min() > 0.995


def test_the_patch_grid_lies_inside_the_photo(pair):
    encoder, _ = pair
    for image in PHOTOS:
        _, place = encoder.preprocess(image)
        assert (place.height, place.width) == image.pixels.shape[:2]
        assert place.top >= 0
        assert place.left >= 0
        assert place.top + place.covered_height <= place.height + 1e-6
        assert place.left + place.covered_width <= place.width + 1e-6
        assert place.locate(place.top, place.left, encoder.grid) == (0, 0)
        middle = tuple(side // 2 for side in encoder.grid)
        assert place.locate(place.height / 2, place.width / 2, encoder.grid) is not None
        top, left, bottom, right = place.cell(*middle, encoder.grid)
        assert bottom > top
        assert right > left
