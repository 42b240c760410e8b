"""Occlusion: what a score loses when patches are taken away, for words and for similarities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from dermaxai.encoders.tail import run_blocks, split_heads, unit_length
from dermaxai.errors import SettingError
from dermaxai.explain.base import (
    SIMILARITY,
    WORDS,
    AbstractMethod,
    Answer,
    Explained,
    speaker,
    text_directions,
    without_dropout,
)
from dermaxai.explain.shared import input_pixels
from dermaxai.explain.word_gradients import ask
from dermaxai.explain.word_occlusion import group_patches, losses, spread_evenly, token_scores, word_occlusion
from dermaxai.progress import part, steps
from dermaxai.types import Encoded, Target

if TYPE_CHECKING:
    from dermaxai.captioner.model import Captioner
    from dermaxai.encoders.base import AbstractEncoder

Where = Literal["last block", "input"]
AT_ONCE = 2**25
"""Values of one layer held at a time."""


@dataclass(frozen=True, slots=True, eq=False)
class Remains:
    """What the model makes of a photo, whole in the first row, without one group of patches in the others."""

    embeddings: Float[Tensor, "groups embed"]
    """Unit length."""
    readings: Float[Tensor, "groups queries d_model"]
    """What the captioner reads of each; no rows where nobody asks for it."""


@final
class Occlusion(AbstractMethod):
    """Score with all patches minus score without each; signed, in units of the score.

    `last block` takes a patch away from what reads it: for words from the Q-Former's keys and values; for
    similarities from the last block (a class token, or the patches that are averaged) or from the MAP head.
    What the patch has told its neighbours before stays. `input` takes its token away before the first block,
    which is as if it were not in the photo, and costs a pass through the tower per patch.
    `cells`: hide one of so many groups along each side of the photo, instead of single patches; a group's
    loss is shared out equally to its patches. None: as `word_occlusion.group_patches` says.

    Source: the removal form of occlusion (arXiv:1311.2901, section 4.2) with tokens instead of grey squares.
    """

    name = "occlusion"
    title = "Occlusion"
    signed = True
    answers = WORDS | SIMILARITY
    layer = "what reads the patches"
    variants = {  # noqa: RUF012 - a ClassVar in the base
        "last block": {},
        "input": {"where": "input"},
        "coarse": {"cells": 7},
        "coarse input": {"where": "input", "cells": 7},
    }

    def __init__(self, *, where: Where = "last block", cells: int | None = None) -> None:
        """Choose the form. Raises: SettingError."""
        if where not in ("last block", "input") or (cells is not None and cells < 2):
            raise SettingError(
                f"Occlusion knows where 'last block', 'input' and cells from 2; not '{where}', {cells}."
            )
        self.where, self.cells = where, cells

    @property
    def variant(self) -> str:
        """Where patches are taken away, and in which groups."""
        options = {"where": self.where, "cells": self.cells}
        plain = {"where": "last block", "cells": None}
        known = (name for name, changes in self.variants.items() if plain | dict(changes) == options)
        return next(known, f"{self.where}, {self.cells} x {self.cells}")

    def _answer(self, model: Explained, encoded: Encoded, targets: Sequence[Target]) -> Answer:
        groups = group_patches(encoded.grid, self.cells)
        rows: dict[Target, Tensor] = {}
        parts = (
            (find, [target for target in targets if target.kind in kinds])
            for kinds, find in ((WORDS, self._words), (SIMILARITY, self._similarities))
        )
        for find, asked in steps([(find, asked) for find, asked in parts if asked]):
            rows.update(zip(asked, find(model, encoded, asked, groups).cpu(), strict=True))
        scalars = [
            f"{f'{target.kind} log-probability' if target.kind in WORDS else 'cosine'}"
            f"{' difference' if target.against else ''}"
            for target in targets
        ]
        layer = "tokens entering the first block" if self.where == "input" else self.layer
        return Answer(torch.stack([rows[target] for target in targets]), scalars, layer)

    def _words(
        self, model: Explained, encoded: Encoded, targets: Sequence[Target], groups: Int[Tensor, "n"]
    ) -> Float[Tensor, "targets n"]:
        captioner, caption = speaker(model)
        questions = ask(captioner, caption, targets)
        if self.where == "last block":
            return word_occlusion(captioner, questions, caption.language, encoded.patches, groups)
        with part(0.0, 0.5):
            readings = self._remains(model, encoded, groups).readings
        with part(0.5, 1.0):
            scores = token_scores(captioner, questions, caption.language, readings)
        return spread_evenly(losses(questions, scores), groups)

    def _similarities(
        self, model: Explained, encoded: Encoded, targets: Sequence[Target], groups: Int[Tensor, "n"]
    ) -> Float[Tensor, "targets n"]:
        embeddings = self._remains(model, encoded, groups).embeddings
        scores = text_directions(model.encoder, targets).to(embeddings) @ embeddings.T
        return spread_evenly(scores[:, :1] - scores[:, 1:], groups)

    def _remains(self, model: Explained, encoded: Encoded, groups: Int[Tensor, "n"]) -> Remains:
        """Made once per photo, whatever is asked."""
        captioner = model.captioner if self.where == "input" else None

        def make() -> Remains:
            if self.where == "input":
                return without_at_input(model.encoder, encoded, groups, captioner)
            found = embeddings_without(model.encoder, encoded.tail_input, groups)
            return Remains(found, torch.empty(0, 0, 0))

        return model.shared.once(encoded, ("occlusion", self.where, self.cells, captioner), make)


@torch.no_grad()
def embeddings_without(
    encoder: AbstractEncoder, tail_input: Float[Tensor, "tokens width"], groups: Int[Tensor, "n"]
) -> Float[Tensor, "groups embed"]:
    """Image embeddings, unit length: of all patches, then without each group of them in what reads them.

    A class token's row is computed alone; patches that are averaged lose a row and a key; a MAP head loses
    a key.
    """
    tower, start = encoder.tower, tail_input.clone()[None]
    if tower.pooling == "class":
        return unit_length(_class_rows(encoder, start, groups))
    if tower.pooling == "map":
        return _passes(encoder, tower.run(tower.blocks[-1], start), groups, len(tower.blocks)).embeddings
    return _passes(encoder, start, groups, len(tower.blocks) - 1).embeddings


def _class_rows(
    encoder: AbstractEncoder, start: Float[Tensor, "1 tokens width"], groups: Int[Tensor, "n"]
) -> Float[Tensor, "groups embed"]:
    """Removing a key from a softmax is a softmax over the others; nothing else reaches the class token."""
    tower = encoder.tower
    parts = tower.open(tower.blocks[-1])
    flat = parts.project(parts.norm(start))
    queries, keys, values = (split_heads(part, parts.heads) for part in (flat[0][:, :1], *flat[1:]))
    logits = (queries * queries.shape[-1] ** -0.5) @ keys.transpose(-2, -1)
    wide = logits if logits.dtype == torch.float64 else logits.float()
    gone = ~_kept(groups, tower.first_patch).to(start.device)
    attention = wide.masked_fill(gone[:, None, None], -torch.inf).softmax(-1).to(values.dtype)
    tokens = start[:, :1] + parts.merge((attention @ values).transpose(1, 2).flatten(2))
    return tower.read_out(tokens + parts.feed_forward(tokens)).embedding


def _kept(groups: Int[Tensor, "n"], first_patch: int) -> Bool[Tensor, "groups tokens"]:
    """Which tokens stay: all of them in the first row, all but one group of patches in the others."""
    names = torch.arange(-1, int(groups.max()) + 1)
    stays = groups != names[:, None]
    return torch.cat([stays.new_ones(len(names), first_patch), stays], 1)


@torch.no_grad()
def without_at_input(
    encoder: AbstractEncoder, encoded: Encoded, groups: Int[Tensor, "n"], captioner: Captioner | None
) -> Remains:
    """One pass through the whole tower without each group's tokens; `captioner` reads what comes out.

    Raises: NotSupported for a photo that was encoded without its pixels.
    """
    tokens = encoder.tower.embed(input_pixels(encoder, encoded))
    return _passes(encoder, tokens, groups, 0, captioner)


def _passes(
    encoder: AbstractEncoder,
    tokens: Float[Tensor, "1 tokens width"],
    groups: Int[Tensor, "n"],
    first_block: int,
    captioner: Captioner | None = None,
) -> Remains:
    """What remains of `tokens` that enter block `first_block`, without each group of patches."""
    tower, kept = encoder.tower, _kept(groups, encoder.tower.first_patch)
    order, embeddings, readings = list[Tensor](), list[Tensor](), [torch.empty(0, 0, 0)]
    for some in steps(_batches(kept, tower.width)):
        places = kept[some].nonzero()[:, 1].reshape(len(some), -1)
        batch = tokens[0, places.to(tokens.device)]
        result = tower.read_out(run_blocks(tower, batch, first_block))
        order.append(some)
        embeddings.append(unit_length(result.embedding))
        if captioner is not None:
            with without_dropout(captioner):
                readings.append(captioner.read(result.patches))
    back = torch.cat(order).argsort().to(tokens.device)
    read = torch.cat(readings[1:])[back.to(readings[1].device)] if captioner is not None else readings[0]
    return Remains(torch.cat(embeddings)[back], read)


def _batches(kept: Bool[Tensor, "groups tokens"], width: int) -> list[Int[Tensor, "some"]]:
    """Rows that pass together: of equal length, since the tower knows no mask."""
    counts = kept.sum(1)
    return [
        some
        for size in sorted(set(counts.tolist()))
        for some in torch.split((counts == size).nonzero()[:, 0], max(1, AT_ONCE // (4 * size * width)))
    ]
