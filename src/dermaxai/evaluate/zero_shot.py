"""Diagnosis without training: the class whose prompts are most alike to the photo."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from dermaxai.evaluate.class_names import ClassNames
from dermaxai.evaluate.classification import Classified, classification_columns
from dermaxai.evaluate.embeddings import Embedded
from dermaxai.explain.base import embed_texts
from dermaxai.measure.columns import Column

if TYPE_CHECKING:
    from dermaxai.encoders.base import AbstractEncoder

MAJORITY = "majority class"
"""The baseline that always says the most frequent class of the photos it is judged on."""
RARE = 10
"""Photos of a class below which a reader is told."""


def prompts_of(encoder: AbstractEncoder) -> tuple[str, ...]:
    """The sentences of the encoder's authors, from its card; the bare name where it has none."""
    return encoder.card.templates or ("{}",)


def text_directions(
    encoder: AbstractEncoder, names: Sequence[str], templates: Sequence[str]
) -> Float[Tensor, "names embed"]:
    """Each name in all templates: embeddings of unit length, averaged, unit length again.

    Source: CLIP (arXiv:2103.00020), section 3.1.4; so in `zero_shot_classifier.py` of Derm1M and MAKE.
    """
    texts = [template.format(name) for name in names for template in templates]
    embedded = embed_texts(encoder, texts).float().cpu()
    return functional.normalize(embedded.reshape(len(names), len(templates), -1).mean(1), dim=1)


def classify(
    encoder: AbstractEncoder, embedded: Embedded, names: ClassNames, templates: Sequence[str] = ()
) -> Classified:
    """Cosines of the photos of the known classes with every class; photos of other diagnoses are left out.

    `templates` empty: those of the card.
    """
    classes = names.diagnoses
    chosen = embedded.pick([item for item in embedded.items if item.sample.diagnosis in classes])
    directions = text_directions(encoder, list(names.names.values()), templates or prompts_of(encoder))
    images = torch.from_numpy(chosen.values.reshape(len(chosen.items), -1))
    scores = images @ directions.T if len(images) else torch.zeros(0, len(classes))
    labels = np.array([classes.index(str(item.sample.diagnosis)) for item in chosen.items], np.int64)
    rows = tuple(item.id for item in chosen.items)
    return Classified(rows, scores.double().numpy(), labels, classes)


def zero_shot_columns(contestant: str, condition: str, found: Classified) -> list[Column]:
    """The metrics of classification, and beside them those of the majority class."""
    columns = classification_columns(contestant, condition, found)
    return [*columns, *classification_columns(MAJORITY, condition, majority(found), is_baseline=True)]


def majority(found: Classified) -> Classified:
    """The answers of one who knows which class is the most frequent among these photos, and no photo."""
    counts = Counter(found.labels.tolist())
    most = min(counts, key=lambda label: (-counts[label], label), default=0)
    scores = np.zeros(found.scores.shape)
    scores[:, most] = 1.0
    return Classified(found.rows, scores, found.labels, found.classes)


def rare_classes(condition: str, found: Classified) -> list[str]:
    """A sentence on the classes that few photos are of: means over classes hang on them. None without any."""
    counts = [(name, int((found.labels == number).sum())) for number, name in enumerate(found.classes)]
    rare = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in counts if count < RARE)
    if not rare:
        return []
    return [
        f"{condition}: classes with fewer than {RARE} photos, on which means over classes hang as much as on "
        f"the others: {rare}."
    ]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """How many photos a task cannot use."""

    without: int
    """Photos without a diagnosis."""
    others: int
    """Photos of a diagnosis that is none of the classes."""

    def sentences(self, dataset: str) -> list[str]:
        """For the reader; none where all are used."""
        told = []
        if self.without:
            told.append(f"{dataset}: {self.without} photos without a diagnosis are left out.")
        if self.others:
            told.append(f"{dataset}: {self.others} photos of other diagnoses than the classes are left out.")
        return told


def left_out(embedded: Embedded, names: ClassNames) -> LeftOut:
    """What `classify` does not use."""
    told = [item.sample.diagnosis for item in embedded.items]
    without = sum(one is None for one in told)
    return LeftOut(without, sum(one is not None and one not in names.names for one in told))
