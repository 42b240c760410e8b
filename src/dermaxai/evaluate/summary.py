"""What evaluations amount to: estimates over all and per group, differences from baselines and between
contestants, and gaps between groups.

Everything is resampled by clusters (photos of one lesion or patient) and depends on the seed alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from jaxtyping import Int

from dermaxai.errors import UsageError
from dermaxai.evaluate.groups import UNKNOWN, check_properties, group_items, sort_groups
from dermaxai.evaluate.items import Evaluation
from dermaxai.measure.columns import Column
from dermaxai.measure.estimates import MEAN, Difference, Estimate, differences, estimate, evaluate_all, holm
from dermaxai.measure.scale import Scale

FEW = 30
"""Rows below which a number is marked, and nothing is concluded from it."""
SIGNIFICANT = 0.05
"""Adjusted p below which a difference counts."""


@dataclass(frozen=True, slots=True)
class Against:
    """A contestant minus a baseline, over the rows that both have."""

    baseline: str
    value: float
    """The baseline's own, over all its rows."""
    difference: Difference


@dataclass(frozen=True, slots=True)
class Cell:
    """One metric of one contestant, over all photos or one group of them."""

    evaluation: str
    condition: str
    contestant: str
    is_baseline: bool
    scale: Scale
    by: str
    """Property that the group is of; '' for all photos."""
    group: str
    estimate: Estimate
    against: tuple[Against, ...] = ()
    """Every baseline, the best first; empty for a baseline itself."""

    @property
    def few(self) -> bool:
        """Whether too few rows count for any conclusion."""
        return self.estimate.n < FEW

    @property
    def best_baseline(self) -> Against | None:
        """The best where the metric has a better direction, else the first that was given."""
        return self.against[0] if self.against else None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two contestants, one metric, the rows that both have."""

    evaluation: str
    condition: str
    scale: Scale
    ours: str
    theirs: str
    is_baseline: bool
    """Whether `theirs` is the best baseline."""
    difference: Difference
    adjusted: float
    """p after Holm, within one evaluation, condition and metric."""

    @property
    def few(self) -> bool:
        """Whether too few rows count for any conclusion."""
        return self.difference.n < FEW

    @property
    def better(self) -> str:
        """Which of the two is shown to be better; '' where that is undecided or the metric has no better."""
        ahead = self.scale.improvement(self.difference.value, 0.0)
        if self.scale.better == "neither" or self.few or not self.adjusted < SIGNIFICANT or ahead == 0:
            return ""
        return self.ours if ahead > 0 else self.theirs


@dataclass(frozen=True, slots=True)
class Gap:
    """The largest and the smallest value among groups with enough rows."""

    evaluation: str
    condition: str
    contestant: str
    scale: Scale
    by: str
    largest: str
    smallest: str
    high: Estimate
    low: Estimate

    @property
    def value(self) -> float:
        """The largest minus the smallest: a description, chosen after looking, without a p value."""
        return self.high.value - self.low.value


@dataclass(frozen=True, slots=True)
class Summary:
    """All of it, in a fixed order."""

    evaluations: tuple[str, ...]
    by: tuple[str, ...]
    seed: int
    cells: tuple[Cell, ...]
    comparisons: tuple[Comparison, ...]
    gaps: tuple[Gap, ...]


def summarise(evaluations: Sequence[Evaluation], by: Sequence[str] = (), seed: int = 0) -> Summary:
    """Estimates, comparisons and gaps of evaluations. Raises: UnknownName, UsageError for a bad `by`."""
    names = check_properties(by)
    labels = label_evaluations(evaluations)
    cells: list[Cell] = []
    comparisons: list[Comparison] = []
    for label, evaluation in zip(labels, evaluations, strict=True):
        worker = _Worker(label, evaluation, seed)
        cells += worker.cells(names)
        comparisons += worker.comparisons()
    return Summary(labels, names, seed, tuple(cells), tuple(comparisons), tuple(_gaps(cells)))


def label_evaluations(evaluations: Sequence[Evaluation]) -> tuple[str, ...]:
    """A name for each: its kind, with its model and then a number where several are of one kind."""
    kinds = Counter(one.kind for one in evaluations)
    wanted = [
        f"{one.kind} of {one.settings['model']}"
        if kinds[one.kind] > 1 and one.settings.get("model")
        else one.kind
        for one in evaluations
    ]
    used, seen = Counter(wanted), Counter[str]()
    labels = []
    for name in wanted:
        seen[name] += 1
        labels.append(f"{name} ({seen[name]})" if used[name] > 1 else name)
    return tuple(labels)


def panels(columns: Sequence[Column]) -> dict[tuple[str, str], list[Column]]:
    """Columns that may be compared, by condition and metric, in the order of their first.

    Raises: UsageError for two of the same contestant.
    """
    found: dict[tuple[str, str], list[Column]] = {}
    for column in columns:
        rivals = found.setdefault((column.condition, column.scale.name), [])
        if any(rival.contestant == column.contestant for rival in rivals):
            raise UsageError(
                f"{column.scale.name} of '{column.contestant}' under '{column.condition}' is there twice.",
                hint="Give contestants or conditions names of their own.",
            )
        rivals.append(column)
    return found


class _Worker:
    """One evaluation with the clusters of its rows."""

    def __init__(self, label: str, evaluation: Evaluation, seed: int) -> None:
        self._label, self._items, self._seed = label, evaluation.items, seed
        self._panels = panels(evaluation.columns)
        self._clusters = {item.id: item.cluster for item in evaluation.items}

    def cells(self, by: Sequence[str]) -> Iterator[Cell]:
        """Over all, then group by group of every property."""
        for rivals in self._panels.values():
            yield from self._panel(rivals, "", "")
        for name in by:
            groups = group_items(self._items, name)
            for rivals in self._panels.values():
                rows = [_by_group(column, groups) for column in rivals]
                for group in sort_groups(name, {group for one in rows for group in one}):
                    chosen = [
                        column.pick(one.get(group, [])) for column, one in zip(rivals, rows, strict=True)
                    ]
                    yield from self._panel(chosen, name, group)

    def _panel(self, rivals: Sequence[Column], by: str, group: str) -> Iterator[Cell]:
        found = [estimate(one.parts, one.statistic, self._of(one.rows), self._seed) for one in rivals]
        best = _best_first(rivals)
        own = [place for place, column in enumerate(rivals) if not column.is_baseline]
        pairs = [(ours, rival) for ours in own for rival in best]
        told = dict(zip(pairs, self._differences(rivals, pairs), strict=True))
        for place, (column, one) in enumerate(zip(rivals, found, strict=True)):
            against = tuple(
                Against(rivals[rival].contestant, found[rival].value, told[place, rival])
                for rival in best
                if not column.is_baseline
            )
            yield Cell(
                self._label, column.condition, column.contestant, column.is_baseline, column.scale, by, group,
                one, against,
            )  # fmt: skip

    def comparisons(self) -> Iterator[Comparison]:
        """All pairs of contestants and each against the best baseline; Holm within condition and metric."""
        for rivals in self._panels.values():
            own = [place for place, column in enumerate(rivals) if not column.is_baseline]
            best = _best_first(rivals)[:1]
            pairs = [*combinations(own, 2), *((place, rival) for rival in best for place in own)]
            told = self._differences(rivals, pairs)
            adjusted = holm([one.p for one in told])
            for (ours, theirs), one, p in zip(pairs, told, adjusted, strict=True):
                first, second = rivals[ours], rivals[theirs]
                yield Comparison(
                    self._label, first.condition, first.scale, first.contestant, second.contestant,
                    second.is_baseline, one, p,
                )  # fmt: skip

    def _differences(self, rivals: Sequence[Column], pairs: Sequence[tuple[int, int]]) -> list[Difference]:
        """Of pairs of places, each over the rows that both have; those with the same rows in one draw."""
        valued = [_valued(column) for column in rivals]
        common = [tuple(row for row in valued[ours] if row in valued[theirs]) for ours, theirs in pairs]
        alike: dict[tuple[str, ...], list[int]] = {}
        for number, rows in enumerate(common):
            alike.setdefault(tuple(sorted(rows)), []).append(number)
        found: dict[int, Difference] = {}
        for rows, numbers in alike.items():
            places = sorted({place for number in numbers for place in pairs[number]})
            told = differences(
                [rivals[place].pick(rows).parts for place in places],
                [(places.index(ours), places.index(theirs)) for ours, theirs in (pairs[n] for n in numbers)],
                rivals[0].statistic,
                self._of(rows),
                self._seed,
            )
            found |= dict(zip(numbers, told, strict=True))
        return [found[number] for number in range(len(pairs))]

    def _of(self, rows: Sequence[str]) -> Int[np.ndarray, "rows"]:
        """Numbers of clusters; a row without one is a cluster by itself."""
        numbers: dict[tuple[str, str], int] = {}
        names = [(self._clusters.get(row, ""), row) for row in rows]
        keys = [(cluster, "") if cluster else (cluster, row) for cluster, row in names]
        return np.array([numbers.setdefault(key, len(numbers)) for key in keys], np.int64)


def _by_group(column: Column, groups: Mapping[str, str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for row in column.rows:
        found.setdefault(groups.get(row, UNKNOWN), []).append(row)
    return found


def _best_first(rivals: Sequence[Column]) -> list[int]:
    """Places of baselines with a value, the best first; in the order given where none is better."""
    values = [evaluate_all(column.parts, column.statistic) for column in rivals]
    known = [
        place for place, column in enumerate(rivals) if column.is_baseline and not np.isnan(values[place])
    ]
    if not known or rivals[known[0]].scale.better == "neither":
        return known
    return sorted(known, key=lambda place: -rivals[place].scale.improvement(values[place], 0.0))


def _valued(column: Column) -> Mapping[str, None]:
    if column.statistic is not MEAN:
        return dict.fromkeys(column.rows)
    return {row: None for row, count in zip(column.rows, column.parts[:, 1], strict=True) if count}


def _gaps(cells: Sequence[Cell]) -> Iterator[Gap]:
    groups: dict[tuple[str, str, str, str, str], list[Cell]] = {}
    for cell in cells:
        if cell.by and cell.group != UNKNOWN and not cell.few and not np.isnan(cell.estimate.value):
            key = (cell.evaluation, cell.condition, cell.contestant, cell.scale.name, cell.by)
            groups.setdefault(key, []).append(cell)
    for found in groups.values():
        high = max(found, key=lambda cell: cell.estimate.value)
        low = min(found, key=lambda cell: cell.estimate.value)
        if len(found) > 1:
            yield Gap(
                high.evaluation, high.condition, high.contestant, high.scale, high.by, high.group, low.group,
                high.estimate, low.estimate,
            )  # fmt: skip
