"""How much of a map lies on what is not skin: dark borders, rulers, hairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, final

import numpy as np
from jaxtyping import Float

from dermaxai.explain.localisation import energy_on, mask_share
from dermaxai.measure.artefact_finding import find_artefacts
from dermaxai.measure.maps.base import AbstractMapMetric, Need, Subject
from dermaxai.measure.maps.checked import check_measurable
from dermaxai.measure.scale import Scale
from dermaxai.types import HeatMap, Target

Cells = Float[np.ndarray, "rows columns"]
TOGETHER = "together"
"""The union of all kinds."""


@final
class ArtefactShare(AbstractMapMetric):
    """The share of the map's positive energy on artefacts of all kinds together.

    To be read beside `artefact_area`, their share of what the encoder sees: a map that knows nothing gets
    that. Hairs over a lesion count as artefacts. NaN where no artefact was found, and for a map that is
    nowhere positive. Source: Score-CAM (arXiv:1910.01279), section 4.3, with artefacts in the place of the
    lesion.
    """

    scale = Scale(
        "artefact_share", "Energy on artefacts", "lower", "share", source="arXiv:1910.01279, section 4.3"
    )
    needs: ClassVar[frozenset[Need]] = frozenset({"artefacts"})

    def measure(self, subject: Subject, maps: Sequence[HeatMap]) -> list[float]:
        """One share per map. Raises: ShapeError, UsageError."""
        check_measurable(subject, maps)
        covered = covered_by_artefacts(subject)[TOGETHER]
        return [_share(heat, covered) for heat in maps]


def energy_per_artefact(subject: Subject, heat: HeatMap) -> dict[str, float]:
    """The share of a map's positive energy on each kind of artefact and 'together', as `ArtefactShare`.

    Kinds can overlap. Raises: ShapeError, UsageError.
    """
    check_measurable(subject, [heat])
    return {kind: _share(heat, covered) for kind, covered in covered_by_artefacts(subject).items()}


def artefact_area(subject: Subject) -> dict[str, float]:
    """The share of what the encoder sees that each kind covers, and all 'together'; 0 where none was found.

    What a map that knows nothing gets of `ArtefactShare` and `energy_per_artefact`. Raises: ShapeError.
    """
    return {kind: float(covered.mean()) for kind, covered in covered_by_artefacts(subject).items()}


def covered_by_artefacts(subject: Subject) -> Mapping[str, Cells]:
    """The part of each cell of the patch grid that artefacts cover, 0 to 1, by kind and 'together'.

    They are found in the photo where the subject does not hold them. Raises: ShapeError for a mask that is
    not of the photo's size.
    """
    given = subject.artefacts
    # The masks stay beside their shares, so that no others can take their address while they are remembered.
    kept = subject.model.shared.once(
        subject.encoded, ("covered by artefacts", id(given)), lambda: (given, _covered(subject))
    )
    return kept[1]


def _covered(subject: Subject) -> dict[str, Cells]:
    place, grid = subject.encoded.placement, subject.encoded.grid
    masks = subject.artefacts
    if masks is None:
        masks = {str(kind): mask for kind, mask in find_artefacts(subject.image).items()}
    empty = HeatMap(np.zeros(grid, np.float32), "", Target("query", ""), place, "", "")
    shares = {kind: mask_share(empty, mask).clip(0, 1) for kind, mask in masks.items()}
    union = np.zeros((place.height, place.width), bool)
    for mask in masks.values():
        union |= mask
    return {**shares, TOGETHER: mask_share(empty, union).clip(0, 1)}


def _share(heat: HeatMap, covered: Cells) -> float:
    defined = covered.any() and heat.values.max() > 0
    return energy_on(heat, covered) if defined else float("nan")
