"""Chefer's generic attention relevance: attentions of the last blocks, weighted by what the score gains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from dermaxai.explain.base import (
    SIMILARITY,
    WORDS,
    AbstractMethod,
    Answer,
    Explained,
    TextAnswer,
    speaker,
    text_directions,
)
from dermaxai.explain.blocks import (
    Opened,
    attention_gradients,
    blocks_from,
    finished,
    gradients_at,
    in_turns,
    layer_name,
    map_gradients,
    of_map,
    read_rows,
    reading,
    start_name,
    through_attention,
)
from dermaxai.explain.cam import scalar_names
from dermaxai.explain.mixed_questions import answer_apart, answer_differences
from dermaxai.explain.text_side import text_relevance
from dermaxai.explain.word_gradients import ask
from dermaxai.explain.word_relevance import RELEVANCE_LAYER, word_relevance
from dermaxai.progress import beat
from dermaxai.types import Encoded, Target


@final
class Relevance(AbstractMethod):
    """R = I, then per block R <- R + C R with C = mean over heads of relu(dL/dA * A), L the logit.

    Read at the class token's row; at the mean of the patches' rows, without the equal share that the identity
    gives each patch, where patches are averaged; through a MAP head as C_MAP R, C_MAP from the attention of
    its query. Values are 0 or more, without unit: over several blocks they depend on the logit's scale.

    `start`: the first block, negative counts from the end. The published code opens the last block only
    (`reference`), the paper all; its authors advise few, because early blocks add artefacts: here 4.

    Words of a caption are asked through the Q-Former and the decoder (`word_relevance`), whatever `start`.
    One word or text rather than another is the difference of two relevances and has a sign.

    Source: Chefer et al. (arXiv:2103.15679), equations 5 and 6; its CLIP notebook for `reference`.
    """

    name = "relevance"
    title = "Attention relevance"
    signed = False
    answers = WORDS | SIMILARITY
    reads_text = True
    layer = "attention of the last blocks"
    variants = {  # noqa: RUF012 - a ClassVar in the base
        "last 4 blocks": {},
        "reference": {"start": -1},
        "all blocks": {"start": 0},
    }

    def __init__(self, *, start: int = -4) -> None:
        """Choose the blocks. A start behind the last block is refused when the tower is known."""
        self.start = start

    @property
    def variant(self) -> str:
        """'reference' is the published code; otherwise which blocks."""
        return "reference" if self.start == -1 else start_name(self.start)

    def _answer(self, model: Explained, encoded: Encoded, targets: Sequence[Target]) -> Answer:
        return answer_apart(
            targets,
            lambda asked: self._of_words(model, encoded, asked),
            lambda asked: answer_differences(asked, lambda one: self._of_texts(model, encoded, one)),
        )

    def _answer_text(self, model: Explained, encoded: Encoded, targets: Sequence[Target]) -> TextAnswer:
        return text_relevance(model, encoded, targets, start=self.start)

    def _of_words(self, model: Explained, encoded: Encoded, targets: Sequence[Target]) -> Answer:
        captioner, caption = speaker(model)
        questions = ask(captioner, caption, targets)
        values = word_relevance(captioner, questions, caption.language, encoded.patches)
        return Answer(values, scalar_names(model.encoder, targets, "logit"), RELEVANCE_LAYER)

    def _of_texts(self, model: Explained, encoded: Encoded, targets: Sequence[Target]) -> Answer:
        tower = model.encoder.tower
        values = similarity_relevance(model, encoded, text_directions(model.encoder, targets), self.start)
        scalars = scalar_names(model.encoder, targets, "logit")
        return Answer(values, scalars, layer_name(tower, blocks_from(tower, self.start)))


def similarity_relevance(
    model: Explained, encoded: Encoded, directions: Float[Tensor, "targets embed"], start: int
) -> Float[Tensor, "targets n"]:
    """Relevance of each patch for the logit with each direction.

    Raises: SettingError for a start behind the last block.
    """
    tower = model.encoder.tower
    blocks = blocks_from(tower, start)
    turns = in_turns(tower, len(encoded.tail_input), directions * model.encoder.logit_scale)
    return torch.cat([_relevance(model, encoded, turn, blocks) for turn in turns])[:, tower.first_patch :]


def _relevance(
    model: Explained, encoded: Encoded, directions: Float[Tensor, "targets embed"], blocks: range
) -> Float[Tensor, "targets tokens"]:
    """From the last block down only the row that is read has to be kept: r <- r + r C."""
    tower = model.encoder.tower
    rows, gradient = _read(model, encoded, directions)
    # Apart from what the identity gives, beside which small gains would drown. A MAP head has no residual
    # stream around its attention: its row is gain.
    gained = rows if tower.pooling == "map" else torch.zeros_like(rows)
    for index in reversed(blocks):
        beat()
        rest = finished(model, encoded, index, whole=tower.pooling != "class" or index != blocks[-1])
        block = rest.begun
        found = gradients_at(rest.tokens, [rest.context, block.entering], gradient[:, None])
        at_context, at_entering = (one[:, 0] for one in found)
        more = _reached(rows, block, at_context)
        rows, gained = rows + more, gained + more
        if index != blocks[0]:
            gradient = at_entering + through_attention(block, at_context)
    return gained


def _read(
    model: Explained, encoded: Encoded, directions: Float[Tensor, "targets embed"]
) -> tuple[Float[Tensor, "targets tokens"], Float[Tensor, "targets rows width"]]:
    """The row of relevance to begin with, and the gradient at the last block's output."""
    tower, read = model.encoder.tower, reading(model, encoded)
    weights = directions.to(read.embedding)
    if tower.pooling == "map":
        pooled = of_map(read.map)
        at_context, at_tokens = gradients_at(read.embedding, [pooled.context, read.tokens], weights)
        gains = map_gradients(pooled, at_context)[:, 0]
        return (gains * pooled.attention[0, :, 0].detach()).relu().mean(1), at_tokens[:, 0]
    (at_tokens,) = gradients_at(read.embedding, [read.tokens], weights)
    rows = read_rows(model, encoded).to(weights)
    return rows.expand(len(weights), -1), at_tokens[:, 0]


def _reached(
    rows: Float[Tensor, "targets tokens"], block: Opened, at_context: Float[Tensor, "targets rows width"]
) -> Float[Tensor, "targets tokens"]:
    """R C for each question, head after head; attention is positive, so relu(gA * A) = A * relu(gA)."""
    found, count = torch.zeros_like(rows), at_context.shape[1]
    for attention, gain in zip(block.attention, attention_gradients(block, at_context), strict=True):
        found += torch.einsum("ti,ij,tij->tj", rows[:, :count], attention[:count], gain.relu())
    return found / len(block.attention)
