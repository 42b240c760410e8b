"""One photo of an evaluation of explanations: encoded once, every method asked, every map measured."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool

from dermaxai import vocabulary
from dermaxai.encoders.weights import hash_file
from dermaxai.errors import NotSupported
from dermaxai.evaluate.explanation_plan import (
    LESION_TEXT,
    Contestant,
    ExplanationPlan,
    contestants_of,
    metrics_of,
)
from dermaxai.evaluate.items import Item, MaskOrigin
from dermaxai.evaluate.known_concepts import ConceptSet, known_truth
from dermaxai.evaluate.masks import read_mask
from dermaxai.explain.base import Explained, text_directions
from dermaxai.explain.evidence import word_targets
from dermaxai.explain.splice import Splice
from dermaxai.measure.maps.base import AbstractMapMetric, Subject
from dermaxai.provenance import kept_warnings, repeatable
from dermaxai.questions import measure_words
from dermaxai.types import Encoded, HeatMap, SkinImage, Target

if TYPE_CHECKING:
    from dermaxai.pipeline import Model

COSINE = "cosine of the photo"
"""The baseline of concept detection: likeness of the whole photo and the concept, without any map."""
RIVALS = 2
"""Concepts that are not true of the photo and that maps of true ones are compared with."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question about a photo, under the condition that tables show."""

    condition: str
    target: Target


@dataclass(frozen=True, slots=True, eq=False)
class Photo:
    """A photo with what it is asked."""

    model: Explained
    image: SkinImage
    mask: Bool[np.ndarray, "height width"] | None
    outline: MaskOrigin
    encoded: Encoded
    asked: list[Asked]
    truth: dict[str, float]
    """Of the concepts, where these are asked for."""
    texts: dict[str, str]


def measure_photo(model: Model, item: Item, plan: ExplanationPlan, concepts: ConceptSet) -> dict[str, Any]:
    """The document of one photo: what was asked, each metric of each contestant, concepts found and known.

    `values[metric][contestant]` holds a number per question, NaN where the contestant gives none. `seconds`
    is how long it took, which no result depends on. Raises: DermaXAIError.
    """
    begun = time.perf_counter()
    contestants = contestants_of(plan)
    with kept_warnings() as noted, repeatable(model.settings):
        photo = ask_photo(model, item, plan, concepts)
        maps, refused = answer_all(photo, contestants)
        methods = {(one.method.name, one.method.variant): one.method for one in contestants}
        rivals = _rivals(photo)
        subject = Subject(
            photo.model, photo.encoded, photo.image, plan.protocol, methods, photo.mask,
            artefacts=None, rivals=rivals,
        )  # fmt: skip
        values, failed = _measure(subject, maps, metrics_of(plan), len(photo.asked))
        detected = _detect(photo, contestants, refused) if photo.truth else {}
    return {
        "questions": [[one.condition, one.target.kind, one.target.text] for one in photo.asked],
        "values": values,
        "maps": sum(heat is not None for row in maps.values() for heat in row),
        "outline": photo.outline,
        "outline sha256": outline_hash(item),
        "concepts": detected,
        "truth": photo.truth,
        "left out": refused | failed,
        "warnings": noted,
        "seconds": time.perf_counter() - begun,
    }


def outline_hash(item: Item) -> str:
    """Of the file with the outline; '' without one."""
    return hash_file(item.mask) if item.mask is not None else ""


def ask_photo(model: Model, item: Item, plan: ExplanationPlan, concepts: ConceptSet) -> Photo:
    """Read, encode and describe a photo, and think of the plan's questions. Raises: DermaXAIError."""
    image = model.read(item.path)
    mask, outline = read_mask(item, image, measured=plan.measured_masks)
    encoded = model.encoder.encode([image])[0]
    caption = None
    if "word" in plan.questions and model.captioner is not None:
        caption = model.captioner.describe(encoded, "en", beams=model.settings.beams)[0]
    explained = Explained(model.encoder, model.captioner if caption else None, caption)
    asked: list[Asked] = []
    if caption is not None:
        evidence = sorted(measure_words(explained, encoded), key=lambda one: -one.nats)
        most = {one.word for one in evidence[: plan.most_words or None]}
        words = word_targets(caption, sorted(evidence, key=lambda one: one.word))
        asked += [Asked("word", one) for one in words if one.word in most]
    if "query" in plan.questions:
        asked += [Asked("query", one) for one in _queries(item, plan)]
    if "concept" not in plan.questions:
        return Photo(explained, image, mask, outline, encoded, asked, {}, {})
    truth, texts = known_truth(item, image, mask, concepts), concepts.names
    asked += [Asked("concept", Target("concept", texts[name])) for name, value in truth.items() if value == 1]
    return Photo(explained, image, mask, outline, encoded, asked, truth, texts)


def _queries(item: Item, plan: ExplanationPlan) -> list[Target]:
    if plan.texts == "lesion":
        return [Target("query", LESION_TEXT)]
    if plan.texts != "diagnosis":
        return [Target("query", text) for text in plan.texts]
    if item.sample.diagnosis is None:
        return []
    return [Target("diagnosis", vocabulary.diagnosis(item.sample.diagnosis).name["en"])]


