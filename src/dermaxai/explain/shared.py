"""Work on one photo that several methods need: done when first asked for, then shared."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any, Literal, TypeVar, final

import torch
from jaxtyping import Float
from torch import Tensor

from dermaxai.encoders.tail import run_blocks, unit_length
from dermaxai.errors import NotSupported
from dermaxai.progress import beat

if TYPE_CHECKING:
    from dermaxai.encoders.base import AbstractEncoder
    from dermaxai.types import Encoded

Made = TypeVar("Made")
Passes = Literal["model", "bfloat16"]
"""In which numbers the blocks of repeated passes compute."""
AT_ONCE = 2**25
"""Gradient values held at a time; more questions than fit are asked in turns."""


@final
class Shared:
    """A memory for one photo at a time; another photo empties it."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._encoded: Encoded | None = None
        self._made: dict[Hashable, Any] = {}

    def once(self, encoded: Encoded, key: Hashable, make: Callable[[], Made]) -> Made:
        """What `make` gives, made once per photo and `key`."""
        with self._guard:
            if self._encoded is not encoded:
                self._encoded, self._made = encoded, {}
            made = self._made
        # Held locally: another thread may ask about another photo meanwhile.
        if key not in made:
            made[key] = make()
        found: Made = made[key]
        return found


def input_pixels(encoder: AbstractEncoder, encoded: Encoded) -> Float[Tensor, "1 3 height width"]:
    """What entered the tower, on its device. Raises: NotSupported where the photo was encoded without."""
    if encoded.pixels is None:
        raise NotSupported(
            "This method looks at the photo's pixels, which were not kept when it was encoded.",
            hint="Encode the photo with `encoder.encode`.",
        )
    return encoded.pixels[None].to(encoder.device, encoder.dtype)


def block_inputs(
    encoder: AbstractEncoder, encoded: Encoded, shared: Shared
) -> list[Float[Tensor, "1 tokens width"]]:
    """What enters each block, one pass for all methods that reopen more blocks than the last.

    The last entry is `Encoded.tail_input`.
    """
    return shared.once(encoded, "block inputs", lambda: _block_inputs(encoder, encoded))


@torch.no_grad()
def _block_inputs(encoder: AbstractEncoder, encoded: Encoded) -> list[Tensor]:
    tower = encoder.tower
    entering = [tower.embed(input_pixels(encoder, encoded))]
    for block in tower.blocks[:-1]:
        beat()
        entering.append(tower.run(block, entering[-1]))
    return entering


@torch.no_grad()
def read_pixels(
    encoder: AbstractEncoder, pixels: Float[Tensor, "photos 3 height width"], dtype: Passes
) -> tuple[Float[Tensor, "photos n width"], Float[Tensor, "photos embed"]]:
    """Patches and unit-length embeddings; the blocks' products in `dtype`, the read-out in the model's own.

    Cosines of changed photos differ in the third digit, which a read-out in bfloat16 would lose.
    """
    tower = encoder.tower
    with torch.autocast(pixels.device.type, torch.bfloat16, enabled=dtype == "bfloat16"):
        tokens = run_blocks(tower, tower.embed(pixels))
    with torch.autocast(pixels.device.type, enabled=False):
        result = tower.read_out(tokens.to(encoder.dtype))
    return result.patches, unit_length(result.embedding)
