"""Which concepts are known to be true of a photo, and which rivals of the same kind are known not to be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from dermaxai import vocabulary
from dermaxai.colour import to_frame
from dermaxai.concepts.tree import bare, read_tree
from dermaxai.data.appearance import PALETTE, measure
from dermaxai.evaluate.class_names import published_classes
from dermaxai.evaluate.items import Item
from dermaxai.types import SkinImage

MOST_DIAGNOSES = 12
"""Of a dataset without a published list of classes: its most frequent ones."""


@dataclass(frozen=True, slots=True)
class ConceptSet:
    """The concepts that every photo of an evaluation is asked about."""

    diagnoses: tuple[str, ...]
    """Ids of the vocabulary that are nodes of the concept tree, too."""
    findings: tuple[str, ...]
    """Likewise."""
    colours: tuple[str, ...]
    """Names of the measured palette."""

    @property
    def names(self) -> dict[str, str]:
        """English text of each concept, by a name that is unique in the set."""
        nodes = read_tree().nodes
        told = {one: bare(nodes[one].names["en"]) for one in (*self.diagnoses, *self.findings)}
        return told | {slug(one): one for one in self.colours}


def slug(name: str) -> str:
    """A name of one word.

    >>> slug("blue-grey")
    'blue_grey'
    """
    return name.replace(" ", "_").replace("-", "_")


def concept_set(items: Sequence[Item]) -> ConceptSet:
    """The diagnoses of the items' datasets, the findings that are annotated, and the measured colours.

    Where the classes of a dataset are published these count, so that more photos do not change the set.
    """
    nodes = read_tree().nodes
    diagnoses: dict[str, None] = {}
    for dataset in dict.fromkeys(item.sample.dataset for item in items):
        told = [
            one.sample.diagnosis for one in items if one.sample.dataset == dataset and one.sample.diagnosis
        ]
        common = sorted(Counter(told).items(), key=lambda entry: (-entry[1], entry[0]))[:MOST_DIAGNOSES]
        diagnoses |= dict.fromkeys(published_classes(dataset) or sorted(name for name, _ in common))
    annotated = {one for item in items for one in (*item.sample.present, *item.sample.absent)}
    return ConceptSet(
        tuple(one for one in diagnoses if one in nodes),
        tuple(one for one in vocabulary.findings() if one in annotated and one in nodes),
        tuple(PALETTE),
    )


def known_truth(
    item: Item, image: SkinImage, outline: Bool[np.ndarray, "height width"] | None, asked: ConceptSet
) -> dict[str, float]:
    """1 (true of the photo), 0 (not) or NaN (nobody knows) for each concept, by its name in the set.

    The diagnosis is the publisher's, findings are annotations; colours are measured inside the lesion, in
    dermoscopic photos and in photos with an `outline`, and known only where that outline is clear and whole.
    """
    sample = item.sample
    own = {sample.diagnosis, *sample.other_diagnoses} - {None}
    known = {one: float(one in own) if own else np.nan for one in asked.diagnoses}
    known |= {
        one: 1.0 if one in sample.present else 0.0 if one in sample.absent else np.nan
        for one in asked.findings
    }
    seen = _measured_colours(item, image, outline)
    return known | {slug(one): np.nan if seen is None else float(one in seen) for one in asked.colours}


def _measured_colours(
    item: Item, image: SkinImage, outline: Bool[np.ndarray, "height width"] | None
) -> set[str] | None:
    if outline is None and item.sample.modality != "dermoscopic":
        return None
    frame = None
    if outline is not None:
        white = np.repeat((outline * np.uint8(255))[..., None], 3, axis=2)
        frame = to_frame(white)[..., 0] > 127
        if not frame.any():
            return None
    found = measure(image.pixels, frame)
    return {name for name, _ in found.colours} if found.trusted else None
