"""A case as the page reads it: one JSON object, maps as small tables in base64.

The report carries it in a script element; a server can send the same object.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int

from dermaxai.concepts.tree import read_tree
from dermaxai.geometry import Placement
from dermaxai.messages import said_lists
from dermaxai.overlay import account_for, hottest_count, is_signed, summarise
from dermaxai.scores import SANITY, map_names, scores_by_map
from dermaxai.types import (
    Agreement,
    Caption,
    Case,
    Concept,
    ConceptFit,
    Evidence,
    HeatMap,
    Language,
    Score,
    Target,
)

SCORE_DIGITS = 3
"""Behind the point."""
QUESTIONLESS = ("rollout",)
"""Methods with one map for every question, as `AbstractMethod.reads_question` has it; the page says so."""
DISAGREEMENT = 0.5
"""Mean rank correlation below which the methods are said to disagree."""
_COMMON_WORDS: dict[Language, str] = {
    "en": "a an and are as at by for from has in is it of on or the this to with",
    "ru": "а без в во для до же за и из или к ко на над не но о об от по под при с со у",
}
COMMON = {language: frozenset(words.split()) for language, words in _COMMON_WORDS.items()}
"""Words that only hold a sentence together, by language; drawn paler."""
STEPS = 2047
"""A cell travels as 12 bits, two signs of base64, for q + STEPS + 1 and means q / STEPS * peak: zero and
signs are exact, the rest to a quarter of a thousandth of the peak. The raw values are in the case."""


def case_to_page(case: Case) -> dict[str, Any]:
    """Everything the viewer shows; finite numbers only, `None` where there is none.

    Scores of maps are told by `_trust`, sanity checks by `_sanity`; any other score is a row: metric, of, n,
    value, low, high.
    Maps with values that are not finite are left out and named under `broken`.
    """
    sound = [heat for heat in case.maps if np.isfinite(heat.values).all()]
    targets = _distinct(_key(heat.target) for heat in sound)
    places = _distinct((heat.placement, heat.values.shape) for heat in sound)
    methods = _distinct((heat.method, heat.variant) for heat in sound)
    scalars = _distinct(heat.scalar for heat in sound)
    height, width = case.image.pixels.shape[:2]
    return {
        "photo": {"height": height, "width": width},
        "captions": [_caption(caption) for caption in case.captions],
        "evidence": {entry.word: _evidence(entry) for entry in case.evidence},
        "methods": [_method(name, variant) for name, variant in methods],
        "targets": [_target(key) for key in targets],
        "places": [_place(*place) for place in places],
        "scalars": list(scalars),
        "maps": [
            _map(heat)
            | _account(case, heat)
            | {
                "target": targets[_key(heat.target)],
                "method": methods[heat.method, heat.variant],
                "place": places[heat.placement, heat.values.shape],
                "scalar": scalars[heat.scalar],
            }
            for heat in sound
        ],
        "broken": [
            {"method": heat.method, "word": heat.target.text}
            for heat in case.maps
            if not np.isfinite(heat.values).all()
        ],
        "texts": [
            {
                "target": targets[_key(entry.target)],
                "method": methods[entry.method, entry.variant],
                "words": [[share.start, share.stop, _finite(share.value)] for share in entry.shares],
            }
            for entry in case.texts
            if _key(entry.target) in targets and (entry.method, entry.variant) in methods
        ],
        "agreements": [
            {"target": targets[_key(entry.target)]} | _agreement(entry)
            for entry in case.agreements
            if _key(entry.target) in targets
        ],
        "concepts": [_concept(entry) for entry in case.concepts],
        "fit": _fit(case.concept_fit),
        "trust": _trust(case),
        "sanity": _sanity(case),
        "scores": [
            [entry.metric, entry.of, entry.n, *map(_finite, (entry.value, entry.low, entry.high))]
            for entry in _others(case)
            if not entry.metric.startswith(SANITY)
        ],
        "alternatives": _alternatives(case),
        "outside": _outside(case),
        "blur": _blur(case),
        "warnings": list(case.warnings),
        "said": _said(case),
    }


def _said(case: Case) -> dict[Language, dict[str, list[str | None]]]:
    """What the case says in English, in other languages: `warnings`, `notes` on its photo, `mean` image."""
    mean = [case.concept_fit.mean] if case.concept_fit else []
    return said_lists(warnings=case.warnings, notes=case.image.notes, mean=mean)


def _distinct(entries: Iterable[Any]) -> dict[Any, int]:
    """Entries in the order of their first appearance, with their number."""
    return {entry: index for index, entry in enumerate(dict.fromkeys(entries))}


def _key(target: Target) -> tuple[str, str, int | None, str | None]:
    """What makes two maps answer the same question."""
    return target.kind, target.text, target.word, target.against


def _target(key: tuple[str, str, int | None, str | None]) -> dict[str, Any]:
    kind, text, word, against = key
    plain = kind == "word" and against is None
    return {"kind": kind, "text": text, "word": word if plain else None, "against": against}


def _method(name: str, variant: str) -> dict[str, Any]:
    """`reads` is told only where it is False: one map for every question."""
    return {"name": name, "variant": variant} | ({"reads": False} if name in QUESTIONLESS else {})


def _agreement(entry: Agreement) -> dict[str, Any]:
    """All pairs, and the mean over pairs of different methods whose maps are not constant."""
    size = len(entry.methods)
    pairs = [
        value
        for place, value in enumerate(entry.correlations)
        if place // size != place % size and math.isfinite(value)
    ]
    mean = sum(pairs) / len(pairs) if pairs else math.nan
    return {
        "methods": list(entry.methods),
        "correlations": [_finite(value, digits=3) for value in entry.correlations],
        "mean": _finite(mean, digits=3),
        "disagree": mean < DISAGREEMENT,
    }


def _caption(caption: Caption) -> dict[str, Any]:
    words = [
        {
            "start": word.start,
            "stop": word.stop,
            "certainty": _finite(math.exp(min(word.logprob, 0.0)), digits=4),
            "logprob": _finite(word.logprob, digits=2),
        }
        | ({"common": True} if word.text.casefold() in COMMON[caption.language] else {})
        for word in caption.words
    ]
    return {"language": caption.language, "text": caption.text, "words": words}


def _evidence(entry: Evidence) -> dict[str, Any]:
    return {"nats": _finite(entry.nats, digits=4), "prior": entry.prior}


def _account(case: Case, heat: HeatMap) -> dict[str, Any]:
    """What a map adds up to beside its word's evidence, as `overlay.Account`; empty where it has none."""
    found = account_for(case, heat)
    if found is None or not math.isfinite(found.nats):
        return {}
    told, nats = round(found.told, 4), round(found.nats, 4)
    return {"account": {"told": told, "nats": nats, "doubt": found.doubt}}


