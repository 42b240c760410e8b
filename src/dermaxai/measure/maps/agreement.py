"""How far a map agrees with those of the other methods for the same question."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, final

import numpy as np
from jaxtyping import Bool

from dermaxai.explain import METHODS
from dermaxai.explain.agreement import CONSENSUS, SPREAD, ranks_of
from dermaxai.measure.maps.base import AbstractMapMetric, Need, Subject
from dermaxai.measure.maps.baselines import EDGES, GAUSSIAN, RANDOM
from dermaxai.measure.maps.checked import check_measurable
from dermaxai.measure.scale import Scale
from dermaxai.types import HeatMap

NO_VOTE = (CONSENSUS, SPREAD, RANDOM, GAUSSIAN, EDGES)
"""Maps that are made of others, or of no model: they are compared with the methods, never the other way."""


@final
class Agreement(AbstractMapMetric):
    """Mean of Spearman's rank correlations with the other maps of the same question.

    Methods that ignore the question, baselines, consensus and spread do not vote; they are measured against
    those that do. Two variants of a method are two voters. NaN for a map that no other one votes on, and for
    a constant map. Methods can agree and be wrong.
    Source: Spearman (1904), as `explain.agreement`; disagreement problem, Krishna et al. (arXiv:2202.01602).
    """

    scale = Scale(
        "agreement",
        "Agreement",
        "higher",
        "rank correlation",
        low=-1.0,
        source="Spearman (1904); arXiv:2202.01602",
    )
    needs: ClassVar[frozenset[Need]] = frozenset({"other maps"})

    def measure(self, subject: Subject, maps: Sequence[HeatMap]) -> list[float]:
        """One mean per map. Raises: ShapeError, UsageError."""
        check_measurable(subject, maps)
        found = [float("nan")] * len(maps)
        for target in dict.fromkeys(heat.target for heat in maps):
            places = [place for place, heat in enumerate(maps) if heat.target == target]
            together = [maps[place] for place in places]
            votes = np.array([_votes(subject, heat) for heat in together])
            for place, value in zip(places, _mean_votes(together, votes), strict=True):
                found[place] = value
        return found


def _mean_votes(maps: Sequence[HeatMap], votes: Bool[np.ndarray, "maps"]) -> list[float]:
    """Each map's mean correlation with those that vote, itself left out; constant maps have none."""
    ranks = np.stack([ranks_of(heat) for heat in maps])
    ranks = ranks - ranks.mean(1, keepdims=True)
    length = np.linalg.norm(ranks, axis=1)
    told = votes & (length > 0)
    units = ranks / np.where(length > 0, length, 1)[:, None]
    rows = (units @ units[told].T).clip(-1, 1)
    rows[told.nonzero()[0], np.arange(int(told.sum()))] = 0
    voters = told.sum() - told
    means = rows.sum(1) / np.where(voters > 0, voters, 1)
    found: list[float] = np.where((voters > 0) & (length > 0), means, np.nan).tolist()
    return found


def _votes(subject: Subject, heat: HeatMap) -> bool:
    if heat.method in NO_VOTE:
        return False
    known = subject.methods.get((heat.method, heat.variant))
    if known is not None:
        return known.reads_question
    return heat.method not in METHODS or bool(METHODS.load(heat.method).reads_question)
