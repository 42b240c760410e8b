"""The figures themselves, panel by panel; called inside the style of `charts`."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dermaxai.evaluate.groups import TITLES, name_group
from dermaxai.evaluate.items import Curve
from dermaxai.evaluate.summary import FEW, Cell, Comparison
from dermaxai.measure.scale import Scale

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#3d3d3d")
"""Of contestants, in order. Source: Okabe and Ito, Color Universal Design (2008)."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
INK, MUTED, LINE, BAND = "#1f1e1b", "#6a6760", "#e4e1da", "#efeeea"
BETTER, WORSE = "#0072b2", "#e69f00"
WIDTH = 7.2
"""Inches: two columns of a journal."""
ACROSS = 3
"""Panels beside each other."""
LONGEST = 30
"""Signs of a name on an axis."""
LONGEST_TITLE = 28
"""Signs of a panel's title on one line."""
ARROWS = {"higher": "higher is better →", "lower": "← lower is better", "neither": ""}


def shorten_all(names: Sequence[str], longest: int = LONGEST) -> list[str]:
    """Long names without their middle, their end or their beginning, whatever still tells them apart.

    >>> shorten_all(["a very long name of something", "short"], 15)
    ['a very…omething', 'short']
    """
    half = longest // 2

    def middle(name: str) -> str:
        return f"{name[: longest - half - 2]}…{name[-half - 1 :]}"

    def end(name: str) -> str:
        return f"{name[: longest - 1]}…"

    def beginning(name: str) -> str:
        return f"…{name[1 - longest :]}"

    for cut in (middle, end, beginning):
        short = [name if len(name) <= longest else cut(name) for name in names]
        if len(set(short)) == len(set(names)):
            return short
    return list(names)


def draw_points(cells: Sequence[Cell], pairs: Sequence[Comparison], title: str) -> Figure:
    """One panel per metric, contestants below each other, the best baseline as a band behind them."""
    names = {cell.contestant: cell.is_baseline for cell in cells}
    order = sorted(names, key=lambda name: names[name])
    beaten = {(one.scale.name, one.ours) for one in pairs if one.is_baseline and one.better == one.ours}
    scales = _scales(cells)
    figure, panels = _panels(len(scales), 0.21 * len(order) + 0.85, title)
    for place, (scale, axes) in enumerate(zip(scales, panels, strict=True)):
        held = {cell.contestant: cell for cell in cells if cell.scale.name == scale.name}
        _baseline_band(axes, held)
        for row, name in enumerate(order):
            if name in held:
                _point(axes, row, held[name], filled=(scale.name, name) in beaten)
        _rows(axes, shorten_all(order), told=place % ACROSS == 0)
        for label, name in zip(axes.get_yticklabels(), order, strict=True):
            label.set_color(MUTED if names[name] else INK)
        _head(axes, scale, list(held.values()))
    note = "95 % intervals. Filled: better than the best baseline, p < 0.05 after Holm. Grey: baselines"
    _note(figure, f"{note}; the band is the best of them. Pale: n < {FEW}.")
    return figure


def _point(axes: Axes, row: int, cell: Cell, *, filled: bool) -> None:
    told, colour = cell.estimate, MUTED if cell.is_baseline else COLOURS[0]
    if np.isnan(told.value):
        return
    pale = 0.4 if cell.few else 1.0
    if not np.isnan(told.low):
        axes.plot([told.low, told.high], [row, row], color=colour, linewidth=1.4, alpha=pale, zorder=3)
    face = colour if filled else "white"
    axes.plot(
        [told.value], [row], "s" if cell.is_baseline else "o", markersize=4.4, markerfacecolor=face,
        markeredgecolor=colour, alpha=pale, zorder=4,
    )  # fmt: skip


def _baseline_band(axes: Axes, held: Mapping[str, Cell]) -> None:
    name = next((one.best_baseline.baseline for one in held.values() if one.best_baseline), "")
    if name not in held or next(iter(held.values())).scale.better == "neither":
        return
    told = held[name].estimate
    if not np.isnan(told.low):
        axes.axvspan(told.low, told.high, color=BAND, linewidth=0, zorder=0)
    axes.axvline(told.value, color=MUTED, linewidth=0.8, linestyle=(0, (3, 2)), zorder=1)


