"""Random sets of patches: whether what a map says of a set is what the score loses without it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, final

import numpy as np
import torch
from jaxtyping import Bool, Float

from dermaxai.measure.maps.base import AbstractMapMetric, Subject
from dermaxai.measure.maps.checked import check_measurable
from dermaxai.measure.maps.probe import asks_words, probe_of
from dermaxai.measure.scale import Scale
from dermaxai.progress import part
from dermaxai.types import HeatMap, Target

SHARE = 0.25
"""Of the patches in each random set, at least one of them."""
ROUNDING = 1e-6
"""Changes of a score below this part of it are the arithmetic's, not the photo's."""


@final
class FaithfulnessCorrelation(AbstractMapMetric):
    """Pearson's correlation, over random sets, of the map's sum in a set and what the score loses without it.

    `Protocol.subsets` sets of a quarter of the patches each, the same for every map of a photo. NaN where
    the map is constant, or the score never changes.

    Source: Bhatt et al. (arXiv:2005.00631), definition 3 (faithfulness); sets of patches instead of pixels.
    """

    scale: ClassVar[Scale] = Scale(
        "faithfulness_correlation",
        "Faithfulness correlation",
        "higher",
        "correlation",
        -1.0,
        1.0,
        "Bhatt et al. (arXiv:2005.00631), definition 3; sets of a quarter of the patches",
    )

    def measure(self, subject: Subject, maps: Sequence[HeatMap]) -> list[float]:
        """One correlation per map."""
        return [_correlation(*pair) for pair in _pairs(subject, maps)]


@final
class Infidelity(AbstractMapMetric):
    """What share of the score's losses the map does not foretell: 0 for all of them, 1 for none.

    E[(β Σ_S map - loss(S))²] / E[loss(S)²] over the same random sets S as `FaithfulnessCorrelation`, with the
    best scale β >= 0. The published form is not divided, and the authors' code takes the best β of either
    sign; here a map that points the wrong way is as bad as no map, and questions can be compared.
    NaN where the map is constant, or the score never changes.

    Source: Yeh et al. (arXiv:1901.09392), definition 2.1; scaling as in the authors' `get_exp_infid`.
    """

    scale: ClassVar[Scale] = Scale(
        "infidelity",
        "Infidelity",
        "lower",
        "share",
        0.0,
        1.0,
        "Yeh et al. (arXiv:1901.09392), definition 2.1, scaled to the losses; β >= 0",
    )

    def measure(self, subject: Subject, maps: Sequence[HeatMap]) -> list[float]:
        """One share per map."""
        return [_infidelity(*pair) for pair in _pairs(subject, maps)]


def random_sets(patches: int, count: int, seed: int) -> Bool[np.ndarray, "count n"]:
    """Which patches each set takes away; the first sets do not depend on `count`."""
    size = max(1, round(SHARE * patches))
    generator = np.random.default_rng([seed, patches, 2])
    sets = np.zeros((count, patches), dtype=bool)
    for row in sets:
        row[generator.permutation(patches)[:size]] = True
    return sets


def losses(
    subject: Subject, targets: Sequence[Target]
) -> tuple[Bool[np.ndarray, "sets n"], Float[np.ndarray, "sets targets"]]:
    """The sets, and what every question's score loses without each; seen once for all questions."""
    probe, protocol = probe_of(subject), subject.protocol
    read = asks_words(targets)
    sets = random_sets(probe.patches, protocol.subsets, protocol.seed)
    with part(0.0, 0.5):
        seen = subject.model.shared.once(
            subject.encoded,
            ("random sets", probe, protocol, read),
            lambda: probe.see(torch.from_numpy(~sets), read=read),
        )
    whole = probe.whole(targets).double().numpy()
    with part(0.5, 1.0):
        lost = whole - probe.scores(seen, targets).double().numpy()
    lost[np.abs(lost) <= ROUNDING * np.abs(whole)] = 0
    return sets, lost


def _pairs(
    subject: Subject, maps: Sequence[HeatMap]
) -> list[tuple[Float[np.ndarray, "sets"], Float[np.ndarray, "sets"]]]:
    """For each map: its sums within the sets, and its question's losses; NaN sums for a constant map."""
    if not maps:
        return []
    check_measurable(subject, maps)
    targets = list(dict.fromkeys(heat.target for heat in maps))
    sets, lost = losses(subject, targets)
    found = []
    for heat in maps:
        values = heat.values.ravel().astype(np.float64)
        told = sets @ values if np.ptp(values) > 0 else np.full(len(sets), np.nan)
        found.append((told, lost[:, targets.index(heat.target)]))
    return found


def _correlation(told: Float[np.ndarray, "sets"], lost: Float[np.ndarray, "sets"]) -> float:
    told, lost = told - told.mean(), lost - lost.mean()
    length = np.linalg.norm(told) * np.linalg.norm(lost)
    return float(np.clip(told @ lost / length, -1, 1)) if length > 0 else float("nan")


def _infidelity(told: Float[np.ndarray, "sets"], lost: Float[np.ndarray, "sets"]) -> float:
    if not np.isfinite([told, lost]).all() or not lost.any():
        return float("nan")
    length = np.linalg.norm(told) * np.linalg.norm(lost)
    cosine = max(0.0, told @ lost / length) if length > 0 else 0.0
    return float(np.clip(1 - cosine**2, 0, 1))
