"""Intervals by resampling."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Int

RESAMPLES = 2000
Rows = Int[np.ndarray, "rows"]
Statistic = Callable[[Rows], float]
"""A number read from some rows of the photos."""


def interval(count: int, statistic: Statistic, seed: int = 0) -> tuple[float, float, float]:
    """A statistic over row indices with its 95 % interval: value, low, high.

    Source: percentile bootstrap (Efron & Tibshirani 1993, section 13.3), rows drawn with replacement.
    """
    generator = np.random.default_rng(seed)
    draws = [statistic(generator.integers(count, size=count)) for _ in range(RESAMPLES)]
    low, high = np.percentile(draws, [2.5, 97.5])
    return statistic(np.arange(count)), float(low), float(high)
