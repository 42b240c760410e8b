"""Who writes captions under which conditions: the model, and baselines that learn from training photos."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dermaxai.evaluate.caption_baselines import (
    BASELINES,
    MAJORITY,
    NEAREST,
    TEMPLATE,
    label_captions,
    majority_text,
    nearest_captions,
    typical_facts,
)
from dermaxai.evaluate.caption_columns import Condition, Contestant
from dermaxai.evaluate.caption_facts import KINDS, compose_text, first_texts, known_facts, references_of
from dermaxai.evaluate.caption_writing import from_document
from dermaxai.evaluate.embeddings import Embedded
from dermaxai.evaluate.items import Item
from dermaxai.evaluate.records import Document
from dermaxai.statements.clinical import ClinicalFacts
from dermaxai.types import Language

Described = Sequence[tuple[Item, Document]]
"""Photos with what `CaptionWriter` found of them."""


def conditions_of(described: Described, languages: Iterable[Language], *, compose: bool) -> list[Condition]:
    """For each language and kind of reference the photos that have it; kinds without a photo are left out."""
    known = {item.id: known_facts(item.sample, document["measured"]) for item, document in described}
    found = []
    for language in languages:
        told = {
            item.id: references_of(item.sample, language, known[item.id], compose=compose)
            for item, _ in described
        }
        for kind in KINDS:
            items = tuple(item for item, _ in described if kind in told[item.id])
            if items:
                references = {item.id: told[item.id][kind] for item in items}
                found.append(Condition(language, kind, items, references, known))
    return found


def model_contestant(name: str, described: Described, language: Language) -> Contestant:
    """The model's own captions, with their probabilities."""
    captions = {
        item.id: from_document(document["captions"][language], language) for item, document in described
    }
    return Contestant(name, {item: caption.text for item, caption in captions.items()}, captions)


@dataclass(frozen=True, slots=True, eq=False)
class Training:
    """What baselines know: photos that none of the judged ones is a copy or neighbour of."""

    items: tuple[Item, ...]
    facts: tuple[ClinicalFacts, ...]
    """Of each."""
    left_out: int = 0
    """Photos that share a file, an id or a cluster with a judged one."""

    @classmethod
    def of(cls, train: Sequence[Item], judged: Sequence[Item]) -> Training:
        """Those of `train` that are strangers to `judged`."""
        taken = {key for item in judged for key in (item.id, item.sha256, item.cluster) if key}
        kept = tuple(one for one in train if taken.isdisjoint((one.id, one.sha256, one.cluster)))
        return cls(kept, tuple(known_facts(one.sample) for one in kept), len(train) - len(kept))

    def texts(self, condition: Condition) -> dict[str, str]:
        """A reference of each photo that has one of the condition's kind, by id."""
        return first_texts([(one.id, one.sample) for one in self.items], condition.language, condition.kind)


def baseline_contestants(
    names: Sequence[str],
    condition: Condition,
    training: Training,
    embedded: tuple[Embedded, Embedded] | None = None,
) -> list[Contestant]:
    """The baselines that can be had; `embedded`: judged photos and training photos."""
    library = training.texts(condition) if {NEAREST, MAJORITY} & set(names) else {}
    found: dict[str, Mapping[str, str]] = {}
    if NEAREST in names and embedded is not None:
        found[NEAREST] = nearest_captions(embedded[0].pick(condition.items), embedded[1], library)
    if TEMPLATE in names:
        labels = {item.id: label for item in condition.items if (label := condition.known[item.id].diagnosis)}
        found[TEMPLATE] = label_captions(labels, training.facts, condition.language)
    if MAJORITY in names and training.items:
        text = _majority(condition, training, library)
        found[MAJORITY] = {item.id: text for item in condition.items} if text else {}
    return [Contestant(BASELINES[name], found[name], is_baseline=True) for name in names if found.get(name)]


def _majority(condition: Condition, training: Training, library: Mapping[str, str]) -> str:
    """What is written most often; of composed captions what most photos have, said as one."""
    if condition.kind == "written captions":
        return majority_text(library.values())
    return compose_text(typical_facts(training.facts), condition.language)
