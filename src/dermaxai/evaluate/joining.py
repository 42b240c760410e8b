"""Encoders judged one by one become rivals in one table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dermaxai.evaluate.items import Evaluation, Item
from dermaxai.measure.columns import Column


def join_encoders(evaluations: Sequence[Evaluation]) -> list[Evaluation]:
    """Evaluations of encoders as one, where no two of them judge the same; the others as they are.

    An encoder is the contestant itself, so that encoders of several runs may be compared; a method of
    explanation is one under a model, and its runs stay apart. Settings that differ stand side by side.
    """
    places = [place for place, one in enumerate(evaluations) if one.kind == "encoders"]
    some = [evaluations[place] for place in places]
    columns, items = _columns(some), _items(some)
    if len(places) < 2 or columns is None or items is None:
        return list(evaluations)
    joined = Evaluation(
        "encoders",
        tuple(columns),
        tuple(items),
        _settings(some),
        "\n".join(dict.fromkeys(one.command for one in some)),
        tuple(dict.fromkeys(note for one in some for note in one.notes)),
        tuple(curve for one in some for curve in one.curves),
        {row: paths for one in some for row, paths in one.pictures.items()},
        {row: texts for one in some for row, texts in one.texts.items()},
    )
    others = [one for place, one in enumerate(evaluations) if place not in places[1:]]
    return [joined if one is some[0] else one for one in others]


def _columns(evaluations: Sequence[Evaluation]) -> list[Column] | None:
    """All, baselines that several share once; None where two differ under one name."""
    held: dict[tuple[str, str, str], Column] = {}
    for column in (column for one in evaluations for column in one.columns):
        key = (column.condition, column.scale.name, column.contestant)
        earlier = held.setdefault(key, column)
        same = earlier.rows == column.rows and np.array_equal(earlier.parts, column.parts, equal_nan=True)
        if earlier is not column and not (column.is_baseline and same):
            return None
    return list(held.values())


def _items(evaluations: Sequence[Evaluation]) -> list[Item] | None:
    """All, each once; None where one id is two photos."""
    held: dict[str, Item] = {}
    for item in (item for one in evaluations for item in one.items):
        if held.setdefault(item.id, item).sha256 != item.sha256:
            return None
    return list(held.values())


def _settings(evaluations: Sequence[Evaluation]) -> dict[str, str]:
    names = dict.fromkeys(name for one in evaluations for name in one.settings)
    told = {name: [one.settings.get(name, "") for one in evaluations] for name in names}
    return {name: values[0] if len(set(values)) == 1 else "; ".join(values) for name, values in told.items()}
