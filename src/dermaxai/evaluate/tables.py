"""Summaries as CSV, every number in full, and as Markdown, rounded to what the intervals support."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Iterator, Sequence

from dermaxai.evaluate.groups import TITLES, name_group
from dermaxai.evaluate.items import Evaluation
from dermaxai.evaluate.layout import ARROWS, Grid, Line, lay_out
from dermaxai.evaluate.rounding import DASH, digits_of, interval, show, show_p
from dermaxai.evaluate.summary import FEW, Cell, Comparison, Gap, Summary
from dermaxai.measure.estimates import MEAN

MOST_PAIRS = 30
"""Comparisons of one metric that Markdown shows; of more it shows those of the best and the baseline."""
LEGEND = (
    "95 % bootstrap intervals, clusters of photos drawn together. ↑ higher is better, ↓ lower is better. "
    "**Bold**: best, and better than the second and the best baseline with p < 0.05 after Holm. "
    f"*Italic*: baseline. †: fewer than {FEW} photos, nothing is concluded. "
    "An interval without width: all photos have the same value, which is no certainty about others."
)

TABLE = (
    "evaluation", "condition", "contestant", "baseline", "metric", "title", "by", "group", "n", "few",
    "value",
    "low", "high", "better", "unit", "range", "best_baseline", "best_baseline_value", "over_baseline",
    "over_baseline_low", "over_baseline_high", "over_baseline_p", "over_baseline_n",
)  # fmt: skip
BASELINES = (
    "evaluation", "condition", "contestant", "metric", "by", "group", "over", "over_value", "difference",
    "low",
    "high", "p", "n",
)  # fmt: skip
VALUES = ("evaluation", "condition", "contestant", "baseline", "metric", "item", "value")
COMPARISONS = (
    "evaluation", "condition", "metric", "title", "ours", "theirs", "baseline", "n", "few", "difference",
    "low",
    "high", "p", "adjusted_p", "better",
)  # fmt: skip
GAPS = (
    "evaluation", "condition", "contestant", "metric", "title", "by", "largest", "largest_value", "largest_n",
    "smallest", "smallest_value", "smallest_n", "gap",
)  # fmt: skip


def table_csv(summary: Summary) -> str:
    """One line per estimate, with its best baseline."""
    return _csv(TABLE, (_cell_row(cell) for cell in summary.cells))


def baselines_csv(summary: Summary) -> str:
    """One line per estimate and baseline: the difference, over the rows that both have."""
    return _csv(
        BASELINES,
        (
            (
                cell.evaluation, cell.condition, cell.contestant, cell.scale.name, cell.by, cell.group,
                one.baseline, one.value, one.difference.value, one.difference.low, one.difference.high,
                one.difference.p, one.difference.n,
            )
            for cell in summary.cells
            for one in cell.against
        ),
    )  # fmt: skip


def values_csv(summary: Summary, evaluations: Sequence[Evaluation]) -> str:
    """One line per column and item, of columns that are means over items."""
    return _csv(
        VALUES,
        (
            (label, column.condition, column.contestant, column.is_baseline, column.scale.name, row, value)
            for label, evaluation in zip(summary.evaluations, evaluations, strict=True)
            for column in evaluation.columns
            if column.statistic is MEAN
            for row, value in zip(column.rows, MEAN.of_sums(column.parts).tolist(), strict=True)  # type: ignore[misc]
        ),
    )


def comparisons_csv(summary: Summary) -> str:
    """One line per pair of contestants, and of each with the best baseline."""
    return _csv(
        COMPARISONS,
        (
            (
                one.evaluation, one.condition, one.scale.name, one.scale.title, one.ours, one.theirs,
                one.is_baseline, one.difference.n, one.few, one.difference.value, one.difference.low,
                one.difference.high, one.difference.p, one.adjusted, one.better,
            )
            for one in summary.comparisons
        ),
    )  # fmt: skip


def gaps_csv(summary: Summary) -> str:
    """One line per contestant, metric and property: the groups that are furthest apart."""
    return _csv(
        GAPS,
        (
            (
                one.evaluation, one.condition, one.contestant, one.scale.name, one.scale.title, one.by,
                one.largest, one.high.value, one.high.n, one.smallest, one.low.value, one.low.n, one.value,
            )
            for one in summary.gaps
        ),
    )  # fmt: skip


def _cell_row(cell: Cell) -> tuple[object, ...]:
    scale, told, best = cell.scale, cell.estimate, cell.best_baseline
    over = best.difference if best else None
    beside: tuple[object, ...] = ("", "", "", "", "", "", "")
    if best and over:
        beside = (best.baseline, best.value, over.value, over.low, over.high, over.p, over.n)
    return (
        cell.evaluation, cell.condition, cell.contestant, cell.is_baseline, scale.name, scale.title, cell.by,
        cell.group, told.n, cell.few, told.value, told.low, told.high, scale.better, scale.unit, scale.range,
        *beside,
    )  # fmt: skip


def _csv(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows([_plain(value) for value in row] for row in rows)
    return text.getvalue()


def _plain(value: object) -> object:
    """Numbers in full, NaN as an empty cell, truth as yes and no."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return "" if math.isnan(value) else repr(float(value))
    return value


