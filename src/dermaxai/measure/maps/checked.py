"""Maps that can be measured: of this photo, and of numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dermaxai.errors import ShapeError, UsageError
from dermaxai.measure.maps.base import Subject
from dermaxai.types import HeatMap


def fits(subject: Subject, heat: HeatMap) -> bool:
    """Whether a map has the grid and the place in the photo that the encoder has."""
    encoded = subject.encoded
    return heat.values.shape == encoded.grid and heat.placement == encoded.placement


def check_measurable(subject: Subject, maps: Sequence[HeatMap]) -> None:
    """Refuse maps that no metric can be told of.

    Raises: ShapeError for a map of another grid or another place in the photo, UsageError for one that holds
    NaN or infinite values.
    """
    encoded = subject.encoded
    for heat in maps:
        if not fits(subject, heat):
            raise ShapeError(
                f"The map '{heat.method}' of '{heat.target.text}' has {heat.values.shape} cells in "
                f"{heat.placement}; the photo was encoded as {encoded.grid} in {encoded.placement}.",
                hint="Measure maps together with the photo they were made of.",
            )
        if not np.isfinite(heat.values).all():
            raise UsageError(
                f"The map '{heat.method}' of '{heat.target.text}' holds values that are no numbers.",
                hint="Make it again; a map of NaN or infinity orders no patches.",
            )
