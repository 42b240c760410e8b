"""What methods answer about one photo: maps, text sides, concepts, and how far the methods agree."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

from dermaxai.errors import NotSupported
from dermaxai.explain.agreement import add_agreements
from dermaxai.explain.base import SIMILARITY, AbstractMethod, Explained, Found
from dermaxai.types import Agreement, Concept, ConceptFit, Encoded, HeatMap, Target, TextMap

Plan = Sequence[tuple[AbstractMethod, Sequence[Target]]]
MAPPED_CONCEPTS = 8
"""The concepts of greatest weight get a map each."""


class LeftOut(UserWarning):
    """A method that was not asked, and why; a case keeps the text."""


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """The part of a case that methods make."""

    maps: tuple[HeatMap, ...] = ()
    texts: tuple[TextMap, ...] = ()
    concepts: tuple[Concept, ...] = ()
    fit: ConceptFit | None = None
    agreements: tuple[Agreement, ...] = ()


def answer_all(model: Explained, encoded: Encoded, plan: Plan, *, skip: bool = False) -> Answers:
    """Ask every method of the plan.

    `skip`: a method that cannot answer on this model is left out with a warning instead of an error.
    Raises: NotSupported, UsageError.
    """
    maps: list[HeatMap] = []
    texts: list[TextMap] = []
    found: Found | None = None
    for method, targets in plan:
        try:
            named = method.find(model, encoded)
            found = named or found
            maps += method.explain(model, encoded, [*targets, *concept_targets(named)])
        except NotSupported as error:
            if not skip:
                raise
            warnings.warn(f"'{method.name}' was left out: {error.message}", LeftOut, stacklevel=1)
            continue
        texts += text_sides(method, model, encoded, targets)
    every, agreements = add_agreements(maps)
    concepts, fit = (found.concepts, found.fit) if found else ((), None)
    return Answers(every, tuple(texts), concepts, fit, agreements)


def concept_targets(found: Found | None) -> list[Target]:
    """A question for each of the weightiest concepts."""
    named = found.concepts[:MAPPED_CONCEPTS] if found else ()
    return [Target("concept", concept.name) for concept in named if concept.weight > 0]


def text_sides(
    method: AbstractMethod, model: Explained, encoded: Encoded, targets: Sequence[Target]
) -> list[TextMap]:
    """Shares of the words of questions that have several; empty where the method does not read texts."""
    asked = [one for one in targets if one.kind in SIMILARITY and len(one.text.split()) > 1]
    if not method.reads_text or not asked:
        return []
    try:
        return method.explain_text(model, encoded, asked)
    except NotSupported as error:
        warnings.warn(f"'{method.name}' tells nothing of the text: {error.message}", LeftOut, stacklevel=1)
        return []
