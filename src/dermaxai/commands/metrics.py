"""The command that lists what can be measured."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Literal

import typer

from dermaxai.commands.console import plain_table, say_json, say_table
from dermaxai.commands.options import JsonOption

Family = Literal["caption", "clinical", "map", "sanity", "encoder"]


def metrics(
    family: Annotated[Family | None, typer.Argument(help="Of one family only.", show_default="all")] = None,
    as_json: JsonOption = False,
) -> None:
    """Every metric: which direction is better, its unit, its range, and where it is from.

    'asked by' is the name for --metric, for 'dermaxai sanity' and for --task.
    """
    from dermaxai.evaluate.listing import listed_metrics

    table = plain_table("family", "asked by", "number", "title", "better", "unit", "range", "source")
    for one in listed_metrics():
        if family not in (None, one.family):
            continue
        scale = one.scale
        if as_json:
            say_json(
                {"family": one.family, "asked_by": one.option, "about": one.about, **_plain(asdict(scale))}
            )
        else:
            table.add_row(
                one.family,
                one.option,
                scale.name,
                scale.title,
                scale.better,
                scale.unit,
                scale.range,
                scale.source,
            )
    if not as_json:
        say_table(table)


def _plain(scale: dict[str, Any]) -> dict[str, Any]:
    """Infinite bounds as None, which JSON has."""
    bounds = {name: scale[name] for name in ("low", "high")}
    return scale | {name: None if abs(value) == float("inf") else value for name, value in bounds.items()}
