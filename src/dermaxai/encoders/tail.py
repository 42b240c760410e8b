"""The last block once more, part by part, with every part a node of the autograd graph.

A `Tower` says how to call a vision tower of any library: embed the pixels, run a block, open a block, read
the result out. `towers.py` builds one per library; nothing here hooks, changes or copies the model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from dermaxai.encoders.base import Features, Pooling, Tail
from dermaxai.progress import beat

Step = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class BlockParts:
    """One pre-norm transformer block as functions that can be called one by one."""

    norm: Step
    """ln_1."""
    project: Callable[[Tensor], tuple[Tensor, Tensor, Tensor]]
    """Normed tokens -> queries, keys, values, each (batch, tokens, heads * head)."""
    heads: int
    merge: Step
    """Context -> what is added to the residual: output projection and layer scale."""
    feed_forward: Step
    """Tokens after attention -> what is added to the residual: ln_2, MLP, layer scale."""


@dataclass(frozen=True, slots=True, eq=False)
class OpenBlock:
    """One block, recomputed."""

    normed: Float[Tensor, "batch tokens width"]
    queries: Float[Tensor, "batch heads tokens head"]
    keys: Float[Tensor, "batch heads tokens head"]
    values: Float[Tensor, "batch heads tokens head"]
    attention: Float[Tensor, "batch heads tokens tokens"]
    context: Float[Tensor, "batch tokens width"]
    tokens: Float[Tensor, "batch tokens width"]
    """Block output."""


@dataclass(frozen=True, slots=True, eq=False)
class MapAttention:
    """What attention pooling (the MAP head of SigLIP) computed, before its output projection."""

    queries: Float[Tensor, "batch heads 1 head"]
    keys: Float[Tensor, "batch heads n head"]
    values: Float[Tensor, "batch heads n head"]
    attention: Float[Tensor, "batch heads 1 n"]
    context: Float[Tensor, "batch 1 width"]


@dataclass(frozen=True, slots=True, eq=False)
class ReadOut:
    """From the last block's output to the embedding."""

    patches: Float[Tensor, "batch n width"]
    """After the final norm, class token excluded."""
    embedding: Float[Tensor, "batch embed"]
    """Not yet unit length."""
    map: MapAttention | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Tower:
    """A vision tower of any library, seen the same way."""

    embed: Step
    """Pixels (batch, 3, height, width) -> tokens entering the first block."""
    blocks: Sequence[nn.Module]
    run: Callable[[nn.Module, Tensor], Tensor]
    """A block as its library calls it, fused attention included."""
    open: Callable[[nn.Module], BlockParts]
    read_out: Callable[[Tensor], ReadOut]
    pooling: Pooling
    first_patch: int
    """1 with a class token, 0 without."""
    grid: tuple[int, int]
    width: int
    patch: int
    """Side of a patch in input pixels."""

    def __post_init__(self) -> None:
        # An exotic block is refused when the encoder is loaded, not when the first map is asked for.
        self.open(self.blocks[-1])


def unit_length(vectors: Float[Tensor, "batch embed"]) -> Float[Tensor, "batch embed"]:
    """Vectors over their length; half precision is widened to float32, since cosines differ by little."""
    return functional.normalize(vectors if vectors.dtype == torch.float64 else vectors.float(), dim=-1)


def split_heads(
    vectors: Float[Tensor, "batch tokens width"], heads: int
) -> Float[Tensor, "batch heads tokens head"]:
    """Cut the width into heads."""
    batch, tokens, width = vectors.shape
    return vectors.view(batch, tokens, heads, width // heads).transpose(1, 2)


def attend(
    queries: Float[Tensor, "batch heads rows head"],
    keys: Float[Tensor, "batch heads columns head"],
    values: Float[Tensor, "batch heads columns head"],
) -> tuple[Float[Tensor, "batch heads rows columns"], Float[Tensor, "batch rows width"]]:
    """Attention written out: weights after softmax, and the context with heads merged.

    Source: Attention Is All You Need (arXiv:1706.03762), equation 1.
    """
    scores = (queries * queries.shape[-1] ** -0.5) @ keys.transpose(-2, -1)
    wide = scores if scores.dtype == torch.float64 else scores.float()
    attention = wide.softmax(dim=-1).to(scores.dtype)
    return attention, (attention @ values).transpose(1, 2).flatten(2)


def open_block(parts: BlockParts, tokens: Float[Tensor, "batch tokens width"]) -> OpenBlock:
    """Run one block with explicit attention."""
    normed = parts.norm(tokens)
    queries, keys, values = (split_heads(part, parts.heads) for part in parts.project(normed))
    attention, context = attend(queries, keys, values)
    tokens = tokens + parts.merge(context)
    tokens = tokens + parts.feed_forward(tokens)
    return OpenBlock(normed, queries, keys, values, attention, context, tokens)


def open_blocks(tower: Tower, tokens: Float[Tensor, "batch tokens width"], first: int = 0) -> list[OpenBlock]:
    """All blocks from number `first` on, each with explicit attention, chained in one graph.

    `tokens` enter block `first`. The graph of a whole tower is large: methods reopen single blocks instead
    (`explain.blocks`), and are compared with this.
    """
    opened: list[OpenBlock] = []
    for block in tower.blocks[first:]:
        opened.append(open_block(tower.open(block), tokens))
        tokens = opened[-1].tokens
    return opened


def run_blocks(
    tower: Tower, tokens: Float[Tensor, "batch tokens width"], first: int = 0, last: int | None = None
) -> Float[Tensor, "batch tokens width"]:
    """`tokens` through the blocks from number `first` to the one before `last`; None: to the end."""
    for block in tower.blocks[first:last]:
        beat()
        tokens = tower.run(block, tokens)
    return tokens


@torch.no_grad()
def run_tower(tower: Tower, pixels: Float[Tensor, "batch 3 height width"]) -> Features:
    """One pass without a graph, through the library's own fused blocks."""
    tokens = run_blocks(tower, tower.embed(pixels), last=-1)
    result = tower.read_out(tower.run(tower.blocks[-1], tokens))
    return Features(patches=result.patches, pooled=unit_length(result.embedding), tail_input=tokens)


def open_tail(tower: Tower, tail_input: Float[Tensor, "batch tokens width"]) -> Tail:
    """The last block, the final norm, pooling and projection, with a graph if `tail_input` requires grad."""
    block = open_block(tower.open(tower.blocks[-1]), tail_input)
    result = tower.read_out(block.tokens)
    pooled = result.map
    return Tail(
        normed=block.normed,
        queries=block.queries,
        keys=block.keys,
        values=block.values,
        attention=block.attention,
        context=block.context,
        tokens=block.tokens,
        patches=result.patches,
        pooled=unit_length(result.embedding),
        first_patch=tower.first_patch,
        pooling=tower.pooling,
        pool_keys=pooled.keys if pooled else None,
        pool_values=pooled.values if pooled else None,
        pool_queries=pooled.queries if pooled else None,
        pool_attention=pooled.attention if pooled else None,
        pool_context=pooled.context if pooled else None,
    )
