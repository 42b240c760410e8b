"""ROAD: remove and debias, so that the shape of a hole does not tell what was there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, final

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from dermaxai.measure.maps.base import AbstractMapMetric, Subject, tie_order
from dermaxai.measure.maps.checked import check_measurable
from dermaxai.measure.maps.deletion import UNIT
from dermaxai.measure.maps.probe import asks_words, probe_of
from dermaxai.measure.scale import Scale
from dermaxai.progress import part
from dermaxai.types import HeatMap

PERCENTAGES = (10, 20, 30, 40, 50, 60, 70, 80, 90)
"""Of the patches, taken away."""


@final
class Road(AbstractMapMetric):
    """Half the mean difference of two scores: coldest patches gone minus hottest patches gone.

    Taken away are 10, 20, … 90 % of the patches, always by noisy linear imputation (`imputing.Imputer`),
    whatever the protocol's removal is. The published metric is the accuracy of a classifier over many
    photos; here the score of the map's question takes its place, as in pytorch-grad-cam's `ROADCombined`.
    0 is what random maps give.

    Source: ROAD (arXiv:2202.00449), section 4; both directions combined as in pytorch-grad-cam.
    """

    scale: ClassVar[Scale] = Scale(
        "road", "ROAD", "higher", UNIT, -2.0, 2.0, "ROAD (arXiv:2202.00449), section 4"
    )

    def measure(self, subject: Subject, maps: Sequence[HeatMap]) -> list[float]:
        """Mean over the shares of (least relevant first - most relevant first) / 2."""
        if not maps:
            return []
        check_measurable(subject, maps)
        orders = np.stack([tie_order(heat, subject.protocol.seed) for heat in maps])
        kept = kept_both_ways(orders)
        targets = [heat.target for heat in maps]
        probe = probe_of(subject, "noisy linear")
        with part(0.0, 0.5):
            seen = probe.see(kept.flatten(0, 2), read=asks_words(targets))
        each = [target for target in targets for _ in range(2 * len(PERCENTAGES))]
        with part(0.5, 1.0):
            scores = probe.scores_of(seen, each).double().numpy().reshape(len(maps), 2, len(PERCENTAGES))
        values: list[float] = ((scores[:, 1] - scores[:, 0]) / 2).mean(1).tolist()
        return values


def kept_both_ways(orders: Int[np.ndarray, "maps n"]) -> Bool[Tensor, "maps 2 shares n"]:
    """Which patches are there after each share is gone, the hottest first and the coldest first."""
    patches = orders.shape[1]
    counts = np.array([round(share * patches / 100) for share in PERCENTAGES])[None, :, None]
    places = np.argsort(orders, axis=1)[:, None, :]
    return torch.from_numpy(np.stack([places >= counts, places < patches - counts], 1))
