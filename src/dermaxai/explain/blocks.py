"""Blocks of the vision tower reopened one by one, and gradients of many questions led down through them.

Each block is recomputed from what enters it, which one shared pass has left, so its graph ends at its own
input and gradients are handed from block to block. The softmax is differentiated in closed form, because its
gradient at the attention, dS/dA_ij = <dS/do_i, v_j> per head, is what the methods read anyway.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from dermaxai.encoders.tail import attend, split_heads, unit_length
from dermaxai.errors import NotSupported, SettingError
from dermaxai.explain.shared import AT_ONCE, block_inputs

if TYPE_CHECKING:
    from collections.abc import Callable

    from dermaxai.encoders.tail import MapAttention, Tower
    from dermaxai.explain.base import Explained
    from dermaxai.types import Encoded

Made = TypeVar("Made")

SHARED_BLOCKS = 4
"""So many of the last blocks stay open for the next method; the graph of a whole tower would be too much."""


@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """The attention of one block, without its output projection."""

    entering: Float[Tensor, "1 tokens width"]
    """The leaf that everything here depends on."""
    projected: tuple[Float[Tensor, "1 tokens width"], ...]
    """Queries, keys, values as functions of `entering`."""
    queries: Float[Tensor, "heads tokens head"]
    """Scaled. Numbers from here on, float32 or wider."""
    keys: Float[Tensor, "heads tokens head"]
    values: Float[Tensor, "heads tokens head"]
    attention: Float[Tensor, "heads tokens tokens"]
    context: Float[Tensor, "1 tokens width"]
    """Attention output before its projection, as the tower has it."""


@dataclass(frozen=True, slots=True, eq=False)
class Finished:
    """The rest of a block."""

    begun: Opened
    """From here only the residual stream reaches its leaf `entering`."""
    context: Float[Tensor, "1 rows width"]
    """A leaf."""
    tokens: Float[Tensor, "1 rows width"]
    """Block output, a function of both leaves."""


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """How the embedding is read from the last block's output."""

    tokens: Float[Tensor, "1 rows width"]
    """A leaf: the class token alone, otherwise all tokens."""
    embedding: Float[Tensor, "embed"]
    """Unit length, a function of `tokens`."""
    map: MapAttention | None


def blocks_from(tower: Tower, start: int) -> range:
    """Numbers of the blocks from `start` on; negative counts from the end, beyond the first means all.

    Raises: SettingError for a start behind the last block.
    """
    depth = len(tower.blocks)
    if start >= depth:
        raise SettingError(
            f"The tower has {depth} blocks, numbered 0 to {depth - 1}; none is number {start}."
        )
    return range(start if start >= 0 else max(0, depth + start), depth)


def start_name(start: int) -> str:
    """A start block in words, for the name of a variant."""
    if start < 0:
        return "last block" if start == -1 else f"last {-start} blocks"
    return f"from block {start + 1}" if start else "all blocks"


def layer_name(tower: Tower, blocks: range) -> str:
    """Which attentions are read, in words, blocks counted from 1; that of a MAP head too."""
    first, depth = blocks.start + 1, len(tower.blocks)
    which = f"block {depth}" if len(blocks) == 1 else f"blocks {first} to {depth}"
    return f"attention of {which} of {depth}{' and of the pooling' if tower.pooling == 'map' else ''}"


def entering(model: Explained, encoded: Encoded, index: int) -> Float[Tensor, "1 tokens width"]:
    """What enters a block; only blocks before the last need the photo's pixels and a pass."""
    if index == len(model.encoder.tower.blocks) - 1:
        return encoded.tail_input.clone()[None]
    return block_inputs(model.encoder, encoded, model.shared)[index]


def opened(model: Explained, encoded: Encoded, index: int) -> Opened:
    """A block's attention, with a graph; the last blocks stay open for other methods."""
    return _kept(model, encoded, ("opened block", index), index, lambda: _open(model, encoded, index))


def finished(model: Explained, encoded: Encoded, index: int, *, whole: bool = True) -> Finished:
    """The rest of a block, with a graph; not `whole`: the first token only."""

    def make() -> Finished:
        begun = opened(model, encoded, index)
        parts = model.encoder.tower.open(model.encoder.tower.blocks[index])
        rows = slice(None) if whole else slice(0, 1)
        context = begun.context[:, rows].clone().requires_grad_()
        tokens = begun.entering[:, rows] + parts.merge(context)
        return Finished(begun, context, tokens + parts.feed_forward(tokens))

    return _kept(model, encoded, ("finished block", index, whole), index, make)


def reading(model: Explained, encoded: Encoded) -> Reading:
    """The way from the last block's output to the embedding, with a graph."""

    def make() -> Reading:
        tower = model.encoder.tower
        last = finished(model, encoded, len(tower.blocks) - 1, whole=tower.pooling != "class")
        tokens = last.tokens.detach().requires_grad_()
        result = tower.read_out(tokens)
        return Reading(tokens, unit_length(result.embedding)[0], result.map)

    return model.shared.once(encoded, "reading", make)


