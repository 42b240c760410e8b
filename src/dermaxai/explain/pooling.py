"""The attention that the image embedding is read from, cut open, and gradients of cosines through it.

One token (the class token, the learned query of a MAP head) reads all others, or every patch does where
patches are averaged. With a single reading token the gradient at the tokens it reads has a closed form of
rank two per head, so hundreds of questions cost less than one pass through a block.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from dermaxai.encoders.tail import attend, split_heads, unit_length
from dermaxai.errors import NotSupported
from dermaxai.explain.base import text_directions

if TYPE_CHECKING:
    from dermaxai.encoders.base import AbstractEncoder
    from dermaxai.encoders.tail import BlockParts
    from dermaxai.explain.base import Explained
    from dermaxai.types import Encoded, Target

Heads = Literal["model", "single"]
Weighting = Literal["similarity", "attention", "none"]
"""How Grad-ECLIP weighs tokens: by query and key, by the real attention, or not at all."""


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


@dataclass(frozen=True, slots=True, eq=False)
class TargetLayer:
    """Activations of the patches and what each question's score changes with them: what CAMs are made of."""

    activations: Float[Tensor, "n width"]
    gradients: Float[Tensor, "targets n width"]
    """Of each question's score."""
    layer: str


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
    count, first = parts.heads if heads == "model" else 1, tower.first_patch
    rows = slice(0, 1) if tower.pooling == "class" else slice(first, None)
    with torch.no_grad():
        flat = parts.project(parts.norm(start))
        # A class token reads alone: the other rows of the attention matter to nobody after this block.
        asking = (flat[0][:, rows] if tower.pooling == "class" else flat[0], *flat[1:])
        queries, keys, values = (split_heads(part, count) for part in asking)
        attention, context = attend(queries, keys, values)
        merged_queries, merged_keys = (parts.merge(part)[0] for part in asking[:2])
    read_rows = slice(None) if tower.pooling == "class" else rows
    leaf = context[:, read_rows].clone().requires_grad_()
    read = leaf if tower.pooling == "class" else torch.cat([context[:, :first], leaf], 1)
    tokens = start[:, : read.shape[1]] + parts.merge(read)
    embedding = tower.read_out(tokens + parts.feed_forward(tokens)).embedding
    return Pooled(
        context=leaf,
        embedding=unit_length(embedding)[0],
        queries=merged_queries[read_rows],
        keys=merged_keys,
        values=values[0],
        attention=attention[0, :, read_rows],
        first_patch=first,
    )


