"""The cosine as an exact sum over blocks, heads and patches, with the final norms' statistics held still."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from dermaxai.explain.base import SIMILARITY, AbstractMethod, Answer, Explained, text_directions
from dermaxai.explain.blocks import (
    by_heads,
    entering,
    finished,
    gradients_at,
    in_turns,
    layer_name,
    map_gradients,
    of_map,
    opened,
)
from dermaxai.explain.cam import scalar_names
from dermaxai.progress import beat
from dermaxai.types import Encoded, Target


@dataclass(frozen=True, slots=True, eq=False)
class Terms:
    """What the cosine with each direction is made of; everything added up is the cosine."""

    attention: Float[Tensor, "targets blocks heads tokens"]
    """What each block's heads fetch from each token, class token included. With a MAP head: its own heads."""
    start: Float[Tensor, "targets tokens"]
    """What the read tokens held when they entered the first block: class or patch, position, embedding."""
    feed_forward: Float[Tensor, "targets blocks"]
    """The MLPs; no block with a MAP head."""
    rest: Float[Tensor, "targets"]
    """Biases of output projections, final norms and head; the MLP of a MAP head."""
    first_patch: int

    @property
    def total(self) -> Float[Tensor, "targets"]:
        """The cosine."""
        return self.attention.sum((1, 2, 3)) + self.start.sum(1) + self.feed_forward.sum(1) + self.rest

    @property
    def patches(self) -> Float[Tensor, "targets n"]:
        """What comes from each patch: through all heads of all blocks, and its own start if it is read."""
        return (self.attention.sum((1, 2)) + self.start)[:, self.first_patch :]


@final
class Decomposition(AbstractMethod):
    """The part of the cosine that comes from each patch, through any head of any block, without detours.

    The read tokens are a sum: what they were at first, what the heads fetched from each token, what the MLPs
    added. With the mean and spread of every later norm held at their values, and the length of the embedding
    too, the cosine is linear in that sum. Nothing is approximated: with MLPs, start and biases, which belong
    to no patch, the terms add up to the cosine. Effects over other tokens count where they are fetched.
    Where patches are averaged all of them are read: each has its own start. A MAP head is taken apart by its
    own heads, and what each fetches from each patch; its MLP is in the rest.

    Values are signed, in units of the cosine. `terms_of` gives all terms.

    Source: Gandelsman et al. (arXiv:2310.05916), sections 3 to 5, derived anew, with start, MLPs and biases.
    """

    name = "decomposition"
    title = "Exact decomposition"
    signed = True
    answers = SIMILARITY
    layer = "attention of all blocks"
    variants = {"all blocks": {}}  # noqa: RUF012 - a ClassVar in the base

    @property
    def variant(self) -> str:
        """Always 'all blocks'."""
        return "all blocks"

    def _answer(self, model: Explained, encoded: Encoded, targets: Sequence[Target]) -> Answer:
        tower = model.encoder.tower
        terms = terms_of(model, encoded, text_directions(model.encoder, targets))
        scalars = scalar_names(model.encoder, targets, "cosine")
        everything = layer_name(tower, range(len(tower.blocks)))
        layer = "attention of the pooling" if tower.pooling == "map" else everything
        return Answer(terms.patches, scalars, layer)


def terms_of(model: Explained, encoded: Encoded, directions: Float[Tensor, "targets embed"]) -> Terms:
    """Every term of the cosine with each direction; autograd must be on (`base.with_graph`)."""
    tower = model.encoder.tower
    find = _of_map if tower.pooling == "map" else _of_stream
    found = [find(model, encoded, turn) for turn in in_turns(tower, len(encoded.tail_input), directions)]
    parts = ("attention", "start", "feed_forward", "rest")
    joined = {part: torch.cat([getattr(one, part) for one in found]) for part in parts}
    return Terms(**joined, first_patch=tower.first_patch)


def _of_map(model: Explained, encoded: Encoded, directions: Float[Tensor, "targets embed"]) -> Terms:
    tower = model.encoder.tower
    last = finished(model, encoded, len(tower.blocks) - 1)
    with _NormsHeld(query_constant=True):
        result = tower.read_out(last.tokens.detach().requires_grad_())
    pooled, unit = of_map(result.map), _length_held(result.embedding)
    directions = directions.to(unit)
    (at_context,) = gradients_at(unit, [pooled.context], directions)
    attention = map_gradients(pooled, at_context) * pooled.attention[:, :, 0].detach()
    rest = directions @ unit.detach() - attention.sum((1, 2, 3))
    return Terms(attention, torch.zeros_like(attention[:, 0, 0]), attention.new_zeros(len(rest), 0), rest, 0)


