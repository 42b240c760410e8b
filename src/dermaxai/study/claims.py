"""A claimed ranking, tested: the data support it, contradict it, or neither.

'A is better than B, B than C' holds for a metric where every neighbouring pair differs in the claimed
direction, by the paired bootstrap, after Holm's correction over all neighbouring pairs and metrics that are
asked of the same photos under the same condition. The other pairs follow from these; they are a family of
their own, and no part of the verdict. Each contestant is also compared with every map that knows nothing,
Holm-corrected over contestants and such maps within a metric.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np

from dermaxai.evaluate.items import Evaluation
from dermaxai.measure.columns import Column
from dermaxai.measure.estimates import (
    MEAN,
    Difference,
    Estimate,
    difference,
    estimate,
    holm,
)
from dermaxai.study.sections import ClaimSection

LEVEL = 0.05
"""Of the adjusted p value."""
Verdict = Literal["supported", "contradicted", "undecided"]
Answer = Literal["support", "contradict", "neither"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Whether one contestant is better than another in one metric."""

    better: str
    """Who is claimed to be."""
    worse: str
    difference: Difference
    """Of the first minus the second, in the metric's unit."""
    improvement: float
    """The difference with the sign that makes more of it better."""
    adjusted: float
    """p after Holm's correction; NaN where nothing could be compared."""

    @property
    def verdict(self) -> Verdict:
        """'undecided' also where nothing could be compared."""
        if not self.adjusted < LEVEL or self.improvement == 0:
            return "undecided"
        return "supported" if self.improvement > 0 else "contradicted"


@dataclass(frozen=True, slots=True)
class Standing:
    """A contestant in one metric, with the maps that know nothing."""

    contestant: str
    estimate: Estimate
    rank: int
    """Among the ranked ones, 1 is best; 0 for baselines and where there is no value."""
    against: tuple[Comparison, ...]
    """Each baseline, as the worse one."""
    is_baseline: bool = False

    @property
    def beats(self) -> Mapping[str, Verdict]:
        """By baseline: whether this contestant is better than it."""
        return {one.worse: one.verdict for one in self.against}


@dataclass(frozen=True, slots=True)
class Cell:
    """One metric on one data set under one condition, of one model."""

    where: str
    """Model and data set."""
    condition: str
    metric: str
    title: str
    better: str
    unit: str
    standings: tuple[Standing, ...]
    """Ranked contestants in the claimed order, then baselines."""
    neighbours: tuple[Comparison, ...]
    others: tuple[Comparison, ...]

    @property
    def question(self) -> str:
        """The condition without what follows a comma."""
        return self.condition.partition(",")[0]

    @property
    def heading(self) -> str:
        """The metric's title, and what of the condition follows a comma."""
        _, mark, rest = self.condition.partition(", ")
        return f"{self.title}, {rest}" if mark else self.title

    @property
    def verdict(self) -> Verdict:
        """Supported where every neighbouring pair is, contradicted where one is."""
        verdicts = {one.verdict for one in self.neighbours}
        if "contradicted" in verdicts:
            return "contradicted"
        return "supported" if verdicts == {"supported"} else "undecided"

    @property
    def found(self) -> tuple[str, ...]:
        """Contestants in the order of their values."""
        ranked = sorted((one for one in self.standings if one.rank), key=lambda one: one.rank)
        return tuple(one.contestant for one in ranked)


@dataclass(frozen=True, slots=True)
class Tested:
    """A claim with everything found about it."""

    claim: ClaimSection
    cells: tuple[Cell, ...]
    missing: tuple[str, ...] = ()
    """What of the claim could not be tested, in sentences."""

    def counts(self) -> dict[Verdict, int]:
        """How many cells have each verdict."""
        found = [cell.verdict for cell in self.cells]
        verdicts: tuple[Verdict, ...] = ("supported", "contradicted", "undecided")
        return {verdict: found.count(verdict) for verdict in verdicts}

    @property
    def answer(self) -> Answer:
        """'support' where every cell does; 'contradict' where some do and none supports it."""
        counts = self.counts()
        if self.cells and counts["supported"] == len(self.cells):
            return "support"
        return "contradict" if counts["contradicted"] and not counts["supported"] else "neither"


def judge_claim(claim: ClaimSection, evaluations: Sequence[tuple[str, Evaluation]], seed: int = 0) -> Tested:
    """A claim on evaluations of its kind, each with the name of its model and data set.

    What was not measured is told in `missing`; metrics in which neither direction is better are left out.
    """
    cells: list[Cell] = []
    missing: list[str] = []
    for where, evaluation in evaluations:
        for question in dict.fromkeys(question_of(column) for column in evaluation.columns):
            if claim.conditions and question not in claim.conditions:
                continue
            chosen = [column for column in evaluation.columns if question_of(column) == question]
            found, absent = _test_there(claim, where, chosen, evaluation, seed)
            cells += found
            missing += absent
    measured = {cell.metric for cell in cells}
    missing += [f"{name} was measured nowhere." for name in claim.metrics if name not in measured]
    return Tested(claim, tuple(cells), tuple(missing))