def _place(place: Placement, grid: tuple[int, int]) -> dict[str, float]:
    """The covered rectangle in photo pixels, the grid in it, and what share of it `share` speaks of."""
    return {
        "top": place.top,
        "left": place.left,
        "height": place.covered_height,
        "width": place.covered_width,
        "rows": grid[0],
        "columns": grid[1],
        "tenth": round(hottest_count(grid[0] * grid[1]) / (grid[0] * grid[1]), 4),
    }


def _map(heat: HeatMap) -> dict[str, Any]:
    """Cells and peak of one map; `region` and `share` as `overlay.MapSummary`."""
    peak = float(f"{np.abs(heat.values).max(initial=0):.7g}")
    steps = np.rint(heat.values.astype(np.float64) / (peak or 1) * STEPS).clip(-STEPS, STEPS)
    summary = summarise(heat)
    return {
        "peak": peak,
        "signed": is_signed(heat),
        "cells": pack_cells(steps.astype(np.int64).ravel()),
        "region": summary.region,
        "share": round(summary.share, 3),
    }


def pack_cells(steps: Int[np.ndarray, "n"]) -> str:
    """Whole numbers from -STEPS to STEPS, each as 12 bits of one stretch of base64.

    >>> pack_cells(np.array([0, -2047])), pack_cells(np.array([2047]))
    ('gAAB', '//A=')
    """
    shifted = [*(steps + STEPS + 1).tolist(), 0][: steps.size + steps.size % 2]
    bits = "".join(f"{value:03x}" for value in shifted)
    return base64.b64encode(bytes.fromhex(bits)[: -(-steps.size * 3 // 2)]).decode("ascii")


def _trust(case: Case) -> list[dict[str, Any]]:
    """The scores of maps, by metric and protocol: one number per map that is shown, in its order.

    `values`: null where a map has none; `verdicts`: a letter per map, y, n, u or -; `random`: mean, low and
    high of random maps; `which`: the row of `random` for each map, -1 for none; `spread`: low, high and n of
    maps whose value has an interval, by their number. Almost all of a report's numbers are here.
    """
    sound = [bool(np.isfinite(heat.values).all()) for heat in case.maps]
    held = [scores for scores, shown in zip(scores_by_map(case), sound, strict=True) if shown]
    kinds = _distinct((entry.metric, entry.protocol) for scores in held for entry in scores.values())
    return [_trust_of(metric, protocol, held) for metric, protocol in kinds]


def _trust_of(metric: str, protocol: str, held: Sequence[Mapping[str, Score]]) -> dict[str, Any]:
    found = [scores.get(metric) for scores in held]
    found = [entry if entry and entry.protocol == protocol else None for entry in found]
    random = _distinct(_random(entry) for entry in found if entry and entry.baseline is not None)
    return {
        "metric": metric,
        "protocol": dict(pair.split("=", 1) for pair in protocol.split(", ") if "=" in pair),
        "values": [entry and _finite(entry.value, digits=SCORE_DIGITS) for entry in found],
        "verdicts": "".join(entry.verdict[:1] or "-" if entry else "-" for entry in found),
        "random": list(random),
        "which": [random[_random(entry)] if entry and entry.baseline is not None else -1 for entry in found],
        "spread": {
            place: [*(_finite(number, digits=SCORE_DIGITS) for number in (entry.low, entry.high)), entry.n]
            for place, entry in enumerate(found)
            if entry and entry.low != entry.high
        },
    }


def _random(entry: Score) -> tuple[float | None, ...]:
    numbers = entry.baseline, entry.baseline_low, entry.baseline_high
    return tuple(None if number is None else _finite(number, digits=SCORE_DIGITS) for number in numbers)


def _others(case: Case) -> list[Score]:
    """Scores that are of no map."""
    names = set(map_names(case.maps))
    return [entry for entry in case.scores if entry.of not in names]


def _sanity(case: Case) -> dict[str, Any]:
    """Each check with its limit, and method by method: value, low, high, n, letter of the verdict."""
    found: dict[str, Any] = {}
    for entry in _others(case):
        if entry.metric.startswith(SANITY) and entry.baseline is not None:
            limit = _finite(entry.baseline)
            check = found.setdefault(entry.metric.removeprefix(SANITY), {"limit": limit, "rows": {}})
            numbers = (_finite(number, digits=2) for number in (entry.value, entry.low, entry.high))
            check["rows"][entry.of] = [*numbers, entry.n, entry.verdict[:1] or "-"]
    return found


def _alternatives(case: Case) -> dict[int, list[list[Any]]]:
    """Of each word that has any: what else would have been said, and its log-probability in nats."""
    held: dict[int, list[list[Any]]] = {}
    for entry in case.alternatives:
        held.setdefault(entry.word, []).append([entry.text, _finite(entry.logprob, digits=2)])
    return held


def _concept(entry: Concept) -> dict[str, Any]:
    found = read_tree().matches(entry.name, "en")
    names = dict(found[0].names) if found else {}
    return {"name": entry.name, "names": names, "weight": _finite(entry.weight), "words": list(entry.words)}


def _fit(fit: ConceptFit | None) -> dict[str, Any] | None:
    """How well the concepts stand for the image, beside the mean image alone."""
    if fit is None:
        return None
    cosines = {"cosine": fit.cosine, "with_mean": fit.cosine_with_mean, "of_mean": fit.cosine_of_mean}
    numbers = {name: _finite(value, digits=3) for name, value in cosines.items()}
    return {**numbers, "atoms": fit.atoms, "penalty": _finite(fit.penalty), "mean": fit.mean}


def _outside(case: Case) -> dict[str, Any] | None:
    if case.outside is None:
        return None
    return {
        "flag": case.outside.flag,
        "score": _finite(case.outside.score),
        "threshold": _finite(case.outside.threshold),
    }


def _blur(case: Case) -> dict[str, Any] | None:
    if case.blur is None:
        return None
    found = case.blur
    flag = found.width > found.threshold
    return {"flag": flag, "width": _finite(found.width, 2), "threshold": _finite(found.threshold, 2)}


def _finite(number: float, digits: int | None = None) -> float | None:
    """JSON has no NaN or infinity."""
    if not math.isfinite(number):
        return None
    return number if digits is None else round(number, digits)
