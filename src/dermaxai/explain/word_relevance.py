"""From patches to words along every attention: the encoder-decoder rules of Chefer et al."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from dermaxai.errors import SettingError
from dermaxai.explain.bridge_attention import Attention, Trace, trace
from dermaxai.explain.word_gradients import Questions, Scalar
from dermaxai.progress import beat

if TYPE_CHECKING:
    from dermaxai.captioner.model import Captioner

AT_ONCE = 2**25
"""Gradient values held at a time; more questions than fit are asked in turns."""
RELEVANCE_LAYER = "attention of Q-Former and T5"


def word_relevance(
    captioner: Captioner,
    questions: Questions,
    language: str,
    patches: Float[Tensor, "n width"],
    *,
    scalar: Scalar = "log-probability",
    first_layer: int = 0,
) -> Float[Tensor, "questions n"]:
    """Relevance of each patch for each question, 0 or more; with a rival the difference, signed.

    The score is the sum over the word's tokens, and the decoder rows that predict them are summed. Layers of
    the Q-Former below `first_layer` are left out. Raises: SettingError if none that sees patches is left.

    Source: Chefer et al. (arXiv:2103.15679), equations 5 to 10, on the path patches, queries, memory, words.
    Queries and T5 encoder are one stream of tokens; what the decoder reads is that stream's relevance.
    """
    traced = trace(captioner, questions, language, patches, scalar)
    last = traced.of_kind("bridge cross")[-1].layer
    if not 0 <= first_layer <= last:
        raise SettingError(
            f"The Q-Former looks at the patches up to layer {last}; not from {first_layer} on."
        )
    wanted = [
        one for one in traced.attentions if one.layer >= first_layer or not one.kind.startswith("bridge")
    ]
    pairs = questions.weights.abs().amax(-1).nonzero()
    found = questions.weights.new_zeros(len(questions.weights), len(patches))
    at_once = max(1, AT_ONCE // sum(_size(one) for one in wanted))
    # A word without tokens of its own, an article, asks nothing.
    for some in torch.split(pairs, at_once) if len(pairs) else ():
        beat()
        asked, said = some.unbind(1)
        signs = questions.weights[asked, said]
        found.index_add_(0, asked, _relevance(traced, wanted, said, signs))
    return found


def _size(one: Attention) -> int:
    """Values that one more question needs here: the gradient in every batch row, and a few maps."""
    return one.context.numel() + 3 * one.weights[0].numel()


def _relevance(
    traced: Trace, wanted: list[Attention], said: Tensor, signs: Float[Tensor, "pairs length"]
) -> Float[Tensor, "pairs n"]:
    """Signed relevance of the patches for the tokens of one text each; `signs` are 0 and all 1 or all -1."""
    weights = signs.new_zeros(len(said), *traced.hidden.shape[:1], signs.shape[1])
    weights[torch.arange(len(said), device=said.device), said] = signs.abs()
    gradients = traced.gradients(weights, wanted)
    maps = [(one.kind, _positive_map(one, found, said)) for one, found in zip(wanted, gradients, strict=True)]
    queries, patches = next(found.shape[1:] for kind, found in maps if kind == "bridge cross")
    start = maps[0][1].new_zeros(len(said), 1, 1)
    own, reached = start + torch.eye(queries).to(start), start.expand(-1, queries, patches)
    for kind, found in maps:
        if kind == "bridge cross":
            reached = reached + _mixed(own).mT @ found
        elif kind == "bridge self":
            own, reached = own + found @ own, reached + found @ reached
        elif kind == "encoder self":
            reached = _behind_prompt(reached, found.shape[-1])
            reached = reached + found @ reached
    rows = traced.hidden.shape[1]
    own, words = start + torch.eye(rows).to(start), start.expand(-1, rows, patches)
    for kind, found in maps:
        if kind == "decoder self":
            own, words = own + found @ own, words + found @ words
        elif kind == "decoder cross":
            words = words + _mixed(own).mT @ found @ _behind_prompt(reached, found.shape[-1])
    return torch.einsum("pl,pln->pn", signs.to(words), words[:, traced.skipped :])


def _positive_map(
    one: Attention, gradients: Float[Tensor, "pairs batch rows width"], said: Tensor
) -> Float[Tensor, "pairs rows columns"]:
    """Equation 5: attention times its gradient, positive part, mean over heads, for each pair's own text."""
    product = one.at_weights(gradients) * one.weights
    if len(one.weights) == 1:
        return product[:, 0].relu().mean(1)
    return product[torch.arange(len(said), device=said.device), said].relu().mean(1)


def _mixed(own: Float[Tensor, "pairs rows rows"]) -> Float[Tensor, "pairs rows rows"]:
    """Equations 8 and 9: what was added to the identity, each row scaled to sum 1, plus the identity."""
    one = torch.eye(own.shape[-1]).to(own)
    added = own - one
    total = added.sum(-1, keepdim=True)
    return torch.where(total > 0, added / torch.where(total > 0, total, 1.0), 0.0) + one


def _behind_prompt(reached: Float[Tensor, "pairs queries n"], length: int) -> Float[Tensor, "pairs length n"]:
    """A text prompt stands before the queries and has seen no patch."""
    return torch.nn.functional.pad(reached, (0, 0, length - reached.shape[1], 0))
