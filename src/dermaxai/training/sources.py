"""Where a step's patches come from: a cache of features, or the encoder at work."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, final

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from dermaxai.encoders.base import AbstractEncoder
from dermaxai.errors import DataError
from dermaxai.features.store import FeatureCache
from dermaxai.images import read_image


class Patches(Protocol):
    """Patches of photos by their place in the list that the source was opened with."""

    width: int
    views: int

    def missing(self) -> Int[np.ndarray, "m"]:
        """Places of photos that it cannot give."""

    def read(self, places: Int[np.ndarray, "n"], views: Int[np.ndarray, "n"]) -> Float[Tensor, "n t width"]:
        """The patches of some photos in some views, in any float type and on any device."""

    def coverage(self, places: Int[np.ndarray, "n"], views: Int[np.ndarray, "n"]) -> list[float | None]:
        """What the lesion covers of each view, where it differs from the photo itself."""


@final
class CachedPatches:
    """Patches that were written once.

    Args: sha256s of the photos' files, '' where a photo has none; views to draw from, the photo itself first.
    Raises: DataError where no photo has as many views.
    """

    def __init__(self, cache: FeatureCache, sha256s: Sequence[str], views: int = 1) -> None:
        if views > 1 and cache.views < views:
            raise DataError(
                f"The cache '{cache.folder}' has {cache.views} views of its photos, {views} are asked for.",
                hint="Lower features.views, or write more views.",
            )
        self._cache, self.width, self.views = cache, cache.width, views
        self._positions = np.full((views, len(sha256s)), -1, dtype=np.int64)
        named = [place for place, sha256 in enumerate(sha256s) if sha256]
        known = [sha256s[place] for place in named]
        for view in range(views):
            self._positions[view, named] = cache.locate(known, view)

    def missing(self) -> Int[np.ndarray, "m"]:
        """Places of photos that lack any view."""
        return np.flatnonzero((self._positions < 0).any(axis=0))

    def read(self, places: Int[np.ndarray, "n"], views: Int[np.ndarray, "n"]) -> Float[Tensor, "n t width"]:
        """As stored, float16."""
        return self._cache.read(self._positions[views, places])

    def coverage(self, places: Int[np.ndarray, "n"], views: Int[np.ndarray, "n"]) -> list[float | None]:
        """As stored with augmented views; None for the photo itself."""
        found = self._cache.coverage(self._positions[views, places])
        return [float(share) if view else None for share, view in zip(found, views, strict=True)]


def absent(paths: Sequence[Path | None]) -> list[int]:
    """Places of photos that are not on disk."""
    return [place for place, path in enumerate(paths) if path is None or not path.is_file()]


@final
class LivePatches:
    """Patches from the encoder, every time anew."""

    def __init__(self, encoder: AbstractEncoder, paths: Sequence[Path | None]) -> None:
        self.encoder, self._paths = encoder, paths
        self.width, self.views = encoder.width, 1

    def missing(self) -> Int[np.ndarray, "m"]:
        """Places of photos that are not on disk."""
        return np.array(absent(self._paths), dtype=np.int64)

    def read(self, places: Int[np.ndarray, "n"], views: Int[np.ndarray, "n"]) -> Float[Tensor, "n t width"]:
        """One pass of the encoder. Raises: ImageError for a photo that cannot be read."""
        pixels = [self.encoder.preprocess(read_image(self._path(place)))[0] for place in places]
        with torch.inference_mode():
            patches = self.encoder.forward(torch.stack(pixels).to(self.encoder.device, self.encoder.dtype))
        return patches.patches.clone()

    def coverage(self, places: Int[np.ndarray, "n"], views: Int[np.ndarray, "n"]) -> list[float | None]:
        """Live photos are as they are."""
        return [None] * len(places)

    def _path(self, place: int) -> Path:
        path = self._paths[place]
        if path is None:
            raise DataError("A photo that is not on disk was drawn.", hint="Set features.skip_missing.")
        return path
