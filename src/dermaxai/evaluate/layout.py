"""Estimates as wide tables, contestants by metrics, whatever they are written as."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from dermaxai.evaluate.groups import TITLES, name_group
from dermaxai.evaluate.rounding import digits_of
from dermaxai.evaluate.summary import Cell, Comparison, Summary
from dermaxai.measure.scale import Scale

ACROSS = 6
"""Metrics beside each other; more go into the next table."""
ARROWS = {"higher": "↑", "lower": "↓", "neither": ""}


@dataclass(frozen=True, slots=True)
class Line:
    """One row of a table."""

    contestant: str
    is_baseline: bool
    group: str
    """In words; '' for all photos."""
    cells: tuple[Cell | None, ...]
    """One per metric; None where the contestant was not measured so."""
    best: tuple[bool, ...]
    """Whether it is the best and shown to be so."""

    @property
    def n(self) -> int:
        """Rows that count for the metric that has most."""
        return max((cell.estimate.n for cell in self.cells if cell), default=0)


@dataclass(frozen=True, slots=True)
class Grid:
    """One table."""

    evaluation: str
    condition: str
    by: str
    """Property that its rows are grouped by; '' for all photos."""
    part: int
    """0, or the number of the table where the metrics do not fit into one."""
    scales: tuple[Scale, ...]
    lines: tuple[Line, ...]
    digits: tuple[int, ...]
    """Decimals of each metric: what most of its intervals support, the fewer in a tie."""

    @property
    def title(self) -> str:
        """What it shows."""
        grouped = f", by {TITLES[self.by]}" if self.by else ""
        return f"{self.evaluation}, {self.condition}{grouped}{f', part {self.part}' if self.part else ''}"


def lay_out(summary: Summary, across: int = ACROSS) -> list[Grid]:
    """All tables: for each evaluation and condition over all photos, then by each property."""
    best = winners(summary)
    found = []
    for (evaluation, condition), cells in by_condition(summary.cells).items():
        for by in ("", *summary.by):
            chosen = [cell for cell in cells if cell.by == by]
            scales = list({cell.scale.name: cell.scale for cell in chosen}.values())
            pieces = [scales[start : start + across] for start in range(0, len(scales), across)]
            for number, piece in enumerate(pieces, 1):
                part = number if len(pieces) > 1 else 0
                lines = tuple(_lines(chosen, piece, by, best))
                digits = tuple(_digits([line.cells[place] for line in lines]) for place in range(len(piece)))
                found.append(Grid(evaluation, condition, by, part, tuple(piece), lines, digits))
    return found


def _digits(cells: Sequence[Cell | None]) -> int:
    told = [digits_of(cell.estimate) for cell in cells if cell and not np.isnan(cell.estimate.value)]
    return min(set(told), key=lambda digits: (-told.count(digits), digits), default=2)


def by_condition(cells: Sequence[Cell]) -> dict[tuple[str, str], list[Cell]]:
    """Cells of each evaluation and condition, in order."""
    found: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        found.setdefault((cell.evaluation, cell.condition), []).append(cell)
    return found


def _lines(
    cells: Sequence[Cell], scales: Sequence[Scale], by: str, best: frozenset[tuple[str, str, str, str]]
) -> Iterator[Line]:
    """Contestants in their order, baselines behind them; groups of each below each other."""
    held = {(cell.contestant, cell.group, cell.scale.name): cell for cell in cells}
    contestants = {cell.contestant: cell.is_baseline for cell in cells}
    groups = list(dict.fromkeys(cell.group for cell in cells))
    for contestant in sorted(contestants, key=lambda name: contestants[name]):
        for group in groups:
            row = tuple(held.get((contestant, group, scale.name)) for scale in scales)
            if any(row):
                marks = tuple(cell is not None and not by and _key(cell) in best for cell in row)
                told = name_group(by, group) if by else ""
                yield Line(contestant, contestants[contestant], told, row, marks)


def winners(summary: Summary) -> frozenset[tuple[str, str, str, str]]:
    """(evaluation, condition, metric, contestant) of those that are best over all photos, and shown to be.

    Shown: Holm-adjusted p below 0.05, and no few rows, against the second and against the best baseline.
    """
    pairs: dict[tuple[str, str, str], list[Comparison]] = {}
    for one in summary.comparisons:
        pairs.setdefault((one.evaluation, one.condition, one.scale.name), []).append(one)
    rivals: dict[tuple[str, str, str], list[Cell]] = {}
    for cell in summary.cells:
        if not cell.by and not np.isnan(cell.estimate.value) and cell.scale.better != "neither":
            rivals.setdefault(_key(cell)[:3], []).append(cell)
    found = set()
    for key, cells in rivals.items():
        ranked = sorted(cells, key=lambda cell: -cell.scale.improvement(cell.estimate.value, 0.0))
        own = [cell for cell in ranked if not cell.is_baseline]
        others = [one.contestant for one in own[1:2]] + [one.contestant for one in ranked if one.is_baseline][
            :1
        ]
        if own and others and all(_beats(own[0].contestant, other, pairs.get(key, [])) for other in others):
            found.add(_key(own[0]))
    return frozenset(found)


def _beats(ours: str, theirs: str, pairs: Sequence[Comparison]) -> bool:
    return any({one.ours, one.theirs} == {ours, theirs} and one.better == ours for one in pairs)


def _key(cell: Cell) -> tuple[str, str, str, str]:
    return cell.evaluation, cell.condition, cell.scale.name, cell.contestant
