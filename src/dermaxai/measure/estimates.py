"""Estimates with intervals, paired differences, and what is left of many comparisons.

A metric of many rows (photos, captions) is a statistic of sufficient numbers, `parts`: what each row adds.
Most statistics are functions of the sums of the parts, so that thousands of resamples are one product of
matrices; the others, such as AUROC, look at the rows themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from dermaxai.errors import ShapeError

RESAMPLES = 2000
LEVEL = 95.0
"""Of intervals, percent."""
TAIL = 10
"""Resamples on one side of 0 below which p is not counted but computed."""
BLOCK = 2**18
"""Cells of a table of resamples that are held as numbers at once."""
KEPT_BYTES = 2**27
"""Of tables of resamples that are kept for the next metric of as many clusters."""

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
    """Of the interval; NaN where all rows are one cluster, which tells nothing of the spread."""
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
    """Two-sided, of no difference; never below 2 ** (1 - clusters), which is all that so few could tell by
    their signs; NaN for one cluster."""
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
    members = _members(len(parts), clusters)
    (drawn,) = _draw([parts], statistic, members, seed)
    return Estimate(value, *_bounds(drawn, members), count)


def difference(
    ours: Parts,
    theirs: Parts,
    statistic: Statistic = MEAN,
    clusters: Clusters | None = None,
    seed: int = 0,
) -> Difference:
    """The statistic of `ours` minus that of `theirs`, as `differences`."""
    return differences([ours, theirs], [(0, 1)], statistic, clusters, seed)[0]


def differences(
    tables: Sequence[Parts],
    pairs: Sequence[tuple[int, int]],
    statistic: Statistic = MEAN,
    clusters: Clusters | None = None,
    seed: int = 0,
) -> list[Difference]:
    """The statistic of one table minus that of another for each pair of places, all resampled together.

    Rows are the same items in all tables, (rows, k) each. p is twice the smaller share of resampled
    differences on one side of 0, one resample added to both (Davison & Hinkley 1997, section 4.4); beyond
    what `TAIL` resamples can count, Student's t with the bootstrap's standard error, so that many comparisons
    can be adjusted for. Raises: ShapeError for other numbers of rows.
    """
    rows = sorted({len(table) for table in tables})
    if len(rows) > 1:
        raise ShapeError(f"Paired rows are compared; {rows[0]} and {rows[-1]} were given.")
    values = [evaluate_all(table, statistic) for table in tables]
    counts = [count_rows(table, statistic) for table in tables]
    asked = sorted(
        {place for pair in pairs for place in pair if counts[place] and not np.isnan(values[place])}
    )
    members = _members(rows[0], clusters) if asked else np.zeros(0, np.int64)
    chosen = [tables[place] for place in asked]
    drawn = dict(zip(asked, _draw(chosen, statistic, members, seed) if asked else [], strict=True))
    found = []
    for first, second in pairs:
        value, count = values[first] - values[second], min(counts[first], counts[second])
        if first in drawn and second in drawn:
            apart = drawn[first] - drawn[second]
            found.append(
                Difference(value, *_bounds(apart, members), _two_sided(value, apart, members), count)
            )
        else:
            found.append(Difference(float("nan"), float("nan"), float("nan"), float("nan"), count))
    return found


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


def _members(rows: int, clusters: Clusters | None) -> Clusters:
    """Cluster of each row, numbered from 0."""
    if clusters is None:
        return np.arange(rows)
    return np.asarray(np.unique(np.asarray(clusters), return_inverse=True)[1], np.int64)


def _bounds(drawn: Numbers, members: Clusters) -> tuple[float, float]:
    known = drawn[~np.isnan(drawn)]
    if not known.size or not members.any():
        return float("nan"), float("nan")
    low, high = np.percentile(known, [(100 - LEVEL) / 2, (100 + LEVEL) / 2])
    return float(low), float(high)


def _two_sided(value: float, drawn: Numbers, members: Clusters) -> float:
    known = drawn[~np.isnan(drawn)]
    if not known.size or not members.any():
        return float("nan")
    others = int(members.max())
    tail = int(min((known <= 0).sum(), (known >= 0).sum()))
    p = 2 * (tail + 1) / (len(known) + 1)
    if tail < TAIL:
        from scipy.special import stdtr

        error = float(known.std())
        p = 2 * float(stdtr(others, -abs(value) / error)) if error else 0.0
    return min(1.0, max(p, 2.0**-others))


def _draw(tables: Sequence[Parts], statistic: Statistic, members: Clusters, seed: int) -> list[Numbers]:
    """The statistic of every resample of each table; the same resamples for as many clusters and a seed."""
    count = int(members.max()) + 1
    if statistic.of_sums is None:
        return _draw_rows(tables, statistic, members, seed)
    bounds = np.cumsum([0, *(table.shape[1] for table in tables)])
    columns = np.concatenate(tables, 1).astype(np.float64).T
    sums = np.stack([np.bincount(members, column, count) for column in columns], 1)
    drawn = np.concatenate([block.astype(np.float64) @ sums for block in _resamples(count, seed)])
    parts = [drawn[:, start:stop] for start, stop in pairwise(bounds)]
    return [np.asarray(statistic.of_sums(part), np.float64) for part in parts]


def _draw_rows(tables: Sequence[Parts], statistic: Statistic, members: Clusters, seed: int) -> list[Numbers]:
    assert statistic.of_rows is not None, "a statistic has one of the two functions"
    drawn = [
        [statistic.of_rows(np.repeat(table, times[members], 0)) for table in tables]
        for block in _resamples(int(members.max()) + 1, seed)
        for times in block
    ]
    return list(np.array(drawn, np.float64).reshape(RESAMPLES, len(tables)).T)


_KEPT: dict[tuple[int, int], NDArray[np.uint8]] = {}
"""Tables of resamples by clusters and seed, the one used last at the end."""


def _resamples(count: int, seed: int) -> Iterator[NDArray[np.uint8]]:
    """How often each cluster is drawn, in blocks of (some, clusters), `RESAMPLES` rows in all.

    That a cluster of many is drawn more than 255 times has a probability below 1e-500.
    """
    if count * RESAMPLES > KEPT_BYTES:
        yield from _fresh_resamples(count, seed)
        return
    table = _KEPT.pop((count, seed), None)
    if table is None:
        table = np.concatenate(list(_fresh_resamples(count, seed)))
    _KEPT[count, seed] = table
    while sum(kept.nbytes for kept in list(_KEPT.values())) > KEPT_BYTES:
        _KEPT.pop(next(iter(_KEPT)))
    some = max(1, BLOCK // count)
    yield from (table[start : start + some] for start in range(0, RESAMPLES, some))


def _fresh_resamples(count: int, seed: int) -> Iterator[NDArray[np.uint8]]:
    generator = np.random.default_rng([seed, count])
    some = max(1, BLOCK // count)
    for start in range(0, RESAMPLES, some):
        drawn = generator.integers(0, count, (min(some, RESAMPLES - start), count), np.int32)
        yield np.stack([np.bincount(row, minlength=count) for row in drawn]).astype(np.uint8)
