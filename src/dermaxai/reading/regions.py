"""Places that a reader marks in a photo: brush strokes, boxes, points and polygons.

A region travels as JSON, {"kind": "brush", "points": [[x, y], …], "radius": 12}, in photo pixels: x to the
right, y down, (0, 0) the corner of the first pixel. A box has two opposite corners, a stroke of the brush one
point or more and a radius, a polygon three points or more, a point one. Points say where, not how much: they
have no area.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Bool, Float
from PIL import Image, ImageDraw

from dermaxai.errors import ShapeError, UsageError
from dermaxai.geometry import Placement

Kind = Literal["brush", "box", "point", "polygon"]
Point = tuple[float, float]
Mask = Bool[np.ndarray, "height width"]
Cells = Float[np.ndarray, "rows columns"]

REGIONS = 64
"""At most, in one answer."""
POINTS = 4000
"""At most, of all regions of one answer together."""
TOLERANCE = 1.0
"""Photo pixels by which a point may lie outside the photo; it is moved to the border."""
DIGITS = 1
"""Behind the point, of stored coordinates."""
_FEWEST = {"brush": 1, "box": 2, "point": 1, "polygon": 3}
_MOST = {"brush": POINTS, "box": 2, "point": 1, "polygon": POINTS}


@dataclass(frozen=True, slots=True)
class Region:
    """One marked place."""

    kind: Kind
    points: tuple[Point, ...]
    """(x, y) in photo pixels."""
    radius: float = 0.0
    """Of the brush, photo pixels; 0 for the other kinds."""


def read_regions(document: object, height: int, width: int) -> tuple[Region, ...]:
    """Regions from JSON, checked against the photo's size.

    Raises: UsageError naming the region that is not one, lies outside the photo, or is one too many.
    """
    if not isinstance(document, Sequence) or isinstance(document, str | bytes):
        raise UsageError("Regions are a list.", hint='Such as [{"kind": "point", "points": [[12, 30]]}].')
    if len(document) > REGIONS:
        raise UsageError(f"An answer has at most {REGIONS} regions, not {len(document)}.")
    regions = tuple(_read(entry, number, height, width) for number, entry in enumerate(document, 1))
    if (points := sum(len(region.points) for region in regions)) > POINTS:
        raise UsageError(f"The regions of an answer have at most {POINTS} points, not {points}.")
    return regions


def write_regions(regions: Sequence[Region]) -> list[dict[str, Any]]:
    """Regions as JSON, which `read_regions` reads back."""
    return [
        {"kind": region.kind, "points": [list(point) for point in region.points]}
        | ({"radius": region.radius} if region.kind == "brush" else {})
        for region in regions
    ]


def draw_mask(regions: Sequence[Region], height: int, width: int, longest: int = 0) -> Mask:
    """Pixels of the photo inside any region; points have no area.

    `longest`: pixels on the longer side of the mask where that is less than the photo's; 0 for the photo's
    own size.
    """
    scale = min(1.0, longest / max(height, width)) if longest else 1.0
    tall, wide = max(1, round(height * scale)), max(1, round(width * scale))
    across, down = wide / width, tall / height
    mask = np.zeros((tall, wide), bool)
    for region in regions:
        points = [(x * across, y * down) for x, y in region.points]
        if region.kind == "box":
            _fill(mask, _corners(points))
        elif region.kind == "polygon":
            _fill(mask, points)
        elif region.kind == "brush":
            _stroke(mask, points, region.radius * (across + down) / 2)
    return mask


def area_share(mask: Mask) -> float:
    """The share of the photo inside, 0 to 1."""
    return float(mask.mean()) if mask.size else 0.0


def dice(first: Mask, second: Mask) -> float | None:
    """How far two masks are the same place, 0 to 1; None where both are empty, which no overlap can tell.

    Raises: ShapeError for masks of different sizes.
    Source: Dice (1945), Ecology 26, 297-302, coincidence index: twice the common area over both areas.
    """
    if first.shape != second.shape:
        raise ShapeError(f"Masks of {first.shape} and {second.shape} pixels cannot be compared.")
    both = int(first.sum()) + int(second.sum())
    return 2 * int((first & second).sum()) / both if both else None


def cover(place: Placement, grid: tuple[int, int], mask: Mask) -> Cells:
    """The exact part of each cell of a map that a mask of the whole photo covers, 0 to 1.

    The mask may have any resolution; outside the photo there is no mask.
    """
    down, across = mask.shape[0] / place.height, mask.shape[1] / place.width
    tall = _overlaps(place.top * down, place.covered_height * down, grid[0], mask.shape[0])
    wide = _overlaps(place.left * across, place.covered_width * across, grid[1], mask.shape[1])
    parts: Cells = tall @ mask.astype(np.float64) @ wide.T
    return parts


def energy_share(values: Float[np.ndarray, "rows columns"], covered: Cells) -> float | None:
    """The share of a map's positive energy where `cover` has marked it, 0 to 1.

    None for a map that is nowhere positive, and where the encoder sees nothing of the mask.
    Source: energy-based pointing game, Score-CAM (arXiv:1910.01279), section 4.3.
    """
    positive = np.maximum(values.astype(np.float64), 0)
    if not covered.any() or not positive.sum() > 0:
        return None
    return float((positive * covered).sum() / positive.sum())


@functools.lru_cache(maxsize=256)
def _overlaps(start: float, length: float, cells: int, pixels: int) -> Cells:
    """What part of each cell lies in each pixel, along one axis."""
    edges = start + np.arange(cells + 1) * (length / cells)
    pixel = np.arange(pixels)
    inside = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    parts: Cells = np.clip(inside, 0, None) * (cells / length)
    return parts


def _corners(points: Sequence[Point]) -> list[Point]:
    (left, top), (right, bottom) = points
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def _fill(mask: Mask, points: Sequence[Point]) -> None:
    """Mark the pixels whose centres lie inside a closed line, by the even-odd rule."""
    turns = np.zeros((mask.shape[0], mask.shape[1] + 1), np.int32)
    for (x, y), (other_x, other_y) in zip(points, [*points[1:], points[0]], strict=True):
        first, last = (math.ceil(end - 0.5) for end in sorted((y, other_y)))
        rows = np.arange(max(first, 0), min(last, mask.shape[0]))
        if rows.size:
            crossed = x + (rows + 0.5 - y) * ((other_x - x) / (other_y - y))
            columns = np.ceil(crossed - 0.5).astype(np.int64).clip(0, mask.shape[1])
            turns[rows, columns] += 1
    mask |= (turns.cumsum(1)[:, :-1] % 2).astype(bool)


def _stroke(mask: Mask, points: Sequence[Point], radius: float) -> None:
    """Mark what a round brush covers on its way along the points."""
    canvas = Image.new("1", (mask.shape[1], mask.shape[0]))
    pen = ImageDraw.Draw(canvas)
    # Pillow counts from the centres of pixels.
    centres = [(x - 0.5, y - 0.5) for x, y in points]
    if len(centres) > 1:
        pen.line(centres, fill=1, width=max(1, round(2 * radius)))
    for x, y in centres:
        pen.ellipse([x - radius, y - radius, x + radius, y + radius], fill=1)
    mask |= np.array(canvas, dtype=bool)


def _read(entry: object, number: int, height: int, width: int) -> Region:
    if not isinstance(entry, dict) or entry.get("kind") not in get_args(Kind):
        raise UsageError(f"Region {number} has no kind.", hint=f"It is one of {', '.join(get_args(Kind))}.")
    if unknown := sorted(set(map(str, entry)) - {"kind", "points", "radius"}):
        raise UsageError(f"Region {number} has a field '{unknown[0]}', which no region has.")
    kind: Kind = entry["kind"]
    points = _read_points(entry.get("points"), kind, number, (width, height))
    radius = _read_radius(entry.get("radius", 0), kind, number, max(height, width))
    if kind == "box" and (points[0][0] == points[1][0] or points[0][1] == points[1][1]):
        raise UsageError(f"Region {number}, a box, has no area.", hint="Draw it from corner to corner.")
    if kind == "polygon" and len(set(points)) < 3:
        raise UsageError(f"Region {number}, a polygon, has less than three different points.")
    return Region(kind, points, radius)


def _read_points(given: object, kind: Kind, number: int, size: tuple[int, int]) -> tuple[Point, ...]:
    fewest, most = _FEWEST[kind], _MOST[kind]
    if not isinstance(given, list | tuple) or not fewest <= len(given) <= most:
        asked = str(fewest) if fewest == most else f"{fewest} to {most}"
        raise UsageError(f"Region {number}, a {kind}, needs {asked} points [x, y].")
    return tuple(_read_point(point, number, size) for point in given)


def _read_point(given: object, number: int, size: tuple[int, int]) -> Point:
    if not isinstance(given, list | tuple) or len(given) != 2 or not all(map(_is_number, given)):
        raise UsageError(f"Region {number} has a point that is not two finite numbers [x, y].")
    found = []
    for value, end in zip(given, size, strict=True):
        if not -TOLERANCE <= value <= end + TOLERANCE:
            raise UsageError(
                f"Region {number} has a point at {given[0]:g}, {given[1]:g}, outside the photo.",
                hint=f"The photo is {size[0]} pixels wide and {size[1]} high.",
            )
        found.append(round(min(max(float(value), 0.0), float(end)), DIGITS))
    return found[0], found[1]


def _read_radius(given: Any, kind: Kind, number: int, longest: int) -> float:  # noqa: ANN401 - of a request
    if kind != "brush":
        return 0.0
    if not _is_number(given) or not 0.5 <= given <= longest / 2:
        raise UsageError(f"Region {number}, a brush, needs a radius of 0.5 to {longest / 2:g} photo pixels.")
    return round(float(given), DIGITS)


def _is_number(value: object) -> bool:
    """A finite number; true and false are none, nor is a whole number that no float can hold."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) < 1e9 and not math.isnan(value)
