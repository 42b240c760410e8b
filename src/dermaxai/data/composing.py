"""Captions composed from facts only, for photos of any dataset, in English and Russian.

What may be stated: the label, annotated findings, the body site, the kind of photo, and what is measured in
a dermoscopic photo. Age and sex are no part of a caption unless asked for, because a photo cannot show them
and a decoder that has learned to say them will invent them. Malignancy is never stated.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import lru_cache

import numpy as np

from dermaxai.data.appearance import Appearance
from dermaxai.data.samples import Sample, SampleCaption, Sentence, Source
from dermaxai.data.weak_captions import MOST_COLOURS, draw_wording
from dermaxai.statements.clinical import ClinicalFacts, wordings_of_clinical
from dermaxai.statements.words import SILENT
from dermaxai.types import Language

LANGUAGES: tuple[Language, ...] = ("en", "ru")
ALL_SOURCES: frozenset[Source] = frozenset({"label", "measurement", "metadata", "findings"})
"""Of composed sentences; what an author wrote is never composed."""

EVERY_FIELD = frozenset({"diagnosis", "findings", "site", "modality"})
FIELDS: Mapping[str, frozenset[str]] = {
    "sd198": frozenset({"diagnosis"}),
    "dermnet": frozenset({"diagnosis"}),
    "skincon": frozenset({"findings"}),
    "mra_midas": frozenset({"diagnosis", "site", "modality"}),
    "pad_ufes_20": frozenset({"diagnosis", "site", "modality"}),
}
"""What the captions of a dataset may state, where it is not `EVERY_FIELD`."""
PERSON_FIELDS: Mapping[str, frozenset[str]] = {
    "derm7pt": frozenset({"sex"}),
    "ham10000": frozenset({"age", "sex"}),
    "isic2019": frozenset({"age", "sex"}),
    "isic_archive": frozenset({"age", "sex"}),
    "bcn20000": frozenset({"age", "sex"}),
    "pad_ufes_20": frozenset({"age"}),
}
"""What may be told of the person where that is asked for."""

UNSEEN: Mapping[str, str] = {
    "melanoma_breslow_lt_0_76_mm": "melanoma",
    "melanoma_breslow_0_76_1_5_mm": "melanoma",
    "melanoma_breslow_gt_1_5_mm": "melanoma",
}
"""Diagnoses that tell what only a microscope shows, and what is said of them."""


def facts_of(
    sample: Sample, appearance: Appearance | None = None, *, with_person: bool = False, absent: int = 0
) -> ClinicalFacts:
    """What a caption of a photo may state.

    `appearance` counts for dermoscopic photos only, and only where its outline is to be trusted.
    `with_person`: also age and sex, where the dataset's are fit for it. `absent`: how many findings that
    were looked for and not seen are stated at most; another few for each photo, always the same for one.
    """
    fields = FIELDS.get(sample.dataset, EVERY_FIELD)
    label = UNSEEN.get(sample.diagnosis or "", sample.diagnosis) if "diagnosis" in fields else None
    others = [UNSEEN.get(one, one) for one in sample.other_diagnoses] if "diagnosis" in fields else []
    facts = ClinicalFacts(
        diagnosis=None if label in SILENT else label,
        other_diagnoses=tuple(one for one in dict.fromkeys(others) if one not in SILENT and one != label),
        present=sample.present if "findings" in fields else (),
        absent=_some_absent(sample, absent) if "findings" in fields and absent else (),
        site=sample.site if "site" in fields else None,
        modality=sample.modality if "modality" in fields else None,
    )
    if with_person:
        told = PERSON_FIELDS.get(sample.dataset, frozenset())
        age = int(sample.age) if sample.age is not None and "age" in told else None
        facts = replace(facts, age=age, sex=sample.sex if "sex" in told else None)
    if appearance is None or sample.modality != "dermoscopic":
        return facts
    return _with_measured(facts, appearance)


def _with_measured(facts: ClinicalFacts, appearance: Appearance) -> ClinicalFacts:
    if not appearance.trusted:
        return replace(facts, unclear=True)
    return replace(
        facts,
        size=appearance.size,
        symmetry=appearance.symmetry,
        border=appearance.border,
        colours=tuple(name for name, _ in appearance.colours[:MOST_COLOURS]),
    )


def _some_absent(sample: Sample, count: int) -> tuple[str, ...]:
    """Some of the findings that are not there, beginning at a place that the photo's id decides."""
    findings = [name for name in sample.absent if name not in sample.present]
    if len(findings) <= count:
        return tuple(findings)
    start = zlib.crc32(sample.id.encode()) % len(findings)
    return tuple((findings + findings)[start : start + count])


def compose_clinical(
    facts: ClinicalFacts,
    language: Language,
    generator: np.random.Generator | None = None,
    sources: Collection[Source] = ALL_SOURCES,
) -> list[Sentence]:
    """Sentences stating `facts`; without a generator the plainest wording, with one a random wording.

    >>> facts = ClinicalFacts(present=("papule", "scale"), site="forearm", diagnosis="plaque_psoriasis")
    >>> for sentence in compose_clinical(facts, "ru"):
    ...     print(f"{sentence.source}: {sentence.text}")
    findings: Признаки: папула и чешуйки.
    metadata: Расположено на предплечье.
    label: Возможный диагноз: бляшечный псориаз.
    """
    return [
        Sentence(draw_wording(options, generator), source)
        for options, source in wordings_of_clinical(facts, language)
        if source in sources
    ]


def weak_captions(
    sample: Sample, appearance: Appearance | None = None, *, with_person: bool = False, absent: int = 0
) -> tuple[SampleCaption, ...]:
    """One caption in each language in the plainest wording; () where there is nothing to say.

    A photo of which nothing but its kind is known has nothing to say. Options as in `facts_of`.
    """
    return _plain(facts_of(sample, appearance, with_person=with_person, absent=absent))


_NOTHING = (ClinicalFacts(), *(ClinicalFacts(modality=kind) for kind in ("dermoscopic", "clinical")))


@lru_cache(65536)
def _plain(facts: ClinicalFacts) -> tuple[SampleCaption, ...]:
    """Most photos of a large dataset share their facts with others."""
    if facts in _NOTHING:
        return ()
    return tuple(
        SampleCaption(language, tuple(compose_clinical(facts, language)), "composed")
        for language in LANGUAGES
    )
