"""Grad-CAM++: positive gradients only, each counting by how the exponential of the score bends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, final

import torch
from jaxtyping import Float
from torch import Tensor

from dermaxai.errors import SettingError
from dermaxai.explain.base import SIMILARITY, WORDS, AbstractMethod, Answer, Explained
from dermaxai.explain.cam import CAM_LAYER, CamScalar, answer_by_weights
from dermaxai.explain.pooling import TargetLayer
from dermaxai.types import Encoded, Target

Form = Literal["scale-free", "reference"]
EPSILON = 1e-6
"""Of the published code, added to the denominator."""


@final
class GradCamPlusPlus(AbstractMethod):
    """raw(p) = sum_k w_k A_k(p) with w_k = sum_p alpha_k(p) relu(g_k(p)), g the gradient of the score.

    `reference` is the published alpha = g^2 / (2 g^2 + s_k g^3 + 1e-6), s_k = sum_p A_k(p). It has two
    faults at a transformer's layer. The constant is no smaller than the squared gradients of a cosine, so
    that the map depends on the unit of the score. And the formula presumes s_k >= 0, as after a ReLU; of
    normed tokens half of the channels have a negative sum, where alpha changes sign through a pole.

    `scale-free` (default) therefore takes g relative to its root mean square h over patches and channels,
    and the absolute mean m_k of the channel in place of its sum: alpha = 1 / (2 + |m_k| g / h), always
    between 0 and 1/2, whatever the unit of the score and the number of patches. A score times a
    constant gives the map times it.

    Layers and scores as for Grad-CAM: `ln_1` of the last block, for words the Q-Former's key and value
    input; `scalar` chooses cosine or logit for similarity, words are asked by their log-probability.
    Values are signed, in units of the score. Weights are not: a negative value says that the channels
    that count are low there, rather than that the patch speaks against the text.

    Source: Grad-CAM++ (arXiv:1710.11063), equations 7 and 19; pytorch-grad-cam 1.5.7 for `reference`.
    """

    name = "grad_cam_plusplus"
    title = "Grad-CAM++"
    signed = True
    answers = WORDS | SIMILARITY
    layer = CAM_LAYER
    variants = {  # noqa: RUF012 - a ClassVar in the base
        "scale-free": {},
        "reference": {"form": "reference"},
        "reference logit": {"form": "reference", "scalar": "logit"},
    }

    def __init__(self, *, form: Form = "scale-free", scalar: CamScalar = "cosine") -> None:
        """Choose the form, and what similarity questions differentiate. Raises: SettingError."""
        if form not in ("scale-free", "reference") or scalar not in ("cosine", "logit"):
            raise SettingError(
                f"Grad-CAM++ knows form scale-free, reference and scalar cosine, logit; "
                f"not form '{form}', scalar '{scalar}'."
            )
        self.form, self.scalar = form, scalar

    @property
    def variant(self) -> str:
        """The form, with 'logit' where that is differentiated."""
        return self.form if self.scalar == "cosine" else f"{self.form} {self.scalar}"

    def _answer(self, model: Explained, encoded: Encoded, targets: Sequence[Target]) -> Answer:
        return answer_by_weights(model, encoded, targets, self.weights, self.scalar)

    def weights(self, layer: TargetLayer) -> Float[Tensor, "targets width"]:
        """What each channel counts; never negative in the form `scale-free`."""
        rule = _scale_free if self.form == "scale-free" else _published
        # One question's gradients fit the processor's cache, those of all questions do not.
        return torch.stack([rule(layer.activations, one) for one in layer.gradients])


def _published(
    activations: Float[Tensor, "n width"], gradients: Float[Tensor, "n width"]
) -> Float[Tensor, "width"]:
    squares = gradients.square()
    bent = 2 * squares + activations.sum(0) * squares * gradients + EPSILON
    shares = torch.where(gradients == 0, 0.0, squares / bent)
    return (shares * gradients.relu()).sum(0)


def _scale_free(
    activations: Float[Tensor, "n width"], gradients: Float[Tensor, "n width"]
) -> Float[Tensor, "width"]:
    positive = gradients.relu()
    usual = gradients.square().mean().sqrt()
    # Without any gradient there is nothing to divide: the sum is zero either way.
    relative = positive / torch.where(usual == 0, 1.0, usual)
    return (positive / (2 + activations.mean(0).abs() * relative)).sum(0)
