"""Max-sensitivity: how far a map moves when the photo changes by less than anybody sees."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from dermaxai.explain.shared import input_pixels
from dermaxai.measure.maps.again import Values, ask_again
from dermaxai.measure.maps.base import AbstractMapMetric, Subject
from dermaxai.measure.randomising import encode_pixels
from dermaxai.measure.scale import Scale
from dermaxai.progress import steps
from dermaxai.types import HeatMap


@final
class MaxSensitivity(AbstractMapMetric):
    """The largest ||M(x + d) - M(x)|| / ||M(x)|| over `noisy_photos` photos with noise d of at most `radius`.

    0: the map stays as it is; 1: it moves by as much as it is. Noise is uniform in every value that enters
    the tower. All noisy photos are encoded in one batch, and a method is asked about all its questions
    together. A caption stays as it is, whatever the model would say of the noisy photo. NaN for a map that is
    zero everywhere.

    Source: SENS_MAX (arXiv:1901.09392, equation 4) with a ball of the maximum norm and drawn instead of
    searched perturbations, divided by the norm of the map.
    """

    scale = Scale(
        "max_sensitivity",
        "Max-sensitivity",
        "lower",
        "share of the map's norm",
        0.0,
        math.inf,
        "arXiv:1901.09392, eq. 4, normed",
    )
    needs = frozenset({"method"})

    def measure(self, subject: Subject, maps: Sequence[HeatMap]) -> list[float]:
        """One share per map. Raises: NotSupported without the methods or the photo's pixels."""
        if not maps:
            return []
        encoder = subject.model.encoder
        noisy = encode_pixels(encoder, subject.encoded, noisy_pixels(subject))
        moved = [ask_again(subject, maps, one) for one in steps(noisy)]
        return [
            _farthest(heat.values.astype(np.float64), [found[place] for found in moved])
            for place, heat in enumerate(maps)
        ]


def noisy_pixels(subject: Subject) -> Float[Tensor, "photos 3 height width"]:
    """The photo with uniform noise, `radius` times the range that each channel of a photo can have."""
    own = input_pixels(subject.model.encoder, subject.encoded).float().cpu()
    # A photo's values lie between 0 and 1 before they are divided by this.
    span = 1 / torch.tensor(subject.model.encoder.card.std, dtype=torch.float32)[:, None, None]
    generator = torch.Generator().manual_seed(subject.protocol.seed)
    drawn = torch.rand((subject.protocol.noisy_photos, *own.shape[1:]), generator=generator)
    return own + subject.protocol.radius * span * (2 * drawn - 1)


def _farthest(own: Values, moved: Sequence[Values]) -> float:
    size = float(np.linalg.norm(own))
    if size == 0:
        return float("nan")
    return max(float(np.linalg.norm(other - own)) for other in moved) / size
