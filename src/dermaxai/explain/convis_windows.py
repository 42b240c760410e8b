"""Square windows over a photo with noise around it: where they lie, what the encoder sees in each, and how
what was found in them comes back to pixels and patches.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from dermaxai.explain.shared import Passes, read_pixels
from dermaxai.progress import beat

if TYPE_CHECKING:
    from dermaxai.encoders.base import AbstractEncoder


@dataclass(frozen=True, slots=True)
class WindowGrid:
    """Windows of several sizes at equal steps; only those that touch the photo, as no other can count.

    The grid begins at the corner of the canvas: the photo with a margin as wide as the largest window.
    """

    side: int
    """Of the photo, pixels."""
    sizes: tuple[int, ...]
    """Of the windows, pixels, the largest first."""
    stride: int
    """Pixels; not more than the smallest size."""

    @property
    def margin(self) -> int:
        """Pixels of noise on each side of the photo."""
        return self.sizes[0]

    def starts(self, size: int) -> Int[Tensor, "steps"]:
        """First rows (or columns) on the canvas of the windows of one size, along one axis."""
        every = torch.arange(0, self.side + 2 * self.margin, self.stride)
        return every[(every + size > self.margin) & (every < self.margin + self.side)]

    def corners(self) -> list[Int[Tensor, "windows 2"]]:
        """First row and column of every window, per size, row by row."""
        return [torch.cartesian_prod(starts, starts) for starts in map(self.starts, self.sizes)]

    def pixel_means(self, scores: Float[Tensor, "targets windows"]) -> Float[Tensor, "targets height width"]:
        """For each pixel of the photo the mean over all windows that cover it; windows as in `corners`."""
        total = scores.new_zeros(len(scores), self.side, self.side)
        count, first = scores.new_zeros(self.side, self.side), 0
        for covers in (self._covers(size).to(scores) for size in self.sizes):
            steps = len(covers)
            square = scores[:, first : first + steps**2].reshape(-1, steps, steps)
            total += covers.T @ square @ covers
            across = covers.sum(0)
            count += across[:, None] * across
            first += steps**2
        return total / count

    def _covers(self, size: int) -> Float[Tensor, "steps side"]:
        """1 where a window covers a row (or column) of the photo."""
        first = self.starts(size)[:, None] - self.margin
        pixel = torch.arange(self.side)
        return ((pixel >= first) & (pixel < first + size)).float()


def plan_windows(side: int, sizes: tuple[float, ...], step: float) -> WindowGrid:
    """The grid for a photo of `side` pixels; sizes and step are shares of it."""
    pixels = tuple(max(1, round(side * size)) for size in sizes)
    return WindowGrid(side, pixels, min(max(1, round(side * step)), min(pixels)))


def with_margin(
    encoder: AbstractEncoder, pixels: Float[Tensor, "1 3 side side"], margin: int, seed: int
) -> Float[Tensor, "3 canvas canvas"]:
    """The normalised photo amid uniform noise, drawn as RGB in 0..1; the same seed gives the same noise."""
    side = pixels.shape[-1] + 2 * margin
    noise = torch.rand(3, side, side, generator=torch.Generator().manual_seed(seed))
    mean, std = (torch.tensor(values)[:, None, None] for values in (encoder.card.mean, encoder.card.std))
    canvas = ((noise - mean) / std).to(pixels)
    canvas[:, margin : side - margin, margin : side - margin] = pixels[0]
    return canvas


def see_windows(
    encoder: AbstractEncoder, crops: Iterator[Float[Tensor, "batch 3 size size"]], dtype: Passes
) -> Float[Tensor, "windows embed"]:
    """Image embeddings of windows, each enlarged to the tower's input; unit length."""
    side = encoder.card.image_size
    seen = []
    for batch in crops:
        beat()
        # Bilinear weights sum to 1, so that enlarging before or after normalising is the same.
        large = functional.interpolate(batch, (side, side), mode="bilinear", align_corners=False)
        seen.append(read_pixels(encoder, large, dtype)[1])
    return torch.cat(seen)


def cut_windows(
    canvas: Float[Tensor, "3 height width"], corners: Int[Tensor, "windows 2"], size: int, batch: int
) -> Iterator[Float[Tensor, "some 3 size size"]]:
    """Windows of one size, `batch` at a time."""
    places = corners.tolist()
    for start in range(0, len(places), batch):
        some = places[start : start + batch]
        yield torch.stack([canvas[:, top : top + size, left : left + size] for top, left in some])


def cell_means(
    pixels: Float[Tensor, "targets height width"], grid: tuple[int, int], patch: int
) -> Float[Tensor, "targets n"]:
    """Mean over each patch; pixels that the patch grid leaves out (6 of 384 for SigLIP) count nowhere."""
    rows, columns = grid
    covered = pixels[:, : rows * patch, : columns * patch]
    return covered.reshape(-1, rows, patch, columns, patch).mean((2, 4)).flatten(1)
