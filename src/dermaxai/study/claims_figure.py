"""A claim as a figure: for every metric the contestants with their intervals, in the claimed order."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from dermaxai.study.claims import Cell, Standing, Tested, Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS: dict[Verdict, str] = {"supported": "#0b7a4b", "contradicted": "#b3261e", "undecided": "#5f6368"}
"""Of the verdict, which is written out as well."""
INK, PALE = "#1f2933", "#9aa5b1"
PANEL = (2.1, 0.24)
"""Inches: width of a panel, height of a contestant in it."""
FORMATS = ("svg", "png")


def draw_claim(tested: Tested, folder: Path) -> list[Path]:
    """Write the figure as SVG and PNG, the same bytes for the same numbers; nothing without a cell."""
    if not tested.cells:
        return []
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    rows = [list(group) for _, group in groupby(tested.cells, lambda cell: (cell.where, cell.question))]
    width = max(len(row) for row in rows)
    height = max(len(contestants_of(row)) for row in rows) * PANEL[1] + 0.95
    with rc_context({"svg.hashsalt": tested.claim.name, "font.size": 8, "svg.fonttype": "path"}):
        figure = Figure(figsize=(PANEL[0] * width + 1.6, height * len(rows)), layout="constrained")
        axes = figure.subplots(len(rows), width, squeeze=False)
        for line, row in enumerate(rows):
            contestants = contestants_of(row)
            for place in range(width):
                panel = axes[line][place]
                if place < len(row):
                    _draw_cell(panel, row[place], contestants, names=place == 0)
                else:
                    panel.set_axis_off()
        return [_save(figure, folder / f"{tested.claim.name}.{kind}") for kind in FORMATS]


def contestants_of(row: Sequence[Cell]) -> tuple[str, ...]:
    """Who has a line of their own in every panel of a row, whoever is measured in each of them."""
    return tuple(dict.fromkeys(one.contestant for cell in row for one in cell.standings))


def _save(figure: object, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Without a date or the library's version, so that the same numbers give the same file.
    metadata = {"Date": None, "Creator": None} if path.suffix == ".svg" else {"Software": None}
    figure.savefig(path, dpi=130, metadata=metadata, facecolor="white")  # type: ignore[attr-defined]
    return path


def _draw_cell(panel: Axes, cell: Cell, contestants: Sequence[str], *, names: bool) -> None:
    for one in cell.standings:
        _draw_standing(panel, -contestants.index(one.contestant), one)
    panel.set_yticks(
        [-place for place in range(len(contestants))], [name if names else "" for name in contestants]
    )
    panel.set_ylim(-len(contestants) + 0.4, 0.6)
    panel.tick_params(length=0, axis="y")
    panel.grid(axis="x", color="#e4e7eb", linewidth=0.6)
    panel.set_axisbelow(True)
    for side in ("top", "right", "left"):
        panel.spines[side].set_visible(False)
    heading = cell.heading.replace(", ", ",\n", 1)
    panel.set_title(heading, fontsize=8, color=INK, loc="left")
    arrow = "better →" if cell.better == "higher" else "← better"
    panel.set_xlabel(f"{cell.verdict}   ({arrow})", color=COLOURS[cell.verdict], fontsize=7.5)
    if names:
        panel.set_ylabel(f"{cell.where}\n{cell.question}", fontsize=8)


def _draw_standing(panel: Axes, height: float, one: Standing) -> None:
    estimate = one.estimate
    if estimate.value != estimate.value:
        return
    colour = PALE if one.is_baseline else INK
    panel.plot([estimate.low, estimate.high], [height, height], color=colour, linewidth=1.4)
    marker = "s" if one.is_baseline else "o"
    panel.plot([estimate.value], [height], marker, color=colour, markersize=4)
