"""ConVis: where a concept comes first among all definitions of a concept tree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal, final, get_args

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dermaxai.errors import SettingError
from dermaxai.explain.agreement import compare_maps
from dermaxai.explain.base import SIMILARITY, AbstractMethod, Answer, Explained
from dermaxai.explain.convis_random import ROUNDS, STEPS, random_windows
from dermaxai.explain.convis_ranks import RankTable, rank_table
from dermaxai.explain.convis_windows import (
    WindowGrid,
    cell_means,
    cut_windows,
    plan_windows,
    see_windows,
    with_margin,
)
from dermaxai.explain.dense import Cells, Layout, patch_embeddings, see_cells
from dermaxai.explain.shared import Passes, input_pixels
from dermaxai.progress import steps
from dermaxai.types import Encoded, Target

if TYPE_CHECKING:
    from dermaxai.concepts.tree import ConceptTree
    from dermaxai.encoders.base import AbstractEncoder

Look = Literal["windows", "quick", "cells", "dense", "patches", "reference"]
LOOKS: tuple[Look, ...] = get_args(Look)
PUBLISHED = (128 / 224, 64 / 224)
"""Sizes of the windows as shares of the photo's side."""
GRIDS: Mapping[str, tuple[tuple[float, ...], float]] = {
    "windows": (PUBLISHED, 16 / 224),
    "quick": ((1 / 2, 1 / 4), 1 / 7),
}
"""Sizes and step as shares of the photo's side."""
LAYOUTS: Mapping[str, tuple[Layout, ...]] = {
    "cells": (Layout(2), Layout(2, shifted=True), Layout(3), Layout(3, shifted=True)),
    "dense": (Layout(3, shifted=True),),
}
"""Of what stands for windows: those that agreed best with them, per number of passes, on drawn photos."""


