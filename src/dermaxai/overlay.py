"""Heat maps drawn over their photo: pixels for any screen, figures for paper.

Drawing never changes numbers: raw cells stay in the `HeatMap`, and the range used is on every colour bar.
Unsigned maps wear viridis, signed maps blue-white-red. The layer fades with the absolute value, so that where
a map says nothing the photo is left as it is. A map without any evidence is hatched, not coloured.
"""

from __future__ import annotations

import base64
import functools
import json
from dataclasses import dataclass
from importlib import resources
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float32, UInt8

from dermaxai.errors import DataError, SettingError, ShapeError
from dermaxai.geometry import Placement
from dermaxai.types import Case, HeatMap, SkinImage

Kind = Literal["auto", "unsigned", "signed"]
Range = tuple[float, float]
Doubt = Literal["", "little", "wrong"]
ColourName = Literal["viridis", "cividis", "diverging"]

OPACITY = 0.55
FULL_AT = 0.6
"""Share of the range from which the layer has its full opacity."""
NEGLIGIBLE = 1e-3
"""Negative values smaller than this share of the largest are rounding, not a sign."""
HATCH = 12
"""Photo pixels between two hatching lines, at a photo of 600 pixels."""
WORD_NATS = "word log-probability"
"""Scalar of the maps whose values may be added up and compared with `Evidence.nats`."""
LEAST_SHARE = 0.2
"""Of a word's evidence; a map that adds up to less is shown with a caution."""


@dataclass(frozen=True, slots=True)
class MapSummary:
    """A map in words: where it is hottest, and how concentrated."""

    region: str
    """'upper_left' … 'middle' … 'lower_right' of the photo; '' without positive values."""
    share: float
    """Of the positive energy, in the hottest cells; 0 to 1."""
    area: float
    """Share of the grid those cells are; the next above a tenth that whole cells allow."""


@dataclass(frozen=True, slots=True)
class Account:
    """What the values of a word's map add up to, beside the word's evidence; both in nats."""

    told: float
    nats: float

    @property
    def doubt(self) -> Doubt:
        """'little' below `LEAST_SHARE` of the evidence, 'wrong' if the signs differ; else ''."""
        if abs(self.told) < LEAST_SHARE * abs(self.nats):
            return "little"
        return "wrong" if self.told * self.nats < 0 else ""


def draw_overlay(
    image: SkinImage,
    heat: HeatMap,
    *,
    opacity: float = OPACITY,
    value_range: Range | None = None,
    kind: Kind = "auto",
) -> UInt8[np.ndarray, "height width 3"]:
    """The photo with the map on it, in photo pixels.

    `opacity` 0 to 1 is that of the strongest value; `value_range` (low, high) in the map's own unit, by
    default (0, largest) for unsigned and (-largest, largest) for signed maps. Pixels outside the covered
    rectangle, and where the value is zero, are those of the photo.

    Raises: ShapeError if the map belongs to a photo of another size; DataError if a value is not finite.
    """
    layer = draw_layer(image, heat, opacity=opacity, value_range=value_range, kind=kind)
    alpha = layer[..., 3:].astype(np.float32) / 255
    blended = image.pixels * (1 - alpha) + layer[..., :3] * alpha
    return np.rint(blended).astype(np.uint8)


def draw_layer(
    image: SkinImage,
    heat: HeatMap,
    *,
    opacity: float = OPACITY,
    value_range: Range | None = None,
    kind: Kind = "auto",
) -> UInt8[np.ndarray, "height width 4"]:
    """The map alone as an RGBA layer of the photo's size; arguments and errors as in `draw_overlay`."""
    if not 0 <= opacity <= 1:
        raise SettingError(f"Opacity is between 0 and 1, not {opacity}.")
    height, width = image.pixels.shape[:2]
    if (heat.placement.height, heat.placement.width) != (height, width):
        raise ShapeError(
            f"The map was made for a photo of {heat.placement.height} x {heat.placement.width} pixels, "
            f"this one has {height} x {width}.",
            hint="Draw it over the photo of its own case.",
        )
    signed = is_signed(heat) if kind == "auto" else kind == "signed"
    low, high = value_range or own_range(heat, signed=signed)
    if is_empty(heat):
        return _hatch(covered(heat), opacity)
    strength = _strength(upsample(heat), low, high, signed=signed)
    table = colour_table("diverging" if signed else "viridis")
    place = strength * 127.5 + 127.5 if signed else strength * 255
    layer = np.zeros((height, width, 4), np.uint8)
    layer[..., :3] = table[np.rint(place).astype(np.uint8)]
    alpha = np.minimum(np.abs(strength) / FULL_AT, 1) * opacity
    layer[..., 3] = np.rint(np.where(covered(heat), alpha, 0) * 255)
    return layer


def is_signed(heat: HeatMap) -> bool:
    """Whether the map speaks against its target somewhere; rounding below zero does not count."""
    return bool(heat.values.min() < -NEGLIGIBLE * _largest(heat))


def is_empty(heat: HeatMap) -> bool:
    """Whether the map says nothing at all: every value zero. Raises: DataError if one is not finite."""
    return _largest(heat) == 0


def own_range(heat: HeatMap, *, signed: bool) -> Range:
    """(low, high) that the map fills by itself: from zero, or the same distance to both sides of it."""
    largest = _largest(heat)
    return (-largest if signed else 0.0), largest


