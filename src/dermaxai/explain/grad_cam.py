"""Grad-CAM: channels weighted by the mean gradient of the score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

from jaxtyping import Float
from torch import Tensor

from dermaxai.explain.base import SIMILARITY, WORDS, AbstractMethod, Answer, Explained
from dermaxai.explain.cam import CAM_LAYER, answer_by_weights
from dermaxai.explain.pooling import TargetLayer
from dermaxai.types import Encoded, Target


@final
class GradCam(AbstractMethod):
    """raw(p) = sum_k w_k A_k(p) with w_k = mean_p dS/dA_k(p).

    Similarity questions are asked by the cosine at the last block's `ln_1`, class token left out (before
    a MAP head: at the normed patches); questions about words by the decoder's log-probability at the
    Q-Former's key and value input. Values are signed, in units of that score; the published map is their
    positive part, taken when drawing. A score times a constant gives the map times it: nothing in the
    published form needs a correction, so it is the only one.

    Source: Grad-CAM (arXiv:1610.02391), equations 1 and 2 without its ReLU; pytorch-grad-cam 1.5.7.
    """

    name = "grad_cam"
    title = "Grad-CAM"
    signed = True
    answers = WORDS | SIMILARITY
    layer = CAM_LAYER
    variants = {"reference": {}}  # noqa: RUF012 - a ClassVar in the base

    @property
    def variant(self) -> str:
        """Always 'reference'."""
        return "reference"

    def _answer(self, model: Explained, encoded: Encoded, targets: Sequence[Target]) -> Answer:
        return answer_by_weights(model, encoded, targets, self.weights)

    def weights(self, layer: TargetLayer) -> Float[Tensor, "targets width"]:
        """The mean gradient of each channel."""
        return layer.gradients.mean(1)
