"""Pixels that are gone, filled from those that are left: noisy linear imputation."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, final

import numpy as np
from jaxtyping import Bool, Float, Float32, Int

from dermaxai.errors import ShapeError

if TYPE_CHECKING:
    from scipy.sparse import csr_array

NEIGHBOURS = {
    (-1, -1): 1 / 12, (-1, 0): 1 / 6, (-1, 1): 1 / 12, (0, -1): 1 / 6,
    (0, 1): 1 / 6, (1, -1): 1 / 12, (1, 0): 1 / 6, (1, 1): 1 / 12,
}  # fmt: skip
"""What a pixel is made of: its neighbours, by (down, right)."""
NOISE = 0.01
"""Standard deviation, in units of the pixels that enter the tower (after its normalisation)."""


@final
class Imputer:
    """Fills holes in one photo: every missing pixel is the weighted mean of its neighbours, plus noise.

    At the rim of the photo the weights of the neighbours that are there count. The three channels of a hole
    are solved together with one factorisation. The noise of a pixel is drawn once with the seed: the same
    hole is always filled in the same way. A photo without any pixel left is its own mean colour plus noise.

    Source: ROAD (arXiv:2202.00449), section 4.1, equation 5; weights and noise of the authors' code.
    """

    def __init__(
        self, pixels: Float[np.ndarray, "3 height width"], *, noise: float = NOISE, seed: int = 0
    ) -> None:
        self._pixels = np.asarray(pixels, dtype=np.float64)
        height, width = self._pixels.shape[1:]
        self._flat = self._pixels.reshape(3, -1).T
        self._weights, self._degrees, self._order = _system(height, width)
        draws = np.random.default_rng([seed, height, width]).standard_normal(self._flat.shape)
        self._noise = noise * draws

    def fill(self, known: Bool[np.ndarray, "height width"]) -> Float32[np.ndarray, "3 height width"]:
        """The photo where `known`, what its rim tells elsewhere. Raises: ShapeError."""
        if known.shape != self._pixels.shape[1:]:
            raise ShapeError(f"The photo has {self._pixels.shape[1:]} pixels, the hole {known.shape}.")
        there = known.ravel()
        filled = self._flat.copy()
        if not there.any():
            filled[:] = self._flat.mean(0) + self._noise
        elif not there.all():
            missing = self._order[~there[self._order]]
            filled[missing] = self._solve(missing, there) + self._noise[missing]
        return np.ascontiguousarray(filled.T.reshape(self._pixels.shape), dtype=np.float32)

    def _solve(self, missing: Int[np.ndarray, "m"], there: Bool[np.ndarray, "n"]) -> Float[np.ndarray, "m 3"]:
        from scipy.sparse import diags_array
        from scipy.sparse.linalg import splu

        rows = self._weights[missing]
        given = rows @ (self._flat * there[:, None])
        matrix = diags_array(self._degrees[missing]) - rows[:, missing]
        # Symmetric and positive definite, and already in an order that fills in little.
        factors = splu(
            matrix.tocsc(), permc_spec="NATURAL", diag_pivot_thresh=0.0, options={"SymmetricMode": True}
        )
        solution: Float[np.ndarray, "m 3"] = factors.solve(given)
        return solution


@lru_cache(maxsize=4)
def _system(height: int, width: int) -> tuple[csr_array, Float[np.ndarray, "n"], Int[np.ndarray, "n"]]:
    """Weights between pixels, their sum per pixel, and an order of elimination, for photos of one size."""
    from scipy.sparse import coo_array

    numbers = np.arange(height * width).reshape(height, width)
    starts, ends, values = [], [], []
    for (down, right), weight in NEIGHBOURS.items():
        own = numbers[max(0, -down) : height - max(0, down), max(0, -right) : width - max(0, right)]
        other = numbers[max(0, down) : height + min(0, down), max(0, right) : width + min(0, right)]
        starts.append(own.ravel())
        ends.append(other.ravel())
        values.append(np.full(own.size, weight))
    entries = (np.concatenate(values), (np.concatenate(starts), np.concatenate(ends)))
    weights = coo_array(entries, shape=(numbers.size, numbers.size)).tocsr()
    return weights, np.asarray(weights.sum(axis=1)).ravel(), _dissect(numbers)


def _dissect(numbers: Int[np.ndarray, "height width"]) -> Int[np.ndarray, "n"]:
    """Nested dissection: both halves before the line between them, which keeps factors sparse.

    Source: George, Nested dissection of a regular finite element mesh (1973).
    """
    height, width = numbers.shape
    if min(height, width) <= 2:
        return numbers.ravel() if width <= 2 else numbers.T.ravel()
    if height < width:
        numbers = numbers.T
    middle = len(numbers) // 2
    parts = (_dissect(numbers[:middle]), _dissect(numbers[middle + 1 :]), numbers[middle])
    return np.concatenate(parts)
