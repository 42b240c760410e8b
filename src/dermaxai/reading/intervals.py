"""Intervals by drawing cases again: answers to one photo are not independent of each other.

`measure.estimates` does the same for thousands of photos and many metrics; the reading room knows no model,
and needs only sums.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

RESAMPLES = 2000
LEVEL = 95.0
"""Percent."""
BLOCK = 2**20
"""Cells of a table of resamples held at once."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A value with its 95 % interval; None where nothing is defined."""

    value: float | None
    low: float | None
    """None where all rows are of one case, which tells nothing of the spread."""
    high: float | None
    n: int
    """Rows that count."""

    def as_json(self) -> dict[str, Any]:
        """The four fields."""
        return {"value": self.value, "low": self.low, "high": self.high, "n": self.n}


def estimate(
    parts: Numbers, cases: Sequence[str], statistic: Callable[[Numbers], Numbers], seed: int = 0
) -> list[Interval]:
    """A statistic of the sums of `parts` (rows, k), and its percentile interval over resampled cases.

    `cases`: the case of each row. `statistic`: sums (..., k) to values (..., m); one interval per value.
    Source: bootstrap of clusters (Efron & Tibshirani 1993, section 13.3).
    """
    table = np.asarray(parts, np.float64)
    if not len(table):
        empty = np.atleast_1d(statistic(np.zeros(table.shape[1])))
        return [Interval(None, None, None, 0) for _ in empty]
    members = np.unique(np.asarray(cases), return_inverse=True)[1]
    values = np.atleast_1d(statistic(table.sum(0)))
    drawn = _draw(table, members, statistic, seed)
    return [
        Interval(_number(value), *_bounds(drawn[:, place]), len(table)) for place, value in enumerate(values)
    ]


def mean_of(sums: Numbers) -> Numbers:
    """The first sum over the second; NaN where that is 0."""
    below = sums[..., 1:2]
    found: Numbers = np.divide(sums[..., :1], below, out=np.full(below.shape, np.nan), where=below > 0)
    return found


def mean(values: Sequence[float], cases: Sequence[str]) -> Interval:
    """The mean of values, and its interval over resampled cases."""
    parts = np.stack([np.asarray(values, np.float64), np.ones(len(values))], 1)
    return estimate(parts, cases, mean_of)[0]


def _draw(
    table: Numbers, members: NDArray[np.int64], statistic: Callable[[Numbers], Numbers], seed: int
) -> Numbers:
    """The statistic of every resample, (resamples, m); no rows where there is one case only."""
    count = int(members.max()) + 1
    sums = np.stack([np.bincount(members, column, count) for column in table.T], 1)
    if count < 2:
        return np.zeros((0, np.atleast_1d(statistic(sums[0])).shape[-1]))
    generator, found = np.random.default_rng([seed, count]), []
    some = max(1, BLOCK // count)
    for start in range(0, RESAMPLES, some):
        chosen = generator.integers(0, count, (min(some, RESAMPLES - start), count))
        times = np.stack([np.bincount(row, minlength=count) for row in chosen])
        values = statistic(times.astype(np.float64) @ sums)
        found.append(values if values.ndim > 1 else values[:, None])
    return np.concatenate(found)


def _bounds(drawn: Numbers) -> tuple[float | None, float | None]:
    known = drawn[~np.isnan(drawn)]
    if not known.size:
        return None, None
    low, high = np.percentile(known, [(100 - LEVEL) / 2, (100 + LEVEL) / 2])
    return _number(low), _number(high)


def _number(value: float) -> float | None:
    """Six digits behind the point, so that the same answers give the same text; None for NaN."""
    return None if math.isnan(value) else round(float(value), 6)
