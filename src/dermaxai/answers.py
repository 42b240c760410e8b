"""What methods answer about one photo: maps, text sides, concepts, and how far the methods agree."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dermaxai.errors import DermaXAIError, NotSupported
from dermaxai.explain.agreement import add_agreements
from dermaxai.explain.base import SIMILARITY, AbstractMethod, Explained, Found
from dermaxai.progress import stage
from dermaxai.scores import carry_scores
from dermaxai.types import Case, Encoded, HeatMap, Target, TextMap

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
    finder: str = ""
    """The method that looked for concepts; '' where none did."""
    found: Found | None = None
    left_out: tuple[str, ...] = ()
    """Why some methods did not answer, as the case's warnings say it."""


def answer_all(
    model: Explained, encoded: Encoded, plan: Plan, skip: type[DermaXAIError] | tuple[()] = ()
) -> Iterator[tuple[str, Answers]]:
    """Ask every method of the plan; after each one its `label`, and all the answers so far.

    `skip`: where a method ends in such an error it is left out with a warning.
    Raises: NotSupported, UsageError.
    """
    so_far = Answers()
    for method, targets in plan:
        try:
            with stage(label(method)):
                new = _ask(method, model, encoded, targets)
        except skip as error:
            told = f"'{method.name}' was left out: {error.message}"
            warnings.warn(told, LeftOut, stacklevel=1)
            so_far = replace(so_far, left_out=(*so_far.left_out, told))
        else:
            so_far = replace(so_far, maps=(*so_far.maps, *new.maps), texts=(*so_far.texts, *new.texts))
            if new.finder:
                so_far = replace(so_far, finder=new.finder, found=new.found)
        yield label(method), so_far


def _ask(method: AbstractMethod, model: Explained, encoded: Encoded, targets: Sequence[Target]) -> Answers:
    """What a method answers to its questions, and about the concepts that it finds by itself."""
    found = method.find(model, encoded)
    maps = method.explain(model, encoded, [*targets, *concept_targets(found)])
    texts = text_sides(method, model, encoded, targets)
    return Answers(tuple(maps), tuple(texts), "" if found is None else method.name, found)


def ask_one(method: AbstractMethod, model: Explained, encoded: Encoded, target: Target) -> Answers:
    """What a method answers to one question. Raises: NotSupported, UsageError."""
    with stage(label(method)):
        maps = method.explain(model, encoded, [target])
        return Answers(tuple(maps), tuple(text_sides(method, model, encoded, [target])))


def find_concepts(finder: AbstractMethod, model: Explained, encoded: Encoded) -> Answers:
    """The concepts that a method finds by itself, with a map for each of the first. Raises: NotSupported."""
    with stage(label(finder)):
        found = finder.find(model, encoded)
        maps = finder.explain(model, encoded, concept_targets(found))
    return Answers(tuple(maps), finder=finder.name, found=found)


def label(method: AbstractMethod) -> str:
    """A method by its name, with the variant where that is not the default."""
    usual = method.of_variant(next(iter(method.variants)))
    return method.name if method.variant == usual.variant else f"{method.name}:{method.variant}"


def reason_left_out(case: Case, method: str) -> str:
    """Why a method is missing in a case, by its `label`; '' where it is not."""
    begin = f"'{method.partition(':')[0]}' was left out: "
    return next((told.removeprefix(begin) for told in case.warnings if told.startswith(begin)), "")


def add_answers(case: Case, new: Answers) -> dict[str, Any]:
    """The fields of `case` that `new` answers change; an older answer to the same question is replaced.

    Agreements are made anew, and the scores of maps that stay are kept.
    """
    every, agreements = add_agreements(_joined_maps(case, new))
    return {
        **_joined(case, new),
        "maps": every,
        "scores": carry_scores(case, every),
        "agreements": agreements,
    }


def glance(case: Case, new: Answers) -> Case:
    """A case that is still being made, as far as it has come, without agreements."""
    remarks = (*case.warnings, *new.left_out)
    return replace(case, maps=_joined_maps(case, new), warnings=remarks, **_joined(case, new))


def _joined_maps(case: Case, new: Answers) -> tuple[HeatMap, ...]:
    again = {_question(heat) for heat in new.maps}
    kept = (
        heat
        for heat in case.maps
        if _question(heat) not in again and (heat.method, heat.target.kind) != (new.finder, "concept")
    )
    return (*kept, *new.maps)


def _joined(case: Case, new: Answers) -> dict[str, Any]:
    """Everything but maps and what is made of them."""
    again = {*map(_question, new.maps), *map(_question, new.texts)}
    kept = (entry for entry in case.texts if _question(entry) not in again)
    changes: dict[str, Any] = {"texts": (*kept, *new.texts)}
    if new.finder:
        changes |= {
            "concepts": new.found.concepts if new.found else (),
            "concept_fit": new.found.fit if new.found else None,
        }
    return changes


def _question(entry: HeatMap | TextMap) -> tuple[str, Target, str]:
    return entry.method, entry.target, entry.variant


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
