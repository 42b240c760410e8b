"""One photo shown to the model again and again, with parts of it taken away."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, final

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from dermaxai.encoders.tail import BlockParts, run_blocks, split_heads, unit_length
from dermaxai.errors import NotSupported, ShapeError
from dermaxai.explain.base import SIMILARITY, WORDS, Explained, speaker, text_directions, without_dropout
from dermaxai.explain.evidence import known_mean, mean_of
from dermaxai.explain.shared import AT_ONCE, input_pixels
from dermaxai.explain.word_gradients import Questions, ask
from dermaxai.explain.word_occlusion import token_scores
from dermaxai.measure.maps.base import Removal, Subject
from dermaxai.measure.maps.removing import blank, entering
from dermaxai.progress import beat, steps

if TYPE_CHECKING:
    from dermaxai.types import Encoded, Target

ROWS = 64
"""Most photos in one pass: more gain nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What the model makes of a photo without some of its patches, a row per mask."""

    embeddings: Float[Tensor, "rows embed"]
    """Unit length."""
    readings: Float[Tensor, "rows queries d_model"] | None
    """What the text decoder gets to see; None where the captioner was not asked."""

    def __len__(self) -> int:
        return len(self.embeddings)

    def pick(self, rows: Int[Tensor, "some"]) -> Seen:
        """Some rows, in the given order."""
        readings = self.readings
        return Seen(
            self.embeddings[rows.to(self.embeddings.device)],
            None if readings is None else readings[rows.to(readings.device)],
        )


@final
class Probe:
    """The scores of questions about one photo while patches of it are gone.

    A score is, for questions of similarity, the cosine of image and text (with `against`: the difference of
    both cosines), as `explain.base.text_directions`; for questions about words the probability of the
    word's tokens given the beginning of the caption (with `against`: minus the probability of the rival in
    its place), by teacher forcing. A whole caption's probability is that of all its tokens, end included.
    NaN for a word without tokens of its own, such as an article.

    Nothing left of a photo ('tokens' only; elsewhere all its pixels are changed) is: for a tower with a
    class token, that token alone; for towers that pool patches, of which there are none, the photo in its
    one mean colour; for words, the mean photo of the captioner's training, otherwise again the photo in its
    mean colour.
    """

    def __init__(self, subject: Subject, removal: Removal) -> None:
        """As `probe_of`, which remembers it."""
        self._model: Explained = subject.model
        self._encoded: Encoded = subject.encoded
        self._passes = subject.protocol.passes
        self._removal = removal
        self._enter = entering(subject.model.encoder, subject.encoded, removal, subject.protocol.seed)
        self.patches = subject.encoded.grid[0] * subject.encoded.grid[1]

    @cached_property
    def speaks(self) -> bool:
        """Whether there is a caption to ask about."""
        return self._model.captioner is not None and self._model.caption is not None

    def see(self, kept: Bool[Tensor, "rows n"], *, read: bool | None = None) -> Seen:
        """Show the photo with the patches that are `kept`, equal rows once.

        `read`: whether the captioner reads too; by default if there is a caption. Raises: ShapeError.
        """
        read = self.speaks if read is None else read
        if kept.ndim != 2 or kept.shape[1] != self.patches:
            raise ShapeError(
                f"Masks of this photo have shape (rows, {self.patches}), not {tuple(kept.shape)}."
            )
        masks, back = distinct_rows(kept.cpu().bool())
        counts = masks.sum(1)
        parts: list[tuple[Tensor, Seen]] = []
        for special, count in ((self._empty, 0), (self._whole, self.patches)):
            if len(rows := (counts == count).nonzero()[:, 0]):
                parts.append((rows, special(read)))
        between = ((counts > 0) & (counts < self.patches)).nonzero()[:, 0]
        for rows in steps(self._batches(between, counts)):
            parts.append((rows, self._pass(self._enter(masks[rows]), read)))
        if not parts:
            return self._whole(read).pick(torch.empty(0, dtype=torch.long))
        return _joined(parts).pick(back)

    def scores(self, seen: Seen, targets: Sequence[Target]) -> Float[Tensor, "rows targets"]:
        """Every question of every row; float32, on the CPU.

        Raises: NotSupported where a question needs a text tower or a caption that is not there, UsageError.
        """
        found = torch.zeros(len(seen), len(targets))
        for kinds, score in ((SIMILARITY, self._cosines), (WORDS, self._probabilities)):
            places = [place for place, target in enumerate(targets) if target.kind in kinds]
            if places and len(seen):
                found[:, places] = score(seen, [targets[place] for place in places]).cpu().float()
        return found

    def scores_of(self, seen: Seen, targets: Sequence[Target]) -> Float[Tensor, "rows"]:
        """One question per row: as `scores`, without asking the others."""
        found = torch.zeros(len(seen))
        for target in steps(dict.fromkeys(targets)):
            rows = torch.tensor([row for row, one in enumerate(targets) if one == target])
            found[rows] = self.scores(seen.pick(rows), [target])[:, 0]
        return found

    def whole(self, targets: Sequence[Target]) -> Float[Tensor, "targets"]:
        """The scores of the untouched photo."""
        return self._ends(targets, self._whole)

    def empty(self, targets: Sequence[Target]) -> Float[Tensor, "targets"]:
        """The scores where nothing of the photo is left."""
        return self._ends(targets, self._empty)

    def _ends(self, targets: Sequence[Target], end: Callable[[bool], Seen]) -> Float[Tensor, "targets"]:
        return self.scores(end(asks_words(targets)), targets)[0]

    # ---- passes -----------------------------------------------------------------------------

    def _batches(self, rows: Int[Tensor, "rows"], counts: Int[Tensor, "masks"]) -> list[Tensor]:
        """Rows that pass together: of equal length where tokens are left out, since towers know no mask."""
        if self._removal != "tokens":
            return list(torch.split(rows, self._at_once(self.patches))) if len(rows) else []
        return [
            some
            for count in sorted(set(counts[rows].tolist()))
            for some in torch.split(rows[counts[rows] == count], self._at_once(count))
        ]

    def _at_once(self, tokens: int) -> int:
        return min(ROWS, max(1, AT_ONCE // (4 * tokens * self._model.encoder.tower.width)))

    @torch.no_grad()
    def _pass(self, tokens: Float[Tensor, "rows tokens width"], read: bool) -> Seen:
        """The rest of the tower; its blocks in the protocol's numbers, the read-out in the model's own.

        Where only a class token is read, the last block is computed for it alone.
        """
        encoder, tower = self._model.encoder, self._model.encoder.tower
        device, last = tokens.device.type, len(tower.blocks) - 1
        alone = tower.pooling == "class" and not read
        with torch.autocast(device, torch.bfloat16, enabled=self._passes == "bfloat16"):
            for place, block in enumerate(tower.blocks):
                beat()
                tokens = run_fused(tower.open(block), tokens, 1 if alone and place == last else None)
        with torch.autocast(device, enabled=False):
            result = tower.read_out(tokens.to(encoder.dtype))
        return Seen(unit_length(result.embedding), self._read(result.patches) if read else None)

    @torch.no_grad()
    def _read(self, patches: Float[Tensor, "rows n width"]) -> Float[Tensor, "rows queries d_model"]:
        captioner, _ = speaker(self._model)
        if not patches.shape[1]:
            patches = self._nothing_to_read()[None]
        with without_dropout(captioner):
            return captioner.read(patches)

    def _whole(self, read: bool) -> Seen:
        return self._end(read, torch.ones(1, self.patches, dtype=torch.bool))

    def _empty(self, read: bool) -> Seen:
        return self._end(read, torch.zeros(1, self.patches, dtype=torch.bool))

    def _end(self, read: bool, kept: Bool[Tensor, "1 n"]) -> Seen:
        """One of the two ends of every curve, seen once."""

        def make() -> Seen:
            if not kept.any() and self._removal == "tokens":
                return self._nothing(read)
            return self._pass(self._enter(kept), read)

        key = ("probe's end", self, read, bool(kept.any()))
        return self._model.shared.once(self._encoded, key, make)

    def _nothing(self, read: bool) -> Seen:
        encoder = self._model.encoder
        if encoder.tower.pooling == "class":
            return self._pass(self._enter(torch.zeros(1, self.patches, dtype=torch.bool)), read)
        seen = self._pass(self._blank_tokens(), False)
        return Seen(seen.embeddings, self._read(self._nothing_to_read()[None]) if read else None)

    @torch.no_grad()
    def _blank_tokens(self) -> Float[Tensor, "1 tokens width"]:
        encoder = self._model.encoder
        return encoder.tower.embed(blank(encoder, input_pixels(encoder, self._encoded)))

    @torch.no_grad()
    def _nothing_to_read(self) -> Float[Tensor, "n width"]:
        """Patches that tell nothing of this photo."""
        captioner, _ = speaker(self._model)
        if self._model.mean_patches is not None or known_mean(captioner) is not None:
            return mean_of(captioner, self._encoded, self._model.mean_patches)
        tower = self._model.encoder.tower
        return tower.read_out(run_blocks(tower, self._blank_tokens())).patches[0]

    # ---- scores -----------------------------------------------------------------------------

    def _cosines(self, seen: Seen, targets: Sequence[Target]) -> Float[Tensor, "rows targets"]:
        directions = text_directions(self._model.encoder, targets)
        return seen.embeddings @ directions.to(seen.embeddings).T

    @torch.no_grad()
    def _probabilities(self, seen: Seen, targets: Sequence[Target]) -> Float[Tensor, "rows targets"]:
        captioner, caption = speaker(self._model)
        if seen.readings is None:
            raise NotSupported("The captioner did not read these photos.", hint="See them with `read`.")
        questions = shortened(ask(captioner, caption, targets))
        logs = token_scores(captioner, questions, caption.language, seen.readings).double()
        found = torch.zeros(len(seen), len(targets), dtype=torch.float64, device=logs.device)
        for sign in (1, -1):
            chosen = (sign * questions.weights).clamp(min=0).to(logs)
            said = chosen.sum((1, 2)) > 0
            found += sign * said * torch.einsum("qtl,rtl->rq", chosen, logs).exp()
        spelled = (questions.weights > 0).any(2).any(1)
        return found.masked_fill(~spelled, torch.nan)


def run_fused(
    parts: BlockParts, tokens: Float[Tensor, "rows tokens width"], rows: int | None
) -> Float[Tensor, "rows some width"]:
    """One block with fused attention, for all tokens or the first `rows` of them.

    The library's own call of a block may project token by token with copied weights, which costs a third of
    the time in bfloat16.
    """
    queries, keys, values = (split_heads(one, parts.heads) for one in parts.project(parts.norm(tokens)))
    context = scaled_dot_product_attention(queries[:, :, :rows], keys, values).transpose(1, 2).flatten(2)
    tokens = tokens[:, :rows] + parts.merge(context)
    return tokens + parts.feed_forward(tokens)


def probe_of(subject: Subject, removal: Removal | None = None) -> Probe:
    """The probe that all metrics of a photo share; `removal` instead of the protocol's."""
    way = removal or subject.protocol.removal
    model, protocol = subject.model, subject.protocol
    # The probe keeps both models, so that their ids are not given to others while it is remembered.
    asked = (id(model.encoder), id(model.captioner), model.caption, protocol.passes, protocol.seed)
    return model.shared.once(subject.encoded, ("probe", way, *asked), lambda: Probe(subject, way))


