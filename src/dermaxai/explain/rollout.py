"""Attention rollout: how much of each patch flows to where the embedding is read, whatever is asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

from jaxtyping import Float
from torch import Tensor

from dermaxai.explain.base import SIMILARITY, AbstractMethod, Answer, Explained, TextAnswer
from dermaxai.explain.blocks import blocks_from, layer_name, mean_attentions, read_rows, start_name
from dermaxai.explain.text_side import text_rollout
from dermaxai.types import Encoded, Target


@final
class Rollout(AbstractMethod):
    """The product over blocks, last first, of (A_l + I) / 2, with A_l the attention averaged over heads.

    Read at the class token's row; at the mean of the patches' rows where patches are averaged; at the MAP
    head's attention times the product. Values are shares, 0 to 1: with the class token they sum to 1. The
    map is the same for every question, since no text enters. `start`: the first block, negative counts from
    the end. Without `residual` the product is of A_l alone. The published form is the default.

    Source: Abnar and Zuidema (arXiv:2005.00928), attention rollout, section 3.
    """

    name = "rollout"
    title = "Attention rollout"
    signed = False
    answers = SIMILARITY
    reads_question = False
    reads_text = True
    layer = "attention of all blocks"
    variants = {  # noqa: RUF012 - a ClassVar in the base
        "reference": {},
        "no residual": {"residual": False},
        "last layer": {"start": -1},
    }

    def __init__(self, *, start: int = 0, residual: bool = True) -> None:
        """Choose the blocks. A start behind the last block is refused when the tower is known."""
        self.start, self.residual = start, residual

    @property
    def variant(self) -> str:
        """'reference' is the published form; otherwise blocks and residual."""
        options = {"start": self.start, "residual": self.residual}
        plain = {"start": 0, "residual": True}
        known = (name for name, changes in self.variants.items() if plain | dict(changes) == options)
        return next(known, start_name(self.start) + ("" if self.residual else ", no residual"))

    def _answer_text(self, model: Explained, encoded: Encoded, targets: Sequence[Target]) -> TextAnswer:
        return text_rollout(model, targets, start=self.start, residual=self.residual)

    def _answer(self, model: Explained, encoded: Encoded, targets: Sequence[Target]) -> Answer:
        tower = model.encoder.tower
        blocks = blocks_from(tower, self.start)
        attentions = mean_attentions(model, encoded, blocks)
        flow = roll_out(attentions, read_rows(model, encoded), residual=self.residual)
        rows = flow[:, tower.first_patch :].expand(len(targets), -1)
        return Answer(rows, ["attention"] * len(targets), layer_name(tower, blocks))


def roll_out(
    attentions: Sequence[Float[Tensor, "tokens tokens"]],
    rows: Float[Tensor, "rows tokens"],
    *,
    residual: bool = True,
) -> Float[Tensor, "rows tokens"]:
    """Rows times the product of the blocks' attentions, the last block first; rows keep their sum."""
    for attention in reversed(attentions):
        reached = rows @ attention
        rows = (reached + rows) / 2 if residual else reached
    return rows
