"""From documents of photos to columns of tables: contestants are judged on the same questions."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dermaxai.evaluate.classification import concept_columns
from dermaxai.evaluate.explanation_photo import COSINE
from dermaxai.evaluate.explanation_plan import Contestant, Question
from dermaxai.evaluate.items import Item
from dermaxai.measure.columns import Column, mean_column
from dermaxai.measure.maps.base import AbstractMapMetric
from dermaxai.measure.scale import Scale

ENOUGH = 0.5
"""Share of the questions that a contestant must have a value for, to be compared with the others on them."""
FEWEST = 5
"""Photos of a concept, and as many without it, below which it is not looked for among the others."""
OWN = ", own questions"
"""Behind a condition, where a contestant has too few values to be compared."""
MEASURED = ", measured outlines"
"""Behind a condition, where this program drew the outlines."""

Document = Mapping[str, Any]
Place = tuple[str, int]
"""Id of an item and number of a question about it."""


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """Columns, and what a reader must know of them."""

    columns: tuple[Column, ...]
    notes: tuple[str, ...]


def columns_of(
    items: Sequence[Item],
    documents: Sequence[Document],
    contestants: Sequence[Contestant],
    metrics: Mapping[str, AbstractMapMetric],
) -> Told:
    """Metrics of every kind of question, then detection of concepts; `documents` in the order of `items`."""
    pairs = [(item, one) for item, one in zip(items, documents, strict=True) if "error" not in one]
    columns: list[Column] = []
    notes: list[str] = []
    conditions = dict.fromkeys(asked[0] for _, one in pairs for asked in one["questions"])
    for condition in conditions:
        for name, judge in metrics.items():
            for label, some in _by_outline(condition, judge, pairs):
                found = _values(some, condition, name, contestants)
                columns += _comparable(found, label, judge.scale, contestants, notes)
    detected = [(item, one) for item, one in pairs if one["concepts"]]
    columns += _detection(detected, contestants, notes)
    return Told(tuple(columns), (*notes, *_remarks(pairs)))


def _by_outline(
    condition: str, judge: AbstractMapMetric, pairs: Sequence[tuple[Item, Document]]
) -> Iterator[tuple[str, list[tuple[Item, Document]]]]:
    """Experts' outlines and measured ones apart, where a metric reads them."""
    if "mask" not in judge.needs:
        yield condition, list(pairs)
        return
    for origin, label in (("expert", condition), ("measured", f"{condition}{MEASURED}")):
        some = [(item, one) for item, one in pairs if one["outline"] == origin]
        if some:
            yield label, some


def _values(
    pairs: Sequence[tuple[Item, Document]], condition: str, metric: str, contestants: Sequence[Contestant]
) -> dict[str, dict[Place, float]]:
    """What each contestant gets for each question of a condition, without NaN."""
    found: dict[str, dict[Place, float]] = {one.name: {} for one in contestants}
    for item, document in pairs:
        for number, asked in enumerate(document["questions"]):
            if asked[0] != condition:
                continue
            for name, values in document["values"].get(metric, {}).items():
                if not math.isnan(values[number]):
                    found[name][item.id, number] = values[number]
    return found


def _comparable(
    found: dict[str, dict[Place, float]],
    condition: str,
    scale: Scale,
    contestants: Sequence[Contestant],
    notes: list[str],
) -> list[Column]:
    """Means over the questions that all have a value for.

    Who has a value for too few of them is left out of that, and gets a condition of its own.
    """
    asked = {place: None for values in found.values() for place in values}
    judged = [one for one in contestants if found[one.name]]
    able = [one for one in judged if len(found[one.name]) >= ENOUGH * len(asked)]
    shared = [place for place in asked if all(place in found[one.name] for one in able)]
    columns = []
    for one in judged:
        values = found[one.name]
        places = shared if one in able else list(values)
        rows = [(place[0], values[place]) for place in places]
        label = condition if one in able else f"{condition}{OWN}"
        if rows:
            columns.append(mean_column(one.name, label, scale, rows, is_baseline=one.is_baseline))
        if one not in able:
            notes.append(
                f"{scale.title}, {condition}: '{one.name}' has a value for {len(values)} of {len(asked)} "
                "questions; its row is of these and not comparable with the others."
            )
    if len(shared) < len(asked):
        lacking = [f"'{one.name}' lacks {len(asked) - len(found[one.name])}" for one in able]
        told = ", ".join(text for text in lacking if not text.endswith(" lacks 0"))
        notes.append(
            f"{scale.title}, {condition}: {len(shared)} of {len(asked)} questions are compared, "
            f"those that all have a value for; {told}."
        )
    return columns


def _detection(
    pairs: Sequence[tuple[Item, Document]], contestants: Sequence[Contestant], notes: list[str]
) -> list[Column]:
    """AUROC of concepts over photos: their mean over what every contestant knows, and each by itself."""
    if not pairs:
        return []
    rows = [item.id for item, _ in pairs]
    names = list(pairs[0][1]["truth"])
    truth = {name: np.array([one["truth"][name] for _, one in pairs], np.float64) for name in names}
    usual = [name for name in names if min((truth[name] == 1).sum(), (truth[name] == 0).sum()) >= FEWEST]
    if len(usual) < len(names):
        rare = ", ".join(name for name in names if name not in usual)
        notes.append(
            f"Concepts that fewer than {FEWEST} photos show, or fewer than {FEWEST} are known not to show, "
            f"are not looked for: {rare}."
        )
    order = [COSINE, *(one.name for one in contestants)]
    scores = {
        who: {name: np.array([one["concepts"][who][name] for _, one in pairs], np.float64) for name in usual}
        for who in order
        if all(who in one["concepts"] for _, one in pairs)
    }
    known = [name for name in usual if all(not np.isnan(own[name]).any() for own in scores.values())]
    for who, own in scores.items():
        if lacking := [name for name in usual if np.isnan(own[name]).any()]:
            notes.append(
                f"'{who}' does not know {', '.join(lacking)}, which therefore no contestant's mean counts."
            )
    return [
        column
        for who, own in scores.items()
        for column in concept_columns(
            who,
            "concept",
            rows,
            {name: (own[name], truth[name]) for name in known},
            is_baseline=who == COSINE,
        )
    ]


def _remarks(pairs: Sequence[tuple[Item, Document]]) -> list[str]:
    """Of all photos together: outlines, refusals, warnings, each once with its number of photos."""
    told = []
    outlines = Counter(one["outline"] or "none" for _, one in pairs)
    if set(outlines) != {"none"}:
        told.append(
            f"Outlines: {outlines['expert']} of experts, {outlines['measured']} measured by this program, "
            f"{outlines['none']} photos without one, which metrics of outlines leave out."
        )
    without = sum(not one["questions"] for _, one in pairs)
    if without:
        told.append(f"{without} of {len(pairs)} photos had nothing to ask about.")
    left = Counter(f"{who}: {why}" for _, one in pairs for who, why in one["left out"].items())
    told += [f"{text} ({count} of {len(pairs)} photos)" for text, count in sorted(left.items())]
    warned = Counter(text for _, one in pairs for text in one["warnings"])
    told += [f"{text} ({count} of {len(pairs)} photos)" for text, count in sorted(warned.items())]
    return told


def question_counts(documents: Sequence[Document]) -> dict[Question, int]:
    """How many questions of each kind were asked in all."""
    counted: Counter[Question] = Counter(
        asked[0] for one in documents if "error" not in one for asked in one["questions"]
    )
    return dict(counted)
