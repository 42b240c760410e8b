"""What lies between skin and camera: dark borders, rulers and hairs, found by simple measured rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from jaxtyping import Bool, UInt8
from PIL import Image
from scipy import ndimage

from dermaxai.measure.dark_lines import darkness_of_lines, long_lines
from dermaxai.measure.ruler_finding import find_ruler
from dermaxai.types import SkinImage

Artefact = Literal["border", "ruler", "hair"]
ARTEFACTS: tuple[Artefact, ...] = get_args(Artefact)
Mask = Bool[np.ndarray, "height width"]
Grey = UInt8[np.ndarray, "height width"]

SHORT_SIDE = 400
"""Photos are brought to this short side, pixels, so that one set of lengths fits all."""
LONGEST_SIDE = 3
"""Of a photo, in short sides; the rest of a longer one is not searched."""
DARK_LINE = 14
"""Levels of 255 by which a line is darker than what surrounds it."""
LENGTH, FILLED = 41, 0.8
"""Of a straight piece of a line, pixels, and the share of it that must be dark."""
REACH, DARK_HAIR = 40, 20
"""A hair goes so far, pixels, and is by so many levels darker in the mean: nets of pigment are not."""
BLACK, DIM = 0.25, 0.5
"""Light of a border, as shares of the light in the middle: somewhere at the rim, and everywhere."""
BESIDE_BORDER = 9
"""Lines so near to a border, pixels, are its own."""


@dataclass(frozen=True, slots=True, eq=False)
class _Searched:
    """A photo at the size at which it is searched."""

    light: Grey
    darkness: Grey
    dark: Mask


def find_artefacts(image: SkinImage) -> dict[Artefact, Mask]:
    """Masks of the photo's size, one per kind, all False where there is none.

    `border`: dark corners and frames, where less than half of the light comes through; `ruler`: the ink of
    ticks and of the line they stand on; `hair`: dark thin lines that are no ruler. Light hairs and light
    rulers, ink, stickers, gel and glints are not looked for, and very thick or very faint hairs are missed.
    How good they are on phantoms and photos is in docs/map_metrics.md.
    Source: DullRazor (doi 10.1016/S0010-4825(97)00020-6) for hairs; the others own.
    """
    searched = _search(image.pixels)
    border = find_border(searched.light)
    lines = long_lines(searched.dark, LENGTH, FILLED)
    around = border
    if border.any():
        around = ndimage.binary_dilation(border, iterations=BESIDE_BORDER)
    ruler = find_ruler(searched.darkness, lines & ~around, searched.dark & ~border)
    near_ruler = ndimage.binary_dilation(ruler, iterations=2) if ruler.any() else ruler
    hair = find_hair(searched.darkness, lines & ~near_ruler & ~around)
    found: dict[Artefact, Mask] = {"border": border, "ruler": ruler, "hair": hair}
    height, width = image.pixels.shape[:2]
    return {kind: _resized(mask, height, width) for kind, mask in found.items()}


def find_border(light: Grey) -> Mask:
    """Dark corners, and frames along whole sides: dim areas that reach a corner and are black at the rim."""
    middle = light[light.shape[0] // 4 : -(light.shape[0] // 4), light.shape[1] // 4 : -(light.shape[1] // 4)]
    usual = float(np.median(middle))
    even = ndimage.uniform_filter(light, 5, mode="nearest")
    labels, count = ndimage.label(even < DIM * usual)
    if not count:
        return np.zeros(light.shape, bool)
    corners = {int(labels[row, column]) for row in (0, -1) for column in (0, -1)} - {0}
    black = even < BLACK * usual
    black[1:-1, 1:-1] = False
    at_rim = set(np.unique(labels[black]).tolist())
    return np.isin(labels, sorted(corners & at_rim))


def find_hair(darkness: Grey, lines: Mask) -> Mask:
    """Of long dark lines, those that hang together over `REACH` pixels and are dark enough."""
    labels, count = ndimage.label(lines, np.ones((3, 3)))
    if not count:
        return lines
    mean = ndimage.mean(darkness, labels, np.arange(1, count + 1))
    sizes = [[side.stop - side.start for side in place] for place in ndimage.find_objects(labels)]
    kept = (np.hypot(*np.array(sizes, float).T) >= REACH) & (mean >= DARK_HAIR)
    return np.asarray(np.r_[False, kept][labels])


def _search(pixels: UInt8[np.ndarray, "height width 3"]) -> _Searched:
    height, width = pixels.shape[:2]
    scale = SHORT_SIDE / min(height, width)
    size = tuple(min(round(side * scale), LONGEST_SIDE * SHORT_SIDE) for side in (width, height))
    way = Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC
    photo = Image.fromarray(np.ascontiguousarray(pixels)).resize((size[0], size[1]), way)
    light = (np.asarray(photo).sum(2, dtype=np.uint16) // 3).astype(np.uint8)
    darkness = darkness_of_lines(light)
    return _Searched(light, darkness, darkness > DARK_LINE)


def _resized(mask: Mask, height: int, width: int) -> Mask:
    if mask.shape == (height, width):
        return mask
    drawn = Image.fromarray(mask.astype(np.uint8)).resize((width, height), Image.Resampling.NEAREST)
    return np.asarray(drawn).astype(bool)
