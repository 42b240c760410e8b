"""What caption metrics read: a caption beside its references, and the models that some of them need."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dermaxai.types import Language

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from dermaxai.encoders.base import AbstractEncoder


@dataclass(frozen=True, slots=True)
class Written:
    """One caption of one photo."""

    item: str
    """Id of the sample."""
    text: str
    references: tuple[str, ...]
    """At least one, in the same language."""
    language: Language = "en"


@dataclass(frozen=True, slots=True, eq=False)
class Tools:
    """Models of metrics that are not of words alone; None leaves those metrics out."""

    encoder: AbstractEncoder | None = None
    """For CLIPScore: not the one that feeds the captioner, or that is said."""
    images: Float[Tensor, "rows embed"] | None = None
    """Of `encoder`, unit length, one per caption."""
    bert: Path | None = None
    """Folder of a local model of the transformers library, for BERTScore."""
    frequencies: Path | None = None
    """How many documents have which words (`cider.Frequencies.save`), for CIDEr-D of a fixed scale."""
