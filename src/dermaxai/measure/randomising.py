"""Copies of a model whose weights are drawn again: what a map looks like when nothing was learned.

The models given are never touched: blocks are copied, and the copy stands in a model of its own that shares
everything else.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dermaxai.explain.base import Explained
from dermaxai.explain.shared import Shared, input_pixels
from dermaxai.progress import beat
from dermaxai.types import Encoded

if TYPE_CHECKING:
    from dermaxai.captioner.model import Captioner
    from dermaxai.encoders.base import AbstractEncoder


def with_random_weights(
    model: Explained, seed: int = 0, *, blocks: int | None = None, bridge: bool = True
) -> Explained:
    """The model with drawn weights in the last `blocks` of its vision tower, and in the captioner's bridge.

    None: all blocks. Each tensor is drawn from a normal distribution of its own mean and standard deviation,
    so that activations keep their scale and what is constant stays so. Embedding, final norm, text tower and
    T5 stay: they are not what turns a photo into features, and the question must still be understood.

    Source: model parameter randomisation (arXiv:1810.03292, section 3).
    """
    generator = torch.Generator().manual_seed(seed)
    encoder = with_random_blocks(model.encoder, generator, blocks)
    captioner = model.captioner
    if captioner is not None and bridge:
        captioner = with_random_bridge(captioner, generator)
    return replace(model, encoder=encoder, captioner=captioner, shared=Shared())


def with_random_blocks(
    encoder: AbstractEncoder, generator: torch.Generator, count: int | None = None
) -> AbstractEncoder:
    """The encoder with its last `count` blocks drawn again, from the last to the first; None: all."""
    own = encoder.tower.blocks
    kept = 0 if count is None else max(0, len(own) - count)
    drawn = [copy.deepcopy(block) for block in own[kept:]]
    for block in reversed(drawn):
        beat()
        draw_again(block, generator)
    changed = copy.copy(encoder)
    # Towers are functions of a block, so that other blocks can stand in the place of the module's own.
    changed.tower = replace(encoder.tower, blocks=(*own[:kept], *drawn))
    return changed


def with_random_bridge(captioner: Captioner, generator: torch.Generator) -> Captioner:
    """The captioner with its bridge drawn again; it shares the T5 and everything else."""
    changed = copy.copy(captioner)
    changed._modules = dict(captioner._modules)
    changed.bridge = copy.deepcopy(captioner.bridge)
    draw_again(changed.bridge, generator)
    return changed


@torch.no_grad()
def draw_again(module: nn.Module, generator: torch.Generator) -> None:
    """Every floating parameter from a normal distribution of its mean and standard deviation, in place.

    Buffers, such as positions, stay. The draws are made on the CPU, so that they do not depend on the device.
    """
    for parameter in module.parameters():
        if parameter.is_floating_point():
            wide = parameter.float()
            noise = torch.randn(parameter.shape, generator=generator).to(wide)
            spread = wide.std(correction=0) if wide.numel() > 1 else wide.new_zeros(())
            parameter.copy_(wide.mean() + spread * noise)


@torch.no_grad()
def encode_pixels(
    encoder: AbstractEncoder, encoded: Encoded, pixels: Float[Tensor, "photos 3 height width"]
) -> list[Encoded]:
    """Other pixels in the place of a photo's own, encoded in one batch; the grid lies where it lay.

    Raises: NotSupported for a photo that was encoded without its pixels.
    """
    found = encoder.forward(pixels.to(input_pixels(encoder, encoded)))
    return [
        replace(encoded, patches=patches, pooled=pooled, tail_input=tail_input, pixels=own)
        for patches, pooled, tail_input, own in zip(
            found.patches, found.pooled, found.tail_input, pixels, strict=True
        )
    ]


def encode_again(encoder: AbstractEncoder, encoded: Encoded) -> Encoded:
    """The same photo as another encoder of the same shape sees it."""
    (found,) = encode_pixels(encoder, encoded, input_pixels(encoder, encoded).to(torch.float32).cpu())
    return found