def draw_groups(cells: Sequence[Cell], by: str, title: str) -> Figure:
    """One panel per metric, groups below each other, contestants within each, the best baseline in grey."""
    groups = list(dict.fromkeys(cell.group for cell in cells))
    own = list(dict.fromkeys(cell.contestant for cell in cells if not cell.is_baseline))
    scales = _scales(cells)
    rows = len(groups) * (0.13 * (len(own) + 1) + 0.1)
    figure, panels = _panels(len(scales), rows + 0.85, f"{title}, by {TITLES[by]}", legend=True)
    for place, (scale, axes) in enumerate(zip(scales, panels, strict=True)):
        held = {(cell.group, cell.contestant): cell for cell in cells if cell.scale.name == scale.name}
        for row, group in enumerate(groups):
            if row % 2:
                axes.axhspan(row - 0.5, row + 0.5, color="#f6f5f2", linewidth=0, zorder=0)
            _group(axes, row, group, own, held)
        counts = {one: max((c.estimate.n for c in cells if c.group == one), default=0) for one in groups}
        short = shorten_all([name_group(by, one) for one in groups], 24)
        names = [f"{name} ({counts[one]})" for name, one in zip(short, groups, strict=True)]
        _rows(axes, names, told=place % ACROSS == 0)
        for label, group in zip(axes.get_yticklabels(), groups, strict=True):
            label.set_color(MUTED if counts[group] < FEW else INK)
        _head(axes, scale, [cell for cell in held.values() if not cell.is_baseline], counted=False)
    note = f"95 % intervals. Behind each group its number of photos. Pale: n < {FEW}."
    _series_legend(figure, own, any(cell.is_baseline for cell in cells), note)
    return figure


def _group(
    axes: Axes, row: int, group: str, own: Sequence[str], held: Mapping[tuple[str, str], Cell]
) -> None:
    """The contestants of one group and, last, the best baseline."""
    lines = [(name, COLOURS[k % 7], MARKERS[k % 7]) for k, name in enumerate(own)]
    best = next((held[group, n].best_baseline for n in own if (group, n) in held), None)
    lines += [(best.baseline, MUTED, "|")] if best else []
    for k, (name, colour, marker) in enumerate(lines):
        cell = held.get((group, name))
        if cell is None or np.isnan(cell.estimate.value):
            continue
        height = row + ((k + 0.5) / len(lines) - 0.5) * 0.8
        pale = 0.35 if cell.few else 1.0
        told = cell.estimate
        if not np.isnan(told.low):
            axes.plot([told.low, told.high], [height] * 2, color=colour, linewidth=1.1, alpha=pale, zorder=3)
        axes.plot([told.value], [height], marker, color=colour, markersize=3.8, alpha=pale, zorder=4)


def draw_wins(pairs: Sequence[Comparison], title: str) -> Figure:
    """One square per metric: '+' where the row's contestant is shown to beat the column's."""
    own = list(dict.fromkeys(name for one in pairs if not one.is_baseline for name in (one.ours, one.theirs)))
    scales = list({one.scale.name: one.scale for one in pairs}.values())
    columns = [*own, "best baseline"] if any(one.is_baseline for one in pairs) else own
    short = shorten_all(columns, 26)
    label = 0.065 * max(map(len, short)) + 0.2
    across = max(1, min(ACROSS, len(scales), int((WIDTH - label) / (0.17 * len(columns)))))
    side = min(0.36, (WIDTH - label) / across / len(columns) - 0.02)
    figure, panels = _panels(len(scales), side * len(own) + label + 0.45, title, across=across)
    for place, (scale, axes) in enumerate(zip(scales, panels, strict=True)):
        told = _verdicts([one for one in pairs if one.scale.name == scale.name])
        for (first, second), verdict in told.items():
            _square(axes, own.index(first), columns.index(second), verdict)
        axes.set_xlim(-0.5, len(columns) - 0.5)
        axes.set_xticks(range(len(columns)), short, rotation=90)
        _rows(axes, short[: len(own)], told=place % across == 0)
        axes.set_aspect("equal")
        axes.set_title(_above(scale.title), fontsize=9, color=INK, loc="left")
        axes.spines[["left", "bottom"]].set_visible(False)
    note = "+ the row beats the column, − the column beats the row: p < 0.05 after Holm; pale: undecided"
    _note(figure, f"{note} or n < {FEW}.")
    return figure


def _verdicts(pairs: Sequence[Comparison]) -> dict[tuple[str, str], int]:
    """1 where the first of two is better, -1 where the second is, 0 where that is undecided."""
    found = {}
    for one in pairs:
        verdict = 0 if not one.better else 1 if one.better == one.ours else -1
        found[one.ours, "best baseline" if one.is_baseline else one.theirs] = verdict
        if not one.is_baseline:
            found[one.theirs, one.ours] = -verdict
    return found


