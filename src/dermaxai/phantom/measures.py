"""What the drawn outline really is: a phantom is accepted only when these agree with its plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from jaxtyping import Bool, Float64

AXES = 18
RAYS = 180


def mirror_overlap(mask: Bool[np.ndarray, "height width"]) -> float:
    """How well a shape covers its mirror image over two perpendicular axes, 0 to 1 (1 symmetric).

    Intersection over union, the worse of the two axes, for the best of 18 positions of the axes through
    the centroid: the axes are laid as kindly as possible.

    Source: the two-axes rule of the ABCD rule (Stolz 1994), letter A, outline only.

    >>> bool(mirror_overlap(np.ones((20, 30), dtype=bool)) > 0.95)
    True
    """
    points = _points(mask)
    centre = points.mean(axis=0)
    angles = np.arange(2 * AXES) * np.pi / (2 * AXES)
    overlaps = np.array([_overlap(mask, points - centre, centre, angle) for angle in angles])
    return float(np.minimum(overlaps[:AXES], overlaps[AXES:]).max())


def _points(mask: Bool[np.ndarray, "height width"]) -> Float64[np.ndarray, "n 2"]:
    points = np.argwhere(mask)
    return points[:: max(1, len(points) // 4000)].astype(np.float64)


def _overlap(
    mask: Bool[np.ndarray, "height width"],
    offsets: Float64[np.ndarray, "n 2"],
    centre: Float64[np.ndarray, "2"],
    angle: float,
) -> float:
    """Intersection over union of the shape with its reflection over the line at `angle`, radians."""
    axis = np.array([np.sin(angle), np.cos(angle)])
    mirrored = 2 * np.outer(offsets @ axis, axis) - offsets + centre
    hit = ndimage.map_coordinates(mask.astype(np.uint8), mirrored.T, order=0, mode="constant")
    share = float(hit.mean())
    return share / (2 - share)


def border_roughness(mask: Bool[np.ndarray, "height width"]) -> float:
    """How much the outline waves beyond its coarse shape; 0 for an ellipse, share of the mean radius.

    Standard deviation of the radius from the centroid over 180 directions after the first six harmonics
    are taken out. Shapes are expected to be star-like.

    >>> y, x = np.ogrid[:101, :101]
    >>> bool(border_roughness((y - 50) ** 2 + (x - 50) ** 2 < 40**2) < 0.01)
    True
    """
    centre = np.array(ndimage.center_of_mass(mask))
    angles = np.arange(RAYS) * 2 * np.pi / RAYS
    steps = np.arange(0, float(np.hypot(*mask.shape)), 0.5)
    rays = centre[:, None, None] + np.stack([np.sin(angles), np.cos(angles)])[:, :, None] * steps
    inside = ndimage.map_coordinates(mask.astype(np.uint8), rays, order=0, mode="constant")
    radius = inside.sum(axis=1) * 0.5
    waves = np.fft.rfft(radius)
    waves[:7] = 0
    return float(np.fft.irfft(waves, RAYS).std() / radius.mean())