def read_rows(model: Explained, encoded: Encoded) -> Float[Tensor, "1 tokens"]:
    """The share of each token of the last block's output in what the embedding is read from; sums to 1.

    A MAP head's is its attention, averaged over heads.
    """
    tower, tokens = model.encoder.tower, encoded.tail_input
    wide = torch.promote_types(tokens.dtype, torch.float32)
    if tower.pooling == "map":
        return of_map(reading(model, encoded).map).attention[0].detach().to(wide).mean(0)
    share = torch.zeros(1, len(tokens), dtype=wide, device=tokens.device)
    first = tower.first_patch
    read = slice(0, 1) if tower.pooling == "class" else slice(first, None)
    share[:, read] = 1.0 if tower.pooling == "class" else 1 / (len(tokens) - first)
    return share


def mean_attentions(
    model: Explained, encoded: Encoded, blocks: range
) -> list[Float[Tensor, "tokens tokens"]]:
    """The attention of each block, averaged over heads; made once per photo and block."""

    def make(index: int) -> Tensor:
        if _stays(model, index):
            return opened(model, encoded, index).attention.mean(0)
        with torch.no_grad():
            return _open(model, encoded, index).attention.mean(0)

    return [model.shared.once(encoded, ("mean attention", index), partial(make, index)) for index in blocks]


def gradients_at(
    outputs: Tensor | tuple[Tensor, ...],
    leaves: list[Tensor],
    given: Tensor | tuple[Tensor, ...],
) -> tuple[Tensor, ...]:
    """Gradients at the leaves, (targets, *leaf.shape), for each row of the `given` ones at the outputs."""
    found: tuple[Tensor, ...] = torch.autograd.grad(
        outputs, leaves, given, retain_graph=True, is_grads_batched=True
    )
    return found


def attention_gradients(
    begun: Opened, at_context: Float[Tensor, "targets rows width"]
) -> Iterator[Float[Tensor, "targets rows tokens"]]:
    """The gradient at the attention, head after head, so that memory is that of one."""
    heads = len(begun.values)
    by_head = by_heads(at_context.to(begun.values), heads)
    for head in range(heads):
        yield by_head[:, :, head] @ begun.values[head].T


def through_attention(
    begun: Opened, at_context: Float[Tensor, "targets rows width"]
) -> Float[Tensor, "targets tokens width"]:
    """From the gradient at the first rows of the context to that at the block's input, residual left out."""
    rows = at_context.shape[1]
    by_head = by_heads(at_context.to(begun.values), len(begun.values))
    backward = []
    for head, direct in enumerate(attention_gradients(begun, at_context)):
        attention = begun.attention[head, :rows]
        # d softmax: each row loses what its attention would change on average.
        at_logits = attention * (direct - (attention * direct).sum(-1, keepdim=True))
        at_queries = at_logits @ begun.keys[head] * begun.keys.shape[-1] ** -0.5
        at_keys = at_logits.mT @ begun.queries[head, :rows]
        backward.append((at_queries, at_keys, attention.T @ by_head[:, :, head]))
    given = tuple(torch.cat(parts, -1)[:, None] for parts in zip(*backward, strict=True))
    missing = begun.entering.shape[1] - rows
    queries = torch.nn.functional.pad(given[0], (0, 0, 0, missing))
    given = tuple(one.to(begun.entering) for one in (queries, *given[1:]))
    return gradients_at(begun.projected, [begun.entering], given)[0][:, 0]


def by_heads(vectors: Float[Tensor, "*rows width"], heads: int) -> Float[Tensor, "*rows heads head"]:
    """Cut the width into heads, in place."""
    return vectors.reshape(*vectors.shape[:-1], heads, -1)


def of_map(pooled: MapAttention | None) -> MapAttention:
    """The attention of a MAP head. Raises: NotSupported where the tower does not show it."""
    if pooled is None:
        raise NotSupported("This tower pools by attention, and its attention cannot be opened.")
    return pooled


def map_gradients(
    pooled: MapAttention, at_context: Float[Tensor, "targets batch 1 width"]
) -> Float[Tensor, "targets batch heads n"]:
    """The gradient at the attention of a MAP head's query."""
    wide = torch.promote_types(at_context.dtype, torch.float32)
    values = pooled.values.detach().to(wide)
    by_head = by_heads(at_context[:, :, 0].to(wide), values.shape[1])
    return torch.einsum("tbhd,bhnd->tbhn", by_head, values)


def in_turns(tower: Tower, tokens: int, directions: Tensor) -> tuple[Tensor, ...]:
    """Questions cut into as many at a time as memory allows."""
    turns: tuple[Tensor, ...] = torch.split(directions, max(1, AT_ONCE // (4 * tokens * tower.width)))
    return turns


def _open(model: Explained, encoded: Encoded, index: int) -> Opened:
    parts = model.encoder.tower.open(model.encoder.tower.blocks[index])
    leaf = entering(model, encoded, index).detach().clone().requires_grad_()
    projected = parts.project(parts.norm(leaf))
    queries, keys, values = (split_heads(part.detach(), parts.heads) for part in projected)
    attention, context = attend(queries, keys, values)
    wide = torch.promote_types(leaf.dtype, torch.float32)
    queries, keys, values, attention = (part[0].to(wide) for part in (queries, keys, values, attention))
    return Opened(leaf, projected, queries * queries.shape[-1] ** -0.5, keys, values, attention, context)


def _stays(model: Explained, index: int) -> bool:
    return index >= len(model.encoder.tower.blocks) - SHARED_BLOCKS


def _kept(
    model: Explained, encoded: Encoded, key: tuple[str | int, ...], index: int, make: Callable[[], Made]
) -> Made:
    return model.shared.once(encoded, key, make) if _stays(model, index) else make()
