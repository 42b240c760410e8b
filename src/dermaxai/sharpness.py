"""Whether a photo is blurred, at the size at which a model looks at it.

The question answered is that of whoever reads the caption: could the model see fine structures, such as a
network, dots or a sharp border? So it is asked of the centred square at 224 px, whatever the file's size.
A photo of few pixels that was enlarged is blurred if it holds fewer than those 224; blur that is finer than
a pixel of the square, though it may be seen on a large screen, is not asked about. Only its sharpest edges
(hair, pores, borders, bubbles) tell soft skin from skin out of focus: a photo without any is called blurred.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from dermaxai.colour import FRAME, to_frame
from dermaxai.types import Blur, SkinImage

if TYPE_CHECKING:
    from jaxtyping import Bool, Float64, UInt8

THRESHOLD = 0.45
"""Percent of the shorter side: one pixel of the square."""
LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in brightness: ITU-R BT.601."""

SMOOTHING = 1.0
"""Pixels of the square, standard deviation: what is taken off noise before anything is measured."""
SECOND_BLUR = 1.5
"""Pixels of the square, standard deviation."""
STRONGEST = 0.2
"""Share of the edges that are looked at, by their slope."""
OF_WHOLE, OF_TILES = 0.25, 0.5
"""Quantiles of the blur of those of the whole photo, and of those of its tiles."""
TILE = 32
"""Side of a tile, pixels of the square."""
LEAST_SLOPE = 0.5
"""Levels of 255 per pixel; what changes less is no edge."""
FEWEST = 10
"""Points of edges below which a part of the photo tells nothing."""
MOST = 20.0
"""Pixels of the square; wider blurs are all alike."""

DARK = 40
"""Brightness, of 255, of the dark corners of a dermoscope, which are no part of the skin."""
REACH = 20
"""Pixels of the square to which their shadow reaches."""
RIM = 4
"""Pixels at the rim of the square where slopes are not known."""


def check_blur(image: SkinImage) -> Blur:
    """How blurred a photo is, beside the limit."""
    return Blur(measure_blur(image.pixels), THRESHOLD)


def measure_blur(pixels: UInt8[np.ndarray, "height width 3"]) -> float:
    """The blur of a photo's edges, percent of its shorter side, 0 to 8.9.

    It is the standard deviation of the Gaussian that would make edges as soft from ideal ones. The photo is
    blurred once more, by a known amount: the sharper an edge was, the more its slope falls. Contrast and
    brightness drop out of that ratio. It is taken of the strongest edges of the whole photo, and of the
    strongest of each tile; the sharper answer counts. The first alone would take a dark lesion with a soft
    border for a blurred photo, the second alone smooth skin around a sharp lesion. Where edges lie
    closer to each other than the blur is wide, it comes out too small.

    Source: Zhuo & Sim 2011, Defocus map estimation from a single image, Pattern Recognition 44(9), 1852-1858,
    doi 10.1016/j.patcog.2011.03.009, equations 5 to 7: sigma = sigma0 / sqrt(R^2 - 1), R the ratio of slopes;
    here after a smoothing that is taken out of sigma again, and as a quantile over edges.
    """
    grey = to_frame(pixels) @ np.array(LUMA)
    slopes = _slopes(grey, SMOOTHING)
    again = _slopes(grey, float(np.hypot(SMOOTHING, SECOND_BLUR)))
    ratio = (slopes / np.maximum(again, 1e-9)) ** 2
    squares = SECOND_BLUR**2 / np.maximum(ratio - 1, 1e-9) - SMOOTHING**2
    widths = np.sqrt(np.clip(squares, 0.0, MOST**2))
    ridges = _ridges(slopes)
    skin = ridges & ~_corners(grey)
    if skin.sum() < FEWEST:
        skin = ridges
    looks = (_strongest(slopes, skin, FRAME), OF_WHOLE), (_strongest(slopes, skin, TILE), OF_TILES)
    answers = [np.quantile(widths[points], share) for points, share in looks if points.any()]
    return 100 * float(min(answers, default=MOST)) / FRAME


def _slopes(grey: Float64[np.ndarray, "side side"], spread: float) -> Float64[np.ndarray, "side side"]:
    """Length of the gradient of the picture blurred by `spread` pixels, levels per pixel."""
    down, across = (ndimage.gaussian_filter(grey, spread, order=order) for order in ((1, 0), (0, 1)))
    return np.asarray(np.hypot(down, across))


def _ridges(slopes: Float64[np.ndarray, "side side"]) -> Bool[np.ndarray, "side side"]:
    """Where a slope is the largest along its row or its column, and not lost in rounding."""
    ridges = np.zeros(slopes.shape, bool)
    for axis in (0, 1):
        ridges |= (slopes >= np.roll(slopes, 1, axis)) & (slopes >= np.roll(slopes, -1, axis))
    inner = np.zeros(slopes.shape, bool)
    inner[RIM:-RIM, RIM:-RIM] = True
    return np.asarray(ridges & inner & (slopes >= LEAST_SLOPE))


def _strongest(
    slopes: Float64[np.ndarray, "side side"], ridges: Bool[np.ndarray, "side side"], tile: int
) -> Bool[np.ndarray, "side side"]:
    """The steepest ridges of each square tile; tiles of few ridges are left out."""
    chosen = np.zeros(ridges.shape, bool)
    for top in range(0, FRAME, tile):
        for left in range(0, FRAME, tile):
            part = np.s_[top : top + tile, left : left + tile]
            if ridges[part].sum() >= FEWEST:
                least = np.quantile(slopes[part][ridges[part]], 1 - STRONGEST)
                chosen[part] = ridges[part] & (slopes[part] >= least)
    return chosen


def _corners(grey: Float64[np.ndarray, "side side"]) -> Bool[np.ndarray, "side side"]:
    """Dark parts that touch the rim of the square, with their shadow."""
    parts, _ = ndimage.label(grey < DARK)
    rim = np.unique(np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]]))
    corners = np.isin(parts, rim[rim > 0])
    if not corners.any():
        return corners
    return np.asarray(ndimage.distance_transform_edt(~corners) < REACH)
