"""Fleiss' kappa: how far readers agree beyond chance, where items may have different numbers of readers.

Every number here is a function of sums over items, so that an interval comes from resampled sums.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dermaxai.errors import ShapeError

Numbers = NDArray[np.float64]
_NOTHING = 1e-12
"""Chance agreement this near to 1 leaves nothing to be better than."""


def kappa_parts(counts: Sequence[Sequence[int]] | NDArray[np.int64]) -> Numbers:
    """What each item adds, (items, 2 + 2 k): 1, share of agreeing pairs, and per category its share of the
    item's answers, and of its pairs.

    `counts`: (items, k), how many readers gave each answer; at least two readers per item.

    Raises: ShapeError for an item with fewer readers.
    Source: Fleiss (1971), Psychological Bulletin 76, 378-382, P_i and p_j, doi 10.1037/h0031619. With unequal
    numbers of readers each item still counts once, its answers as shares: Gwet (2014), Handbook of
    Inter-Rater Reliability, generalised to missing ratings (R package irrCAC, fleiss.kappa.raw); items with
    one answer, which Gwet lets count for chance, are left out.
    """
    table = np.asarray(counts, np.float64)
    readers = table.sum(1, keepdims=True)
    if (readers < 2).any():
        raise ShapeError("Agreement needs items with two readers or more.")
    pairs = table * (table - 1) / (readers * (readers - 1))
    ones = np.ones((len(table), 1))
    return np.concatenate([ones, pairs.sum(1, keepdims=True), table / readers, pairs], 1)


def agreement_of(sums: Numbers) -> Numbers:
    """Mean share of agreeing pairs of readers, from sums of parts (..., 2 + 2 k); NaN for no item."""
    return _divide(sums[..., 1], sums[..., 0])


def kappa_of(sums: Numbers) -> Numbers:
    """Kappa from sums of parts, -1 to 1; NaN where all answers are of one category, or there is no item.

    Source: Fleiss (1971), kappa = (mean P_i - sum p_j^2) / (1 - sum p_j^2).
    """
    chance = (shares_of(sums) ** 2).sum(-1)
    return _divide(agreement_of(sums) - chance, 1 - chance)


def category_kappas_of(sums: Numbers) -> Numbers:
    """Kappa of each category, (..., k): whether two readers share it beyond chance; NaN where nobody or
    everybody chose it.

    Source: Fleiss (1971), equations 20 and 21, with the items' shares as above.
    """
    shares = shares_of(sums)
    categories = shares.shape[-1]
    again = _divide(sums[..., 2 + categories :], sums[..., 2 : 2 + categories])
    return _divide(again - shares, 1 - shares)


def shares_of(sums: Numbers) -> Numbers:
    """Share of each category, (..., k), 0 to 1; NaN for no item."""
    categories = (sums.shape[-1] - 2) // 2
    return _divide(sums[..., 2 : 2 + categories], sums[..., :1])


def _divide(above: Numbers, below: Numbers) -> Numbers:
    """A quotient, NaN where the lower number is nothing."""
    above, below = np.broadcast_arrays(above, below)
    found: Numbers = np.divide(above, below, out=np.full(above.shape, np.nan), where=below > _NOTHING)
    return found
