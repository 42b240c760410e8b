"""Grad-ECLIP: where the image matches a text, by the gradient at the attention output that is pooled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, final

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from dermaxai.errors import SettingError
from dermaxai.explain.base import SIMILARITY, AbstractMethod, Answer, Explained, text_directions
from dermaxai.explain.pooling import Heads, Pooled, cosine_gradients, open_pooling
from dermaxai.types import Encoded, Target

Weighting = Literal["similarity", "attention", "none"]


@final
class GradEclip(AbstractMethod):
    """M_i = sum over rows r of weight_ri * sum_c (dS/do_r)_c v_ic, S the cosine of image and text.

    Values are signed, in units of the cosine; the published map is their positive part, taken when drawing.
    Weights: `similarity` (published: cosine of query and key, min-max over the patches of the row),
    `attention` (the real ones: over all tokens they sum to dS/do . o exactly), `none`.
    `heads="model"` explains the deployed encoder; `heads="single"` recomputes the last block with one
    head as the published code does (variant `reference`), which is another network with other cosines.

    Towers that average patches have one row per patch, and rows are summed: the gradient of the mean
    already holds the 1/n. For a MAP head queries and keys are its own, compared unprojected.

    Source: Grad-ECLIP (arXiv:2502.18816); its evaluation code for `reference`.
    """

    name = "grad_eclip"
    title = "Grad-ECLIP"
    signed = True
    answers = SIMILARITY
    layer = "attention before the embedding"
    variants = {  # noqa: RUF012 - a ClassVar in the base
        "model heads": {},
        "reference": {"heads": "single"},
        "attention": {"weighting": "attention"},
        "values": {"weighting": "none"},
    }

    def __init__(self, *, heads: Heads = "model", weighting: Weighting = "similarity") -> None:
        """Choose the form. Raises: SettingError."""
        if heads not in ("model", "single") or weighting not in ("similarity", "attention", "none"):
            raise SettingError(
                f"Grad-ECLIP knows heads model, single and weighting similarity, attention, none; "
                f"not heads '{heads}', weighting '{weighting}'."
            )
        self.heads, self.weighting = heads, weighting

    @property
    def variant(self) -> str:
        """'reference' is the published code; otherwise heads and weighting."""
        options = {"heads": self.heads, "weighting": self.weighting}
        plain = {"heads": "model", "weighting": "similarity"}
        known = (name for name, changes in self.variants.items() if plain | dict(changes) == options)
        return next(known, f"{self.heads} head, {self.weighting}")

    def _answer(self, model: Explained, encoded: Encoded, targets: Sequence[Target]) -> Answer:
        directions = text_directions(model.encoder, targets)
        pooled = open_pooling(model.encoder, encoded.tail_input, heads=self.heads)
        values = self.contributions(pooled, directions)[:, pooled.first_patch :]
        scalars = ["cosine difference" if target.against else "cosine" for target in targets]
        return Answer(values, scalars, self.layer)

    def contributions(
        self, pooled: Pooled, directions: Float[Tensor, "targets embed"]
    ) -> Float[Tensor, "targets tokens"]:
        """Signed share of each token, class token included, in the cosine with each direction."""
        gradients = cosine_gradients(pooled, directions)
        heads, tokens, _ = pooled.values.shape
        split = gradients.reshape(*gradients.shape[:-1], heads, -1)
        if self.weighting == "attention":
            weights = pooled.attention
        elif self.weighting == "similarity":
            weights = similarity_weights(pooled).expand(heads, -1, -1)
        else:
            weights = pooled.attention.new_ones(heads, split.shape[1], tokens)
        reaching = torch.einsum("trhd,hrn->thnd", split, weights.to(split.dtype))
        return torch.einsum("thnd,hnd->tn", reaching, pooled.values)


def similarity_weights(pooled: Pooled) -> Float[Tensor, "rows tokens"]:
    """Cosine of query and key, scaled so that the patches of each row span 0 to 1.

    All 1 where every patch is equally close, since then nothing tells them apart.
    """
    closeness = functional.normalize(pooled.queries, dim=-1) @ functional.normalize(pooled.keys, dim=-1).T
    patches = closeness[:, pooled.first_patch :]
    low, high = patches.amin(1, keepdim=True), patches.amax(1, keepdim=True)
    span = high - low
    flat = span <= torch.finfo(span.dtype).eps
    return torch.where(flat, 1.0, (closeness - low) / torch.where(flat, 1.0, span))
