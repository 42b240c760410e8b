"""The photos of a recipe: rows of a manifest, those of training first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int

from dermaxai.data.manifest import Manifest
from dermaxai.data.samples import Part
from dermaxai.errors import DataError
from dermaxai.training.recipe import Recipe
from dermaxai.training.sections import DataSection


@dataclass(frozen=True, slots=True, eq=False)
class Photos:
    """The photos of a training: places 0 to `learned` are learned from, the rest are for comparison."""

    manifest: Manifest
    rows: Int[np.ndarray, "photos"]
    """Row numbers in the manifest."""
    learned: int

    def column(self, name: str) -> list[str]:
        """A text column, '' for what is not told."""
        return column_of(self.manifest, name, self.rows)

    @property
    def keys(self) -> np.ndarray:
        """What names a photo that several rows may show."""
        pairs = zip(self.column("duplicate_of"), self.column("id"), strict=True)
        return np.array([first or own for first, own in pairs])

    @property
    def paths(self) -> list[Path | None]:
        """Where the files are said to be."""
        roots = self.manifest.roots
        pairs = zip(self.column("dataset"), self.column("path"), strict=True)
        return [roots[dataset] / name if name else None for dataset, name in pairs]


def find_photos(recipe: Recipe) -> Photos:
    """The photos of the recipe's parts and datasets. Raises: DataError."""
    manifest = Manifest.open(recipe.data.manifest)
    train = rows_of(manifest, recipe.data.train, recipe.data)
    compared = rows_of(manifest, recipe.data.validation, recipe.data)
    if not len(train) or not len(compared):
        raise DataError(
            f"The manifest has {len(train)} photos to learn from and {len(compared)} to compare states on.",
            hint="Check data.train, data.validation and data.datasets.",
        )
    return Photos(manifest, np.concatenate([train, compared]), len(train))


def rows_of(manifest: Manifest, parts: Sequence[Part], section: DataSection) -> Int[np.ndarray, "n"]:
    """Row numbers of some parts in the recipe's datasets; several may show one photo."""
    datasets = sorted(section.datasets) or None
    found = [manifest.rows(part, datasets, unique=False) for part in parts]
    return np.sort(np.concatenate(found)) if found else np.zeros(0, dtype=np.int64)


def column_of(manifest: Manifest, name: str, rows: Int[np.ndarray, "n"]) -> list[str]:
    """A text column of some rows, '' for what is not told."""
    column = manifest.column(name)
    return [str(column[row] or "") for row in rows]


def once(photos: np.ndarray, said: Int[np.ndarray, "rows"]) -> Int[np.ndarray, "n"]:
    """Of the rows that show one photo the one that says most, the first of several; none that says nothing.

    >>> once(np.array(["a", "b", "a", "c"]), np.array([3, 2, 5, 0])).tolist()
    [1, 2]
    """
    order = np.lexsort((np.arange(len(said)), -said))
    _, first = np.unique(photos[order], return_index=True)
    kept = np.sort(order[first])
    return kept[said[kept] > 0]
