"""Small pictures of a case for paper and lists: its photo, and its photo with a map on it."""

from __future__ import annotations

import base64
import io
from dataclasses import replace

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from dermaxai.overlay import draw_overlay
from dermaxai.types import HeatMap, SkinImage

QUALITY = 86
OPACITY = 0.75


def shrink(image: SkinImage, side: int) -> SkinImage:
    """The photo with its longer side at most `side` pixels; itself where it is no larger."""
    height, width = image.pixels.shape[:2]
    if max(height, width) <= side:
        return image
    picture = Image.fromarray(np.ascontiguousarray(image.pixels))
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    return replace(image, pixels=np.asarray(picture))


def draw_small(small: SkinImage, heat: HeatMap) -> UInt8[np.ndarray, "height width 3"]:
    """The map over a photo that `shrink` made: each cell lies over the same part of it.

    The photo is grey: on a small picture of red skin nobody could tell a red map from the skin.
    Raises: DataError if a value of the map is not finite.
    """
    return draw_overlay(_in_grey(small), _fit(heat, small), opacity=OPACITY)


def as_address(pixels: UInt8[np.ndarray, "height width 3"], quality: int = QUALITY) -> str:
    """A picture as a data address, JPEG, nothing but pixels; the same pixels give the same text."""
    buffer = io.BytesIO()
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    picture.save(buffer, "JPEG", quality=quality, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def _in_grey(image: SkinImage) -> SkinImage:
    grey = np.asarray(Image.fromarray(np.ascontiguousarray(image.pixels)).convert("L"))
    return replace(image, pixels=np.repeat(grey[..., None], 3, axis=-1))


def _fit(heat: HeatMap, small: SkinImage) -> HeatMap:
    height, width = small.pixels.shape[:2]
    place = heat.placement
    down, across = height / place.height, width / place.width
    return replace(
        heat,
        placement=replace(
            place,
            height=height,
            width=width,
            top=place.top * down,
            left=place.left * across,
            covered_height=place.covered_height * down,
            covered_width=place.covered_width * across,
        ),
    )
