"""What is known of a photo, what its captions are judged against, and which of these was written by whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, get_args

from dermaxai.data.composing import LANGUAGES, compose_clinical, facts_of
from dermaxai.data.samples import Sample
from dermaxai.statements.clinical import ClinicalFacts
from dermaxai.statements.reading import read_clinical
from dermaxai.types import Language

Kind = Literal["written captions", "composed captions", "facts"]
"""By people or models of the publisher; by this program from label, annotation and measurement; none at all,
and only what is known counts. Never mixed up."""
KINDS: tuple[Kind, ...] = get_args(Kind)
MEASURED = ("size", "symmetry", "border", "colours", "unclear")
"""Fields of `ClinicalFacts` that only the photo's pixels tell."""
SILENT = (ClinicalFacts(), *(ClinicalFacts(modality=kind) for kind in ("dermoscopic", "clinical")))
"""Facts that say nothing of the skin."""


def measured_facts(facts: ClinicalFacts) -> dict[str, Any]:
    """The measured ones among some facts, by field; empty where nothing was measured."""
    return {name: value for name in MEASURED if (value := getattr(facts, name))}


def composed_measurement(sample: Sample) -> dict[str, Any]:
    """What the captions composed for a photo say was measured in it: they are read back exactly."""
    for language in LANGUAGES:
        for caption in sample.captions:
            if caption.is_weak and caption.language == language:
                found = measured_facts(read_clinical(caption.text, language).facts)
                if found:
                    return found
    return {}


def needs_measuring(sample: Sample) -> bool:
    """Whether a photo can be measured and nobody has done so."""
    return sample.modality == "dermoscopic" and not composed_measurement(sample)


def known_facts(sample: Sample, measured: Mapping[str, Any] | None = None) -> ClinicalFacts:
    """Label, annotated findings, metadata and measurement of a photo; never what its written captions say.

    `measured`: fields of `MEASURED`, where its composed captions do not tell them.
    """
    facts = facts_of(sample, with_person=True, absent=len(sample.absent))
    told = composed_measurement(sample) or dict(measured or {})
    if "colours" in told:
        told["colours"] = tuple(told["colours"])
    return replace(facts, **told)


def references_of(
    sample: Sample, language: Language, known: ClinicalFacts, *, compose: bool = True
) -> dict[Kind, tuple[str, ...]]:
    """What captions of a photo are compared with, by kind; kinds that it lacks are left out.

    A photo without any caption in the language gets the one that `data build` would compose, unless
    `compose` is False or nothing is known; then at most 'facts' is left, with no text.
    """
    found: dict[Kind, tuple[str, ...]] = {}
    own = [caption for caption in sample.captions if caption.language == language]
    for kind, is_weak in (("written captions", False), ("composed captions", True)):
        texts = tuple(caption.text for caption in own if caption.is_weak is is_weak)
        if texts:
            found[kind] = texts  # type: ignore[index]
    if not found and known not in SILENT:
        text = compose_text(known, language) if compose else ""
        found = {"composed captions": (text,)} if text else {"facts": ()}
    return found


def compose_text(facts: ClinicalFacts, language: Language) -> str:
    """The plainest caption as `data build` composes it: no age, no sex, nothing that was not seen."""
    said = replace(facts, age=None, sex=None, absent=())
    if said in SILENT:
        return ""
    return " ".join(sentence.text for sentence in compose_clinical(said, language))


def first_texts(samples: Sequence[tuple[str, Sample]], language: Language, kind: Kind) -> dict[str, str]:
    """The first caption of each photo that has one of the kind, by id.

    What was not written is composed where nobody did, also for 'facts'.
    """
    found = {}
    for name, sample in samples:
        own = [one for one in sample.captions if one.language == language]
        if kind == "written captions":
            text = next((one.text for one in own if not one.is_weak), "")
        else:
            text = next((one.text for one in own if one.is_weak), "")
            text = text or compose_text(known_facts(sample), language)
        if text:
            found[name] = text
    return found
