"""One metric of one contestant over many photos: what tables, figures and comparisons are made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from dermaxai.errors import ShapeError
from dermaxai.measure.estimates import MEAN, Statistic, mean_parts
from dermaxai.measure.scale import Scale


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """What a metric gives for many items: a row of sufficient numbers for each."""

    scale: Scale
    parts: Float[np.ndarray, "rows k"]
    statistic: Statistic = MEAN


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """A metric of a contestant under one condition."""

    contestant: str
    """What is judged: 'grad_eclip', 'demo', 'nearest neighbour', 'random map'."""
    condition: str
    """What is never mixed up: 'word', 'query', 'en, weak captions', 'ham10000, zero-shot'."""
    scale: Scale
    rows: tuple[str, ...]
    """Ids of the items, none twice."""
    parts: Float[np.ndarray, "rows k"]
    statistic: Statistic = MEAN
    is_baseline: bool = False

    def __post_init__(self) -> None:
        if len(self.rows) != len(self.parts):
            raise ShapeError(
                f"{self.scale.name} of {self.contestant}: {len(self.rows)} rows, {len(self.parts)} values."
            )

    def pick(self, rows: Sequence[str]) -> Column:
        """The same for some of its rows, in the given order; rows it has not are left out."""
        places = {row: place for place, row in enumerate(self.rows)}
        kept = [row for row in rows if row in places]
        chosen = self.parts[[places[row] for row in kept]] if kept else self.parts[:0]
        return Column(
            self.contestant, self.condition, self.scale, tuple(kept), chosen, self.statistic, self.is_baseline
        )


def mean_column(
    contestant: str,
    condition: str,
    scale: Scale,
    values: Sequence[tuple[str, float]],
    *,
    is_baseline: bool = False,
) -> Column:
    """A mean over items; several values of one item (its words, its questions) are averaged first.

    NaN counts nowhere; an item with nothing but NaN is a row without a value.
    """
    held: dict[str, list[float]] = {}
    for item, value in values:
        held.setdefault(item, [])
        if not np.isnan(value):
            held[item].append(value)
    means = [float(np.mean(found)) if found else float("nan") for found in held.values()]
    return Column(contestant, condition, scale, tuple(held), mean_parts(means), MEAN, is_baseline)
