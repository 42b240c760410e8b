"""Whether a map lies on the lesion: pointing, energy, rank accuracy, precision and order of pixels.

All read a map as a photo in which every pixel takes the value of its cell, and are computed exactly from the
part of each cell that the mask covers, without drawing that photo. What the encoder does not see of the photo
counts nowhere. A map that knows nothing gets `chance`: the mask's share of the area.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, final

import numpy as np
from jaxtyping import Float, Int

from dermaxai.errors import NotSupported
from dermaxai.explain.localisation import energy_on, mask_share, points_on
from dermaxai.measure.maps.base import AbstractMapMetric, Need, Subject
from dermaxai.measure.maps.checked import check_measurable
from dermaxai.measure.scale import Scale
from dermaxai.types import HeatMap, Target

Cells = Float[np.ndarray, "rows columns"]
MASK: frozenset[Need] = frozenset({"mask"})
ROUNDING = 1e-9
"""Areas below this, in cells, are the arithmetic's."""


@final
class Pointing(AbstractMapMetric):
    """The share of the hottest cell that the mask covers; ties are averaged.

    0 for a map that is nowhere positive, which points nowhere; NaN where the encoder sees nothing of the
    mask. Source: excitation backprop (arXiv:1608.00507), section 4.2, with cells instead of pixels.
    """

    scale = Scale("pointing", "Pointing", "higher", "share", source="arXiv:1608.00507, section 4.2")
    needs: ClassVar[frozenset[Need]] = MASK

    def measure(self, subject: Subject, maps: Sequence[HeatMap]) -> list[float]:
        """One share per map. Raises: NotSupported without a mask, ShapeError, UsageError."""
        covered = _covered(subject, maps)
        return [points_on(heat, covered) if covered.any() else np.nan for heat in maps]


@final
class Energy(AbstractMapMetric):
    """The share of the map's positive energy on the mask.

    NaN for a map that is nowhere positive, which has no energy to share, and where the encoder sees nothing
    of the mask. Source: Score-CAM (arXiv:1910.01279), section 4.3.
    """

    scale = Scale("energy", "Energy inside", "higher", "share", source="arXiv:1910.01279, section 4.3")
    needs: ClassVar[frozenset[Need]] = MASK

    def measure(self, subject: Subject, maps: Sequence[HeatMap]) -> list[float]:
        """One share per map. Raises: NotSupported without a mask, ShapeError, UsageError."""
        covered = _covered(subject, maps)
        return [
            energy_on(heat, covered) if covered.any() and heat.values.max() > 0 else np.nan for heat in maps
        ]


@final
class RankAccuracy(AbstractMapMetric):
    """Of as many of the hottest pixels as the mask has, the share that lies in the mask.

    Equal pixels are taken in all orders at once: the value is the mean over random orders. Cells that the
    mask's border cuts keep even the best map below 1. NaN where the encoder sees nothing of the mask.
    Source: CLEVR-XAI (arXiv:2003.07258), relevance rank accuracy, of pixels.
    """

    scale = Scale(
        "rank_accuracy",
        "Rank accuracy",
        "higher",
        "share",
        source="arXiv:2003.07258, relevance rank accuracy",
    )
    needs: ClassVar[frozenset[Need]] = MASK

    def measure(self, subject: Subject, maps: Sequence[HeatMap]) -> list[float]:
        """One share per map. Raises: NotSupported without a mask, ShapeError, UsageError."""
        covered = _covered(subject, maps)
        return [rank_accuracy(heat.values, covered) for heat in maps]


@final
class PixelAveragePrecision(AbstractMapMetric):
    """Average precision of the map as a score for 'this pixel is in the mask'.

    Pixels of equal value are one step of the curve, as in scikit-learn: a constant map gets the mask's share
    of the area. NaN where the encoder sees nothing of the mask.
    Source: AP = Σ (R_k - R_(k-1)) P_k over falling thresholds, without interpolation.
    """

    scale = Scale(
        "pixel_ap", "Pixel AP", "higher", "share", source="area under precision and recall, by steps"
    )
    needs: ClassVar[frozenset[Need]] = MASK

    def measure(self, subject: Subject, maps: Sequence[HeatMap]) -> list[float]:
        """One share per map. Raises: NotSupported without a mask, ShapeError, UsageError."""
        covered = _covered(subject, maps)
        return [average_precision(heat.values, covered) for heat in maps]


