"""Which words of a question's text made the similarity: Grad-ECLIP, relevance and rollout on the text tower.

Here the photo is fixed and the text is opened. A concept or diagnosis stands in several prompt templates:
all of them are opened, the scalar is that of their averaged direction, as in maps, and what the target's own
words count is averaged over the templates; the words around them are nobody's. The rival of a contrast is
another text: the cosine with it does not pass through these words, so it changes none of their shares.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from dermaxai.captioner.words import word_spans
from dermaxai.encoders.tail import Step, split_heads, unit_length
from dermaxai.encoders.text_blocks import (
    OpenText,
    TextTower,
    open_text_blocks,
    used_positions,
    without_unused,
)
from dermaxai.encoders.word_tokens import tokens_of
from dermaxai.errors import NotSupported, SettingError, UsageError
from dermaxai.explain.base import SIMILARITY, TextAnswer
from dermaxai.explain.legible import check_legible
from dermaxai.explain.pooling import Weighting
from dermaxai.progress import beat
from dermaxai.types import TextShare

if TYPE_CHECKING:
    from dermaxai.encoders.base import AbstractEncoder
    from dermaxai.explain.base import Explained
    from dermaxai.types import Encoded, Target

TEXT_BLOCKS = 8
"""Opened by Grad-ECLIP, as in the published notebook; all, where there are fewer."""
AT_ONCE = 256
"""Prompts opened at a time; more than fit are opened in turns, a target's prompts never apart."""


@dataclass(frozen=True, slots=True)
class TextForm:
    """The forms of Grad-ECLIP on texts."""

    weighting: Weighting = "similarity"
    blocks: int = TEXT_BLOCKS
    """The last ones, that many."""
    single_head: bool = False
    """Open them with one head, as published."""
    padding: bool = False
    """Scale the similarity over all positions of the context, as published."""


@dataclass(frozen=True, slots=True, eq=False)
class Prompts:
    """The texts of some targets as the tower reads them, one row per prompt."""

    ids: Int[Tensor, "prompts context"]
    owners: Int[Tensor, "prompts"]
    """Number of the target that a prompt belongs to, counted from 0 and without gaps."""
    words: Sequence[Sequence[tuple[int, int]]]
    """Per prompt: first and one-behind-last token of each word of its target's text."""

    @property
    def counts(self) -> Int[Tensor, "prompts"]:
        """How many prompts the target of each prompt has."""
        return self.owners.bincount()[self.owners]


Opened = Callable[[TextTower, Prompts], "Float[Tensor, 'prompts tokens']"]


def text_grad_eclip(
    model: Explained,
    encoded: Encoded,
    targets: Sequence[Target],
    form: TextForm = TextForm(),
) -> TextAnswer:
    """t_j = sum over the last `blocks` blocks of weight_j * sum_c (dS/do)_c v_jc, S the cosine with a photo.

    o is the attention output where the embedding is read (summed over tokens where it is their mean), v the
    values. Signed, in units of the cosine; published importances are the positive part over its sum, which
    is 0 / 0 where no token speaks for the photo.
    Weights: `similarity` of query and key, min-max over the tokens that are seen from where the embedding is
    read, so that in each block the least similar of them counts 0; `padding` takes all positions of the
    context instead, as published, although a causal or masked tower gives the same embedding without them.
    `attention`: in each block the shares of all tokens, special ones included, sum to dS/do . o exactly.
    `none`. `single_head` opens the blocks with one head, as published, which is another network.

    Source: Grad-ECLIP (arXiv:2502.18816), textual explanation.
    """

    def values(tower: TextTower, prompts: Prompts) -> Tensor:
        ids = prompts.ids if form.padding else without_unused(tower, prompts.ids)
        opened = open_text_blocks(tower, ids, form.blocks, single_head=form.single_head)
        scores = text_cosines(tower, prompts, ids, opened[-1], encoded)
        gradients = _gradients(scores, [block.context for block in opened], prompts)
        return contributions(tower, ids, opened, gradients, form.weighting, padding=form.padding).sum(0)

    scalars = ["cosine difference" if target.against else "cosine" for target in targets]
    return _answer(model, targets, values, scalars, form.blocks)


