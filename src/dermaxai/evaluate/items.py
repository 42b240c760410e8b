"""What is evaluated: photos with what their publishers say of them, and where the lesion lies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from dermaxai.data.samples import Sample
from dermaxai.measure.columns import Column

MaskOrigin = Literal["", "expert", "measured"]
"""Nobody's; a file beside the photos; outlined by this program, which no clinician has seen."""

Progress = Callable[[str, int, int], None]
"""Called with what is done, how much of it, and of how much."""


@dataclass(frozen=True, slots=True)
class Item:
    """One photo."""

    id: str
    """'<dataset>/<image>', unique."""
    path: Path
    sha256: str
    """Of the file."""
    sample: Sample
    cluster: str = ""
    """Photos of one lesion or patient share it; resampling draws them together. '': by itself."""
    mask: Path | None = None
    """File with the lesion's outline; None where there is none."""


@dataclass(frozen=True, slots=True)
class Curve:
    """Lines that a figure shows beside the columns: a reliability diagram, a deletion curve."""

    title: str
    condition: str
    across: str
    """What the horizontal axis is."""
    up: str
    """What the vertical axis is."""
    lines: Mapping[str, tuple[tuple[float, float], ...]]
    """By contestant: points from left to right."""
    diagonal: bool = False
    """Whether the diagonal is what a perfect contestant would draw."""


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """Everything that one evaluation found; what tables, figures and pages are made from."""

    kind: Literal["captions", "explanations", "encoders"]
    columns: tuple[Column, ...]
    items: tuple[Item, ...]
    settings: Mapping[str, str]
    """Every setting that a number depends on, in words: model, hashes, protocol, seed, split, versions."""
    command: str
    """That gives these numbers again."""
    notes: tuple[str, ...] = ()
    """What a reader must know, as sentences."""
    curves: tuple[Curve, ...] = ()
    pictures: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)
    """Files of overlays and the like by item id, that pages of single photos show."""
    texts: Mapping[str, Sequence[tuple[str, str]]] = field(default_factory=dict)
    """What was said of a photo and by whom, by item id: (who, text) in the order in which pages show them."""
