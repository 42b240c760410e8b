"""Grad-ECLIP's idea for the words of a caption: the gradient at what the Q-Former reads from the patches."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from dermaxai.explain.base import Explained, speaker
from dermaxai.explain.bridge_attention import Attention, trace
from dermaxai.explain.pooling import Weighting
from dermaxai.explain.shared import AT_ONCE
from dermaxai.explain.word_gradients import ask
from dermaxai.progress import beat
from dermaxai.types import Encoded, Target

ECLIP_LAYER = "Q-Former cross-attention"


def word_eclip(
    model: Explained, encoded: Encoded, targets: Sequence[Target], weighting: Weighting = "similarity"
) -> Float[Tensor, "targets n"]:
    """M_i = sum over layers l and query rows r of weight_ri * sum_c (dS/do_r)_c v_ic; signed, in nats.

    S is the word's log-probability, o the output of a cross-attention before its projection. Weights:
    `similarity` (cosine of query and key, min-max over the patches of a row), `attention` (the real ones:
    over the patches they sum to dS/do . o of the layer exactly), `none`.

    Source: an extension of Grad-ECLIP (arXiv:2502.18816) made here; no paper asks it about words.
    """
    captioner, caption = speaker(model)
    questions = ask(captioner, caption, targets)
    traced = trace(captioner, questions, caption.language, encoded.patches)
    layers = traced.of_kind("bridge cross")
    at_once = max(1, AT_ONCE // sum(one.context.numel() for one in layers))
    found = []
    for some in torch.split(questions.weights, at_once):
        beat()
        gradients = traced.gradients(some, layers)
        shares = [
            eclip_shares(layer, gradient[:, 0], weighting)
            for layer, gradient in zip(layers, gradients, strict=True)
        ]
        found.append(torch.stack(shares).sum(0))
    return torch.cat(found)


def eclip_shares(
    layer: Attention, gradients: Float[Tensor, "questions rows width"], weighting: Weighting
) -> Float[Tensor, "questions n"]:
    """What each patch counts in one cross-attention; `gradients` at its context."""
    reaching = layer.at_weights(gradients[:, None])[:, 0]
    if weighting == "none":
        return reaching.sum((1, 2))
    weights = layer.weights[0] if weighting == "attention" else closeness(layer)
    return torch.einsum("qhrn,hrn->qn", reaching, weights.expand(reaching.shape[1:]))


def closeness(layer: Attention) -> Float[Tensor, "rows n"]:
    """Cosine of query and key over all heads, scaled so that the patches of each row span 0 to 1.

    All 1 where every patch is equally close, since then nothing tells them apart.
    """
    queries, keys = (part[0].transpose(0, 1).flatten(1).float() for part in (layer.queries, layer.keys))
    cosines = functional.normalize(queries, dim=-1) @ functional.normalize(keys, dim=-1).T
    low, high = cosines.amin(1, keepdim=True), cosines.amax(1, keepdim=True)
    flat = high - low <= torch.finfo(cosines.dtype).eps
    return torch.where(flat, 1.0, (cosines - low) / torch.where(flat, 1.0, high - low))
