"""Estimates with intervals, paired differences, and what is left of many comparisons.

A metric of many rows (photos, captions) is a statistic of sufficient numbers, `parts`: what each row adds.
Most statistics are functions of the sums of the parts, so that thousands of resamples are one product of
matrices; the others, such as AUROC, look at the rows themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from dermaxai.errors import ShapeError

RESAMPLES = 2000
LEVEL = 95.0
"""Of intervals, percent."""

Numbers = NDArray[np.float64]
Parts = Float[np.ndarray, "rows k"]
Clusters = Int[np.ndarray, "rows"]


@dataclass(frozen=True, slots=True)
class Statistic:
    """How parts become one number; exactly one of the two functions is given."""

    name: str
    of_sums: Callable[[Numbers], Numbers] | None = None
    """Sums of parts, (..., k), to values, (...); NaN where undefined, without a warning."""
    of_rows: Callable[[Numbers], float] | None = None
    """Parts of the rows drawn, (rows, k), to a value; NaN where undefined."""


def ratio(sums: Numbers) -> Numbers:
    """First sum over the second; NaN where that is 0."""
    above, below = sums[..., 0], sums[..., 1]
    found: Numbers = np.divide(above, below, out=np.full(np.shape(above), np.nan), where=below != 0)
    return found


MEAN = Statistic("mean", of_sums=ratio)
"""Of parts (value, 1), or (sum, count): a ratio of sums."""


def mean_parts(values: Sequence[float] | Float[np.ndarray, "rows"]) -> Float[np.ndarray, "rows 2"]:
    """Parts of `MEAN`; a NaN value counts nowhere."""
    given = np.asarray(values, np.float64)
    known = ~np.isnan(given)
    return np.stack([np.where(known, given, 0.0), known.astype(np.float64)], 1)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its 95 % interval; NaN throughout where nothing is defined."""

    value: float
    low: float
    high: float
    n: int
    """Rows that count."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One value minus another on the same rows, with its 95 % interval."""

    value: float
    low: float
    high: float
    p: float
    """Two-sided, of no difference; never below 1 / (resamples + 1)."""
    n: int


def estimate(
    parts: Parts, statistic: Statistic = MEAN, clusters: Clusters | None = None, seed: int = 0
) -> Estimate:
    """A statistic of all rows and its percentile interval over resampled clusters.

    `clusters`: rows of one number are drawn together (photos of one lesion); None: every row by itself.
    Source: bootstrap (Efron & Tibshirani 1993, section 13.3).
    """
    count = count_rows(parts, statistic)
    value = evaluate_all(parts, statistic)
    if count == 0 or np.isnan(value):
        return Estimate(value, float("nan"), float("nan"), count)
    low, high = _bounds(_draw(parts, statistic, clusters, seed))
    return Estimate(value, low, high, count)


def difference(
    ours: Parts,
    theirs: Parts,
    statistic: Statistic = MEAN,
    clusters: Clusters | None = None,
    seed: int = 0,
) -> Difference:
    """The statistic of `ours` minus that of `theirs`, resampled together: rows are the same items in both.

    p is twice the smaller share of resampled differences on one side of 0, one resample added to both
    (Davison & Hinkley 1997, section 4.4). Raises: ShapeError for other numbers of rows.
    """
    if len(ours) != len(theirs):
        raise ShapeError(f"Paired rows are compared; {len(ours)} and {len(theirs)} were given.")
    value = evaluate_all(ours, statistic) - evaluate_all(theirs, statistic)
    count = min(count_rows(ours, statistic), count_rows(theirs, statistic))
    if count == 0 or np.isnan(value):
        return Difference(value, float("nan"), float("nan"), float("nan"), count)
    drawn = _draw(ours, statistic, clusters, seed) - _draw(theirs, statistic, clusters, seed)
    drawn = drawn[~np.isnan(drawn)]
    tail = min((drawn <= 0).sum(), (drawn >= 0).sum())
    low, high = _bounds(drawn)
    return Difference(value, low, high, float(min(1.0, 2 * (tail + 1) / (len(drawn) + 1))), count)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p values for their number, in the given order; NaN stays NaN and does not count.

    Source: Holm (1979), Scandinavian Journal of Statistics 6, 65-70.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    given = np.asarray(p_values, np.float64)
    order = [index for index in np.argsort(given, kind="stable") if not np.isnan(given[index])]
    adjusted, largest = given.copy(), 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, float(given[index]) * (len(order) - rank)))
        adjusted[index] = round(largest, 12)
    return [float(value) for value in adjusted]


def count_rows(parts: Parts, statistic: Statistic) -> int:
    """Rows that count: for `MEAN` those with a value, else all."""
    return int((parts[:, 1] != 0).sum()) if statistic is MEAN else len(parts)


def evaluate_all(parts: Parts, statistic: Statistic) -> float:
    """The statistic of all rows."""
    if statistic.of_sums is not None:
        return float(statistic.of_sums(parts.sum(0)))
    assert statistic.of_rows is not None, "a statistic has one of the two functions"
    return float(statistic.of_rows(parts)) if len(parts) else float("nan")


def _bounds(drawn: Numbers) -> tuple[float, float]:
    known = drawn[~np.isnan(drawn)]
    if not known.size:
        return float("nan"), float("nan")
    low, high = np.percentile(known, [(100 - LEVEL) / 2, (100 + LEVEL) / 2])
    return float(low), float(high)


def _draw(parts: Parts, statistic: Statistic, clusters: Clusters | None, seed: int) -> Numbers:
    """The statistic of every resample; the same resamples for the same rows, clusters and seed."""
    _, members = np.unique(
        np.arange(len(parts)) if clusters is None else np.asarray(clusters), return_inverse=True
    )
    count = int(members.max()) + 1
    weights = _weights(count, seed)
    if statistic.of_sums is not None:
        sums = np.zeros((count, parts.shape[1]))
        np.add.at(sums, members, parts)
        return np.asarray(statistic.of_sums(weights @ sums), np.float64)
    assert statistic.of_rows is not None, "a statistic has one of the two functions"
    return np.array([statistic.of_rows(np.repeat(parts, row[members], 0)) for row in weights.astype(int)])


@cache
def _weights(count: int, seed: int) -> Numbers:
    """How often each cluster is drawn, (resamples, clusters)."""
    generator = np.random.default_rng([seed, count])
    return generator.multinomial(count, np.full(count, 1 / count), size=RESAMPLES).astype(np.float64)
