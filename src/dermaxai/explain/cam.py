"""What the CAM family shares: the layer of each kind of question, and a weighted sum of its channels.

A method of the family is a rule for the weight w_k of channel k; the map is raw(p) = sum_k w_k A_k(p).
Questions to the two towers are asked at the last block's `ln_1` (before a MAP head: the normed patches),
questions to the decoder at the Q-Former's key and value input. All methods share activations and gradients,
so that asking all of them costs one backward pass per kind of question.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from dermaxai.explain.base import WORDS, Answer
from dermaxai.explain.pooling import TargetLayer, target_layer
from dermaxai.explain.word_gradients import WORD_LAYER, word_layer

if TYPE_CHECKING:
    from dermaxai.encoders.base import AbstractEncoder
    from dermaxai.explain.base import Explained
    from dermaxai.types import Encoded, Target

CamScalar = Literal["cosine", "logit"]
Weigh = Callable[[TargetLayer], Tensor]
"""Activations and gradients -> channel weights, (targets, width)."""
CAM_LAYER = f"last block, ln_1; of words: {WORD_LAYER}"


def kinds_apart(targets: Sequence[Target]) -> tuple[list[int], list[int]]:
    """Places of the questions to the decoder, and of those to the two towers."""
    places = range(len(targets))
    words = [place for place in places if targets[place].kind in WORDS]
    return words, [place for place in places if targets[place].kind not in WORDS]


def scalar_names(encoder: AbstractEncoder, targets: Sequence[Target], scalar: CamScalar) -> list[str]:
    """What is differentiated or compared, per target; words are asked by their log-probability in nats."""
    names = []
    for target in targets:
        if target.kind in WORDS:
            name = f"{target.kind} log-probability"
        else:
            name = "cosine" if scalar == "cosine" else f"logit({encoder.logit_scale:.4g})"
        names.append(f"{name} difference" if target.against else name)
    return names


def answer_by_weights(
    model: Explained,
    encoded: Encoded,
    targets: Sequence[Target],
    weigh: Weigh,
    scalar: CamScalar = "cosine",
) -> Answer:
    """Maps of questions of all kinds, by channel weights that depend on activations and gradients only.

    Raises: NotSupported, UsageError for a question that cannot be asked.
    """
    words, similarity = kinds_apart(targets)
    layers = []
    if words:
        layers.append(widened(word_layer(model, encoded, [targets[row] for row in words])))
    if similarity:
        scale = model.encoder.logit_scale if scalar == "logit" else 1.0
        layers.append(widened(target_layer(model, encoded, [targets[row] for row in similarity]), scale))
    values = torch.cat([weighted_sum(layer.activations, weigh(layer)).cpu() for layer in layers])
    read = dict.fromkeys(words, WORD_LAYER) | dict.fromkeys(similarity, layers[-1].layer)
    return Answer(
        in_order(values, words + similarity),
        scalar_names(model.encoder, targets, scalar),
        [read[place] for place in range(len(targets))],
    )


def in_order(rows: Float[Tensor, "targets *rest"], places: Sequence[int]) -> Float[Tensor, "targets *rest"]:
    """Rows that belong to `places`, in the order of the places."""
    return rows[torch.tensor(places).argsort().to(rows.device)]


def widened(layer: TargetLayer, scale: float = 1.0) -> TargetLayer:
    """The layer with gradients times `scale`, float32 or wider: their squares vanish in half precision."""
    wide = torch.promote_types(layer.gradients.dtype, torch.float32)
    gradients = layer.gradients.to(wide)
    return TargetLayer(
        layer.activations.to(wide), gradients if scale == 1 else gradients * scale, layer.layer
    )


def weighted_sum(
    activations: Float[Tensor, "n width"], weights: Float[Tensor, "targets width"]
) -> Float[Tensor, "targets n"]:
    """raw(p) = sum_k w_k A_k(p), sign kept."""
    return weights @ activations.T
