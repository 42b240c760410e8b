"""What clinical metrics read: a caption as facts, beside its references and what is known of the photo."""

from __future__ import annotations

from dataclasses import dataclass

from dermaxai.statements.clinical import ClinicalFacts
from dermaxai.statements.reading import Reading
from dermaxai.types import Language


@dataclass(frozen=True, slots=True)
class Stated:
    """One caption of one photo, read."""

    item: str
    """Id of the sample."""
    caption: Reading
    references: tuple[Reading, ...]
    known: ClinicalFacts
    """What label, annotated findings, metadata and measurement say; never the captions."""
    language: Language = "en"
    confidences: tuple[float, ...] = ()
    """Probability of each of the caption's mentions, in their order; () where nobody wrote it with one."""
