"""`Sample`: one photo of a dataset with everything its publisher says of it, in the unified vocabulary."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dermaxai.statements import Source as Source
from dermaxai.types import Language

Part = Literal["train", "validation", "test"]
PARTS: tuple[Part, ...] = ("train", "validation", "test")
Modality = Literal["dermoscopic", "clinical"]
Sex = Literal["female", "male"]


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence and the source of the facts in it."""

    text: str
    source: Source


@dataclass(frozen=True, slots=True)
class SampleCaption:
    """One caption of a photo."""

    language: Language
    sentences: tuple[Sentence, ...]
    field: str
    """The publisher's column or file it is from; 'composed' for weak captions."""

    @property
    def text(self) -> str:
        """The sentences as one text."""
        return " ".join(sentence.text for sentence in self.sentences)

    @property
    def is_weak(self) -> bool:
        """Composed from facts by this program, not written by anybody."""
        return self.field == "composed"


@dataclass(frozen=True, slots=True)
class Sample:
    """One photo; None, '' or () where the publisher says nothing.

    A finding in neither `present` nor `absent` is unknown, not absent.
    """

    id: str
    """'<dataset>/<the publisher's image id>', unique."""
    dataset: str
    """Name of the dataset card."""
    path: Path | None
    """The photo; None where a row's photo is not on disk."""
    place: str
    """Where the row stands: 'metadata.csv, line 12'."""
    licence: str = ""
    captions: tuple[SampleCaption, ...] = ()
    diagnosis: str | None = None
    """Id in `vocabulary.diagnoses()`; its malignancy is found there."""
    label: str = ""
    """The label as the publisher spells it."""
    other_diagnoses: tuple[str, ...] = ()
    """Further ids, where a photo has several."""
    source_malignancy: str = ""
    """What the publisher says where it differs from the vocabulary."""
    present: tuple[str, ...] = ()
    """Ids in `vocabulary.findings()` that are seen."""
    absent: tuple[str, ...] = ()
    """Ids that somebody looked for and did not see."""
    site: str | None = None
    """Id in `vocabulary.sites()`."""
    site_text: str = ""
    """The publisher's words where they are no value of the vocabulary."""
    age: float | None = None
    """Years."""
    sex: Sex | None = None
    skin_type: str | None = None
    """Fitzpatrick '1' to '6', or the pairs of DDI '12', '34', '56'."""
    modality: Modality | None = None
    groups: tuple[str, ...] = ()
    """Keys that no split may cut through: 'ham10000/lesion/HAM_0000118', 'isic/ISIC_0027419',
    'pad_ufes_20/patient/PAT_46', 'fitzpatrick17k/5e82a45b…', 'derm1m/youtube/otsE5S6M15M'.
    One key reached from two datasets makes both photos one group."""
    official_split: Part | None = None
    """The publisher's."""
    votes: tuple[tuple[str, int], ...] = ()
    """Crowd votes: diagnosis id and count."""
    sha256: str = ""
    """Of the photo's file, where a publisher or a scan told it."""

    @property
    def real_captions(self) -> tuple[SampleCaption, ...]:
        """Those that somebody wrote."""
        return tuple(caption for caption in self.captions if not caption.is_weak)