def asks_words(targets: Sequence[Target]) -> bool:
    """Whether the captioner is needed."""
    return any(target.kind in WORDS for target in targets)


def shortened(questions: Questions) -> Questions:
    """Without texts and ends of texts that no question asks about: no token sees those after it."""
    texts = (questions.weights != 0).any(2).any(0)
    texts[0] |= ~texts.any()
    places = (questions.weights != 0).any(1).any(0).nonzero()[:, 0]
    length = int(places.max()) + 1 if len(places) else 1
    return Questions(questions.token_ids[texts, :length], questions.weights[:, texts, :length])


def distinct_rows(masks: Bool[Tensor, "rows n"]) -> tuple[Bool[Tensor, "distinct n"], Int[Tensor, "rows"]]:
    """Each different row once, and where every given row is among them."""
    packed = np.packbits(masks.numpy(), axis=1)
    _, first, back = np.unique(packed, axis=0, return_index=True, return_inverse=True)
    return masks[torch.from_numpy(first)], torch.from_numpy(back.reshape(-1))


def _joined(parts: Sequence[tuple[Int[Tensor, "some"], Seen]]) -> Seen:
    order = torch.cat([rows for rows, _ in parts]).argsort()
    readings = [seen.readings for _, seen in parts if seen.readings is not None]
    joined = Seen(
        torch.cat([seen.embeddings for _, seen in parts]),
        torch.cat(readings) if readings else None,
    )
    return joined.pick(order)
