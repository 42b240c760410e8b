"""Captions that ask no captioner: of the most alike photo, of the label, of the majority."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from dermaxai.evaluate.caption_facts import compose_text
from dermaxai.evaluate.embeddings import Embedded
from dermaxai.evaluate.items import Item
from dermaxai.registry import check_name
from dermaxai.statements.clinical import ClinicalFacts
from dermaxai.types import Language

NEAREST, TEMPLATE, MAJORITY = "nearest neighbour", "label template", "majority caption"
BASELINES: Mapping[str, str] = {
    NEAREST: NEAREST,
    TEMPLATE: f"{TEMPLATE} (knows the label)",
    MAJORITY: MAJORITY,
}
"""What plans call them, and what tables do: one of them is told what the others have to find out."""
_FIELDS = ("size", "symmetry", "border", "colours", "site", "modality")
_AT_ONCE = 1024


def check_baselines(names: Iterable[str]) -> None:
    """Raises: UnknownName."""
    for name in names:
        check_name("caption baseline", name, dict(BASELINES))


def nearest_captions(photos: Embedded, train: Embedded, texts: Mapping[str, str]) -> dict[str, str]:
    """For each photo the text of the most alike training photo that has one, by cosine of the embeddings.

    A photo of the same cluster, or the photo itself, is not taken. Of photos that are equally alike the first
    counts.
    """
    library = train.pick([item for item in train.items if item.id in texts])
    if not library.items or not photos.items:
        return {}
    found = {}
    for start in range(0, len(photos.items), _AT_ONCE):
        some = photos.items[start : start + _AT_ONCE]
        alike = photos.values[start : start + _AT_ONCE] @ library.values.T
        alike[_related(some, library.items)] = -np.inf
        for row, item in enumerate(some):
            best = int(alike[row].argmax())
            if np.isfinite(alike[row, best]):
                found[item.id] = texts[library.items[best].id]
    return found


def _related(photos: Sequence[Item], others: Sequence[Item]) -> np.ndarray:
    """(photos, others): the same file, id or cluster."""
    groups, hashes = np.array([one.cluster for one in others]), np.array([one.sha256 for one in others])
    names = np.array([one.id for one in others])
    rows = [
        (names == one.id) | (hashes == one.sha256) | ((groups == one.cluster) & (one.cluster != ""))
        for one in photos
    ]
    return np.stack(rows)


def label_captions(
    labels: Mapping[str, str], train: Sequence[ClinicalFacts], language: Language
) -> dict[str, str]:
    """For each photo, of its label alone: the diagnosis, and what most training photos of it look like.

    `labels`: diagnosis by id of the photo; photos without one get no caption.
    """
    typical = {
        name: typical_facts([one for one in train if one.diagnosis == name], name)
        for name in sorted(set(labels.values()))
    }
    texts = {name: compose_text(facts, language) for name, facts in typical.items()}
    return {item: texts[name] for item, name in labels.items() if texts[name]}


def typical_facts(facts: Sequence[ClinicalFacts], diagnosis: str | None = None) -> ClinicalFacts:
    """The most frequent value of each fact, left out where most photos have none; ties by the alphabet.

    A finding is among them where it is seen in more than half of the photos.
    """
    chosen: dict[str, Any] = {
        field: _most(
            [getattr(one, field) for one in facts], ClinicalFacts.__dataclass_fields__[field].default
        )
        for field in _FIELDS
    }
    seen = Counter(name for one in facts for name in one.present)
    present = tuple(name for name, count in sorted(seen.items()) if 2 * count > len(facts))
    named = diagnosis or _most([one.diagnosis for one in facts], None)
    return ClinicalFacts(**chosen, present=present, diagnosis=named)


def majority_text(texts: Iterable[str]) -> str:
    """The most frequent text, the first in the alphabet among equals; '' of none."""
    return str(_most(list(texts), ""))


def _most(values: Sequence[Hashable], default: object) -> Any:  # noqa: ANN401 - of any field
    if not values:
        return default
    counts = Counter(values)
    return min(counts, key=lambda value: (-counts[value], str(value)))
