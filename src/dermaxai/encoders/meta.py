"""Modules built without memory, filled from a checkpoint, frozen."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from dermaxai.encoders.cards import EncoderCard
from dermaxai.encoders.tail import Tower
from dermaxai.encoders.weights import load_strictly
from dermaxai.errors import WeightsMismatch


def build_without_memory(build: Callable[[], nn.Module]) -> nn.Module:
    """Run a constructor on the meta device: no memory, no random initialisation."""
    with torch.device("meta"):
        return build()


def fill(
    module: nn.Module, state: Mapping[str, Tensor], *, dropped: Sequence[str], what: str, dtype: torch.dtype
) -> nn.Module:
    """Load strictly into a module on the meta device, restore what no checkpoint stores, freeze.

    Raises: WeightsMismatch, WeightsCorrupt.
    """
    load_strictly(module, state, dropped=dropped, what=what)
    for name, part in module.named_modules():
        for buffer, tensor in part.named_buffers(recurse=False):
            if tensor.is_meta:
                setattr(part, buffer, _constant(part, buffer, f"{name}.{buffer}"))
    module.eval().requires_grad_(False)
    return module.to(dtype)


def with_geometry(card: EncoderCard, tower: Tower, *, embed: int) -> EncoderCard:
    """The card with the loaded tower's sizes. Raises: WeightsMismatch where the card promised others."""
    for field, came in (("width", tower.width), ("patch_size", tower.patch), ("embed", embed)):
        if getattr(card, field) not in (0, came):
            raise WeightsMismatch(
                f"The weights for '{card.name}' have {field} {came}; its card says {getattr(card, field)}.",
                hint="They belong to another encoder; load the folder by its path, without the card's name.",
            )
    return dataclasses.replace(card, width=tower.width, patch_size=tower.patch, embed=embed)


def _constant(part: Any, buffer: str, name: str) -> Tensor:  # noqa: ANN401 - any library's module
    """The value of a buffer that is computed, not learnt, and so in no checkpoint."""
    shape = getattr(part, buffer).shape
    if buffer == "position_ids":
        return torch.arange(shape[-1]).expand(shape).clone()
    if buffer == "attn_mask":
        return torch.full(tuple(shape), float("-inf")).triu(1)
    if buffer in ("token_type_ids", "k_bias"):
        return torch.zeros(shape, dtype=getattr(part, buffer).dtype)
    raise WeightsMismatch(f"The buffer {name} is neither in the checkpoint nor known to be constant.")
