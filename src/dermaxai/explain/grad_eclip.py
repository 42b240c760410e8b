"""Grad-ECLIP: where the image matches a text, by the gradient at the attention output that is pooled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from dermaxai.encoders.base import Pooling
from dermaxai.errors import SettingError
from dermaxai.explain.base import (
    SIMILARITY,
    WORDS,
    AbstractMethod,
    Answer,
    Explained,
    TextAnswer,
    text_directions,
)
from dermaxai.explain.cam import scalar_names
from dermaxai.explain.mixed_questions import answer_apart
from dermaxai.explain.pooling import Heads, Pooled, Weighting, cosine_gradients, shared_pooling
from dermaxai.explain.support import SUPPORTED, Support
from dermaxai.explain.text_side import TEXT_BLOCKS, TextForm, text_grad_eclip
from dermaxai.explain.word_eclip import ECLIP_LAYER, word_eclip
from dermaxai.types import Encoded, Target, TargetKind


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

    Words of a caption are asked at the Q-Former's cross-attentions, with the word's log-probability as S: an
    extension made here (`word_eclip`).

    In texts the same is summed over the last `text_blocks` blocks. `padding` scales the similarity over the
    whole padded context as published, although the tower gives the same embedding without padding, and the
    shares then depend on it; None does so for a single head only.

    Source: Grad-ECLIP (arXiv:2502.18816); its evaluation code for `reference`.
    """

    name = "grad_eclip"
    title = "Grad-ECLIP"
    signed = True
    answers = WORDS | SIMILARITY
    reads_text = True
    layer = "attention before the embedding"
    variants = {  # noqa: RUF012 - a ClassVar in the base
        "model heads": {},
        "reference": {"heads": "single"},
        "attention": {"weighting": "attention"},
        "values": {"weighting": "none"},
    }

    def __init__(
        self,
        *,
        heads: Heads = "model",
        weighting: Weighting = "similarity",
        text_blocks: int = TEXT_BLOCKS,
        padding: bool | None = None,
    ) -> None:
        """Choose the form. Raises: SettingError."""
        if heads not in ("model", "single") or weighting not in ("similarity", "attention", "none"):
            raise SettingError(
                f"Grad-ECLIP knows heads model, single and weighting similarity, attention, none; "
                f"not heads '{heads}', weighting '{weighting}'."
            )
        if text_blocks < 1:
            raise SettingError(f"Grad-ECLIP opens at least 1 block of the text tower, not {text_blocks}.")
        self.heads, self.weighting, self.text_blocks = heads, weighting, text_blocks
        self.padding = heads == "single" if padding is None else padding

    @property
    def variant(self) -> str:
        """'reference' is the published code; otherwise heads and weighting, and how texts are read."""
        options = {"heads": self.heads, "weighting": self.weighting}
        plain = {"heads": "model", "weighting": "similarity"}
        known = (name for name, changes in self.variants.items() if plain | dict(changes) == options)
        named = [next(known, f"{self.heads} head, {self.weighting}")]
        if self.text_blocks != TEXT_BLOCKS:
            named.append(f"{self.text_blocks} text blocks")
        if self.padding != (self.heads == "single"):
            named.append("padding counts" if self.padding else "no padding")
        return ", ".join(named)

    def support(self, pooling: Pooling, kind: TargetKind) -> Support:
        """The published form knows towers that are read without a MAP head, and no words of a caption."""
        if self.heads == "model" or (pooling != "map" and kind in SIMILARITY):
            return SUPPORTED
        if kind in WORDS:
            return Support("impossible", "the published form knows no words of a caption.", "evidence")
        return Support(
            "impossible", "the tower pools by attention; the published form has none for it.", "grad_eclip"
        )

    def _answer(self, model: Explained, encoded: Encoded, targets: Sequence[Target]) -> Answer:
        return answer_apart(
            targets,
            lambda asked: self._of_words(model, encoded, asked),
            lambda asked: self._of_texts(model, encoded, asked),
        )

    def _of_words(self, model: Explained, encoded: Encoded, targets: Sequence[Target]) -> Answer:
        values = word_eclip(model, encoded, targets, self.weighting)
        return Answer(values, scalar_names(model.encoder, targets, "cosine"), ECLIP_LAYER)

    def _of_texts(self, model: Explained, encoded: Encoded, targets: Sequence[Target]) -> Answer:
        directions = text_directions(model.encoder, targets)
        pooled = shared_pooling(model, encoded, self.heads)
        values = self.contributions(pooled, directions)[:, pooled.first_patch :]
        return Answer(values, scalar_names(model.encoder, targets, "cosine"), self.layer)

    def _answer_text(self, model: Explained, encoded: Encoded, targets: Sequence[Target]) -> TextAnswer:
        form = TextForm(self.weighting, self.text_blocks, self.heads == "single", self.padding)
        return text_grad_eclip(model, encoded, targets, form)

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
