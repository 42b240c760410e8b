"""How much of a map lies where it should: energy inside a mask, against the mask's share of the area."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float

from dermaxai.errors import ShapeError
from dermaxai.types import HeatMap


def energy_inside(heat: HeatMap, mask: Bool[np.ndarray, "height width"]) -> tuple[float, float]:
    """(share of the map's positive energy inside the mask, share of the map's area inside it), 0 to 1.

    A map that knows nothing has equal shares. Each cell counts by the exact part of it that the mask
    covers; what the map does not cover of the photo counts nowhere. Without positive values, or outside
    the mask, the energy is 0.

    Raises: ShapeError if the mask is not of the photo's size.
    Source: energy-based pointing game, Score-CAM (arXiv:1910.01279), section 4.3.
    """
    covered = mask_share(heat, mask)
    return energy_on(heat, covered), float(covered.mean())


def points_inside(heat: HeatMap, mask: Bool[np.ndarray, "height width"]) -> float:
    """Pointing game: the share of the hottest cell that the mask covers, 0 to 1; ties are averaged.

    A map that is nowhere positive points nowhere: 0. Raises: ShapeError, as `energy_inside`.
    Source: excitation backprop (arXiv:1608.00507), section 4.2, with cells instead of pixels.
    """
    return points_on(heat, mask_share(heat, mask))


def energy_on(heat: HeatMap, covered: Float[np.ndarray, "rows columns"]) -> float:
    """`energy_inside`, of cells whose covered part is known."""
    positive = np.maximum(heat.values.astype(np.float64), 0)
    total = positive.sum()
    return float((positive * covered).sum() / total) if total > 0 else 0.0


def points_on(heat: HeatMap, covered: Float[np.ndarray, "rows columns"]) -> float:
    """`points_inside`, of cells whose covered part is known."""
    peak = heat.values.max()
    return float(covered[heat.values == peak].mean()) if peak > 0 else 0.0


def mask_share(heat: HeatMap, mask: Bool[np.ndarray, "height width"]) -> Float[np.ndarray, "rows columns"]:
    """The part of each cell that the mask covers, 0 to 1; outside the photo there is no mask."""
    place = heat.placement
    if mask.shape != (place.height, place.width):
        raise ShapeError(
            f"The map was made for a photo of {place.height} x {place.width} pixels, "
            f"the mask has {' x '.join(map(str, mask.shape))}."
        )
    rows, columns = heat.values.shape
    down = _overlaps(place.top, place.covered_height, rows, place.height)
    across = _overlaps(place.left, place.covered_width, columns, place.width)
    share: Float[np.ndarray, "rows columns"] = down @ mask.astype(np.float64) @ across.T
    return share


def _overlaps(start: float, length: float, cells: int, pixels: int) -> Float[np.ndarray, "cells pixels"]:
    """What part of each cell lies in each pixel, along one axis."""
    edges = start + np.arange(cells + 1) * (length / cells)
    pixel = np.arange(pixels)
    inside = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    parts: Float[np.ndarray, "cells pixels"] = np.clip(inside, 0, None) * (cells / length)
    return parts