@final
class PixelAuroc(AbstractMapMetric):
    """Probability that a pixel of the mask has a higher value than one beside it; ties count half.

    0.5 for a constant map; NaN where the encoder sees nothing of the mask, or nothing else.
    Source: Hanley and McNeil (1982), doi 10.1148/radiology.143.1.7063747.
    """

    scale = Scale(
        "pixel_auroc", "Pixel AUROC", "higher", "share", source="doi 10.1148/radiology.143.1.7063747"
    )
    needs: ClassVar[frozenset[Need]] = MASK

    def measure(self, subject: Subject, maps: Sequence[HeatMap]) -> list[float]:
        """One share per map. Raises: NotSupported without a mask, ShapeError, UsageError."""
        covered = _covered(subject, maps)
        return [area_under_roc(heat.values, covered) for heat in maps]


def chance(subject: Subject) -> float:
    """What a map that knows nothing gets: the mask's share of what the encoder sees, 0 to 1.

    The expectation of a random map for `Pointing`, `Energy` and `RankAccuracy`, and the value of a constant
    positive map for them and for `PixelAveragePrecision`; see `chance_precision` for that of random ones.
    Raises: NotSupported without a mask.
    """
    return float(covered_by_mask(subject).mean())


def chance_precision(subject: Subject) -> float:
    """The mean of `PixelAveragePrecision` over all orders of the cells; NaN for an empty mask.

    A little above `chance`, since a map of few cells is lucky with its first ones. With s_i the covered part
    of cell i of n, m = Σ s_i, q = Σ s_i² / n, c = (m² - Σ s_i²) / (n (n - 1)) and H_n = Σ 1/k it is
    ((q - c) H_n + n c) / m. Raises: NotSupported without a mask.
    """
    share = covered_by_mask(subject).ravel()
    n, total, squares = share.size, share.sum(), (share**2).sum()
    if not total:
        return float("nan")
    together = (total**2 - squares) / (n * (n - 1)) if n > 1 else 0.0
    harmonic = (1 / np.arange(1, n + 1)).sum()
    return float(((squares / n - together) * harmonic + n * together) / total)


def covered_by_mask(subject: Subject) -> Cells:
    """The part of each cell of the patch grid that the subject's mask covers, 0 to 1.

    Raises: NotSupported without a mask; ShapeError if it is not of the photo's size.
    """
    if subject.mask is None:
        raise NotSupported(
            "Nobody outlined the lesion, so nothing says where a map should lie.",
            hint="Give the photo's mask, or choose metrics without need of one.",
        )
    grid = HeatMap(
        np.zeros(subject.encoded.grid, np.float32), "", Target("query", ""), subject.encoded.placement, "", ""
    )
    mask = subject.mask
    # The mask stays beside its shares, so that no other can take its address while they are remembered.
    kept = subject.model.shared.once(
        subject.encoded, ("covered by mask", id(mask)), lambda: (mask, mask_share(grid, mask).clip(0, 1))
    )
    return kept[1]


def rank_accuracy(values: Cells, covered: Cells) -> float:
    """`RankAccuracy` of cells; NaN where `covered` is all 0."""
    cells, inside = _steps(values, covered)
    total = inside.sum()
    if not total:
        return float("nan")
    before = np.cumsum(cells) - cells
    taken = np.clip(total - before, 0, cells)
    return float((taken / cells * inside).sum() / total)


def average_precision(values: Cells, covered: Cells) -> float:
    """`PixelAveragePrecision` of cells; NaN where `covered` is all 0."""
    cells, inside = _steps(values, covered)
    total = inside.sum()
    if not total:
        return float("nan")
    precision = np.cumsum(inside) / np.cumsum(cells)
    return float((inside * precision).sum() / total)


def area_under_roc(values: Cells, covered: Cells) -> float:
    """`PixelAuroc` of cells; NaN where `covered` is all 0 or all 1."""
    cells, inside = _steps(values, covered)
    beside = cells - inside
    pairs = inside.sum() * beside.sum()
    if pairs <= ROUNDING:
        return float("nan")
    colder = beside.sum() - np.cumsum(beside)
    return float((inside * (colder + beside / 2)).sum() / pairs)


def _steps(values: Cells, covered: Cells) -> tuple[Int[np.ndarray, "steps"], Float[np.ndarray, "steps"]]:
    """Number of cells and covered area of every distinct value, from the hottest down."""
    _, place, cells = np.unique(-values.ravel(), return_inverse=True, return_counts=True)
    return cells, np.bincount(place.ravel(), weights=covered.ravel(), minlength=len(cells))


def _covered(subject: Subject, maps: Sequence[HeatMap]) -> Cells:
    check_measurable(subject, maps)
    return covered_by_mask(subject)
