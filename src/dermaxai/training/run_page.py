"""A training run as one static page: curves of everything its journal holds, without script or request."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from dermaxai.training.journal import read_journal

WIDTH, HEIGHT = 520, 220
"""Of one chart, in its own units."""
LEFT, RIGHT, TOP, BOTTOM = 56, 12, 10, 26
COLOURS = ("#17696a", "#b8561b", "#5b4a9c", "#8a8a20", "#b03a6f", "#3c6fb0")
NO_CURVES = frozenset({"step", "epoch", "kind", "tokens", "photos", "texts", "seconds", "time"})
SHARES = ("read", "collate", "forward", "backward", "optimizer", "log")

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Curve:
    """One line of a chart."""

    name: str
    points: tuple[Point, ...]
    """Step and value, in order of steps."""
    colour: str
    path: str
    """In the chart's units, as SVG's `d`."""

    @property
    def last(self) -> str:
        """The newest value, four digits."""
        return f"{self.points[-1][1]:.4g}"


@dataclass(frozen=True, slots=True)
class Chart:
    """Curves that share their axes."""

    title: str
    curves: tuple[Curve, ...]
    across: tuple[tuple[float, str], ...]
    """Ticks of the step axis: place and text."""
    up: tuple[tuple[float, str], ...]

    @property
    def sentence(self) -> str:
        """What the chart shows, for those who do not see it."""
        told = (
            f"{curve.name} from {curve.points[0][1]:.4g} at step {curve.points[0][0]:g} "
            f"to {curve.last} at step {curve.points[-1][0]:g}"
            for curve in self.curves
        )
        return f"{self.title}: {'; '.join(told)}."


def write_run_page(folder: Path, *, title: str = "") -> Path:
    """Draw `folder`/log.jsonl as `folder`/run.html, in one step; what is not a number is left out."""
    records = list(read_journal(folder / "log.jsonl"))
    facts = _facts(folder)
    html = render_run_page(records, title=title or folder.resolve().name, facts=facts)
    fresh = folder / ".run.html.part"
    fresh.write_text(html, encoding="utf-8")
    os.replace(fresh, folder / "run.html")
    return folder / "run.html"


def _facts(folder: Path) -> list[tuple[str, str]]:
    path = folder / "run.json"
    if not path.is_file():
        return []
    return [(name, str(value)) for name, value in _flat(json.loads(path.read_text(encoding="utf-8")))]


def render_run_page(
    records: Sequence[Mapping[str, Any]], *, title: str, facts: Sequence[tuple[str, str]] = ()
) -> str:
    """The page as text."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = (resources.files("dermaxai.training") / "run.html.j2").read_text(encoding="utf-8")
    return environment.from_string(template).render(
        title=title,
        charts=charts_of(records),
        facts=facts,
        newest=_newest(records),
        width=WIDTH,
        height=HEIGHT,
        left=LEFT,
        right=WIDTH - RIGHT,
        top=TOP,
        bottom=HEIGHT - BOTTOM,
    )


def _newest(records: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """The last record of each kind, value by value."""
    last: dict[str, Mapping[str, Any]] = {str(record.get("kind", "train")): record for record in records}
    return [
        (f"{kind}: {name}", f"{value:.4g}" if isinstance(value, float) else str(value))
        for kind, record in last.items()
        for name, value in _flat(record)
        if name != "kind"
    ]


def charts_of(records: Iterable[Mapping[str, Any]]) -> list[Chart]:
    """One chart per measured thing: the loss, what else validation measures, the rest, shares of time."""
    series: dict[str, dict[str, list[Point]]] = {}
    for record in records:
        step = record.get("step")
        if not isinstance(step, int | float):
            continue
        kind = str(record.get("kind", "train"))
        for name, value in _flat(record):
            place = _chart_of(name, kind)
            if place and isinstance(value, int | float) and math.isfinite(value):
                series.setdefault(place[0], {}).setdefault(place[1], []).append((step, float(value)))
    order = sorted(
        series, key=lambda name: (name != "loss", "validation" not in series[name], name == "shares of time")
    )
    return [_chart(name, series[name]) for name in order]


def _chart_of(name: str, kind: str) -> tuple[str, str] | None:
    """Title of the chart and name of the curve for one value of a record."""
    first, _, rest = name.partition(".")
    if first in NO_CURVES:
        return None
    if first in SHARES or first == "shares":
        return "shares of time", rest or first
    if rest:
        return first.replace("_", " "), rest
    return name.replace("_", " "), "validation" if kind == "validation" else "training"


def _flat(record: Mapping[str, Any], before: str = "") -> Iterable[tuple[str, Any]]:
    for name, value in record.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}.")
        elif not isinstance(value, bool | list) and value is not None:
            yield f"{before}{name}", value


def _chart(title: str, series: Mapping[str, list[Point]]) -> Chart:
    points = [point for line in series.values() for point in line]
    steps, values = [step for step, _ in points], [value for _, value in points]
    across, up = _ticks(min(steps), max(steps)), _ticks(min(values), max(values))
    low, high = (min(steps), max(steps)), (min(*values, up[0]), max(*values, up[-1]))
    curves = tuple(
        Curve(name, tuple(line), COLOURS[i % len(COLOURS)], _path(line, low, high))
        for i, (name, line) in enumerate(series.items())
    )
    return Chart(
        title,
        curves,
        tuple((_scale(tick, low, LEFT, WIDTH - RIGHT), short(tick)) for tick in across),
        tuple((_scale(tick, high, HEIGHT - BOTTOM, TOP), short(tick)) for tick in up),
    )


def short(value: float) -> str:
    """A number that fits beside an axis.

    >>> short(2.75e10), short(40_000), short(0.25)
    ('27.5 G', '40 k', '0.25')
    """
    for size, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            return f"{value / (1e3 if unit == 'k' else size):.4g} {unit}"
    return f"{value:g}"


def _path(line: Sequence[Point], across: tuple[float, float], up: tuple[float, float]) -> str:
    places = [
        f"{_scale(x, across, LEFT, WIDTH - RIGHT):.1f} {_scale(y, up, HEIGHT - BOTTOM, TOP):.1f}"
        for x, y in line
    ]
    return "M" + " L".join(places) if len(places) > 1 else f"M{places[0]} h1"


def _scale(value: float, span: tuple[float, float], start: float, stop: float) -> float:
    low, high = span
    return start if high == low else start + (value - low) / (high - low) * (stop - start)


def _ticks(low: float, high: float) -> list[float]:
    """Three to six round numbers from `low` to `high`."""
    if high <= low:
        return [low]
    rough = (high - low) / 4
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * factor for factor in (1, 2, 2.5, 5, 10) if unit * factor >= rough)
    first = math.ceil(low / step - 1e-9)
    ticks = [round(step * n, 12) for n in range(first, math.floor(high / step + 1e-9) + 1)]
    return ticks or [low]