@final
class ConVis(AbstractMethod):
    """value(p) = mean over windows w around p of 1 - rank_w / (N - 1), N the number of definitions.

    rank_w sorts the definitions of all concepts of the tree by their similarity to the image in window w; a
    concept has the best rank among its own definition and those of all concepts below it. Values are 0..1,
    1 where it comes first in every window; a contrast is the difference of two maps, -1..1. A question is a
    concept of the tree, in English or Russian; any other text is one more definition, with none below it.
    Definitions are compared as they are, without a prompt.

    `windows`: two sizes over the photo with a margin of noise. The published code also encodes the windows
    that touch nothing but the margin, and sums raw ranks; where all pixels are covered equally, as at 224
    pixels, its map is this one but for scale, and for crops that lose their last row and column. `quick`:
    a quarter as many windows. One pass over the windows serves all questions about a photo. `reference`:
    the published default, 600 random windows with multiplicative weights, as `random_windows` says; since
    its random numbers have no seed it can be equal in distribution only, up to how crops are enlarged.

    Approximations, whose agreement with `windows` is measured by `agreement_with_windows`: `dense` divides
    the patch tokens into cells of a third of the side, shifted by half, and lets the tower read each cell
    alone, one to two passes in all; `cells` does so in four ways, of halves and thirds, plain and shifted.
    `patches` ranks the embedding of each patch by the value path of the last block, a fraction of a pass; on
    the embedded model it does not agree with the windows.

    `batch`: windows per pass; it does not change the map. `dtype="bfloat16"`: blocks run in that precision
    for windows, which pays only on machines with units for it; weights are not changed. `tree` None: that of
    this package.

    Source: ConVis (arXiv:2405.14563), algorithm 1, and its published code; `patches` after
    MaskCLIP (arXiv:2112.01071).
    """

    name = "convis"
    title = "ConVis"
    signed = False
    answers = SIMILARITY
    layer = "image embeddings of windows"
    variants = {  # noqa: RUF012 - a ClassVar in the base
        "windows": {},
        "quick": {"look": "quick"},
        "cells": {"look": "cells"},
        "dense": {"look": "dense"},
        "patches": {"look": "patches"},
        "reference": {"look": "reference"},
    }

    def __init__(
        self,
        *,
        look: Look = "windows",
        tree: ConceptTree | None = None,
        batch: int = 32,
        dtype: Passes = "model",
        seed: int = 0,
    ) -> None:
        """`seed`: of the noise and of the random windows. Raises: SettingError."""
        if look not in LOOKS or dtype not in ("model", "bfloat16") or batch < 1:
            raise SettingError(
                f"ConVis knows look {', '.join(LOOKS)}, dtype model, bfloat16 and batch from 1; "
                f"not '{look}', '{dtype}', {batch}."
            )
        self.look, self.batch, self.dtype, self.seed = look, batch, dtype, seed
        self._tree = tree

    @property
    def variant(self) -> str:
        """How the photo is looked at, then what differs from the defaults."""
        dtype = f", {self.dtype}" if self.dtype != "model" else ""
        return f"{self.look}{dtype}{f', seed {self.seed}' if self.seed else ''}"

    @property
    def tree(self) -> ConceptTree:
        """Whose definitions are ranked."""
        from dermaxai.concepts.tree import read_tree

        return self._tree or read_tree()

    def _answer(self, model: Explained, encoded: Encoded, targets: Sequence[Target]) -> Answer:
        names = [name for one in targets for name in (one.text, one.against) if name is not None]
        texts = {name: number for number, name in enumerate(dict.fromkeys(names))}
        table = rank_table(model.encoder, self.tree, list(texts))
        maps, layer = self._maps(model, encoded, table)
        rows = [
            maps[texts[one.text]] if one.against is None else maps[texts[one.text]] - maps[texts[one.against]]
            for one in targets
        ]
        return Answer(torch.stack(rows), [self._scalar(one, table, texts) for one in targets], layer)

    def _scalar(self, target: Target, table: RankTable, texts: dict[str, int]) -> str:
        names = [name for name in (target.text, target.against) if name is not None]
        count = max(table.counted(texts[name]) for name in names)
        what = "weight by rank" if self.look == "reference" else "rank"
        return f"{what}{' difference' if len(names) > 1 else ''} among {count} definitions"

    def _maps(
        self, model: Explained, encoded: Encoded, table: RankTable
    ) -> tuple[Float[Tensor, "texts n"], str]:
        encoder = model.encoder
        if self.look == "patches":
            return table.shares(patch_embeddings(encoder, encoded.tail_input)), "patches by the value path"
        if self.look in LAYOUTS:
            cells = self._cells(model, encoded, LAYOUTS[self.look])
            shares = table.shares(cells.embeddings)[:, cells.places].mean(1)
            return shares, f"image embeddings of {len(cells.embeddings)} cells of patches"
        if self.look == "reference":
            pixels = self._random(encoder, encoded, table)
            layer = f"image embeddings of {ROUNDS * STEPS} random windows"
        else:
            grid = plan_windows(encoder.card.image_size, *GRIDS[self.look])
            windows = self._windows(model, encoded, grid)
            pixels = grid.pixel_means(table.shares(windows))
            layer = f"image embeddings of {len(windows)} windows"
        return cell_means(pixels, encoded.grid, encoder.tower.patch), layer

    def _windows(
        self, model: Explained, encoded: Encoded, grid: WindowGrid
    ) -> Float[Tensor, "windows embed"]:
        """Made once per photo, whatever is asked."""
        encoder = model.encoder

        def make() -> Float[Tensor, "windows embed"]:
            canvas = with_margin(encoder, input_pixels(encoder, encoded), grid.margin, self.seed)
            parts = list(zip(grid.corners(), grid.sizes, strict=True))
            crops = (cut for corners, size in parts for cut in cut_windows(canvas, corners, size, self.batch))
            passes = sum(-(-len(corners) // self.batch) for corners, _ in parts)
            return see_windows(encoder, steps(crops, passes), self.dtype)

        return model.shared.once(encoded, ("convis windows", grid, self.seed, self.dtype), make)

    def _cells(self, model: Explained, encoded: Encoded, layouts: tuple[Layout, ...]) -> Cells:
        """Made once per photo, whatever is asked."""
        encoder = model.encoder
        return model.shared.once(
            encoded,
            ("convis cells", layouts),
            lambda: see_cells(encoder, input_pixels(encoder, encoded), layouts),
        )

    def _random(
        self, encoder: AbstractEncoder, encoded: Encoded, table: RankTable
    ) -> Float[Tensor, "texts side side"]:
        side = encoder.card.image_size
        large, small = plan_windows(side, PUBLISHED, 1).sizes
        canvas = with_margin(encoder, input_pixels(encoder, encoded), large, self.seed)

        def look(corners: Int[Tensor, "windows 2"], size: int) -> Int[Tensor, "texts windows"]:
            # The published crop takes the mask's last row and column for the first ones outside.
            crops = cut_windows(canvas, corners, size - 1, self.batch)
            return table.ranks(see_windows(encoder, crops, self.dtype))

        return random_windows(look, len(table.rows), side, (large, small), self.seed)


def agreement_with_windows(
    model: Explained, encoded: Encoded, targets: Sequence[Target], *, method: ConVis | None = None
) -> list[float]:
    """Spearman's rank correlation over patches of each target's map with that of `windows`; -1 to 1.

    `method` None: the dense variant; its tree, seed and dtype are those of the windows, too.
    NaN where a map is constant. Raises: as `ConVis.explain`.
    """
    method = method or ConVis(look="dense")
    whole = ConVis(tree=method.tree, batch=method.batch, dtype=method.dtype, seed=method.seed)
    found, wanted = (one.explain(model, encoded, targets) for one in (method, whole))
    pairs = zip(targets, found, wanted, strict=True)
    return [compare_maps(target, [one, other]).correlations[1] for target, one, other in pairs]