def _square(axes: Axes, row: int, column: int, verdict: int) -> None:
    from matplotlib.patches import Rectangle

    colour = {1: BETTER, 0: "#eceae5", -1: WORSE}[verdict]
    axes.add_patch(Rectangle((column - 0.46, row - 0.46), 0.92, 0.92, facecolor=colour, linewidth=0))
    sign, ink = {1: ("+", "white"), 0: ("", INK), -1: ("−", INK)}[verdict]
    axes.text(column, row, sign, ha="center", va="center", fontsize=7, color=ink)


def draw_curve(curve: Curve, label: str) -> Figure:
    """Lines of all contestants in one panel."""
    figure, (axes,) = _panels(1, 3.4, f"{label}, {curve.condition}: {curve.title}", legend=True)
    if curve.diagonal:
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8, linestyle=(0, (3, 2)))
    for k, points in enumerate(curve.lines.values()):
        across, up = zip(*points, strict=True) if points else ((), ())
        axes.plot(across, up, color=COLOURS[k % 7], marker=MARKERS[k % 7], markersize=3, linewidth=1.3)
    axes.set_xlabel(curve.across, color=MUTED)
    axes.set_ylabel(curve.up, color=MUTED)
    axes.grid(color=LINE, linewidth=0.6)
    axes.tick_params(colors=MUTED, length=0)
    axes.spines[["left", "bottom"]].set_color(LINE)
    _series_legend(figure, list(curve.lines), False)
    return figure


def _scales(cells: Sequence[Cell]) -> list[Scale]:
    return list({cell.scale.name: cell.scale for cell in cells}.values())


def _panels(
    count: int, height: float, title: str, *, legend: bool = False, across: int = ACROSS
) -> tuple[Figure, list[Any]]:
    """A figure with `count` panels; those in the last row that are not needed are left out."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    rows, columns = -(-count // across), min(count, across)
    width = WIDTH if columns > 1 or across == 1 else WIDTH * 0.62
    size = (width, rows * height + (0.85 if legend else 0.6))
    figure = Figure(figsize=size, layout=ConstrainedLayoutEngine(w_pad=0.06, h_pad=0.08))
    found = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    for axes in found[count:]:
        axes.remove()
    figure.suptitle(
        _wrapped(figure, title, 6.6), x=0.01, ha="left", fontsize=10, fontweight="bold", color=INK
    )
    return figure, found[:count]


def _rows(axes: Axes, names: Sequence[str], *, told: bool) -> None:
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_yticks(range(len(names)), names if told else [""] * len(names))
    axes.tick_params(axis="both", length=0, colors=MUTED, labelsize=7.5)
    axes.spines[["left", "bottom"]].set_color(LINE)


def _head(axes: Axes, scale: Scale, cells: Sequence[Cell], *, counted: bool = True) -> None:
    """Title, unit, direction, how many photos."""
    counts = sorted({cell.estimate.n for cell in cells})
    n = "" if not counts else f"{counts[0]}" if len(counts) == 1 else f"{counts[0]}–{counts[-1]}"
    axes.set_title(_above(scale.title), fontsize=9, color=INK, loc="left")
    told = ", ".join(filter(None, (ARROWS[scale.better], f"n = {n}" if counted and n else "")))
    axes.set_xlabel("\n".join(filter(None, (scale.unit, told))), fontsize=7, color=MUTED)
    axes.grid(axis="x", color=LINE, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.locator_params(axis="x", nbins=4)


def _series_legend(figure: Figure, names: Sequence[str], baseline: bool, note: str = "") -> None:
    from matplotlib.lines import Line2D

    short = shorten_all(names)
    told = [(COLOURS[k % 7], MARKERS[k % 7], name) for k, name in enumerate(short)]
    told += [(MUTED, "|", "best baseline")] if baseline else []
    handles = [
        Line2D([], [], color=colour, marker=marker, markersize=4, linewidth=1.1, label=name)
        for colour, marker, name in told
    ]
    if handles:
        legend = figure.legend(
            handles=handles, loc="outside lower left", ncols=min(3, len(handles)), fontsize=7.5,
            frameon=False, labelcolor=INK, title=_wrapped(figure, note), title_fontsize=6.5,
            alignment="left",
        )  # fmt: skip
        legend.get_title().set_color(MUTED)


def _above(title: str) -> str:
    """A title that stays above its own panel."""
    return textwrap.fill(title, LONGEST_TITLE)


def _note(figure: Figure, text: str) -> None:
    figure.supxlabel(_wrapped(figure, text), x=0.01, ha="left", fontsize=6.5, color=MUTED)


def _wrapped(figure: Figure, text: str, points: float = 3.5) -> str:
    """Lines that fit into the figure, at so many points for a sign."""
    return textwrap.fill(text, int(figure.get_figwidth() * 72 / points))
