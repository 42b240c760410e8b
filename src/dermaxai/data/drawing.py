"""Bars of what a manifest holds, as PNG and SVG; the same counts give the same files.

matplotlib is imported when the first figure is drawn.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SUFFIXES = (".png", ".svg")
DOTS = 160
"""Per inch, for PNG."""
COLOURS = {"train": "#17696a", "validation": "#e0a03c", "test": "#7a5195"}
"""Of the parts of a split, wherever they are drawn; told apart also in grey and by colour-blind eyes."""
OTHER_COLOURS = ("#4f7cac", "#b5533c", "#93a94f", "#c98bb9", "#9aa5a4", "#3d3d5c")
"""Of other series, in order."""
LABEL = 44
"""Signs of a label on one line."""
_INK, _MUTED, _LINE = "#1f1e1b", "#6a6760", "#e4e1da"
_STYLE = {
    "font.family": "DejaVu Sans",
    "svg.fonttype": "none",
    "svg.hashsalt": "dermaxai",
    "axes.spines.top": False,
    "axes.spines.right": False,
}
_NO_DATE: dict[str, dict[str, Any]] = {
    ".png": {"Software": None},
    ".svg": {"Date": None, "Creator": "DermaXAI"},
}


@dataclass(frozen=True, slots=True)
class Chart:
    """Counts of one property, split into series."""

    name: str
    """Of the file, without ending."""
    title: str
    """What is counted."""
    series: tuple[str, ...]
    """What the bars are stacked of."""
    rows: tuple[tuple[str, tuple[int, ...]], ...]
    """Label, and its count in each series."""
    note: str = ""
    """What a reader should know; small, below the title."""
    is_scale: bool = False
    """The labels are steps of a scale (ages, lengths): upright bars without gaps."""

    @property
    def total(self) -> int:
        """All counts together."""
        return sum(sum(counts) for _, counts in self.rows)


def draw(charts: Iterable[Chart], folder: Path) -> list[Path]:
    """Every chart that counts anything, as PNG and SVG; the paths that were written."""
    import matplotlib as mpl

    folder.mkdir(parents=True, exist_ok=True)
    written = []
    with mpl.rc_context(_STYLE):
        for chart in charts:
            if chart.total:
                figure = _figure(chart)
                written += [_write(figure, folder / f"{chart.name}{suffix}") for suffix in SUFFIXES]
    return written


def _figure(chart: Chart) -> Figure:
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    many = len(chart.rows)
    size = (max(6.4, 0.34 * many + 1.5), 3.6) if chart.is_scale else (8.4, 0.29 * many + 1.4)
    figure = Figure(figsize=size, layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.12))
    axes = figure.add_subplot()
    (_upright if chart.is_scale else _lying)(axes, chart)
    axes.tick_params(labelsize=8, colors=_MUTED, length=0)
    axes.spines[["left", "bottom"]].set_color(_LINE)
    _head(axes, chart)
    return figure


def _head(axes: Axes, chart: Chart) -> None:
    """Title and series on one line, the note below them."""
    title = 20 if chart.note else 7
    axes.set_title(chart.title, loc="left", fontsize=12, color=_INK, pad=title)
    axes.text(0, 1, chart.note, transform=_above(axes, 5), fontsize=8, color=_MUTED, va="bottom")
    handles, names = axes.get_legend_handles_labels()
    if len(names) > 1:
        axes.legend(
            handles, names, ncols=len(names), loc="lower right", bbox_to_anchor=(1, 1), borderpad=0,
            bbox_transform=_above(axes, title), borderaxespad=0, fontsize=8, frameon=False, handlelength=1,
            handleheight=1, labelcolor=_INK,
        )  # fmt: skip


def _above(axes: Axes, points: float) -> Any:  # noqa: ANN401 - a transform of matplotlib
    """Coordinates of the axes, some points higher."""
    from matplotlib.transforms import ScaledTranslation

    figure = axes.get_figure()
    assert figure is not None
    return axes.transAxes + ScaledTranslation(0, points / 72, figure.dpi_scale_trans)


def _lying(axes: Axes, chart: Chart) -> None:
    """Bars to the right, first row on top, the total behind each."""
    counts, places = _counts(chart), np.arange(len(chart.rows))
    begin = np.zeros(len(chart.rows))
    for name, colour, values in _shown(chart, counts):
        axes.barh(places, values, left=begin, height=0.72, color=colour, label=name)
        begin += values
    for place, total in zip(places, begin, strict=True):
        axes.text(total, int(place), f" {int(total):,}", va="center", fontsize=8, color=_INK)
    axes.set_yticks(places, [textwrap.shorten(label, LABEL, placeholder=" …") for label, _ in chart.rows])
    axes.set_ylim(len(chart.rows) - 0.4, -0.6)
    axes.set_xlim(0, begin.max() * 1.12)
    _whole_numbers(axes, "x")


def _upright(axes: Axes, chart: Chart) -> None:
    """Bars upwards, side by side."""
    counts, places = _counts(chart), np.arange(len(chart.rows))
    begin = np.zeros(len(chart.rows))
    for name, colour, values in _shown(chart, counts):
        axes.bar(places, values, bottom=begin, width=0.94, color=colour, label=name)
        begin += values
    axes.set_xticks(places, [label for label, _ in chart.rows])
    axes.set_xlim(-0.7, len(chart.rows) - 0.3)
    _whole_numbers(axes, "y")


def _whole_numbers(axes: Axes, which: Literal["x", "y"]) -> None:
    from matplotlib.ticker import MaxNLocator

    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_locator(MaxNLocator(nbins="auto", integer=True))
    axis.set_major_formatter("{x:,.0f}")
    axes.grid(axis=which, color=_LINE, linewidth=0.8)
    axes.set_axisbelow(True)


def _counts(chart: Chart) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.array([counts for _, counts in chart.rows], float).reshape(len(chart.rows), len(chart.series))


def _shown(chart: Chart, counts: np.ndarray[Any, Any]) -> list[tuple[str, str, np.ndarray[Any, Any]]]:
    """Name, colour and values of every series that counts anything."""
    others = cycle(OTHER_COLOURS)
    colours = [COLOURS.get(name) or next(others) for name in chart.series]
    told = zip(chart.series, colours, counts.T, strict=True)
    return [(name, colour, values) for name, colour, values in told if values.any()]


def _write(figure: Figure, target: Path) -> Path:
    figure.savefig(target, dpi=DOTS, facecolor="white", metadata=_NO_DATE[target.suffix])
    return target