def table_md(summary: Summary, evaluations: Sequence[Evaluation] = ()) -> str:
    """All tables, the widest gaps between groups, and what a reader must know of the evaluations."""
    parts = [f"# Results\n\n{LEGEND}\n"]
    for grid in lay_out(summary):
        rows = [_head(grid), *(_row(grid, line) for line in grid.lines)]
        parts.append(f"## {grid.title}\n\n{_md(rows)}")
    if summary.gaps:
        rows = [("contestant", "metric", "by", "largest", "smallest", "gap"), *map(_gap_row, summary.gaps)]
        told = f"Largest minus smallest value among groups of {FEW} photos or more; chosen after looking."
        parts.append(f"## Gaps between groups\n\n{told}\n\n{_md(rows)}")
    for label, one in zip(summary.evaluations, evaluations, strict=False):
        notes = "".join(f"- {escape(' '.join(note.split()))}\n" for note in one.notes)
        title = "Notes" if len(evaluations) == 1 else f"Notes on {label}"
        command = f"```\n{one.command}\n```\n"
        parts.append("\n\n".join(filter(None, (f"## {title}", notes.rstrip(), command))))
    return "\n".join(parts)


def _head(grid: Grid) -> tuple[str, ...]:
    names = ("contestant", *((TITLES[grid.by],) if grid.by else ()), "n")
    return (*names, *(f"{scale.title} {ARROWS[scale.better]}".strip() for scale in grid.scales))


def _row(grid: Grid, line: Line) -> tuple[str, ...]:
    name = f"*{escape(line.contestant)}*" if line.is_baseline else escape(line.contestant)
    first = (name, *((escape(line.group),) if grid.by else ()), str(line.n))
    found = zip(line.cells, line.best, grid.digits, strict=True)
    return (*first, *(_told(cell, line.n, best, digits) for cell, best, digits in found))


def _told(cell: Cell | None, n: int, best: bool, digits: int) -> str:
    if cell is None or math.isnan(cell.estimate.value):
        return DASH
    value = show(cell.estimate.value, digits)
    bold = f"**{value}**" if best else value
    own = f", n = {cell.estimate.n}" if cell.estimate.n != n else ""
    return f"{bold} {interval(cell.estimate, digits)}{own}{' †' if cell.few else ''}".replace(
        "  ", " "
    ).strip()


def _gap_row(one: Gap) -> tuple[str, ...]:
    digits = min(digits_of(one.high), digits_of(one.low))
    ends = (
        f"{escape(name_group(one.by, group))}: {show(told.value, digits)} (n = {told.n})"
        for group, told in ((one.largest, one.high), (one.smallest, one.low))
    )
    place = f"{escape(one.contestant)} ({escape(one.evaluation)}, {escape(one.condition)})"
    return (place, one.scale.title, TITLES[one.by], *ends, show(one.value, digits))


def comparisons_md(summary: Summary) -> str:
    """Comparisons metric by metric."""
    told = (
        "First minus second, over the photos that both have; p by bootstrap, adjusted after Holm within one "
        "evaluation, condition and metric. 'Undecided' is no proof of equality."
    )
    parts = [f"# Comparisons\n\n{told}\n"]
    groups: dict[tuple[str, str, str], list[Comparison]] = {}
    for one in summary.comparisons:
        groups.setdefault((one.evaluation, one.condition, one.scale.name), []).append(one)
    for (evaluation, condition, _), pairs in groups.items():
        scale = pairs[0].scale
        shown = _worth_showing(pairs) if len(pairs) > MOST_PAIRS else pairs
        rows = [("first", "second", "n", "difference", "p", "adjusted p", "better"), *map(_pair_row, shown)]
        more = (
            f"\n{len(pairs) - len(shown)} more are in comparisons.csv.\n" if len(shown) < len(pairs) else ""
        )
        title = f"{evaluation}, {condition}: {scale.title} {ARROWS[scale.better]}".strip()
        parts.append(f"## {title}\n\n{_md(rows)}{more}")
    return "\n".join(parts)


def _worth_showing(pairs: Sequence[Comparison]) -> list[Comparison]:
    """Those with the baseline, and those of the contestant that is furthest ahead of all others."""
    ahead: dict[str, float] = {}
    for one in pairs:
        if not one.is_baseline and not math.isnan(one.difference.value):
            by = one.scale.improvement(one.difference.value, 0.0)
            ahead[one.ours] = ahead.get(one.ours, 0.0) + by
            ahead[one.theirs] = ahead.get(one.theirs, 0.0) - by
    best = max(ahead, key=lambda name: ahead[name], default="")
    return [one for one in pairs if one.is_baseline or best in (one.ours, one.theirs)]


def _pair_row(one: Comparison) -> tuple[str, ...]:
    digits = digits_of(one.difference)
    value = show(one.difference.value, digits, signed=True)
    bounds = interval(one.difference, digits, signed=True)
    second = f"*{escape(one.theirs)}*" if one.is_baseline else escape(one.theirs)
    if one.better:
        verdict = escape(one.better)
    else:
        verdict = "too few" if one.few else DASH if one.scale.better == "neither" else "undecided"
    return (
        escape(one.ours), second, str(one.difference.n),
        f"{value} {bounds}".strip(), show_p(one.difference.p), show_p(one.adjusted), verdict,
    )  # fmt: skip


def _md(rows: Sequence[Sequence[str]]) -> str:
    """Cells without line ends; numbers to the right."""
    head, *body = rows
    rule = ["---" if place == 0 else "---:" for place in range(len(head))]
    return "".join(f"| {' | '.join(row)} |\n" for row in _flat([head, rule, *body]))


def _flat(rows: Iterable[Sequence[str]]) -> Iterator[list[str]]:
    for row in rows:
        yield [" ".join(cell.split()) for cell in row]


def escape(text: str) -> str:
    """The text with a backslash before every sign that Markdown would take for its own."""
    for sign in "\\`*_{}[]<>|#":
        text = text.replace(sign, f"\\{sign}")
    return text
