"""How a map's values are spread over its cells; descriptive, no merit: a map may be sparse and wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import numpy as np
from jaxtyping import Float

from dermaxai.measure.maps.base import AbstractMapMetric, Subject
from dermaxai.measure.maps.checked import check_measurable
from dermaxai.measure.scale import Scale
from dermaxai.types import HeatMap

Values = Float[np.ndarray, "rows columns"]


@final
class Sparseness(AbstractMapMetric):
    """Gini index of the absolute values: 0 for a constant map, 1 - 1/n for one single cell of n.

    NaN for a map of zeros. Source: Chalasani et al. (arXiv:1810.06583), after Hurley and Rickard
    (doi 10.1109/TIT.2009.2027527).
    """

    scale = Scale("sparseness", "Sparseness", "neither", "Gini index", source="arXiv:1810.06583, Gini index")

    def measure(self, subject: Subject, maps: Sequence[HeatMap]) -> list[float]:
        """One index per map. Raises: ShapeError, UsageError."""
        check_measurable(subject, maps)
        return [gini(heat.values) for heat in maps]


@final
class Complexity(AbstractMapMetric):
    """Entropy of the cells' shares of the absolute values, over that of equal shares, ln n.

    0 for one single cell, 1 for a constant map, so that towers of other grids can be compared; times ln n it
    is the published number in nats. NaN for a map of zeros.
    Source: Bhatt et al. (arXiv:2005.00631), complexity.
    """

    scale = Scale(
        "complexity", "Complexity", "neither", "share of ln n", source="arXiv:2005.00631, complexity"
    )

    def measure(self, subject: Subject, maps: Sequence[HeatMap]) -> list[float]:
        """One share per map. Raises: ShapeError, UsageError."""
        check_measurable(subject, maps)
        return [relative_entropy(heat.values) for heat in maps]


def gini(values: Values) -> float:
    """`Sparseness` of cells, 0 to 1; NaN for zeros."""
    size = np.sort(np.abs(values.astype(np.float64)).ravel())
    total = size.sum()
    if not total:
        return float("nan")
    weight = 2 * np.arange(1, size.size + 1) - size.size - 1
    return float(np.clip((weight * size).sum() / (size.size * total), 0, 1))


def relative_entropy(values: Values) -> float:
    """`Complexity` of cells, 0 to 1; NaN for zeros and for a single cell."""
    size = np.abs(values.astype(np.float64)).ravel()
    total = size.sum()
    if not total or size.size < 2:
        return float("nan")
    share = size[size > 0] / total
    return float(np.clip(-(share * np.log(share)).sum() / np.log(size.size), 0, 1))
