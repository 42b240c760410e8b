"""What enters the tower, beside photos whose pixels are changed one by one."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from dermaxai.errors import NotSupported
from dermaxai.measure.maps.imputing import Imputer
from dermaxai.measure.maps.removing import blank, blurred, entering


def masks(encoder, rows=5, kept=None):
    patches = encoder.grid[0] * encoder.grid[1]
    generator = torch.Generator().manual_seed(2)
    draws = torch.rand(rows, patches, generator=generator)
    return draws < 0.6 if kept is None else draws.argsort(1).argsort(1) < kept


def covered(encoder):
    return [cells * encoder.tower.patch for cells in encoder.grid]


def changed_pixels(encoder, pixels, mask, removal):
    """One mask, one patch at a time."""
    other, side = pixels.clone(), encoder.tower.patch
    height, width = covered(encoder)
    if removal == "blur":
        spread = [gaussian_filter(one.double().numpy(), side, mode="nearest", truncate=3.0) for one in pixels]
        other = torch.from_numpy(np.stack(spread)).float()
    elif removal == "mean":
        for channel in other:
            channel[:] = channel[:height, :width].mean()
    else:
        known = np.kron(mask.reshape(encoder.grid).numpy(), np.ones((side, side), bool))
        inner = pixels[:, :height, :width].numpy()
        other[:, :height, :width] = torch.from_numpy(Imputer(inner, seed=7).fill(known))
    result = pixels.clone()
    for patch, stays in enumerate(mask.tolist()):
        row, column = divmod(patch, encoder.grid[1])
        place = (slice(None), slice(row * side, (row + 1) * side), slice(column * side, (column + 1) * side))
        if not stays:
            result[place] = other[place]
    return result


@pytest.mark.parametrize("removal", ["blur", "mean", "noisy linear"])
def test_pixels_are_changed_patch_by_patch(tower, removal):
    encoder, encoded = tower
    kept = masks(encoder)
    tokens = entering(encoder, encoded, removal, 7)(kept)
    for row, mask in zip(tokens, kept, strict=True):
        pixels = changed_pixels(encoder, encoded.pixels, mask, removal)
        expected = encoder.tower.embed(pixels[None])[0]
        assert torch.allclose(row, expected, atol=2e-5)


def test_tokens_are_left_out_where_they_were(tower):
    encoder, encoded = tower
    kept = masks(encoder, kept=5)
    tokens = entering(encoder, encoded, "tokens", 0)(kept)
    (own,) = encoder.tower.embed(encoded.pixels[None])
    first = encoder.tower.first_patch
    assert tokens.shape == (5, first + 5, encoder.width)
    for row, mask in zip(tokens, kept, strict=True):
        expected = [own[place] for place in range(first)]
        expected += [own[first + patch] for patch, stays in enumerate(mask.tolist()) if stays]
        assert (row == torch.stack(expected)).all()


def test_blank_and_blurred_photos(tower):
    encoder, encoded = tower
    height, width = covered(encoder)
    pixels = encoded.pixels[None]
    mean = encoded.pixels[:, :height, :width].mean((1, 2))
    assert torch.allclose(blank(encoder, pixels), mean[None, :, None, None].expand_as(pixels))
    assert blurred(encoder, pixels).std() < pixels.std()
    flat = torch.full_like(pixels, 0.3)
    assert torch.allclose(blurred(encoder, flat), flat)


def test_a_photo_without_pixels_is_refused(tower):
    encoder, encoded = tower
    with pytest.raises(NotSupported, match="pixels"):
        entering(encoder, replace(encoded, pixels=None), "blur", 0)
