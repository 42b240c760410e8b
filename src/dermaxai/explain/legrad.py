"""LeGrad: how much attending to a patch would raise the similarity that each block's tokens have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from dermaxai.encoders.tail import unit_length
from dermaxai.explain.base import (
    SIMILARITY,
    AbstractMethod,
    Answer,
    Explained,
    text_directions,
)
from dermaxai.explain.blocks import (
    attention_gradients,
    blocks_from,
    entering,
    finished,
    gradients_at,
    in_turns,
    layer_name,
    map_gradients,
    of_map,
    start_name,
)
from dermaxai.explain.mixed_questions import answer_differences
from dermaxai.progress import beat
from dermaxai.types import Encoded, Target


@final
class LeGrad(AbstractMethod):
    """Sum over blocks l of E_l = mean over heads and rows of relu(ds_l/dA_l), A_l the attention of block l.

    s_l is the cosine of the text with what the tower reads from block l's output: the mean of all tokens,
    class token included, in place of the class token; the tower's own mean where it averages patches; what a
    MAP head reads, and there A_l is the attention of that head. Values are 0 or more, in units of the cosine.

    `start`: the first block, negative counts from the end. The paper sums all blocks, its code the last 2
    (`reference`). That code runs on open_clip up to 2.23 only: later towers take the batch first, and there
    it explains another network without saying so. With a MAP head it leaves out the tower's final norm,
    which is not repeated here.

    Source: LeGrad (arXiv:2404.03214), section 3; its code for `reference`.
    """

    name = "legrad"
    title = "LeGrad"
    signed = False
    answers = SIMILARITY
    layer = "attention of all blocks"
    variants = {  # noqa: RUF012 - a ClassVar in the base
        "all blocks": {},
        "reference": {"start": -2},
    }

    def __init__(self, *, start: int = 0) -> None:
        """Choose the blocks. A start behind the last block is refused when the tower is known."""
        self.start = start

    @property
    def variant(self) -> str:
        """'reference' is the published code; otherwise which blocks."""
        return "reference" if self.start == -2 else start_name(self.start)

    def _answer(self, model: Explained, encoded: Encoded, targets: Sequence[Target]) -> Answer:
        return answer_differences(targets, lambda asked: self._of_texts(model, encoded, asked))

    def _of_texts(self, model: Explained, encoded: Encoded, targets: Sequence[Target]) -> Answer:
        tower = model.encoder.tower
        blocks, directions = blocks_from(tower, self.start), text_directions(model.encoder, targets)
        find = _of_pooling if tower.pooling == "map" else _of_blocks
        turns = in_turns(tower, len(encoded.tail_input), directions)
        values = torch.cat([find(model, encoded, turn, blocks) for turn in turns])
        read = "mean token" if tower.pooling == "class" else "read-out"
        named = f"cosine of each block's {read}"
        scalars = [named] * len(targets)
        if tower.pooling == "map":
            return Answer(values, scalars, f"attention of the pooling, {_after(blocks, len(tower.blocks))}")
        return Answer(values[:, tower.first_patch :], scalars, layer_name(tower, blocks))


def _after(blocks: range, depth: int) -> str:
    which = f"block {depth}" if len(blocks) == 1 else f"blocks {blocks.start + 1} to {depth}"
    return f"after {which} of {depth}"


def _of_blocks(
    model: Explained, encoded: Encoded, directions: Float[Tensor, "targets embed"], blocks: range
) -> Float[Tensor, "targets tokens"]:
    found = directions.new_zeros(len(directions), len(encoded.tail_input))
    for index in blocks:
        beat()
        rest = finished(model, encoded, index)
        at_output = _at_output(model, rest.tokens.detach(), directions)
        (at_context,) = gradients_at(rest.tokens, [rest.context], at_output)
        for gain in attention_gradients(rest.begun, at_context[:, 0]):
            found += gain.relu().mean(1).to(found) / len(rest.begun.values)
    return found


def _at_output(
    model: Explained, tokens: Float[Tensor, "1 tokens width"], directions: Float[Tensor, "targets embed"]
) -> Float[Tensor, "targets 1 tokens width"]:
    """The gradient of s_l at the block's output."""
    tower = model.encoder.tower
    by_mean = tower.pooling == "class"
    leaf = (tokens.mean(1, keepdim=True) if by_mean else tokens).clone().requires_grad_()
    embedding = unit_length(tower.read_out(leaf).embedding)[0]
    (gradient,) = gradients_at(embedding, [leaf], directions.to(embedding))
    return gradient.expand(-1, -1, tokens.shape[1], -1) / tokens.shape[1] if by_mean else gradient


def _of_pooling(
    model: Explained, encoded: Encoded, directions: Float[Tensor, "targets embed"], blocks: range
) -> Float[Tensor, "targets n"]:
    """The MAP head reads the output of every block, all blocks in one batch."""
    last = len(model.encoder.tower.blocks) - 1
    outputs = [entering(model, encoded, index + 1) for index in blocks if index < last]
    outputs.append(finished(model, encoded, last).tokens.detach())
    leaf = torch.cat(outputs).requires_grad_()
    result = model.encoder.tower.read_out(leaf)
    pooled = of_map(result.map)
    embeddings = unit_length(result.embedding)
    given = directions.to(embeddings)[:, None].expand(-1, len(leaf), -1)
    (at_context,) = gradients_at(embeddings, [pooled.context], given)
    return map_gradients(pooled, at_context).relu().mean(2).sum(1)