def question_of(column: Column) -> str:
    """What comes before the comma of a condition: 'word' of 'word, measured outlines'."""
    return column.condition.partition(",")[0]


def _test_there(
    claim: ClaimSection, where: str, columns: Sequence[Column], evaluation: Evaluation, seed: int
) -> tuple[list[Cell], list[str]]:
    """Cells of one evaluation and one kind of question: one family of comparisons."""
    by_metric: dict[tuple[str, str], list[Column]] = {}
    for column in columns:
        if column.scale.better != "neither" and (not claim.metrics or column.scale.name in claim.metrics):
            by_metric.setdefault((column.condition, column.scale.name), []).append(column)
    clusters = {item.id: item.cluster or f"photo {item.id}" for item in evaluation.items}
    neighbours: list[list[Comparison]] = []
    others: list[list[Comparison]] = []
    whole: list[list[Column]] = []
    missing: list[str] = []
    for (condition, metric), found in by_metric.items():
        ranked = [next((one for one in found if one.contestant == name), None) for name in claim.ranking]
        present = [one for one in ranked if one is not None]
        if len(present) < len(ranked):
            absent = [name for name, one in zip(claim.ranking, ranked, strict=True) if one is None]
            missing.append(f"{where}, {condition}, {metric}: no values of {', '.join(absent)}.")
            continue
        whole.append([*present, *(one for one in found if one.is_baseline)])
        pairs = list(combinations(range(len(present)), 2))
        made = {pair: _compare(present[pair[0]], present[pair[1]], clusters, seed) for pair in pairs}
        neighbours.append([made[pair] for pair in pairs if pair[1] - pair[0] == 1])
        others.append([made[pair] for pair in pairs if pair[1] - pair[0] > 1])
    neighbours, others = _adjusted(neighbours), _adjusted(others)
    cells = [
        _cell(where, column_set, len(claim.ranking), neighbours[place], others[place], (clusters, seed))
        for place, column_set in enumerate(whole)
    ]
    return cells, missing


def _compare(ours: Column, theirs: Column, clusters: Mapping[str, str], seed: int) -> Comparison:
    """On the photos that both have a value of."""
    there = set(_valued(theirs))
    rows = [row for row in _valued(ours) if row in there]
    first, second = ours.pick(rows), theirs.pick(rows)
    numbers = cluster_numbers(rows, clusters)
    found = difference(first.parts, second.parts, ours.statistic, numbers, seed)
    ahead = ours.scale.improvement(found.value, 0.0)
    return Comparison(ours.contestant, theirs.contestant, found, ahead, found.p)


def _valued(column: Column) -> list[str]:
    """Rows that count."""
    if column.statistic is not MEAN:
        return list(column.rows)
    return [row for row, count in zip(column.rows, column.parts[:, 1], strict=True) if count]


def cluster_numbers(rows: Sequence[str], clusters: Mapping[str, str]) -> np.ndarray:
    """A number per row, counted from the first; rows of one cluster share it."""
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(clusters[row], len(numbers)) for row in rows], np.int64)


def _adjusted(families: Sequence[Sequence[Comparison]]) -> list[list[Comparison]]:
    """The same with p values adjusted for all of them together."""
    return list(_regrouped(families, holm([one.difference.p for group in families for one in group])))


def _regrouped(
    families: Sequence[Sequence[Comparison]], adjusted: Sequence[float]
) -> Iterator[list[Comparison]]:
    left = iter(adjusted)
    for group in families:
        yield [
            Comparison(one.better, one.worse, one.difference, one.improvement, next(left)) for one in group
        ]


def _cell(
    where: str,
    columns: Sequence[Column],
    ranked: int,
    neighbours: Sequence[Comparison],
    others: Sequence[Comparison],
    drawing: tuple[Mapping[str, str], int],
) -> Cell:
    clusters, seed = drawing
    contestants, baselines = columns[:ranked], columns[ranked:]
    against = _adjusted([[_compare(one, base, clusters, seed) for base in baselines] for one in contestants])
    estimates = [
        estimate(one.parts, one.statistic, cluster_numbers(one.rows, clusters), seed) for one in columns
    ]
    scale = columns[0].scale
    order = sorted(
        (number for number in range(ranked) if not np.isnan(estimates[number].value)),
        key=lambda number: -scale.improvement(estimates[number].value, 0.0),
    )
    standings = [
        Standing(
            one.contestant,
            estimates[number],
            order.index(number) + 1 if number in order else 0,
            tuple(against[number]) if number < ranked else (),
            number >= ranked,
        )
        for number, one in enumerate(columns)
    ]
    first = columns[0]
    return Cell(
        where,
        first.condition,
        scale.name,
        scale.title,
        scale.better,
        scale.unit,
        tuple(standings),
        tuple(neighbours),
        tuple(others),
    )


def smallest_p(family: int, photos: int) -> float:
    """The smallest adjusted p that a family of so many comparisons can reach on so many photos."""
    return min(1.0, family * 2.0 ** (1 - photos))
