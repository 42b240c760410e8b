"""Small drawings in SVG, drawn here: a histogram, an interval. Colours are the page's."""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup

from dermaxai.i18n import Catalogue
from dermaxai.measure.estimates import Estimate

BINS = 20
WIDTH, HEIGHT = 640, 170
BOTTOM, LEFT = 26, 30
"""Room for the numbers of the axes."""


def histogram(values: Sequence[float], low: float, high: float, label: str, texts: Catalogue) -> Markup:
    """How often values fall into each of `BINS` equal bins from `low` to `high`; NaN counts nowhere.

    `label` says in words what is drawn, `texts` writes the numbers. Each bar tells its bounds and its count
    on pointing.
    """
    counts = count_bins(values, low, high)
    most = max(counts, default=0) or 1
    wide, tall = (WIDTH - LEFT) / BINS, HEIGHT - BOTTOM - 8
    step = (high - low) / BINS
    bars = [
        Markup(
            "<g><title>{} … {}: {}</title>"
            '<rect class="bar" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/></g>'
        ).format(
            texts.number(low + index * step),
            texts.number(low + (index + 1) * step),
            count,
            LEFT + index * wide + 1,
            8 + tall * (1 - count / most),
            wide - 2,
            tall * count / most,
        )
        for index, count in enumerate(counts)
        if count
    ]
    ticks = [low + (high - low) * part / 4 for part in range(5)]
    names = [
        Markup('<text class="tick" x="{:.1f}" y="{}" text-anchor="{}">{}</text>').format(
            LEFT + (tick - low) / (high - low) * (WIDTH - LEFT),
            HEIGHT - 8,
            _anchor(part),
            texts.number(tick, 1),
        )
        for part, tick in enumerate(ticks)
    ]
    axes = Markup(
        '<line class="axis" x1="{0}" x2="{1}" y1="{2}" y2="{2}"/>'
        '<text class="tick" x="{3}" y="16" text-anchor="end">{4}</text>'
    ).format(LEFT, WIDTH, HEIGHT - BOTTOM, LEFT - 6, most)
    head = Markup('<svg class="histogram" viewBox="0 0 {} {}" role="img" aria-label="{}">').format(
        WIDTH, HEIGHT, label
    )
    return Markup("").join([head, axes, *bars, *names, Markup("</svg>")])


def count_bins(values: Sequence[float], low: float, high: float) -> list[int]:
    """Counts of the bins; what lies outside counts in the outermost.

    >>> count_bins([-1.0, 0.99, 1.0, float("nan")], -1, 1)[:1], count_bins([0.99, 1.0], -1, 1)[-1]
    ([1], 2)
    """
    counts = [0] * BINS
    for value in values:
        if not math.isnan(value):
            counts[min(BINS - 1, max(0, int((value - low) / (high - low) * BINS)))] += 1
    return counts


def span(told: Estimate, low: float = 0.0, high: float = 1.0) -> Markup:
    """A value and its interval on a line from `low` to `high`; the numbers stand beside it in the text."""
    if math.isnan(told.value):
        return Markup("")

    def place(value: float) -> float:
        return 2 + 96 * min(1.0, max(0.0, (value - low) / (high - low)))

    ends = (told.value, told.value) if math.isnan(told.low) else (told.low, told.high)
    return Markup(
        '<svg class="span" viewBox="0 0 100 12" aria-hidden="true" focusable="false">'
        '<line class="axis" x1="2" x2="98" y1="6" y2="6"/>'
        '<line class="range" x1="{:.1f}" x2="{:.1f}" y1="6" y2="6"/>'
        '<circle class="dot" cx="{:.1f}" cy="6" r="3"/></svg>'
    ).format(place(ends[0]), place(ends[1]), place(told.value))


def _anchor(part: int) -> str:
    return "start" if part == 0 else "end" if part == 4 else "middle"
