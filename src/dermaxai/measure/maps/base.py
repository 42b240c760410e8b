"""What every metric of maps is: one photo and its maps in, one number per map out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Bool

from dermaxai.errors import NotSupported, SettingError
from dermaxai.explain.base import AbstractMethod, Explained
from dermaxai.explain.shared import Passes
from dermaxai.measure.scale import Scale
from dermaxai.types import Encoded, HeatMap, SkinImage, Target

Removal = Literal["tokens", "blur", "mean", "noisy linear"]
"""How patches are taken away: their tokens dropped before the first block; their pixels blurred, set to the
photo's mean colour, or filled from their neighbours with noise."""
REMOVALS: tuple[Removal, ...] = ("tokens", "blur", "mean", "noisy linear")
Need = Literal["mask", "artefacts", "method", "other maps"]
"""What a subject must hold beside photo and model for a metric to be defined."""
Mask = Bool[np.ndarray, "height width"]


@dataclass(frozen=True, slots=True)
class Protocol:
    """How faithfulness is measured; recorded beside every score."""

    removal: Removal = "tokens"
    steps: int = 20
    """Of a curve: so many equal shares of the patches are taken away one after the other."""
    random_maps: int = 20
    """Random orders that a map is compared with."""
    subsets: int = 64
    """Random sets of patches for correlation and infidelity."""
    noisy_photos: int = 8
    """For max-sensitivity."""
    radius: float = 0.05
    """Of that noise, as a share of the range of the pixels that enter the tower."""
    passes: Passes = "model"
    """Numbers in which the blocks compute."""
    seed: int = 0

    def __post_init__(self) -> None:
        counts = (self.steps, self.random_maps, self.subsets, self.noisy_photos)
        if self.removal not in REMOVALS or min(counts) < 2 or not 0 < self.radius <= 1 or self.seed < 0:
            raise SettingError(
                f"removal is one of {', '.join(REMOVALS)}, counts are 2 or more, radius 0 to 1, seed 0 or "
                f"more; these are {self}."
            )


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """One photo with everything that a metric may look at."""

    model: Explained
    """`model.shared` keeps what several metrics need, so that it is computed once per photo."""
    encoded: Encoded
    image: SkinImage
    protocol: Protocol = field(default_factory=Protocol)
    methods: Mapping[tuple[str, str], AbstractMethod] = field(default_factory=dict)
    """By (name, variant) as in the maps, for metrics that explain again."""
    mask: Mask | None = None
    """The lesion, in the photo's pixels; None where nobody outlined it."""
    artefacts: Mapping[str, Mask] | None = None
    """'border', 'ruler', 'hair', in the photo's pixels; None: found in the photo when needed."""
    rivals: Sequence[Target] = ()
    """Other questions of the same kinds, for text randomisation; empty: chosen by the metric."""

    def method_of(self, heat: HeatMap) -> AbstractMethod:
        """Who made a map. Raises: NotSupported where the subject does not hold it."""
        found = self.methods.get((heat.method, heat.variant))
        if found is None:
            raise NotSupported(
                f"Nobody is known who made the map '{heat.method}', '{heat.variant}'.",
                hint="Give its method in `Subject.methods`.",
            )
        return found


class AbstractMapMetric(ABC):
    """One number per map; final subclasses, each a row in `MAP_METRICS`.

    The models, the maps and the photo are left as they were. The same subject, maps and seed give the same
    numbers, whatever other maps are measured beside them (`agreement` alone looks at the others).
    """

    scale: ClassVar[Scale]
    needs: ClassVar[frozenset[Need]] = frozenset()

    @abstractmethod
    def measure(self, subject: Subject, maps: Sequence[HeatMap]) -> list[float]:
        """One number per map, in order; NaN where the metric is not defined for that map.

        Maps may be of any methods and questions. Raises: NotSupported where a need is not met.
        """


def tie_order(heat: HeatMap, seed: int) -> np.ndarray:
    """Patches from the hottest to the coldest; equal ones in an order drawn with the seed.

    Returns row-major indices, (n,) int64. The draw depends on the seed and the number of patches alone, so
    that equal maps have equal orders.
    """
    values = heat.values.ravel().astype(np.float64)
    drawn = np.random.default_rng([seed, values.size]).random(values.size)
    order: np.ndarray = np.lexsort((drawn, -values))
    return order