def _of_stream(model: Explained, encoded: Encoded, directions: Float[Tensor, "targets embed"]) -> Terms:
    tower = model.encoder.tower
    rows = slice(0, 1) if tower.pooling == "class" else slice(None)
    last = finished(model, encoded, len(tower.blocks) - 1, whole=tower.pooling != "class")
    stream = [entering(model, encoded, index)[0, rows] for index in range(len(tower.blocks))]
    stream.append(last.tokens[0].detach())
    leaf = stream[-1].clone()[None].requires_grad_()
    with _NormsHeld():
        unit = _length_held(tower.read_out(leaf).embedding)
    weights = directions.to(unit)
    (found,) = gradients_at(unit, [leaf], weights)
    gains = found[:, 0]
    attention, merged, biases = list[Tensor](), list[Tensor](), list[Tensor]()
    for index in range(len(tower.blocks)):
        beat()
        of_block = _of_attention(model, encoded, index, gains)
        for terms, part in zip((attention, merged, biases), of_block, strict=True):
            terms.append(part)
    start = _along(gains, stream[0])
    feed_forward = [
        _along(gains, after - before - added).sum(1)
        for before, after, added in zip(stream[:-1], stream[1:], merged, strict=True)
    ]
    constant = weights @ unit.detach() - _along(gains, stream[-1]).sum(1)
    return Terms(
        attention=torch.stack(attention, 1),
        start=functional.pad(start, (0, len(encoded.tail_input) - start.shape[1])),
        feed_forward=torch.stack(feed_forward, 1),
        rest=constant + torch.stack(biases).sum(0),
        first_patch=tower.first_patch,
    )


def _of_attention(
    model: Explained, encoded: Encoded, index: int, gains: Float[Tensor, "targets rows width"]
) -> tuple[Tensor, Tensor, Tensor]:
    """Terms of a block's heads and tokens; what its attention adds to the read rows; the bias in that."""
    tower, block = model.encoder.tower, opened(model, encoded, index)
    read = gains.shape[1]
    context = block.context[:, :read].detach().clone().requires_grad_()
    with _NormsHeld():
        added = tower.open(tower.blocks[index]).merge(context)
    (found,) = gradients_at(added, [context], gains[:, None].to(added))
    at_context, wide = found[:, 0], block.values.dtype
    by_head = by_heads(at_context.to(wide), len(block.values))
    terms = torch.einsum("trhd,hrn,hnd->thn", by_head, block.attention[:, :read], block.values)
    bias = _along(gains, added[0].detach()) - _along(at_context, context[0].detach())
    return terms, added[0].detach(), bias.sum(1)


def _along(
    gains: Float[Tensor, "targets rows width"], tokens: Float[Tensor, "rows width"]
) -> Float[Tensor, "targets rows"]:
    """The part of the cosine that lies in each row; float32 or wider."""
    wide = torch.promote_types(gains.dtype, torch.float32)
    return torch.einsum("trd,rd->tr", gains.to(wide), tokens.to(wide))


def _length_held(embedding: Float[Tensor, "1 embed"]) -> Float[Tensor, "embed"]:
    wide = embedding[0].to(torch.promote_types(embedding.dtype, torch.float32))
    held: Tensor = wide.detach().norm()
    unit: Tensor = wide / held
    return unit


@final
class _NormsHeld(TorchFunctionMode):
    """Inside, and in this thread only, layer norms divide by a spread that has no gradient.

    `query_constant`: norms of a single token, which open the MLP of a MAP head, have none at all.
    """

    def __init__(self, *, query_constant: bool = False) -> None:
        super().__init__()
        self.query_constant = query_constant

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,  # noqa: ANN401 - as torch has it
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        if func is functional.layer_norm:
            return self._norm(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))

    def _norm(
        self,
        input: Tensor,
        normalized_shape: Sequence[int],
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        eps: float = 1e-5,
    ) -> Tensor:
        if self.query_constant and input.ndim == 3 and input.shape[1] == 1:
            return functional.layer_norm(input, list(normalized_shape), weight, bias, eps).detach()
        over = tuple(range(-len(normalized_shape), 0))
        spread = (input.var(over, correction=0, keepdim=True) + eps).sqrt().detach()
        normed = (input - input.mean(over, keepdim=True)) / spread
        normed = normed if weight is None else normed * weight
        return normed if bias is None else normed + bias
