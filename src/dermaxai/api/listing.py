"""What methods and metrics say of themselves, written down once, so that the server need not load them.

    python -m dermaxai.api.listing      writes cards/methods.json and cards/metrics.json again

The classes are the truth, and importing them imports torch; a test compares the two files with the classes.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

Speed = Literal["fast", "moderate", "slow"]
"""'fast': less than one more pass through the encoder; 'moderate': a few; 'slow': dozens to hundreds."""

SPEEDS: Mapping[str, Speed] = {
    "relevance": "moderate",
    "legrad": "moderate",
    "decomposition": "moderate",
    "splice": "moderate",
    "score_cam": "slow",
    "occlusion": "slow",
    "convis": "slow",
}
"""By the table of costs in docs/methods.md; the others are fast."""


@functools.cache
def listed(name: Literal["methods", "metrics"]) -> tuple[Mapping[str, Any], ...]:
    """The rows of one of the two files."""
    return tuple(json.loads(files("dermaxai").joinpath(f"cards/{name}.json").read_text(encoding="utf-8")))


def make_methods() -> list[dict[str, Any]]:
    """One row per explanation method, from its class; loads torch."""
    from dermaxai.commands.models import method_row
    from dermaxai.explain import METHODS

    rows = (method_row(name, METHODS.load(name)) for name in METHODS)
    return [
        {**row, "support": _shortened(row["support"]), "speed": SPEEDS.get(row["name"], "fast")}
        for row in rows
    ]


def make_metrics() -> list[dict[str, Any]]:
    """One row per metric, from the metric; loads torch."""
    from dermaxai.evaluate.listing import listed_metrics

    return [
        {"family": one.family, "asked_by": one.option, "about": one.about, **_bounded(asdict(one.scale))}
        for one in listed_metrics()
    ]


def _shortened(support: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Only what is doubtful or impossible: pooling -> kind of question -> level, why, instead."""
    return {
        pooling: {kind: dict(told) for kind, told in kinds.items() if told["level"] != "supported"}
        for pooling, kinds in support.items()
    }


def _bounded(scale: dict[str, Any]) -> dict[str, Any]:
    """Infinite bounds as None, which JSON has."""
    bounds = {name: scale[name] for name in ("low", "high")}
    return scale | {name: None if abs(value) == float("inf") else value for name, value in bounds.items()}


def texts() -> Iterator[tuple[str, str]]:
    """Name and content of each file, as the classes have it now."""
    for name, rows in (("methods", make_methods()), ("metrics", make_metrics())):
        yield f"{name}.json", f"{json.dumps(rows, ensure_ascii=False, indent=1)}\n"


if __name__ == "__main__":
    for _file, _text in texts():
        Path(str(files("dermaxai")), "cards", _file).write_text(_text, encoding="utf-8")
