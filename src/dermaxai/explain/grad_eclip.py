"""Grad-ECLIP: where the image matches a text, by the gradient at the attention output that is pooled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, final

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from dermaxai.encoders.base import AbstractEncoder
from dermaxai.encoders.tail import attend, split_heads, unit_length
from dermaxai.errors import NotSupported, SettingError
from dermaxai.explain.base import SIMILARITY, AbstractMethod, Answer, Explained, text_directions
from dermaxai.types import Encoded, Target

Heads = Literal["model", "single"]
Weighting = Literal["similarity", "attention", "none"]


@dataclass(frozen=True, slots=True, eq=False)
class Pooled:
    """The attention that the image embedding is read from, cut open at its output.

    Rows are the tokens that are read: the class token; every patch where patches are averaged; the
    learned query of a MAP head.
    """

    context: Float[Tensor, "1 rows width"]
    """Attention output before its projection; the point where the gradient is taken."""
    embedding: Float[Tensor, "embed"]
    """Unit length, a function of `context`."""
    queries: Float[Tensor, "rows width"]
    keys: Float[Tensor, "tokens width"]
    """Queries and keys as they are compared: through the output projection, but for a MAP head."""
    values: Float[Tensor, "heads tokens head"]
    attention: Float[Tensor, "heads rows tokens"]
    first_patch: int


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
    needs = "text tower"
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


def open_pooling(
    encoder: AbstractEncoder, tail_input: Float[Tensor, "tokens width"], *, heads: Heads = "model"
) -> Pooled:
    """Recompute the attention that feeds the embedding, with a graph from its output on.

    Only the rows that are read go through the rest of the network, so many targets cost little.
    Raises: NotSupported for a single head with a MAP head, which the published code does not know.
    """
    tower = encoder.tower
    if tower.pooling == "map":
        if heads == "single":
            raise NotSupported(
                f"'{encoder.card.name}' pools by attention; Grad-ECLIP's published code has no form for it.",
                hint="Use the variant 'model heads'.",
            )
        return _open_map(encoder, tail_input)
    start, parts = tail_input.clone()[None], tower.open(tower.blocks[-1])
    count = parts.heads if heads == "model" else 1
    with torch.no_grad():
        flat = parts.project(parts.norm(start))
        queries, keys, values = (split_heads(part, count) for part in flat)
        attention, context = attend(queries, keys, values)
        merged_queries, merged_keys = (parts.merge(part)[0] for part in flat[:2])
    first = tower.first_patch
    rows = slice(0, 1) if tower.pooling == "class" else slice(first, None)
    leaf = context[:, rows].clone().requires_grad_()
    read = leaf if tower.pooling == "class" else torch.cat([context[:, :first], leaf], 1)
    tokens = start[:, : read.shape[1]] + parts.merge(read)
    embedding = tower.read_out(tokens + parts.feed_forward(tokens)).embedding
    return Pooled(
        context=leaf,
        embedding=unit_length(embedding)[0],
        queries=merged_queries[rows],
        keys=merged_keys,
        values=values[0],
        attention=attention[0, :, rows],
        first_patch=first,
    )


def _open_map(encoder: AbstractEncoder, tail_input: Float[Tensor, "tokens width"]) -> Pooled:
    tail = encoder.tail(tail_input.clone()[None].requires_grad_())
    queries, keys, values = tail.pool_queries, tail.pool_keys, tail.pool_values
    attention, context = tail.pool_attention, tail.pool_context
    if queries is None or keys is None or values is None or attention is None or context is None:
        raise NotSupported(f"'{encoder.card.name}' does not open its attention pooling.")
    return Pooled(
        context=context,
        embedding=tail.pooled[0],
        queries=queries[0].detach().transpose(0, 1).flatten(1),
        keys=keys[0].detach().transpose(0, 1).flatten(1),
        values=values[0].detach(),
        attention=attention[0].detach(),
        first_patch=0,
    )


def cosine_gradients(
    pooled: Pooled, directions: Float[Tensor, "targets embed"]
) -> Float[Tensor, "targets rows width"]:
    """dS/do for every target in one batched backward pass."""
    cosines = directions.to(pooled.embedding) @ pooled.embedding
    (found,) = torch.autograd.grad(
        cosines, pooled.context, torch.eye(len(cosines)).to(cosines), retain_graph=True, is_grads_batched=True
    )
    return found[:, 0]


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
