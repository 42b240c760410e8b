"""A case as the page reads it: one JSON object, maps as small tables in base64.

The report carries it in a script element; a server can send the same object.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from dermaxai.concepts.tree import read_tree
from dermaxai.geometry import Placement
from dermaxai.overlay import account_for, hottest_count, is_signed, summarise
from dermaxai.types import Caption, Case, Concept, ConceptFit, Evidence, HeatMap, Target

STEPS = 32767
"""A cell travels as a little-endian int16 q and means q / STEPS * peak, so that zero and signs are exact."""


def case_to_page(case: Case) -> dict[str, Any]:
    """Everything the viewer shows; finite numbers only, `None` where there is none.

    A score is a row: metric, of, n, value, low, high.
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
        "methods": [{"name": name, "variant": variant} for name, variant in methods],
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
            {
                "target": targets[_key(entry.target)],
                "methods": list(entry.methods),
                "correlations": [_finite(value, digits=3) for value in entry.correlations],
            }
            for entry in case.agreements
            if _key(entry.target) in targets
        ],
        "concepts": [_concept(entry) for entry in case.concepts],
        "fit": _fit(case.concept_fit),
        "scores": [
            [entry.metric, entry.of, entry.n, *map(_finite, (entry.value, entry.low, entry.high))]
            for entry in case.scores
        ],
        "outside": _outside(case),
        "warnings": list(case.warnings),
    }


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


def _caption(caption: Caption) -> dict[str, Any]:
    words = [
        {
            "start": word.start,
            "stop": word.stop,
            "certainty": _finite(math.exp(min(word.logprob, 0.0)), digits=4),
        }
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
    steps = np.rint(heat.values.astype(np.float64) / (peak or 1) * STEPS).clip(-STEPS, STEPS).astype("<i2")
    summary = summarise(heat)
    return {
        "peak": peak,
        "signed": is_signed(heat),
        "cells": base64.b64encode(steps.tobytes()).decode("ascii"),
        "region": summary.region,
        "share": round(summary.share, 3),
    }


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


def _finite(number: float, digits: int | None = None) -> float | None:
    """JSON has no NaN or infinity."""
    if not math.isfinite(number):
        return None
    return number if digits is None else round(number, digits)