def contributions(
    tower: TextTower,
    ids: Int[Tensor, "prompts tokens"],
    opened: Sequence[OpenText],
    gradients: Sequence[Float[Tensor, "prompts tokens width"]],
    weighting: Weighting = "similarity",
    *,
    padding: bool = False,
) -> Float[Tensor, "blocks prompts tokens"]:
    """Signed share of every token, special ones and padding included, in each of the last opened blocks.

    `gradients` are those at each block's context. Float32 whatever the tower computes in.
    """
    among = torch.ones_like(ids, dtype=torch.bool) if padding else used_positions(tower, ids)
    read = (tower.reads(ids) > 0)[..., None]
    found = []
    for block, gradient, module in zip(opened, gradients, tower.blocks[-len(opened) :], strict=True):
        split = split_heads(gradient * read, block.values.shape[1]).float()
        weights = _weights(tower.open(module).merge, block, weighting, among).expand_as(block.attention)
        reaching = torch.einsum("phrd,phrn->phnd", split, weights.float())
        found.append(torch.einsum("phnd,phnd->pn", reaching, block.values.detach().float()))
    return torch.stack(found)


def text_relevance(
    model: Explained, encoded: Encoded, targets: Sequence[Target], *, start: int = -4
) -> TextAnswer:
    """Chefer's relevance of each word, 0 or more, through the blocks of the text tower from `start` on.

    R = I; per block R <- R + C R with C the mean over heads of the positive part of A * dL/dA, L the logit.
    The row of R where the embedding is read (the mean of the rows where tokens are averaged), without what
    the identity puts there. With several blocks it depends on the logit's scale. A negative `start` counts
    from the end, beyond the first block means all. Raises: SettingError for a start behind the last block.

    Source: arXiv:2103.15679, equations 5 and 6; the published code opens the last block only.
    """
    scale, blocks = model.encoder.logit_scale, _count_from(model.encoder.text_tower, start)

    def values(tower: TextTower, prompts: Prompts) -> Tensor:
        ids = without_unused(tower, prompts.ids)
        opened = open_text_blocks(tower, ids, blocks)
        logits = scale * text_cosines(tower, prompts, ids, opened[-1], encoded)
        gradients = _gradients(logits, [block.attention for block in opened], prompts)
        identity = torch.eye(ids.shape[1], device=ids.device)
        relevance = identity.expand(len(ids), -1, -1)
        for block, gradient in zip(opened, gradients, strict=True):
            positive = (gradient * block.attention.detach()).clamp(min=0).float().mean(1)
            relevance = relevance + positive @ relevance
        return torch.einsum("pr,prn->pn", tower.reads(ids), relevance - identity)

    named = f"logit({scale:.4g})"
    scalars = [f"{named} difference" if target.against else named for target in targets]
    return _answer(model, targets, values, scalars, blocks)


def text_rollout(
    model: Explained, targets: Sequence[Target], *, start: int = 0, residual: bool = True
) -> TextAnswer:
    """How much of each word flows to where the embedding is read, 0 to 1, whatever the photo shows.

    The product, over the blocks from `start` on, of half the attention (mean over heads) and half the
    identity; without `residual` of the attention alone. `start` as in `text_relevance`.

    Source: Abnar and Zuidema (arXiv:2005.00928), equation 1 and section 3.
    """
    blocks = _count_from(model.encoder.text_tower, start)

    @torch.no_grad()
    def values(tower: TextTower, prompts: Prompts) -> Tensor:
        ids = without_unused(tower, prompts.ids)
        flow = tower.reads(ids)[:, None]
        for block in reversed(open_text_blocks(tower, ids, blocks)):
            reached = flow @ block.attention.float().mean(1)
            flow = (reached + flow) / 2 if residual else reached
        return flow[:, 0]

    return _answer(model, targets, values, ["attention"] * len(targets), blocks)


def _count_from(tower: TextTower, start: int) -> int:
    depth = len(tower.blocks)
    if start >= depth:
        raise SettingError(f"The text tower has {depth} blocks, numbered 0 to {depth - 1}; none is {start}.")
    return depth - start if start >= 0 else min(-start, depth)


def _answer(
    model: Explained, targets: Sequence[Target], values: Opened, scalars: Sequence[str], blocks: int
) -> TextAnswer:
    """`values` are asked for as many targets at a time as fit; shares of a target's prompts are averaged."""
    tower = model.encoder.text_tower
    _check(model.encoder, targets)
    shares: list[tuple[TextShare, ...]] = []
    for turn in _turns(model.encoder, targets):
        beat()
        prompts = read_prompts(model.encoder, turn)
        found = values(tower, prompts).detach().cpu().double()
        counted: list[list[list[float]]] = [[] for _ in turn]
        for row, owner, words in zip(found, prompts.owners.tolist(), prompts.words, strict=True):
            counted[owner].append([float(row[begin:end].sum()) for begin, end in words])
        shares += [_shares(target.text, rows) for target, rows in zip(turn, counted, strict=True)]
    return TextAnswer(shares, scalars, _layer(tower, blocks))


