"""Features as bytes and back: float16, or int8 with one scale per token; and what that loses."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, final

import numpy as np
import torch
from jaxtyping import Float, Float32, Int8, UInt8
from torch import Tensor

if TYPE_CHECKING:
    from dermaxai.features.key import Dtype

_LEVELS = 127


def quantise(
    features: Float[Tensor, "batch tokens width"],
) -> tuple[Int8[Tensor, "batch tokens width"], Float32[Tensor, "batch tokens"]]:
    """Nearest of 255 even levels between minus and plus the largest magnitude of each token.

    Source: symmetric absmax quantisation as in Dettmers et al. 2022, arXiv:2208.07339, section 2.1.
    """
    values = features.float()
    low, high = torch.aminmax(values, dim=-1)
    scale = torch.maximum(-low, high) / _LEVELS
    levels = values / scale.clamp(min=torch.finfo(torch.float32).tiny)[..., None]
    return levels.round().to(torch.int8), scale


def record_bytes(tokens: int, width: int, dtype: Dtype) -> int:
    """Of one photo and view.

    >>> record_bytes(196, 768, "float16"), record_bytes(196, 768, "int8")
    (301056, 151312)
    """
    return tokens * width * 2 if dtype == "float16" else tokens * (width + 4)


def pack(features: Float[Tensor, "batch tokens width"], dtype: Dtype) -> UInt8[np.ndarray, "batch record"]:
    """Features as they are stored: rows of float16, or all scales (float32) and then all levels (int8)."""
    count = len(features)
    if dtype == "float16":
        halves = features.detach().to("cpu", torch.float16).contiguous().reshape(count, -1)
        return halves.view(torch.uint8).numpy()
    levels, scale = quantise(features.detach())
    parts = (scale.cpu().contiguous().view(torch.uint8), levels.cpu().flatten(1).view(torch.uint8))
    return torch.cat(parts, dim=1).numpy()


def unpack(
    records: UInt8[np.ndarray, "batch record"], dtype: Dtype, out: Float[Tensor, "batch tokens width"]
) -> None:
    """What `pack` made, as float16, into `out`."""
    if dtype == "float16":
        np.copyto(out.view(torch.uint8).numpy().reshape(records.shape), records)
        return
    tokens = out.shape[1]
    for row, record in zip(out, records, strict=True):  # one photo at a time stays in the processor's cache
        stored = torch.from_numpy(record.copy())
        scale, levels = stored[: 4 * tokens].view(torch.float32), stored[4 * tokens :].view(torch.int8)
        row.copy_(levels.reshape(row.shape).float().mul_(scale[:, None]))


@final
class RoundingError:
    """What storing as `dtype` loses, summed over batches."""

    def __init__(self, dtype: Dtype) -> None:
        self.dtype: Dtype = dtype
        self.count = 0
        """Photos and views."""
        self._error = self._energy = 0.0

    def add(self, features: Float[Tensor, "batch tokens width"]) -> None:
        """Store and read back one batch."""
        stored = torch.empty(features.shape, dtype=torch.float16)
        unpack(pack(features, self.dtype), self.dtype, stored)
        exact = features.detach().cpu().double()
        self._error += float((stored.double() - exact).square().sum())
        self._energy += float(exact.square().sum())
        self.count += len(features)

    @property
    def relative_rms(self) -> float:
        """Root mean square of the error over that of the features; 0 is no loss."""
        return math.sqrt(self._error / self._energy) if self._energy else 0.0
