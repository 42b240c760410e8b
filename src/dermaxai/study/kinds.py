"""What a study may evaluate: for each kind its plan, and the function that carries it out."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dermaxai.evaluate.items import Evaluation, Item

if TYPE_CHECKING:
    from dermaxai.evaluate.items import Progress
    from dermaxai.evaluate.records import Records
    from dermaxai.pipeline import Model


@dataclass(frozen=True, slots=True)
class KindOfWork:
    """Where plan and functions live, as 'module:attribute', so that any process finds them."""

    plan: str
    """A dataclass; its fields are the keys of the plan's table."""
    work: str
    """`(assignment, model, records, tell) -> Evaluation`."""
    portion: str = ""
    """`(assignment, items, model, records, tell) -> None`: puts what is recorded of some photos, which
    depends on these, the plan and `context` alone. '': photos are worked on together."""
    context: str = ""
    """`(assignment) -> text`: what else than photo and plan the records of a photo depend on."""

    @property
    def apart(self) -> bool:
        """Whether several processes may share a task, and tasks of other photos its records."""
        return bool(self.portion)


@dataclass(frozen=True, slots=True, eq=False)
class Assignment:
    """What one call of an evaluation is about."""

    plan: Any
    items: tuple[Item, ...]
    train: tuple[Item, ...] = ()
    """Of the training part, where the data set brings them."""


WORK: Mapping[str, KindOfWork] = {
    "captions": KindOfWork("dermaxai.evaluate.captions:CaptionPlan", "dermaxai.study.kinds:of_captions"),
    "explanations": KindOfWork(
        "dermaxai.evaluate.explanations:ExplanationPlan",
        "dermaxai.study.kinds:of_explanations",
        "dermaxai.study.kinds:some_explanations",
        "dermaxai.study.kinds:concepts_asked",
    ),
    "encoders": KindOfWork("dermaxai.evaluate.encoders:EncoderPlan", "dermaxai.study.kinds:of_encoders"),
}


def load_attribute(place: str) -> Any:  # noqa: ANN401 - a class or a function
    """What 'module:attribute' stands for."""
    module, _, attribute = place.partition(":")
    return getattr(importlib.import_module(module), attribute)


def of_captions(
    assignment: Assignment, model: Model, records: Records | None, tell: Progress | None
) -> Evaluation:
    """Captions of the model against those of the data set."""
    from dermaxai.evaluate.captions import evaluate_captions

    return evaluate_captions(model, assignment.items, assignment.plan, records, tell, train=assignment.train)


def of_explanations(
    assignment: Assignment, model: Model, records: Records | None, tell: Progress | None
) -> Evaluation:
    """Maps of methods, beside those that know nothing."""
    from dermaxai.evaluate.explanations import evaluate_explanations

    return evaluate_explanations(model, assignment.items, assignment.plan, records, tell)


def some_explanations(
    assignment: Assignment,
    items: Sequence[Item],
    model: Model,
    records: Records | None,
    tell: Progress | None,
) -> None:
    """Some of the photos, with the questions of all."""
    from dermaxai.evaluate.explanation_photo import measure_photo
    from dermaxai.evaluate.known_concepts import concept_set
    from dermaxai.evaluate.records import Document, work_through

    concepts = concept_set(assignment.items)

    def work(item: Item) -> Document:
        return measure_photo(model, item, assignment.plan, concepts)

    work_through(items, records, work, tell, "photos explained")


def concepts_asked(assignment: Assignment) -> str:
    """The concepts that are asked of every photo; '' where none are."""
    from dermaxai.evaluate.known_concepts import concept_set

    asked = "concept" in assignment.plan.questions
    return ", ".join(concept_set(assignment.items).names) if asked else ""


def of_encoders(
    assignment: Assignment, model: Model, records: Records | None, tell: Progress | None
) -> Evaluation:
    """What the embeddings know."""
    from dermaxai.evaluate.encoders import evaluate_encoder

    encoder, train = model.encoder, assignment.train
    return evaluate_encoder(encoder, assignment.items, assignment.plan, records, tell, train)
