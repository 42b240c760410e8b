"""Explanation methods over a whole dataset: every photo, every question, every metric, the same for all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from dermaxai.evaluate.explanation_columns import columns_of, question_counts
from dermaxai.evaluate.explanation_photo import measure_photo, outline_hash
from dermaxai.evaluate.explanation_plan import QUESTIONS as QUESTIONS
from dermaxai.evaluate.explanation_plan import ExplanationPlan as ExplanationPlan
from dermaxai.evaluate.explanation_plan import Question as Question
from dermaxai.evaluate.explanation_plan import check_plan, contestants_of, metrics_of, settings_of
from dermaxai.evaluate.items import Evaluation, Item, Progress
from dermaxai.evaluate.known_concepts import concept_set
from dermaxai.evaluate.records import Document, Records, failures, work_through
from dermaxai.provenance import chosen_settings, repeat_command

if TYPE_CHECKING:
    from dermaxai.pipeline import Model


def explanation_key(model: Model, items: Sequence[Item], plan: ExplanationPlan) -> dict[str, str]:
    """The key of the records of such an evaluation: everything that a document depends on but its photo."""
    return settings_of(model, plan, concept_set(items))


def evaluate_explanations(
    model: Model,
    items: Sequence[Item],
    plan: ExplanationPlan,
    records: Records | None = None,
    tell: Progress | None = None,
) -> Evaluation:
    """Ask every method of the plan about every photo, and measure all maps.

    A photo is encoded and described once; all its maps are measured together. Columns hold the mean over a
    photo's questions of one kind ('word', 'query', 'concept'), for the questions that all contestants have a
    value for. With concepts, columns of the condition 'concept' also say how well each method tells which
    photos show a concept. `records` (opened with `explanation_key`) keep what is done.
    Raises: UnknownName, NotSupported for a plan that the model cannot answer; the error of the first photo
    where every photo fails.
    """
    check_plan(model, plan)
    concepts = concept_set(items)

    def work(item: Item) -> Document:
        return measure_photo(model, item, plan, concepts)

    if records is not None:
        _renew(items, records, work)
    documents = work_through(items, records, work, tell, "photos explained")
    told = columns_of(items, documents, contestants_of(plan), metrics_of(plan))
    asked = ", ".join(f"{count} of kind '{kind}'" for kind, count in question_counts(documents).items())
    notes = (f"{len(items)} photos, questions: {asked or 'none'}.", *failures(items, documents), *told.notes)
    settings = settings_of(model, plan, concepts)
    return Evaluation("explanations", told.columns, tuple(items), settings, _command(model, plan), notes)


def _renew(items: Sequence[Item], records: Records, work: Callable[[Item], Document]) -> None:
    """Photos whose outline has changed since are measured again."""
    for item in items:
        document = records.get(item)
        if document is not None and document["outline sha256"] != outline_hash(item):
            records.put(item, work(item))


def _command(model: Model, plan: ExplanationPlan) -> str:
    """Without the places of the photos, which the caller knows."""
    protocol = {name.replace("_", "-"): str(value) for name, value in asdict(plan.protocol).items()}
    del protocol["seed"]
    options: dict[str, str | Sequence[str]] = {
        "on": "PHOTOS",
        "method": list(plan.methods),
        "metric": list(plan.metrics),
        "question": list(plan.questions),
        "text": [plan.texts] if isinstance(plan.texts, str) else list(plan.texts),
        "baseline": list(plan.baselines) or "none",
        "most-words": str(plan.most_words or ""),
        **protocol,
    }
    outlines = ["--measured-masks"] if plan.measured_masks else []
    return repeat_command(
        ["evaluate", "explanations", *outlines], {**options, **model.origin}, chosen_settings(model.settings)
    )
