"""Embeddings of parts of a photo from about one pass: of single patches, or of cells of patches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dermaxai.encoders.tail import run_blocks, unit_length
from dermaxai.errors import SettingError
from dermaxai.progress import steps

if TYPE_CHECKING:
    from dermaxai.encoders.base import AbstractEncoder

Path = Literal["bare values", "values", "block"]
PATHS: tuple[Path, ...] = get_args(Path)


@dataclass(frozen=True, slots=True)
class Layout:
    """How the patch grid is divided into cells."""

    pieces: int
    """Along each side."""
    shifted: bool = False
    """By half a cell; the cells at the edges are then halves and quarters."""


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """What the tower says of each cell when it sees nothing else."""

    embeddings: Float[Tensor, "cells embed"]
    """Unit length."""
    places: Int[Tensor, "layouts n"]
    """In which cell each patch lies."""


@torch.no_grad()
def patch_embeddings(
    encoder: AbstractEncoder, tail_input: Float[Tensor, "tokens width"], *, path: Path = "bare values"
) -> Float[Tensor, "n embed"]:
    """Each patch in the space of texts, unit length; costs one block beyond the pass that was made.

    `path` says how the last block is passed. `bare values`: only the value that a patch has for others;
    `values`: it attends to itself alone, and residual and MLP are added; `block`: as the model does it.
    Then each patch is read out in place of all: as class token, as the only one that is averaged, or as the
    only one that a MAP head attends to, which is the value path of that head. Raises: SettingError.
    Source: MaskCLIP (arXiv:2112.01071), section 3.2; `values` as in the comparison of Grad-ECLIP.
    """
    if path not in PATHS:
        raise SettingError(f"Patches pass the last block by {', '.join(PATHS)}; not by '{path}'.")
    tower, start = encoder.tower, tail_input.clone()[None]
    if path == "block":
        tokens = tower.run(tower.blocks[-1], start)
    else:
        parts = tower.open(tower.blocks[-1])
        told = parts.merge(parts.project(parts.norm(start))[2])
        tokens = start + told
        tokens = told if path == "bare values" else tokens + parts.feed_forward(tokens)
    patches = tokens[0, tower.first_patch :, None]
    if tower.pooling != "class":
        prefix = tokens[:, : tower.first_patch].expand(len(patches), -1, -1)
        patches = torch.cat([prefix, patches], 1)
    return unit_length(tower.read_out(patches).embedding)


@torch.no_grad()
def see_cells(
    encoder: AbstractEncoder, pixels: Float[Tensor, "1 3 height width"], layouts: Sequence[Layout]
) -> Cells:
    """Each cell's patches through the whole tower without the others; a layout costs about one pass.

    Tokens keep their places: no pixel is enlarged, the tower sees fewer patches instead.
    """
    tower = encoder.tower
    labels = torch.stack([divide(tower.grid, layout) for layout in layouts])
    offsets = torch.tensor([0, *(int(row.max()) + 1 for row in labels)]).cumsum(0)
    places = labels + offsets[:-1, None]
    tokens = tower.embed(pixels)[0]
    members = torch.cat([row == torch.arange(int(row.max()) + 1)[:, None] for row in labels])
    sizes = members.sum(1)
    found: dict[int, Tensor] = {}
    # Cells of equal size go together, since the tower knows no mask.
    for size in steps(sorted(set(sizes.tolist()))):
        rows = (sizes == size).nonzero()[:, 0]
        patches = members[rows].nonzero()[:, 1].reshape(len(rows), size) + tower.first_patch
        prefix = torch.arange(tower.first_patch).expand(len(rows), -1)
        batch = tokens[torch.cat([prefix, patches], 1).to(tokens.device)]
        seen = tower.read_out(run_blocks(tower, batch)).embedding
        found.update(zip(rows.tolist(), unit_length(seen), strict=True))
    return Cells(torch.stack([found[cell] for cell in range(len(members))]), places.to(tokens.device))


def divide(grid: tuple[int, int], layout: Layout) -> Int[Tensor, "n"]:
    """The number of the cell that each patch lies in; cells are as equal as whole patches allow."""
    rows, columns = (_pieces(length, layout) for length in grid)
    labels = rows[:, None] * (int(columns.max()) + 1) + columns
    return labels.flatten()


def _pieces(length: int, layout: Layout) -> Int[Tensor, "length"]:
    ends = torch.arange(1, layout.pieces + layout.shifted) - 0.5 * layout.shifted
    piece = torch.bucketize(torch.arange(length) + 0.5, ends * (length / layout.pieces))
    # A grid with fewer patches than pieces leaves some of them empty.
    return torch.bucketize(piece, torch.tensor(sorted(set(piece.tolist()))))