def upsample(heat: HeatMap) -> Float32[np.ndarray, "height width"]:
    """Values at every photo pixel, bilinear between cell centres; meaningless outside `covered`."""
    place = heat.placement
    rows, columns = heat.values.shape
    down = _weights(place.height, place.top, place.covered_height, rows)
    across = _weights(place.width, place.left, place.covered_width, columns)
    drawn: Float32[np.ndarray, "height width"] = down @ heat.values.astype(np.float32) @ across.T
    return drawn


def covered(heat: HeatMap) -> Bool[np.ndarray, "height width"]:
    """Photo pixels whose centre lies in the rectangle that the patch grid covers."""
    place = heat.placement
    y, x = np.arange(place.height) + 0.5, np.arange(place.width) + 0.5
    inside_y = (y >= place.top) & (y < place.top + place.covered_height)
    inside_x = (x >= place.left) & (x < place.left + place.covered_width)
    both: Bool[np.ndarray, "height width"] = inside_y[:, None] & inside_x[None, :]
    return both


def summarise(heat: HeatMap) -> MapSummary:
    """Where the hottest cell lies in the photo, and the share of positive energy in the hottest tenth."""
    positive = np.clip(heat.values, 0, None).astype(np.float64).ravel()
    count = hottest_count(positive.size)
    area = count / positive.size
    if not positive.sum() > 0:
        return MapSummary("", 0.0, area)
    row, column = divmod(int(positive.argmax()), heat.values.shape[1])
    top, left, bottom, right = heat.placement.cell(row, column, heat.values.shape)
    third_y = min(max(int((top + bottom) / 2 / heat.placement.height * 3), 0), 2)
    third_x = min(max(int((left + right) / 2 / heat.placement.width * 3), 0), 2)
    names = ("upper", "", "lower")[third_y], ("left", "", "right")[third_x]
    region = "_".join(filter(None, names)) or "middle"
    share = np.sort(positive)[::-1][:count].sum() / positive.sum()
    return MapSummary(region, float(share), area)


def account_for(case: Case, heat: HeatMap) -> Account | None:
    """What the values of `heat` account for.

    None where they are no nats of one word: another scalar, a contrast, a word whose evidence is not known.
    """
    target = heat.target
    if (target.kind, target.against, heat.scalar) != ("word", None, WORD_NATS):
        return None
    nats = next((entry.nats for entry in case.evidence if entry.word == target.word), None)
    return None if nats is None else Account(float(heat.values.sum(dtype=np.float64)), nats)


def seen_share(place: Placement) -> float:
    """Share of the photo's area that the model saw, 0 to 1."""
    return place.covered_height * place.covered_width / (place.height * place.width)


def hottest_count(cells: int) -> int:
    """Cells in the hottest tenth, rounded up.

    >>> hottest_count(196)
    20
    """
    return -(-cells // 10)


@functools.cache
def colour_table(name: ColourName) -> UInt8[np.ndarray, "256 3"]:
    """256 colours, sRGB."""
    return np.frombuffer(bytes.fromhex(_colours()[name]["hex"]), np.uint8).reshape(256, 3)


def pack_colours() -> dict[str, str]:
    """Every table for the page: base64 of its colours, each less the one before it; that deflates well."""
    tables = {name: colour_table(name) for name in _colours()}
    return {
        name: base64.b64encode(np.diff(table, axis=0, prepend=np.uint8(0)).tobytes()).decode("ascii")
        for name, table in tables.items()
    }


@functools.cache
def _colours() -> dict[ColourName, dict[str, str]]:
    text = resources.files("dermaxai").joinpath("web/colours.json").read_text("utf-8")
    found: dict[ColourName, dict[str, str]] = json.loads(text)
    return found


def _largest(heat: HeatMap) -> float:
    largest = float(np.abs(heat.values).max(initial=0))
    if not np.isfinite(largest):
        raise DataError(
            f"The map '{heat.method}' of '{heat.target.text}' holds values that are not finite numbers.",
            hint="Explain the photo again, in fp32.",
        )
    return largest


def _strength(
    values: Float32[np.ndarray, "height width"], low: float, high: float, *, signed: bool
) -> Float32[np.ndarray, "height width"]:
    """Values as a share of the range: 0 to 1, or -1 to 1 around zero."""
    if not high > low:
        raise SettingError(f"A range goes from low to high, not from {low} to {high}.")
    if signed:
        return np.clip(values / max(abs(low), abs(high)), -1, 1)
    return np.clip((values - low) / (high - low), 0, 1)


def _weights(pixels: int, start: float, length: float, cells: int) -> Float32[np.ndarray, "pixels cells"]:
    """How much each cell of one axis adds to each pixel; rows sum to 1."""
    centre = (np.arange(pixels) + 0.5 - start) / length * cells - 0.5
    centre = np.clip(centre, 0, cells - 1)
    near = np.minimum(centre.astype(np.intp), max(cells - 2, 0))
    share = (centre - near).astype(np.float32)
    weights = np.zeros((pixels, cells), np.float32)
    weights[np.arange(pixels), near] = 1 - share
    if cells > 1:
        weights[np.arange(pixels), near + 1] = share
    return weights


def _hatch(where: Bool[np.ndarray, "height width"], opacity: float) -> UInt8[np.ndarray, "height width 4"]:
    """Thin grey diagonals."""
    height, width = where.shape
    y, x = np.ogrid[:height, :width]
    step = max(6, round(HATCH * max(height, width) / 600))
    lines = ((y + x) % step < max(1, step // 8)) & where
    layer = np.zeros((height, width, 4), np.uint8)
    layer[lines] = (245, 245, 242, round(255 * opacity))
    return layer
