"""The metrics of captions under one condition: columns of every contestant, and reliability curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np

from dermaxai.evaluate.caption_facts import Kind
from dermaxai.evaluate.embeddings import Embedded
from dermaxai.evaluate.items import Curve, Item
from dermaxai.measure.captions import CAPTION_METRICS
from dermaxai.measure.captions.written import Tools, Written
from dermaxai.measure.clinical import CLINICAL_METRICS
from dermaxai.measure.clinical.calibration import ERROR, confidence_of, curve
from dermaxai.measure.clinical.diagnosis import BALANCED
from dermaxai.measure.clinical.stated import Stated
from dermaxai.measure.columns import Column, Scored
from dermaxai.statements.clinical import ClinicalFacts
from dermaxai.statements.reading import Reading, read_clinical
from dermaxai.types import Caption, Language


@dataclass(frozen=True, slots=True)
class Contestant:
    """Whoever writes captions."""

    name: str
    texts: Mapping[str, str]
    """By id of the photo; photos without one count nowhere."""
    captions: Mapping[str, Caption] = field(default_factory=dict)
    """The same with probabilities, where the contestant has any."""
    is_baseline: bool = False


@dataclass(frozen=True, slots=True)
class Condition:
    """What captions are judged against: one language, one kind of reference."""

    language: Language
    kind: Kind
    items: tuple[Item, ...]
    references: Mapping[str, tuple[str, ...]]
    """By id of the photo; () for kind 'facts'."""
    known: Mapping[str, ClinicalFacts]

    @property
    def name(self) -> str:
        """As columns call it.

        >>> Condition("en", "written captions", (), {}, {}).name
        'en, written captions'
        """
        return f"{self.language}, {self.kind}"


def columns_of(
    contestant: Contestant,
    condition: Condition,
    metrics: Sequence[str],
    tools: Tools,
    pictures: Embedded | None = None,
) -> list[Column]:
    """Every number of the metrics; metrics of texts only where there are texts to compare with.

    `pictures`: embeddings for CLIPScore by the encoder of `tools`. Photos that lack one or a caption are left
    out.
    """
    seen = {item.id for item in pictures.items} if pictures else None
    items = [
        item for item in condition.items if item.id in contestant.texts and (seen is None or item.id in seen)
    ]
    if not items:
        return []
    rows = tuple(item.id for item in items)
    found: list[Scored] = []
    of_words = [name for name in metrics if name in CAPTION_METRICS and condition.kind != "facts"]
    if of_words:
        written = [_written(item.id, contestant, condition) for item in items]
        own = _with_images(tools, pictures, items)
        for name in of_words:
            found += CAPTION_METRICS.load(name)(written, own)
    if any(name in CLINICAL_METRICS for name in metrics):
        stated = [_stated(item.id, contestant, condition) for item in items]
        for name in metrics:
            if name in CLINICAL_METRICS:
                found += CLINICAL_METRICS.load(name)(stated)
    return [_column(scored, contestant, condition, rows) for scored in found]


def reliability_curves(columns: Sequence[Column]) -> list[Curve]:
    """A curve for each calibration error in bins of equal width, with a line for each contestant."""
    found: dict[tuple[str, str], dict[str, tuple[tuple[float, float], ...]]] = {}
    for column in columns:
        if column.statistic is ERROR and "equal mass" not in column.scale.title:
            title = column.scale.title.replace("Calibration error", "Reliability")
            points = tuple((one.confidence, one.accuracy) for one in curve(column.parts).bins)
            found.setdefault((title, column.condition), {})[column.contestant] = points
    return [
        Curve(title, condition, "probability of the words", "share that is right", lines, diagonal=True)
        for (title, condition), lines in found.items()
    ]


def _written(item: str, contestant: Contestant, condition: Condition) -> Written:
    return Written(item, contestant.texts[item], condition.references[item], condition.language)


def _stated(item: str, contestant: Contestant, condition: Condition) -> Stated:
    reading = _read(contestant.texts[item], condition.language)
    caption = contestant.captions.get(item)
    return Stated(
        item,
        reading,
        tuple(_read(text, condition.language) for text in condition.references[item]),
        condition.known[item],
        condition.language,
        tuple(confidence_of(caption, mention) for mention in reading.mentions) if caption else (),
    )


@lru_cache(4096)
def _read(text: str, language: Language) -> Reading:
    """Baselines and composed captions say the same of many photos."""
    return read_clinical(text, language)


def _with_images(tools: Tools, pictures: Embedded | None, items: Sequence[Item]) -> Tools:
    if pictures is None:
        return replace(tools, encoder=None, images=None)
    import torch

    return replace(tools, images=torch.from_numpy(pictures.pick(items).values.copy()))


def _column(scored: Scored, contestant: Contestant, condition: Condition, rows: tuple[str, ...]) -> Column:
    """Without photos that have nothing to do with it where every row would count: no label, no fact told."""
    parts = scored.parts
    if scored.statistic in (BALANCED, ERROR):
        kept = np.flatnonzero(parts.any(axis=1))
        parts, rows = parts[kept], tuple(rows[place] for place in kept)
    return Column(
        contestant.name,
        condition.name,
        scored.scale,
        rows,
        parts,
        scored.statistic,
        contestant.is_baseline,
    )
