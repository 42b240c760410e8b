"""The texts and targets of an encoder's training step, from the facts of a photo."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dermaxai.data.appearance import PALETTE, Appearance
from dermaxai.data.weak_captions import caption, compose, gather
from dermaxai.statements import TERMS, Facts, Slot
from dermaxai.types import Language


def draw_text(facts: Facts, generator: np.random.Generator) -> str:
    """A caption, some of its sentences, a single fact or a short prompt, in one of both languages."""
    language: Language = "ru" if generator.random() < 0.25 else "en"
    form = generator.random()
    if form < 0.45:
        return caption(facts, language, generator)
    if form < 0.65 and facts.diagnosis:
        name = TERMS["diagnosis"][facts.diagnosis][language]
        return {"en": f"dermoscopy of {name}", "ru": f"дерматоскопия: {name}"}[language]
    sentences = [sentence.text for sentence in compose(facts, language, generator)]
    count = int(generator.integers(1, len(sentences) + 1))
    chosen = sorted(generator.choice(len(sentences), count, replace=False))
    return " ".join(sentences[index] for index in chosen)


def facts_of(appearance: Appearance, coverage: float, diagnosis: str) -> Facts:
    """Facts of an augmented view: the size word is read again from the moved outline."""
    return gather(replace(appearance, area=coverage), diagnosis)


def fact_vector(facts: Facts) -> list[float]:
    """The measured facts as 14 numbers: 3 sizes, 2 symmetries, 2 borders, 7 colours; NaN where unknown."""
    vector: list[float] = []
    outline: tuple[Slot, ...] = ("size", "symmetry", "border")
    for slot in outline:
        value = facts.value(slot)
        vector += [float(value == name) if value else float("nan") for name in TERMS[slot]]
    return vector + [float(name in facts.colours) if facts.colours else float("nan") for name in PALETTE]
