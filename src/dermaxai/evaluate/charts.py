"""Figures of a summary: points with intervals, over all photos and per group, and who beats whom.

PDF, SVG and PNG with text as text, colours that colour-blind eyes and grey printers keep apart, and the same
bytes for the same summary. matplotlib is imported when the first figure is drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dermaxai.evaluate.items import Evaluation, Progress
from dermaxai.evaluate.layout import by_condition
from dermaxai.evaluate.naming import Namer
from dermaxai.evaluate.panels import draw_curve, draw_groups, draw_points, draw_wins
from dermaxai.evaluate.summary import Cell, Summary

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SUFFIXES = (".pdf", ".svg", ".png")
DOTS = 160
"""Per inch, for PNG."""
METRICS = 6
"""In one figure; more go into the next."""
CONTESTANTS = 7
"""In one figure per group; more go into the next."""
STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
    "svg.hashsalt": "dermaxai",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": True,
    "text.hinting": "none",
    "path.simplify": False,
}
_NO_DATE: dict[str, dict[str, Any]] = {
    ".png": {"Software": None},
    ".svg": {"Date": None, "Creator": "DermaXAI"},
    ".pdf": {"CreationDate": None, "Creator": "DermaXAI", "Producer": None},
}


def draw_figures(
    summary: Summary, evaluations: Sequence[Evaluation], folder: Path, tell: Progress | None = None
) -> list[Path]:
    """Every figure below `folder`; the paths that were written.

    For each evaluation and condition: points of all metrics, the same per group of each property, a table of
    who beats whom where two or more contestants are there, and the evaluation's curves.
    """
    import matplotlib as mpl

    folder.mkdir(parents=True, exist_ok=True)
    namer = Namer()
    written: list[Path] = []
    planned = list(_figures(summary, evaluations))
    with mpl.rc_context(STYLE):
        for done, (name, draw) in enumerate(planned, 1):
            written += _write(draw(), folder / namer.name(name))
            if tell:
                tell("figures", done, len(planned))
    return written


Planned = tuple[str, Callable[[], "Figure"]]
"""What a figure is called, and what draws it."""


def _figures(summary: Summary, evaluations: Sequence[Evaluation]) -> Iterator[Planned]:
    for (evaluation, condition), cells in by_condition(summary.cells).items():
        metrics = list(dict.fromkeys(cell.scale.name for cell in cells))
        pairs = [
            one
            for one in summary.comparisons
            if (one.evaluation, one.condition) == (evaluation, condition) and one.scale.better != "neither"
        ]
        for chosen, part in _pieces(metrics, METRICS):
            some = [cell for cell in cells if cell.scale.name in chosen]
            title = f"{evaluation}, {condition}"
            yield f"{title}{part}", partial(draw_points, [one for one in some if not one.by], pairs, title)
            for by in summary.by:
                yield from _grouped([one for one in some if one.by == by], by, title, part)
        told = [one for one in pairs if not one.is_baseline]
        for chosen, part in _pieces(list(dict.fromkeys(one.scale.name for one in told)), METRICS):
            some_pairs = [one for one in pairs if one.scale.name in chosen]
            title = f"{evaluation}, {condition}: who beats whom"
            yield f"{evaluation}, {condition}, wins{part}", partial(draw_wins, some_pairs, title)
    for label, one in zip(summary.evaluations, evaluations, strict=True):
        for curve in one.curves:
            yield f"{label}, {curve.condition}, {curve.title}", partial(draw_curve, curve, label)


def _grouped(cells: Sequence[Cell], by: str, title: str, part: str) -> Iterator[Planned]:
    own = list(dict.fromkeys(cell.contestant for cell in cells if not cell.is_baseline))
    for chosen, more in _pieces(own, CONTESTANTS):
        some = [cell for cell in cells if cell.is_baseline or cell.contestant in chosen]
        name = f"{title}, by {by}{part}{more.replace('part', 'contestants')}"
        yield name, partial(draw_groups, some, by, title)


def _pieces(names: Sequence[str], size: int) -> Iterator[tuple[set[str], str]]:
    """Pieces and what their files are called after."""
    for start in range(0, len(names), size):
        yield set(names[start : start + size]), f", part {start // size + 1}" if len(names) > size else ""


def _write(figure: Figure, stem: Path) -> Iterator[Path]:
    # The layout is found once, at the dots of the PNG: savefig would find it again for each format.
    figure.set_dpi(DOTS)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for suffix in SUFFIXES:
        target = stem.with_name(stem.name + suffix)
        figure.savefig(target, dpi=DOTS, facecolor="white", metadata=_NO_DATE[suffix])
        yield target
