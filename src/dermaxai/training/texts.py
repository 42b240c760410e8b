"""What is said of a photo in one step: a caption per language, its wording drawn anew each time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from dermaxai.data.appearance import Appearance
from dermaxai.data.cleaning import drop_diagnosis
from dermaxai.data.composing import compose_clinical, facts_of
from dermaxai.data.samples import Sample, SampleCaption, Source
from dermaxai.data.weak_captions import compose, gather
from dermaxai.statements import TERMS
from dermaxai.training.sections import CaptionPolicy, DataSection
from dermaxai.types import Language

Numbers = np.random.Generator | None
"""Where choices are drawn from; None: the first caption, the plainest wording."""


class Described(Protocol):
    """A photo with what is known of it, as a manifest gives it."""

    @property
    def sample(self) -> Sample:
        """What its publisher says."""

    @property
    def appearance(self) -> Appearance | None:
        """What was measured in it."""


@dataclass(frozen=True, slots=True)
class Texts:
    """The captions of photos under one policy.

    Languages keep their order, so that one generator gives the same texts everywhere.
    """

    policy: CaptionPolicy
    languages: tuple[Language, ...]
    sources: tuple[Source, ...]
    drop_diagnosis: bool = False

    @classmethod
    def of_recipe(cls, section: DataSection, languages: Sequence[Language]) -> Texts:
        """As a recipe's [data] says, in those of its languages that the captioner writes."""
        wanted = languages if section.languages == "every" else section.languages
        order = tuple(language for language in languages if language in wanted)
        return cls(section.captions, order, section.sources, section.drop_diagnosis)

    def of(
        self, photo: Described, numbers: Numbers = None, coverage: float | None = None
    ) -> dict[Language, str]:
        """A caption in each language in which anything can be said of the photo.

        Args: coverage of the view by the lesion, 0 to 1, where it differs from the photo's.
        """
        seen = _at(photo.appearance, coverage)
        told = {
            language: _POLICIES[self.policy](self, photo.sample, seen, language, numbers)
            for language in self.languages
        }
        return {language: text for language, text in told.items() if text}


def _at(appearance: Appearance | None, coverage: float | None) -> Appearance | None:
    """Measurements of an augmented view: the size word is read again from the moved outline."""
    if appearance is None or coverage is None or np.isnan(coverage):
        return appearance
    return replace(appearance, area=coverage)


def _real(
    texts: Texts, sample: Sample, appearance: Appearance | None, language: Language, numbers: Numbers
) -> str:
    told = [caption for caption in sample.real_captions if caption.language == language]
    cleaned = [text for caption in told if (text := _without(texts, caption))]
    if not cleaned:
        return ""
    return cleaned[0 if numbers is None else int(numbers.integers(len(cleaned)))]


def _without(texts: Texts, caption: SampleCaption) -> str:
    if not texts.drop_diagnosis:
        return caption.text
    kept, _ = drop_diagnosis([one.text for one in caption.sentences], trailing_only=False)
    return " ".join(kept)


def _composed(
    texts: Texts, sample: Sample, appearance: Appearance | None, language: Language, numbers: Numbers
) -> str:
    sources = [one for one in texts.sources if not (texts.drop_diagnosis and one == "label")]
    facts = facts_of(sample, appearance)
    return " ".join(one.text for one in compose_clinical(facts, language, numbers, sources=sources))


def _both(
    texts: Texts, sample: Sample, appearance: Appearance | None, language: Language, numbers: Numbers
) -> str:
    real = _real(texts, sample, appearance, language, numbers)
    return real or _composed(texts, sample, appearance, language, numbers)


def _demo(
    texts: Texts, sample: Sample, appearance: Appearance | None, language: Language, numbers: Numbers
) -> str:
    label = sample.label if sample.label in TERMS["diagnosis"] and not texts.drop_diagnosis else None
    if appearance is None:
        return ""
    sentences = compose(gather(appearance, label), language, numbers)
    return " ".join(one.text for one in sentences if one.source in texts.sources)


_Policy = Callable[[Texts, Sample, Appearance | None, Language, Numbers], str]
_POLICIES: Mapping[CaptionPolicy, _Policy] = {
    "real": _real,
    "composed": _composed,
    "both": _both,
    "demo": _demo,
}
