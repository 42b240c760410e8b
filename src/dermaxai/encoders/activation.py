"""GELU or QuickGELU: which activation a checkpoint was trained with, judged by labelled photos.

The activation has no parameters, so a wrong one loads without an error and costs accuracy in silence.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dermaxai.encoders import load_encoder
from dermaxai.encoders.base import AbstractEncoder
from dermaxai.encoders.cards import EncoderCard
from dermaxai.errors import ShapeError
from dermaxai.types import SkinImage

Choice = Literal["gelu", "quick_gelu"]


@dataclass(frozen=True, slots=True)
class ActivationVerdict:
    """Which activation explains the pairs better, and by how much."""

    better: Choice
    gelu: float
    """Mean log-likelihood of the right text, nats per photo; 0 is perfect."""
    quick_gelu: float
    chance: float
    """The same for a model that knows nothing: -log(number of texts)."""
    pairs: int

    @property
    def margin(self) -> float:
        """Nats per photo between the two, 0 or more."""
        return abs(self.gelu - self.quick_gelu)

    def __str__(self) -> str:
        return (
            f"{self.better} fits better on {self.pairs} pairs: log-likelihood {self.gelu:.4f} with gelu, "
            f"{self.quick_gelu:.4f} with quick_gelu (chance {self.chance:.4f})"
        )


def check_activation(
    card: EncoderCard,
    images: Sequence[SkinImage],
    texts: Sequence[str],
    labels: Sequence[int],
    *,
    source: Path | None = None,
) -> ActivationVerdict:
    """Load the checkpoint with either activation and compare them on photos with known texts.

    `labels[i]` is the index in `texts` that is right for `images[i]`.
    Raises: ShapeError for labels that do not fit; as `load_encoder`.
    """
    return compare_activations(
        lambda choice: load_encoder(replace(card, activation=choice), source), images, texts, labels
    )


def compare_activations(
    load: Callable[[Choice], AbstractEncoder],
    images: Sequence[SkinImage],
    texts: Sequence[str],
    labels: Sequence[int],
) -> ActivationVerdict:
    """As `check_activation`, for any way to load; one encoder is in memory at a time."""
    if len(labels) != len(images) or not images or not all(0 <= label < len(texts) for label in labels):
        raise ShapeError(
            f"{len(images)} images need as many labels, each an index of one of {len(texts)} texts; "
            f"came {len(labels)} labels."
        )
    wanted = torch.tensor(labels)
    gelu, quick = (
        matching_likelihood(load(choice), images, texts, wanted) for choice in ("gelu", "quick_gelu")
    )
    better: Choice = "gelu" if gelu >= quick else "quick_gelu"
    return ActivationVerdict(better, gelu, quick, -math.log(len(texts)), len(images))


def matching_likelihood(
    encoder: AbstractEncoder,
    images: Sequence[SkinImage],
    texts: Sequence[str],
    labels: Int[Tensor, "images"],
    *,
    batch: int = 16,
) -> float:
    """Mean over photos of log softmax(exp(logit_scale) * cosine) at the right text, in nats.

    Source: the image-to-text half of CLIP's loss, arXiv:2103.00020, figure 3.
    """
    words = encoder.encode_text(texts)
    pooled = [
        encoded.pooled
        for start in range(0, len(images), batch)
        for encoded in encoder.encode(images[start : start + batch])
    ]
    logits: Float[Tensor, "images texts"] = encoder.logit_scale * (torch.stack(pooled) @ words.T)
    right = logits.log_softmax(dim=-1).gather(1, labels.to(logits.device)[:, None])
    return float(right.mean())
