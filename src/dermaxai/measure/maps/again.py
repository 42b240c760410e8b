"""Asking once more: the maps of the same methods and questions about a changed photo or model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from dermaxai.explain.base import AbstractMethod, Explained
from dermaxai.explain.shared import Shared
from dermaxai.measure.maps.base import Subject
from dermaxai.measure.maps.checked import check_measurable
from dermaxai.progress import steps
from dermaxai.types import Encoded, HeatMap

Values = Float[np.ndarray, "rows columns"]


def by_method(subject: Subject, maps: Sequence[HeatMap]) -> list[tuple[AbstractMethod, list[int]]]:
    """Each method with the places of its maps, so that it is asked about all its questions together.

    Raises: NotSupported where the subject does not hold the method of a map; as `check_measurable`.
    """
    check_measurable(subject, maps)
    places: dict[tuple[str, str], list[int]] = {}
    for place, heat in enumerate(maps):
        places.setdefault((heat.method, heat.variant), []).append(place)
    return [(subject.method_of(maps[found[0]]), found) for found in places.values()]


def ask_again(
    subject: Subject,
    maps: Sequence[HeatMap],
    encoded: Encoded,
    model: Explained | None = None,
) -> list[Values]:
    """What the methods of `maps` answer about another photo or model, float64, one per map."""
    # The memory of the subject belongs to its own photo.
    asked = replace(model or subject.model, shared=Shared())
    found: list[Values] = [np.empty(0)] * len(maps)
    for method, places in steps(by_method(subject, maps)):
        answers = method.explain(asked, encoded, [maps[place].target for place in places])
        for place, heat in zip(places, answers, strict=True):
            found[place] = heat.values.astype(np.float64)
    return found


def rank_correlation(one: Values, other: Values) -> float:
    """Spearman's, signed values as they are, mean ranks for ties; -1 to 1, NaN where a map is constant."""
    from scipy.stats import rankdata

    if not np.ptp(one) or not np.ptp(other):
        return float("nan")
    ranks = rankdata(one.ravel()), rankdata(other.ravel())
    return float(np.clip(np.corrcoef(*ranks)[0, 1], -1, 1))


def mean_of_known(values: Sequence[float]) -> float:
    """The mean of what is not NaN; NaN where nothing is."""
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")
