"""What every encoder gives: patches, embedding, and the last block once more with a graph."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dermaxai.encoders.cards import EncoderCard
from dermaxai.errors import NotSupported
from dermaxai.geometry import Placement
from dermaxai.types import Encoded, SkinImage

if TYPE_CHECKING:
    from dermaxai.encoders.tail import Tower
    from dermaxai.encoders.text_blocks import TextTower

Pooling = Literal["class", "mean", "map"]


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """One forward pass over a batch; the batched form of `Encoded`."""

    patches: Float[Tensor, "batch n width"]
    """After the final norm, class token excluded: what the Q-Former reads."""
    pooled: Float[Tensor, "batch embed"]
    """Unit length."""
    tail_input: Float[Tensor, "batch tokens width"]
    """Entering the last block."""


@dataclass(frozen=True, slots=True, eq=False)
class Tail:
    """The last block recomputed from `tail_input`, every stage a node of the autograd graph."""

    normed: Float[Tensor, "batch tokens width"]
    """ln_1 output: the target layer of the CAM family."""
    queries: Float[Tensor, "batch heads tokens head"]
    keys: Float[Tensor, "batch heads tokens head"]
    values: Float[Tensor, "batch heads tokens head"]
    attention: Float[Tensor, "batch heads tokens tokens"]
    """After softmax."""
    context: Float[Tensor, "batch tokens width"]
    """Heads merged, before the output projection."""
    tokens: Float[Tensor, "batch tokens width"]
    """Block output, before the final norm."""
    patches: Float[Tensor, "batch n width"]
    """After the final norm, class token excluded."""
    pooled: Float[Tensor, "batch embed"]
    """Unit length."""
    first_patch: int
    """Index of the first patch token: 1 with a class token, 0 without."""
    pooling: Pooling
    """'class': row 0 is read; 'mean': patch rows averaged; 'map': attention pooling, fields below set."""
    pool_keys: Float[Tensor, "batch heads n head"] | None = None
    pool_values: Float[Tensor, "batch heads n head"] | None = None
    pool_queries: Float[Tensor, "batch heads 1 head"] | None = None
    pool_attention: Float[Tensor, "batch heads 1 n"] | None = None
    pool_context: Float[Tensor, "batch 1 width"] | None = None


class AbstractEncoder(ABC):
    """A frozen vision tower, with a text tower where there is one.

    Final subclasses live one per kind in this package; weights never train and never change.
    """

    card: EncoderCard
    module: nn.Module
    """All parameters, `requires_grad` False, eval mode."""
    device: torch.device
    dtype: torch.dtype
    sha256: str
    """Of the weight file that was loaded."""
    revision: str = ""
    """Commit at the hub that the file is from; empty where nothing says so."""
    folder: Path | None = None
    """Where the weights lie; an image mean beside them is found there."""
    grid: tuple[int, int]
    width: int
    """Of a patch token."""
    has_text: bool
    tower: Tower
    """The vision half as functions, for methods that reopen blocks."""

    @abstractmethod
    def preprocess(self, image: SkinImage) -> tuple[Float[Tensor, "3 height width"], Placement]:
        """Pixels as the tower wants them (float32, normalised) and where its patch grid lies in the photo."""

    @abstractmethod
    def forward(self, pixels: Float[Tensor, "batch 3 height width"]) -> Features:
        """One pass without a graph."""

    @abstractmethod
    def tail(self, tail_input: Float[Tensor, "batch tokens width"]) -> Tail:
        """Last block, final norm, pooling, projection, with a graph if `tail_input` requires grad."""

    @abstractmethod
    def encode_text(self, texts: Sequence[str]) -> Float[Tensor, "texts embed"]:
        """Unit-length text embeddings. Raises: NotSupported for a vision-only encoder."""

    @property
    @abstractmethod
    def logit_scale(self) -> float:
        """The factor exp(logit_scale) between cosine and logit."""

    @property
    def text_tower(self) -> TextTower:
        """The text half as functions, for methods that reopen its blocks; it reproduces `encode_text`.

        Raises: NotSupported for a vision-only encoder, and for a text tower of a kind that cannot be opened.
        """
        raise NotSupported(
            f"'{self.card.name}' is a vision-only encoder: there is no text tower to look into.",
            hint="Choose an encoder with text.",
        )

    def encode(self, images: Sequence[SkinImage]) -> list[Encoded]:
        """Encode photos in one batch."""
        prepared = [self.preprocess(image) for image in images]
        pixels = torch.stack([tensor for tensor, _ in prepared])
        features = self.forward(pixels.to(self.device, self.dtype))
        return [
            Encoded(
                patches=features.patches[index],
                pooled=features.pooled[index],
                tail_input=features.tail_input[index],
                grid=self.grid,
                placement=placement,
                encoder=self.card.name,
                pixels=prepared[index][0],
            )
            for index, (_, placement) in enumerate(prepared)
        ]
