"""How alike the maps of several methods are for one question, and what they say together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from dermaxai.explain import METHODS
from dermaxai.types import Agreement, HeatMap, Target

CONSENSUS, SPREAD = "consensus", "spread"
"""Methods of the maps made here."""


def add_agreements(maps: Sequence[HeatMap]) -> tuple[tuple[HeatMap, ...], tuple[Agreement, ...]]:
    """Maps with consensus and spread of every question that several methods answer, and their agreements.

    Earlier consensus and spread maps are replaced. Methods that ignore the question do not vote.
    """
    own = [heat for heat in maps if heat.method not in (CONSENSUS, SPREAD)]
    made: list[HeatMap] = []
    agreements = []
    for target in dict.fromkeys(heat.target for heat in own):
        votes = [heat for heat in own if heat.target == target and _votes(heat)]
        if len(votes) > 1:
            agreements.append(compare_maps(target, votes))
            made += summarise_maps(votes)
    return (*own, *made), tuple(agreements)


def compare_maps(target: Target, maps: Sequence[HeatMap]) -> Agreement:
    """Spearman's rank correlation of every pair, over all patches; NaN where a map is constant.

    Values are taken as they are: a signed map orders patches from against to for.
    Source: Spearman (1904), with average ranks for ties.
    """
    ranks = [ranks_of(heat) for heat in maps]
    rows = np.array([[_correlation(one, other) for other in ranks] for one in ranks])
    return Agreement(target, tuple(_name(heat, maps) for heat in maps), tuple(map(float, rows.flat)))


def summarise_maps(maps: Sequence[HeatMap]) -> list[HeatMap]:
    """The consensus and the spread of maps that are not constant; empty if fewer than two are left.

    consensus: mean over the maps of each patch's rank, scaled to 0 (coldest) .. 1 (hottest).
    spread: standard deviation of these ranks, 0 (all agree) .. 0.5.
    """
    telling = [heat for heat in maps if np.ptp(heat.values) > 0]
    if len(telling) < 2:
        return []
    ranks = np.stack([ranks_of(heat) for heat in telling])
    shape = maps[0].values.shape
    layer = f"maps of {', '.join(_name(heat, telling) for heat in telling)}"
    found = {CONSENSUS: (ranks.mean(0), "mean rank"), SPREAD: (ranks.std(0), "deviation of ranks")}
    return [
        replace(
            telling[0],
            values=values.reshape(shape).astype(np.float32),
            method=method,
            scalar=scalar,
            layer=layer,
            variant="ranks",
            seconds=0.0,
        )
        for method, (values, scalar) in found.items()
    ]


def ranks_of(heat: HeatMap) -> Float[np.ndarray, "n"]:
    """Rank of each patch, 0 for the coldest to 1 for the hottest; ties share their mean rank."""
    from scipy.stats import rankdata

    ranks: Float[np.ndarray, "n"] = (rankdata(heat.values.ravel()) - 1) / max(heat.values.size - 1, 1)
    return ranks


def _correlation(one: Float[np.ndarray, "n"], other: Float[np.ndarray, "n"]) -> float:
    if not np.ptp(one) or not np.ptp(other):
        return float("nan")
    return float(np.clip(np.corrcoef(one, other)[0, 1], -1, 1))


def _votes(heat: HeatMap) -> bool:
    return heat.method not in METHODS or bool(METHODS.load(heat.method).reads_question)


def _name(heat: HeatMap, among: Sequence[HeatMap]) -> str:
    """The method, with its variant where the method is there more than once."""
    several = sum(other.method == heat.method for other in among) > 1
    return f"{heat.method}:{heat.variant}" if several else heat.method