Rows = dict[str, list[HeatMap | None]]
"""The maps of each contestant, one per question; None where it gives none."""


def answer_all(photo: Photo, contestants: Sequence[Contestant]) -> tuple[Rows, dict[str, str]]:
    """Maps, and why a contestant gave none to a question that it answers in principle."""
    maps: Rows = {}
    refused: dict[str, str] = {}
    for one in contestants:
        targets = [asked.target for asked in photo.asked if asked.target.kind in one.method.answers]
        found = _answers(photo, one, list(dict.fromkeys(targets)), refused)
        maps[one.name] = [found.get(asked.target) for asked in photo.asked]
    return maps, refused


def _answers(
    photo: Photo, one: Contestant, targets: list[Target], refused: dict[str, str]
) -> dict[Target, HeatMap]:
    """Together; one by one where that is refused, so that the question at fault is found."""
    try:
        found = one.method.explain(photo.model, photo.encoded, targets)
    except NotSupported as error:
        if len(targets) == 1:
            refused[f"'{one.name}', '{targets[0].text}'"] = error.message
            return {}
        singly = [_answers(photo, one, [target], refused) for target in targets]
        return {target: heat for answer in singly for target, heat in answer.items()}
    return dict(zip(targets, found, strict=True))


def _rivals(photo: Photo) -> list[Target]:
    """Concepts that are known not to be true of the photo; words and queries get those of the metric."""
    false = [name for name, value in photo.truth.items() if value == 0]
    return [Target("concept", photo.texts[name]) for name in false[:RIVALS]]


def _measure(
    subject: Subject, maps: Rows, metrics: dict[str, AbstractMapMetric], count: int
) -> tuple[dict[str, dict[str, list[float]]], dict[str, str]]:
    """Every metric of all maps of the photo together; what a metric cannot measure stays NaN."""
    places = [
        (name, place, heat)
        for name, row in maps.items()
        for place, heat in enumerate(row)
        if heat is not None
    ]
    values: dict[str, dict[str, list[float]]] = {}
    failed: dict[str, str] = {}
    for metric, judge in metrics.items():
        table = {name: [float("nan")] * count for name in maps}
        values[metric] = table
        if "mask" in judge.needs and subject.mask is None:
            continue
        for (name, place, _), value in zip(
            places, _measure_all(judge, subject, places, metric, failed), strict=True
        ):
            table[name][place] = value
    return values, failed


Place = tuple[str, int, HeatMap]
"""Contestant, number of the question, map."""


def _measure_all(
    judge: AbstractMapMetric, subject: Subject, places: list[Place], metric: str, failed: dict[str, str]
) -> list[float]:
    """Contestant by contestant where a metric refuses one of them."""
    try:
        return judge.measure(subject, [heat for _, _, heat in places]) if places else []
    except NotSupported as error:
        names = list(dict.fromkeys(name for name, _, _ in places))
        if len(names) == 1:
            failed[f"{metric} of '{names[0]}'"] = error.message
            return [float("nan")] * len(places)
        found: list[float] = []
        for name in names:
            own = [place for place in places if place[0] == name]
            found += _measure_all(judge, subject, own, metric, failed)
        return found


def _detect(
    photo: Photo, contestants: Sequence[Contestant], refused: dict[str, str]
) -> dict[str, dict[str, float]]:
    """How much of each concept a contestant finds, whether or not it is there.

    SpLiCE: the concept's weight. Others: the mean of its map. Beside them the cosine of the whole photo.
    Methods that ignore the question find nothing.
    """
    targets = {name: Target("concept", text) for name, text in photo.texts.items()}
    directions = text_directions(photo.model.encoder, list(targets.values()))
    cosines = (directions @ photo.encoded.pooled.to(directions)).cpu().double().tolist()
    found = {COSINE: dict(zip(targets, cosines, strict=True))}
    for one in contestants:
        if one.is_baseline or not one.method.reads_question or "concept" not in one.method.answers:
            continue
        if isinstance(one.method, Splice):
            found[one.name] = _weights(photo, one, one.method, targets, refused)
            continue
        maps = _answers(photo, one, list(dict.fromkeys(targets.values())), refused)
        found[one.name] = {
            name: float(np.mean(maps[target].values, dtype=np.float64)) if target in maps else float("nan")
            for name, target in targets.items()
        }
    return found


def _weights(
    photo: Photo, one: Contestant, splice: Splice, targets: dict[str, Target], refused: dict[str, str]
) -> dict[str, float]:
    """NaN for what is none of the dictionary's concepts, and for all where there is no dictionary."""
    try:
        mixture = splice.decompose(photo.model, photo.encoded)
    except NotSupported as error:
        refused[f"'{one.name}'"] = error.message
        return dict.fromkeys(targets, float("nan"))
    places = {name: mixture.dictionary.find(target.text) for name, target in targets.items()}
    return {
        name: float("nan") if place is None else float(mixture.weights[place])
        for name, place in places.items()
    }
