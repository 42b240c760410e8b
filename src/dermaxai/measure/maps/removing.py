"""What enters the first block when patches of a photo are taken away, for every way of taking them away."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from dermaxai.explain.shared import input_pixels
from dermaxai.measure.maps.base import Removal
from dermaxai.measure.maps.imputing import Imputer
from dermaxai.progress import beat

if TYPE_CHECKING:
    from dermaxai.encoders.base import AbstractEncoder
    from dermaxai.types import Encoded

Entering = Callable[[Bool[Tensor, "rows n"]], Float[Tensor, "rows tokens width"]]
"""Masks of patches, True = still there, to the tokens that enter the first block."""
REACH = 3.0
"""Standard deviations that a blur's kernel reaches to each side."""


@torch.no_grad()
def entering(encoder: AbstractEncoder, encoded: Encoded, removal: Removal, seed: int) -> Entering:
    """How a photo enters the tower without some of its patches.

    'tokens': the patches' tokens are left out after the positions were added, so that nothing stands where
    they were and the others stay where they are; all rows must keep equally many. The other ways change
    the pixels of whole patches: 'blur' by a Gaussian as wide as a patch (standard deviation), 'mean' to the
    mean colour of what the patches cover, 'noisy linear' as `imputing.Imputer`.

    Raises: NotSupported for a photo that was encoded without its pixels.
    Source: Jain et al., Missingness bias in model debugging (arXiv:2204.08945), for 'tokens'; RISE
    (arXiv:1806.07421), section 4.3, for the blur; ROAD (arXiv:2202.00449) for 'noisy linear'.
    """
    pixels = input_pixels(encoder, encoded)
    if removal == "noisy linear":
        return _imputed(encoder, pixels, seed)
    own = encoder.tower.embed(pixels)
    if removal == "tokens":
        return lambda kept: _leave_out(own, kept, encoder.tower.first_patch)
    other = blurred(encoder, pixels) if removal == "blur" else blank(encoder, pixels)
    return _mixed(own, encoder.tower.embed(other), encoder.tower.first_patch)


def _leave_out(
    own: Float[Tensor, "1 tokens width"], kept: Bool[Tensor, "rows n"], first_patch: int
) -> Float[Tensor, "rows kept width"]:
    stays = torch.cat([kept.new_ones(len(kept), first_patch), kept], 1)
    places = stays.nonzero()[:, 1].reshape(len(kept), -1)
    return own[0, places.to(own.device)]


def _mixed(
    own: Float[Tensor, "1 tokens width"], other: Float[Tensor, "1 tokens width"], first_patch: int
) -> Entering:
    """A patch's token depends on its own pixels alone: changed pixels are the changed photo's tokens."""

    def enter(kept: Tensor) -> Tensor:
        stays = torch.cat([kept.new_ones(len(kept), first_patch), kept], 1)
        return torch.where(stays.to(own.device)[:, :, None], own, other)

    return enter


def _imputed(encoder: AbstractEncoder, pixels: Float[Tensor, "1 3 height width"], seed: int) -> Entering:
    rows, columns = encoder.grid
    side = encoder.tower.patch
    covered = pixels[0, :, : rows * side, : columns * side]
    imputer = Imputer(covered.float().cpu().numpy(), seed=seed)

    def enter(kept: Tensor) -> Tensor:
        changed = pixels.repeat(len(kept), 1, 1, 1)
        for photo, mask in zip(changed, kept.reshape(-1, rows, columns).cpu(), strict=True):
            beat()
            known = mask.repeat_interleave(side, 0).repeat_interleave(side, 1)
            photo[:, : rows * side, : columns * side] = torch.from_numpy(imputer.fill(known.numpy()))
        return encoder.tower.embed(changed)

    return enter


def blank(
    encoder: AbstractEncoder, pixels: Float[Tensor, "1 3 height width"]
) -> Float[Tensor, "1 3 height width"]:
    """The same photo in its one mean colour, taken over what the patches cover."""
    rows, columns = (cells * encoder.tower.patch for cells in encoder.grid)
    return pixels[:, :, :rows, :columns].mean((2, 3), keepdim=True).expand_as(pixels)


def blurred(
    encoder: AbstractEncoder, pixels: Float[Tensor, "1 3 height width"]
) -> Float[Tensor, "1 3 height width"]:
    """The same photo blurred by a Gaussian as wide as a patch; its rim is continued outwards."""
    wide = float(encoder.tower.patch)
    reach = math.ceil(REACH * wide)
    places = torch.arange(-reach, reach + 1, dtype=torch.float64, device=pixels.device)
    kernel = torch.exp(-0.5 * (places / wide) ** 2)
    kernel = kernel / kernel.sum()
    spread = functional.pad(pixels.double(), (reach, reach, reach, reach), mode="replicate")
    across = functional.conv2d(spread, kernel.expand(3, 1, 1, -1), groups=3)
    return functional.conv2d(across, kernel[:, None].expand(3, 1, -1, -1), groups=3).to(pixels.dtype)
