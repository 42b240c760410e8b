"""An encoder alone over a whole dataset: diagnosis without training, concepts, retrieval, linear probe."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

import numpy as np

from dermaxai.errors import NotSupported
from dermaxai.evaluate.class_names import ClassNames, class_names
from dermaxai.evaluate.classification import Classified, classification_columns, concept_columns
from dermaxai.evaluate.concept_presence import (
    annotated_concepts,
    concept_prompts,
    presence,
    terms_of,
    truth_of,
)
from dermaxai.evaluate.embeddings import Embedded, embed_items
from dermaxai.evaluate.encoder_plan import OF_TEXTS, TASKS, Task, encoder_settings
from dermaxai.evaluate.encoder_plan import EncoderPlan as EncoderPlan
from dermaxai.evaluate.items import Evaluation, Item, Progress
from dermaxai.evaluate.linear_probe import Training, draw_share, learn
from dermaxai.evaluate.records import Records
from dermaxai.evaluate.retrieval import Written, captions_of, normalised, ranks_both_ways, retrieval_columns
from dermaxai.evaluate.zero_shot import (
    MAJORITY,
    classify,
    left_out,
    majority,
    prompts_of,
    rare_classes,
    zero_shot_columns,
)
from dermaxai.explain.base import embed_texts
from dermaxai.measure.columns import Column
from dermaxai.provenance import repeat_command

if TYPE_CHECKING:
    from dermaxai.encoders.base import AbstractEncoder

CHANCE = "random order"
"""The baseline of retrieval: candidates in an order that is drawn with the seed."""


@dataclass(frozen=True, slots=True, eq=False)
class _Task:
    """What a task works on: one encoder, the photos of one dataset, and what it tells the reader."""

    encoder: AbstractEncoder
    plan: EncoderPlan
    dataset: str
    embedded: Embedded
    train: Embedded
    notes: list[str]

    @property
    def contestant(self) -> str:
        """As tables call the encoder."""
        return self.encoder.card.name

    def classes(self) -> ClassNames:
        """The classes of the dataset, as this encoder is asked for them."""
        items = (*self.embedded.items, *self.train.items)
        return class_names(self.dataset, self.contestant, items, self.plan.names)


def evaluate_encoder(
    encoder: AbstractEncoder,
    items: Sequence[Item],
    plan: EncoderPlan,
    records: Records | None = None,
    tell: Progress | None = None,
    train: Sequence[Item] = (),
) -> Evaluation:
    """Every task of the plan, each dataset among the items by itself.

    Photos are encoded once; embeddings are kept in the plan's cache, or beside the `records`, and a later run
    reads them. `train` are photos for the linear probe; those that share a photo or a cluster with the items
    are left out. A task that has nothing to work on is left out, which a note says.
    Raises: NotSupported where texts are asked for and the encoder has no text tower.
    """
    texts = [task for task in plan.tasks if task in OF_TEXTS]
    if texts and not encoder.has_text:
        raise NotSupported(
            f"'{encoder.card.name}' has no text tower, so there is no {', '.join(texts)}.",
            hint="Ask for 'linear_probe' only.",
        )
    folder = plan.cache or (records.path.parent / "embeddings" if records is not None else None)
    notes: list[str] = []
    embedded = embed_items(encoder, items, folder, tell)
    learned = _apart(train, items, notes) if "linear_probe" in plan.tasks else []
    lessons = embed_items(encoder, learned, folder, tell)
    notes += _failures(embedded, len(items)) + _failures(lessons, len(learned))
    columns: list[Column] = []
    for dataset in dict.fromkeys(item.sample.dataset for item in embedded.items):
        own, other = (_of(dataset, some) for some in (embedded, lessons))
        task = _Task(encoder, plan, dataset, own, other, notes)
        for name in plan.tasks:
            columns += WORK[name](task)
    settings = encoder_settings(encoder, plan)
    return Evaluation(
        "encoders", tuple(columns), tuple(items), settings, _command(encoder, plan), tuple(notes)
    )


def _of(dataset: str, embedded: Embedded) -> Embedded:
    return embedded.pick([item for item in embedded.items if item.sample.dataset == dataset])


def _apart(train: Sequence[Item], items: Sequence[Item], notes: list[str]) -> list[Item]:
    """Training photos that share nothing with the photos to be judged."""
    judged = {item.sha256 for item in items}
    clusters = {item.cluster for item in items} - {""}
    kept = [one for one in train if one.sha256 not in judged and one.cluster not in clusters]
    if len(kept) < len(train):
        notes.append(
            f"{len(train) - len(kept)} of {len(train)} training photos share a lesion, a patient or a file "
            "with those that are judged, and are left out."
        )
    return kept


def _failures(embedded: Embedded, count: int) -> list[str]:
    if not embedded.failed:
        return []
    name, why = embedded.failed[0]
    return [f"{len(embedded.failed)} of {count} photos could not be used; the first, {name}: {why}"]


# ---- the tasks ------------------------------------------------------------------------------------


def _zero_shot(task: _Task) -> list[Column]:
    if not any(item.sample.diagnosis for item in task.embedded.items):
        task.notes.append(f"{task.dataset}, zero-shot: no photo has a diagnosis.")
        return []
    names = task.classes()
    templates = task.plan.templates or prompts_of(task.encoder)
    found = classify(task.encoder, task.embedded, names, templates)
    task.notes.extend(left_out(task.embedded, names).sentences(task.dataset))
    task.notes.append(
        f"{task.dataset}, zero-shot: {len(names.names)} classes, names of {names.source}: "
        f"{', '.join(names.names.values())}; prompts: {' | '.join(templates)}."
    )
    condition = f"{task.dataset}, zero-shot"
    task.notes.extend(rare_classes(condition, found))
    return zero_shot_columns(task.contestant, condition, found)


def _concepts(task: _Task) -> list[Column]:
    items = task.embedded.items
    concepts = annotated_concepts(items, task.plan.fewest)
    if not concepts:
        task.notes.append(
            f"{task.dataset}, concepts: no finding is annotated as present in {task.plan.fewest} photos and "
            "as absent in as many."
        )
        return []
    prompts = concept_prompts(task.encoder, task.plan.scheme)
    found = {
        one: (presence(task.encoder, task.embedded.values, terms_of(one), prompts), truth_of(items, one))
        for one in concepts
    }
    task.notes.append(
        f"{task.dataset}, concepts: {len(concepts)} findings, prompts of {prompts.source}, synonyms of the "
        "vocabulary and the concept tree."
    )
    rows = [item.id for item in items]
    return concept_columns(task.contestant, f"{task.dataset}, concepts", rows, found)


def _retrieval(task: _Task) -> list[Column]:
    columns: list[Column] = []
    for written in get_args(Written):
        captions = captions_of(task.embedded.items, written)
        if len(captions) < 2:
            continue
        chosen = task.embedded.pick([item for item in task.embedded.items if item.id in captions])
        rows = [item.id for item in chosen.items]
        texts = [captions[row] for row in rows]
        names = [normalised(text) for text in texts]
        vectors = embed_texts(task.encoder, texts).float().cpu().numpy()
        condition = f"{task.dataset}, retrieval, {written} captions"
        ranks = ranks_both_ways(chosen.values, vectors, names)
        columns += retrieval_columns(task.contestant, condition, rows, ranks)
        drawn = np.random.default_rng(task.plan.seed).standard_normal((2, len(rows), 8))
        chance = ranks_both_ways(drawn[0], drawn[1], names)
        columns += retrieval_columns(CHANCE, condition, rows, chance, is_baseline=True)
        task.notes.append(f"{condition}: {len(rows)} photos, {len(set(names))} different texts.")
    if not columns:
        task.notes.append(f"{task.dataset}, retrieval: fewer than two photos have an English caption.")
    return columns


def _linear_probe(task: _Task) -> list[Column]:
    names = task.classes() if task.train.items else None
    known = names.diagnoses if names else ()
    lessons = task.train.pick([item for item in task.train.items if item.sample.diagnosis in known])
    judged = task.embedded.pick([item for item in task.embedded.items if item.sample.diagnosis in known])
    if not lessons.items or not judged.items or names is None:
        task.notes.append(f"{task.dataset}, linear probe: there are no photos to learn from.")
        return []
    training = Training(
        lessons.values.astype(np.float64),
        np.array([known.index(str(item.sample.diagnosis)) for item in lessons.items], np.int64),
        [item.cluster or item.id for item in lessons.items],
    )
    labels = np.array([known.index(str(item.sample.diagnosis)) for item in judged.items], np.int64)
    rows = tuple(item.id for item in judged.items)
    columns: list[Column] = []
    for share in sorted(task.plan.shares):
        part = training.part(draw_share(training, share, task.plan.seed))
        probe = learn(part, len(known), task.plan.seed)
        condition = f"{task.dataset}, linear probe, {share:.0%}"
        scores = np.exp(probe.log_shares(judged.values.astype(np.float64)))
        found = Classified(rows, scores, labels, known)
        columns += classification_columns(task.contestant, condition, found)
        columns += classification_columns(MAJORITY, condition, majority(found), is_baseline=True)
        task.notes.append(
            f"{condition}: learned from {len(part.labels)} photos, L2 weight {probe.strength:g}."
        )
    return columns


WORK: dict[Task, Callable[[_Task], list[Column]]] = dict(
    zip(TASKS, (_zero_shot, _concepts, _retrieval, _linear_probe), strict=True)
)


def _command(encoder: AbstractEncoder, plan: EncoderPlan) -> str:
    """Without the places of the photos and of weights, which the caller knows."""
    options: dict[str, str | Sequence[str]] = {
        "on": "PHOTOS",
        "model": encoder.card.name,
        "task": list(plan.tasks),
        "names": plan.names,
        "template": list(plan.templates),
        "scheme": plan.scheme,
        "fewest": str(plan.fewest),
        "share": [f"{one:g}" for one in plan.shares],
        "seed": str(plan.seed),
    }
    return repeat_command(["evaluate", "encoders"], options)
