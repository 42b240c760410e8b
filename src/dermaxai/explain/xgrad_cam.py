"""XGrad-CAM: gradients weighted by the activations, so that the map adds up to gradient times activation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, final

import torch
from jaxtyping import Float
from torch import Tensor

from dermaxai.errors import SettingError
from dermaxai.explain.base import SIMILARITY, WORDS, AbstractMethod, Answer, Explained
from dermaxai.explain.cam import CAM_LAYER, answer_by_weights
from dermaxai.explain.pooling import TargetLayer
from dermaxai.types import Encoded, Target

Form = Literal["guarded", "conserving", "reference"]
EPSILON = 1e-7
"""Of the published code, added to the denominator."""
GUARD = 1e-2
"""Share of sum_p |A_k(p)| up to which the sum s_k of a channel counts as cancelled."""


@final
class XGradCam(AbstractMethod):
    """raw(p) = sum_k w_k A_k(p) with w_k = sum_p g_k(p) A_k(p) / s_k, s_k = sum_p A_k(p).

    The weights are made so that the map is conserved: sum_p raw(p) = sum_{k,p} g_k(p) A_k(p). They presume
    s_k > 0, as after a ReLU. Normed tokens are signed: where a channel's values cancel, s_k is nearly zero,
    and that channel takes the map over. `guarded` (default) gives such channels, |s_k| <= 1e-3 sum_p |A_k|,
    their Grad-CAM weight. What the guard changes is known: the sum of the map loses n cov_p(g_k, A_k) of each
    guarded channel, n patches, and is conserved for all others.
    `conserving` is without guard and keeps the sum; `reference` adds 1e-7 to s_k.

    Layers and scores as for Grad-CAM: `ln_1` of the last block, for words the Q-Former's key and value
    input. Values are signed, in units of the score; a score times a constant gives the map times it.

    Source: XGrad-CAM (arXiv:2008.02312), its definition from the axioms of sensitivity and conservation;
    pytorch-grad-cam 1.5.7 for `reference`.
    """

    name = "xgrad_cam"
    title = "XGrad-CAM"
    signed = True
    answers = WORDS | SIMILARITY
    layer = CAM_LAYER
    variants = {  # noqa: RUF012 - a ClassVar in the base
        "guarded": {},
        "conserving": {"form": "conserving"},
        "reference": {"form": "reference"},
    }

    def __init__(self, *, form: Form = "guarded") -> None:
        """Choose the form. Raises: SettingError."""
        if form not in ("guarded", "conserving", "reference"):
            raise SettingError(f"XGrad-CAM knows form guarded, conserving, reference; not '{form}'.")
        self.form = form

    @property
    def variant(self) -> str:
        """The form."""
        return self.form

    def _answer(self, model: Explained, encoded: Encoded, targets: Sequence[Target]) -> Answer:
        return answer_by_weights(model, encoded, targets, self.weights)

    def weights(self, layer: TargetLayer) -> Float[Tensor, "targets width"]:
        """Gradient times activation over the channel's sum; the mean gradient where that sum is cancelled."""
        sums = layer.activations.sum(0)
        products = (layer.gradients * layer.activations).sum(1)
        if self.form == "reference":
            return products / (sums + EPSILON)
        cancelled = sums.abs() <= self._least(layer.activations)
        ratio = products / torch.where(cancelled, 1.0, sums)
        return torch.where(cancelled, layer.gradients.mean(1), ratio)

    def _least(self, activations: Float[Tensor, "n width"]) -> Float[Tensor, "width"]:
        """Up to which absolute sum a channel is guarded; 0 leaves only those that cannot be divided."""
        lengths = activations.abs().sum(0)
        return GUARD * lengths if self.form == "guarded" else torch.zeros_like(lengths)