def _shares(text: str, rows: Sequence[Sequence[float]]) -> tuple[TextShare, ...]:
    means = [sum(column) / len(rows) for column in zip(*rows, strict=True)]
    return tuple(
        TextShare(text[start:stop], start, stop, value)
        for (start, stop), value in zip(word_spans(text), means, strict=True)
    )


def _layer(tower: TextTower, blocks: int) -> str:
    depth = len(tower.blocks)
    first = max(1, depth - blocks + 1)
    which = f"block {depth}" if first == depth else f"blocks {first} to {depth}"
    return f"text {which} of {depth}, attention read at the {tower.read_at}"


def _check(encoder: AbstractEncoder, targets: Sequence[Target]) -> None:
    for target in targets:
        if target.kind not in SIMILARITY:
            raise NotSupported(
                f"'{target.text}' of kind '{target.kind}' is a question to the decoder; no text is compared.",
                hint="Ask for a query, concept or diagnosis.",
            )
        if not all(text.strip() for text in (target.text, target.against) if text is not None):
            raise UsageError("There is no text to look for.")
    check_legible(encoder, [text for target in targets for text in (target.text, target.against) if text])


def _templates(encoder: AbstractEncoder, target: Target) -> Sequence[str]:
    return ("{}",) if target.kind == "query" else encoder.card.templates or ("{}",)


def _turns(encoder: AbstractEncoder, targets: Sequence[Target]) -> Iterator[list[Target]]:
    turn: list[Target] = []
    held = 0
    for target in targets:
        more = len(_templates(encoder, target))
        if turn and held + more > AT_ONCE:
            yield turn
            turn, held = [], 0
        turn.append(target)
        held += more
    yield turn


def read_prompts(encoder: AbstractEncoder, targets: Sequence[Target]) -> Prompts:
    """Each target's text in its prompt templates (a query as typed), and where its words are in them."""
    texts, owners, words = [], [], []
    tokenize = encoder.text_tower.tokenize
    for number, target in enumerate(targets):
        for template in _templates(encoder, target):
            before = len(template.partition("{}")[0])
            texts.append(template.format(target.text))
            owners.append(number)
            moved = [(start + before, stop + before) for start, stop in word_spans(target.text)]
            words.append(tokens_of(tokenize, texts[-1], moved))
    ids = tokenize(texts)
    return Prompts(ids, torch.tensor(owners, device=ids.device), words)


def text_cosines(
    tower: TextTower, prompts: Prompts, ids: Tensor, last: OpenText, encoded: Encoded
) -> Float[Tensor, "targets"]:
    """Of the photo and each target's text, from the last block on; equal to `text_directions` . photo."""
    embedded = unit_length(tower.read_out(last.tokens, ids))
    sums = embedded.new_zeros(int(prompts.owners.max()) + 1, embedded.shape[1])
    directions = functional.normalize(sums.index_add(0, prompts.owners, embedded), dim=-1)
    return directions @ encoded.pooled.clone().to(embedded)


def _gradients(scores: Float[Tensor, "targets"], nodes: Sequence[Tensor], prompts: Prompts) -> list[Tensor]:
    """Of each prompt's own score, at each node.

    No prompt touches another's tokens, so one pass through the sum does for all. A target of several prompts
    owes each of them a part of its score; times their number, equal prompts have the gradient of one.
    """
    found = torch.autograd.grad(scores.sum(), list(nodes))
    return [one * prompts.counts.view(-1, *[1] * (one.ndim - 1)) for one in found]


def _weights(
    merge: Step, block: OpenText, weighting: Weighting, among: Bool[Tensor, "prompts tokens"]
) -> Float[Tensor, "prompts heads rows tokens"]:
    if weighting == "attention":
        return block.attention.detach()
    if weighting == "none":
        return torch.ones_like(block.attention)
    with torch.no_grad():
        queries, keys = (
            functional.normalize(merge(part.transpose(1, 2).flatten(2)).float(), dim=-1)
            for part in (block.queries, block.keys)
        )
    closeness, among = queries @ keys.mT, among[:, None]
    low = closeness.masked_fill(~among, torch.inf).amin(-1, keepdim=True)
    span = closeness.masked_fill(~among, -torch.inf).amax(-1, keepdim=True) - low
    flat = span <= torch.finfo(span.dtype).eps
    scaled = torch.where(flat, 1.0, (closeness - low) / torch.where(flat, 1.0, span))
    return (scaled * among)[:, None]
