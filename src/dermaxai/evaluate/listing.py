"""Every metric of this program with its direction, unit, range and source, as the metrics themselves tell."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from dermaxai.measure.scale import Better, Scale
from dermaxai.registry import Table
from dermaxai.types import Language

Family = Literal["caption", "clinical", "map", "sanity", "encoder"]

EXAMPLES: tuple[tuple[Language, str, str, float], ...] = (
    ("en", "A large asymmetric pink lesion with an irregular border on the back. No ulcer. Melanoma.",
     "A large asymmetric dark brown lesion with crust and an irregular border on the back of a 45-year-old. "
     "Possible ulcer. Melanoma.", 0.9),
    ("en", "A small symmetric lesion with a regular border and crust. Melanocytic nevus.",
     "A small symmetric pink lesion with a regular border on the face. No crust. Dermatofibroma.", 0.4),
)  # fmt: skip
"""Language, caption, reference, probability of what the caption states: metrics are run on them."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One number that can be had."""

    family: Family
    option: str
    """What the metric is asked for by; one may give several numbers."""
    scale: Scale
    about: str
    """One sentence."""


def listed_metrics() -> Iterator[Listed]:
    """All of them, family by family, in the order of the tables."""
    yield from _captions()
    yield from _clinical()
    yield from _maps()
    yield from _sanity()
    yield from _encoders()


def _captions() -> Iterator[Listed]:
    from dermaxai.measure.captions import CAPTION_METRICS
    from dermaxai.measure.captions.written import Tools, Written

    written = [
        Written(str(number), text, (reference,), language)
        for number, (language, text, reference, _) in enumerate(EXAMPLES)
    ]
    for name in CAPTION_METRICS:
        metric = CAPTION_METRICS.load(name)
        scales = [one.scale for one in metric(written, Tools())]
        for scale in scales or _constants(CAPTION_METRICS, name):
            yield Listed("caption", name, scale, first_sentence(metric))


def _clinical() -> Iterator[Listed]:
    from dermaxai.measure.clinical import CLINICAL_METRICS
    from dermaxai.measure.clinical.stated import Stated
    from dermaxai.statements.reading import read_clinical

    stated = []
    for number, (language, text, reference, sure) in enumerate(EXAMPLES):
        said, told = read_clinical(text, language), read_clinical(reference, language)
        confidences = (sure,) * len(said.mentions)
        stated.append(Stated(str(number), said, (told,), told.facts, language, confidences))
    for name in CLINICAL_METRICS:
        metric = CLINICAL_METRICS.load(name)
        for one in metric(stated):
            yield Listed("clinical", name, one.scale, first_sentence(metric))


def _maps() -> Iterator[Listed]:
    from dermaxai.measure.maps import MAP_METRICS

    for name in MAP_METRICS:
        kind = MAP_METRICS.load(name)
        yield Listed("map", name, kind.scale, first_sentence(kind))


def _sanity() -> Iterator[Listed]:
    from dermaxai.measure.sanity import RULES

    for name, rule in RULES.items():
        better: Better = "lower" if rule.is_upper else "higher"
        title = f"{name.replace('_', ' ').capitalize()}, passed {'below' if rule.is_upper else 'above'}"
        scale = Scale(name, f"{title} {rule.limit:g}", better, rule.unit, rule.low, rule.high)
        yield Listed("sanity", name, scale, rule.about)


def _encoders() -> Iterator[Listed]:
    from dermaxai.evaluate import classification, retrieval

    for scale in (
        classification.ACCURACY,
        classification.BALANCED_ACCURACY,
        classification.MACRO_AUROC,
    ):
        yield Listed("encoder", "zero_shot, linear_probe", scale, "Of diagnoses.")
    yield Listed("encoder", "concepts", classification.CONCEPT_AUROC, "Of annotated findings.")
    for scale in retrieval.scales():
        yield Listed("encoder", "retrieval", scale, "Of English captions.")


def _constants(table: Table, name: str) -> list[Scale]:
    """The scales of a metric that needs a model to run: those that its module holds."""
    module = importlib.import_module(table[name].partition(":")[0])
    found: list[Scale] = []
    for value in vars(module).values():
        found += [one for one in _parts(value) if isinstance(one, Scale)]
    return found


def _parts(value: object) -> Sequence[object]:
    if isinstance(value, Mapping):
        return list(value.values())
    return value if isinstance(value, tuple) else (value,)


def first_sentence(thing: Callable[..., Any]) -> str:
    """The first sentence of a docstring, on one line."""
    text = (thing.__doc__ or "").strip().split("\n\n")[0]
    sentence, stop, _ = " ".join(text.split()).partition(". ")
    return sentence + stop.strip()