def shared_pooling(model: Explained, encoded: Encoded, heads: Heads = "model") -> Pooled:
    """`open_pooling` of a photo, once for all methods. Raises: as `open_pooling`."""
    return model.shared.once(
        encoded, ("pooling", heads), lambda: open_pooling(model.encoder, encoded.tail_input, heads=heads)
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
    return batched_gradients(directions.to(pooled.embedding) @ pooled.embedding, pooled.context)[:, 0]


def batched_gradients(scores: Float[Tensor, "targets"], leaf: Tensor) -> Tensor:
    """The gradient of every score at `leaf`, (targets, *leaf.shape), in one backward pass."""
    (found,) = torch.autograd.grad(
        scores, leaf, torch.eye(len(scores)).to(scores), retain_graph=True, is_grads_batched=True
    )
    gradients: Tensor = found
    return gradients


def target_layer(model: Explained, encoded: Encoded, targets: Sequence[Target]) -> TargetLayer:
    """Activations and gradients of the cosine at the layer that CAMs read, for similarity questions.

    The last block's `ln_1`, patches only; for a MAP head the normed patches that it reads, since for those
    no block lies between patch and embedding. Computed once per photo and list of questions.
    Source: the layer is that of pytorch-grad-cam's advice for ViT; arXiv:1610.02391.
    """

    def make() -> TargetLayer:
        directions = text_directions(model.encoder, targets)
        pooled = shared_pooling(model, encoded) if model.encoder.tower.pooling == "class" else None
        return layer_of_directions(model.encoder, encoded, directions, pooled)

    return model.shared.once(encoded, ("similarity layer", tuple(targets)), make)


def layer_of_directions(
    encoder: AbstractEncoder,
    encoded: Encoded,
    directions: Float[Tensor, "targets embed"],
    pooled: Pooled | None = None,
) -> TargetLayer:
    """`target_layer` for directions in the embedding space; the score is their dot product with it.

    `pooled`: the opened pooling, where a class token reads and it is there already.
    """
    pooling, start = encoder.tower.pooling, encoded.tail_input
    if pooling == "class":
        return _read_by_class_token(encoder, start, directions, pooled or open_pooling(encoder, start))
    if pooling == "map":
        with torch.no_grad():
            tail = encoder.tail(start.clone()[None])
        leaf = tail.tokens.clone().requires_grad_()
        result = encoder.tower.read_out(leaf)
        scores = directions.to(result.embedding) @ unit_length(result.embedding)[0].to(result.embedding)
        gradients = batched_gradients(scores, result.patches)[:, 0]
        return TargetLayer(result.patches[0].detach(), gradients, "normed patches before the MAP head")
    return _read_by_patches(encoder, start, directions)


def _read_by_patches(
    encoder: AbstractEncoder, start: Float[Tensor, "tokens width"], directions: Float[Tensor, "targets embed"]
) -> TargetLayer:
    tail = encoder.tail(start.clone()[None].requires_grad_())
    scores = directions.to(tail.pooled) @ tail.pooled[0]
    first = tail.first_patch
    gradients = batched_gradients(scores, tail.normed)[:, 0, first:]
    return TargetLayer(tail.normed[0, first:].detach(), gradients, "last block, ln_1")


def _read_by_class_token(
    encoder: AbstractEncoder,
    start: Float[Tensor, "tokens width"],
    directions: Float[Tensor, "targets embed"],
    pooled: Pooled,
) -> TargetLayer:
    """The closed form: a token changes the class row by its value and its logit, both of rank one per head.

    With w = dS/do and a = attention of the class token, dS/dv_j = a_j w and dS/dk_j = q a_j (w.v_j - w.o).
    """
    tower = encoder.tower
    parts = tower.open(tower.blocks[-1])
    with torch.no_grad():
        normed = parts.norm(start[None])
        query = split_heads(parts.project(normed[:, :1])[0], parts.heads)[0, :, 0]
    gradients = cosine_gradients(pooled, directions)[:, 0]
    split = gradients.reshape(len(gradients), parts.heads, -1)
    attention, values = pooled.attention[:, 0], pooled.values
    reaching = torch.einsum("thd,hnd->thn", split, values)
    by_logit = attention * (reaching - (attention * reaching).sum(-1, keepdim=True))
    through_keys, through_values = _rows_of_projection(parts, normed[:, :1], query, split)
    first = tower.first_patch
    found = torch.einsum("thn,hc->tnc", by_logit[..., first:], through_keys)
    found += torch.einsum("hn,thc->tnc", attention[:, first:], through_values)
    return TargetLayer(normed[0, first:], found, "last block, ln_1")


def _rows_of_projection(
    parts: BlockParts,
    normed: Float[Tensor, "1 1 width"],
    query: Float[Tensor, "heads head"],
    weights: Float[Tensor, "targets heads head"],
) -> tuple[Float[Tensor, "heads width"], Float[Tensor, "targets heads width"]]:
    """Per head, what the key part sends back for the scaled query and the value part for each weight.

    The projection of a token is affine, so one row stands for all of them.
    """
    heads, size = query.shape
    row = normed.clone().requires_grad_()
    _, keys, values = parts.project(row)
    one_head = torch.eye(heads).to(query)[:, :, None]
    back_keys = (one_head * (query * size**-0.5)).reshape(heads, 1, 1, -1)
    back_values = (one_head * weights[:, None]).reshape(-1, 1, 1, heads * size)
    options = {"retain_graph": True, "is_grads_batched": True}
    (through_keys,) = torch.autograd.grad(keys, row, back_keys, **options)
    (through_values,) = torch.autograd.grad(values, row, back_values, **options)
    return through_keys[:, 0, 0], through_values[:, 0, 0].reshape(len(weights), heads, -1)
