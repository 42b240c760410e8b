"""Drawn photos of known lesions: one flat colour on skin, soft edges, a little grain."""

import numpy as np
from scipy import ndimage

from dermaxai.data.appearance import FRAME

SKIN = (226, 172, 160)
BROWN = (104, 54, 46)
Y, X = np.mgrid[:FRAME, :FRAME] - (FRAME - 1) / 2
RADIUS, ANGLE = np.hypot(Y, X), np.arctan2(Y, X)


def disc(share: float) -> np.ndarray:
    """A disc that covers `share` of the frame."""
    return FRAME * np.sqrt(share / np.pi) >= RADIUS


def ellipse(share: float, stretch: float = 1.4, turn: float = 0.4) -> np.ndarray:
    along, across = X * np.cos(turn) + Y * np.sin(turn), Y * np.cos(turn) - X * np.sin(turn)
    return np.hypot(along / stretch, across * stretch) <= FRAME * np.sqrt(share / np.pi)


def star(share: float, points: int = 12, depth: float = 0.3) -> np.ndarray:
    mean = FRAME * np.sqrt(share / np.pi) / np.sqrt(1 + depth**2 / 2)
    return mean * (1 + depth * np.cos(points * ANGLE)) >= RADIUS


def comma(share: float) -> np.ndarray:
    """A disc with a bulge on one side and a bite on the next: no mirror axis."""
    radius = FRAME * np.sqrt(share / np.pi)
    bulge = np.hypot(Y + 0.5 * radius, X - 0.9 * radius) <= 0.75 * radius
    bite = np.hypot(Y - 0.6 * radius, X - 0.9 * radius) <= 0.8 * radius
    return ((radius >= RADIUS) | bulge) & ~bite


def paint(mask: np.ndarray, colour=BROWN, *, second=None, skin=SKIN, seed: int = 0) -> np.ndarray:
    """The mask in `colour` (its right half in `second`) on skin."""
    photo = np.empty((*mask.shape, 3))
    photo[:] = skin
    cover = ndimage.gaussian_filter(mask.astype(float), 1.5)[..., None]
    lesion = np.broadcast_to(np.array(colour, float), photo.shape).copy()
    if second is not None:
        lesion[:, mask.shape[1] // 2 :] = second
    photo = photo * (1 - cover) + lesion * cover
    grain = np.random.default_rng(seed).normal(0, 2.0, photo.shape)
    return np.clip(np.rint(photo + grain), 0, 255).astype(np.uint8)


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Dice: 2 |A and B| / (|A| + |B|)."""
    return float(2 * (one & other).sum() / max(one.sum() + other.sum(), 1))
