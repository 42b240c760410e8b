"""Captions composed from facts only, English and Russian; each sentence knows where its facts come from.

A caption is three sentences: what the outline shows (size, symmetry, border), the colours, the diagnosis.
Nothing is stated that was neither measured nor labelled, and nothing that a photo cannot show: age, sex,
site, how the diagnosis was confirmed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dermaxai.data.appearance import Appearance
from dermaxai.data.samples import Sentence as Sentence
from dermaxai.statements import Facts, wordings_of
from dermaxai.types import Language

MOST_COLOURS = 2
"""Of the measured colours, in one caption."""


def gather(appearance: Appearance, diagnosis: str | None) -> Facts:
    """Facts of one photo: measured ones only where the outline is to be trusted; at most two colours."""
    if not appearance.trusted:
        return Facts(diagnosis=diagnosis)
    return Facts(
        appearance.size,
        appearance.symmetry,
        appearance.border,
        tuple(name for name, _ in appearance.colours[:MOST_COLOURS]),
        diagnosis,
    )


def compose(facts: Facts, language: Language, generator: np.random.Generator | None = None) -> list[Sentence]:
    """Sentences stating `facts`; without a generator the plainest wording, with one a random wording.

    >>> facts = Facts("large", "asymmetric", "irregular", ("dark brown", "red"), "mel")
    >>> for sentence in compose(facts, "en"):
    ...     print(f"{sentence.source}: {sentence.text}")
    measurement: A large asymmetric lesion with an irregular border.
    measurement: The colour is dark brown and red.
    label: Possible diagnosis: melanoma.
    """
    return [
        Sentence(draw_wording(options, generator), source) for options, source in wordings_of(facts, language)
    ]


def draw_wording(options: Sequence[str], generator: np.random.Generator | None) -> str:
    """The plainest wording most often, the others more and more rarely."""
    if generator is None:
        return options[0]
    return options[min(int(generator.exponential(0.6)), len(options) - 1)]


def caption(facts: Facts, language: Language, generator: np.random.Generator | None = None) -> str:
    """The sentences of `compose` as one text."""
    return " ".join(sentence.text for sentence in compose(facts, language, generator))
