"""Views of a photo: itself, and augmented ones that keep every stated fact true.

View 0 is the photo as the encoder prepares it. View 1, 2, … are turned, mirrored, zoomed, shifted, and lit
otherwise. Each depends on the seed, its number and the photo's hash, and on nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor
from torch.nn import functional

from dermaxai.data.appearance import FRAME, segment

if TYPE_CHECKING:
    from dermaxai.encoders.base import AbstractEncoder
    from dermaxai.encoders.cards import EncoderCard
    from dermaxai.types import SkinImage

MASK_SIDE = 56
"""Cells of the stored lesion coverage, along each side."""


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """One view of a photo, ready for the encoder."""

    number: int
    pixels: Float[Tensor, "3 height width"]
    """Normalised."""
    coverage: float
    """Share of the view that the lesion covers, 0 to 1; NaN where it was not measured."""


def make_views(
    image: SkinImage, numbers: Sequence[int], encoder: AbstractEncoder, seed: int, *, measured: bool
) -> list[View]:
    """The views of these numbers; `measured` outlines the lesion of a dermoscopic photo for their coverage.

    View 0 has no coverage: the manifest measures the photo itself.
    """
    if any(numbers):
        square = _square(image.pixels, encoder.card)
        cells = lesion_cells(image.pixels) if measured else None
    views = []
    for number in numbers:
        if number:
            generator = view_generator(seed, number, image.sha256)
            views.append(_moved(number, square, cells, generator, encoder.card))
        else:
            views.append(View(0, encoder.preprocess(image)[0], float("nan")))
    return views


def view_generator(seed: int, view: int, sha256: str) -> torch.Generator:
    """The source of everything that is drawn for one view of one photo."""
    digest = hashlib.sha256(f"{seed}/{view}/{sha256}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)


def lesion_cells(pixels: UInt8[np.ndarray, "h w 3"]) -> UInt8[Tensor, "56 56"] | None:
    """Lesion coverage of each cell of the centred square, 0 to 255; None where no lesion is found."""
    mask = segment(pixels).mask
    if not mask.any():
        return None
    step = FRAME // MASK_SIDE
    cells = mask.reshape(MASK_SIDE, step, MASK_SIDE, step).mean(axis=(1, 3))
    return torch.from_numpy(np.rint(cells * 255).astype(np.uint8))


def _square(pixels: UInt8[np.ndarray, "h w 3"], card: EncoderCard) -> UInt8[Tensor, "3 side side"]:
    """The photo's centred square, as wide as the encoder wants photos before it crops them."""
    (height, width), side = pixels.shape[:2], card.resize_to
    short = min(height, width)
    left, top = (width - short) / 2, (height - short) / 2
    photo = Image.fromarray(np.ascontiguousarray(pixels))
    box = (left, top, left + short, top + short)
    square = photo.resize((side, side), Image.Resampling[card.interpolation.upper()], box)
    return torch.from_numpy(np.array(square)).permute(2, 0, 1)


def _moved(
    number: int,
    square: UInt8[Tensor, "3 side side"],
    cells: UInt8[Tensor, "56 56"] | None,
    generator: torch.Generator,
    card: EncoderCard,
) -> View:
    masks = torch.zeros(1, MASK_SIDE, MASK_SIDE, dtype=torch.uint8) if cells is None else cells[None]
    pixels, coverage = augment(square[None], masks, generator)
    share = float("nan") if cells is None else float(coverage.mean())
    rim = (card.resize_to - card.image_size) // 2
    seen = slice(rim, rim + card.image_size)
    mean, std = (torch.tensor(values)[:, None, None] for values in (card.mean, card.std))
    return View(number, ((pixels[0][:, seen, seen] - mean) / std).contiguous(), share)


def augment(
    photos: UInt8[Tensor, "b 3 s s"], masks: UInt8[Tensor, "b 56 56"], generator: torch.Generator
) -> tuple[Float[Tensor, "b 3 s s"], Float[Tensor, "b 56 56"]]:
    """Random turns, mirrors, zoom and shifts of photo and mask alike, then light and colour gains.

    Returns pixels in [0, 1] and the moved lesion coverage in [0, 1], from which the size word is read again.
    """
    count = len(photos)

    def draw(low: float, high: float) -> Float[Tensor, "b"]:
        return torch.rand(count, generator=generator) * (high - low) + low

    angle = draw(-0.35, 0.35) + torch.randint(4, (count,), generator=generator) * (torch.pi / 2)
    mirror = torch.randint(2, (count,), generator=generator) * 2.0 - 1
    zoom = draw(0.72, 1.06)
    cosine, sine = torch.cos(angle) * zoom, torch.sin(angle) * zoom
    matrix = torch.stack(
        [
            torch.stack([cosine * mirror, -sine, draw(-0.1, 0.1)], dim=1),
            torch.stack([sine * mirror, cosine, draw(-0.1, 0.1)], dim=1),
        ],
        dim=1,
    )
    pixels = _move(photos.float() / 255, matrix)
    coverage = _move(masks[:, None].float() / 255, matrix)[:, 0]
    gain = draw(0.75, 1.25)[:, None, None, None] * (
        1 + 0.1 * torch.randn(count, 3, 1, 1, generator=generator)
    )
    mean = pixels.mean(dim=(1, 2, 3), keepdim=True)
    contrast = draw(0.75, 1.3)[:, None, None, None]
    grey = pixels.mean(dim=1, keepdim=True)
    pixels = grey + (pixels - grey) * draw(0.7, 1.3)[:, None, None, None]
    return (((pixels - mean) * contrast + mean) * gain).clamp(0, 1), coverage


def _move(planes: Float[Tensor, "b c s s"], matrix: Float[Tensor, "b 2 3"]) -> Float[Tensor, "b c s s"]:
    grid = functional.affine_grid(matrix, list(planes.shape), align_corners=False)
    return functional.grid_sample(planes, grid, padding_mode="reflection", align_corners=False)
