"""Fewer tokens from a grid of patches: each is the mean of an equal share of the area."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from dermaxai.errors import SettingError


def area_weights(length: int, cells: int) -> Float[Tensor, "cells length"]:
    """Share of each of `length` patches in each of `cells` equal stretches; every row adds up to 1.

    >>> area_weights(3, 2)
    tensor([[0.6667, 0.3333, 0.0000],
            [0.0000, 0.3333, 0.6667]])
    """
    edges = torch.arange(cells + 1, dtype=torch.float64) * length / cells
    patches = torch.arange(length, dtype=torch.float64)
    start = torch.maximum(edges[:-1, None], patches)
    stop = torch.minimum(edges[1:, None], patches + 1)
    return ((stop - start).clamp(min=0) * cells / length).float()


def pool_patches(
    patches: Float[Tensor, "batch n width"], grid: tuple[int, int], cells: int
) -> Float[Tensor, "batch cells*cells width"]:
    """Mean of the patches over each of `cells` x `cells` equal areas of the grid, row by row, in float32.

    Raises: SettingError where the grid is coarser than that.
    """
    check_cells(grid, cells)
    rows, columns = (area_weights(length, cells).to(patches.device) for length in grid)
    planes = patches.float().reshape(len(patches), *grid, -1)
    return torch.einsum("ir,jc,brcw->bijw", rows, columns, planes).flatten(1, 2)


def check_cells(grid: tuple[int, int], cells: int) -> None:
    """Raises: SettingError for a number of cells that the grid does not have."""
    if not 1 <= cells <= min(grid):
        raise SettingError(
            f"Tokens cannot be pooled to {cells} x {cells}: the encoder's grid has {grid[0]} x {grid[1]}.",
            hint=f"Choose a number from 1 to {min(grid)}.",
        )
