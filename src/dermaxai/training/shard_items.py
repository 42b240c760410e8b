"""From a manifest's photos to the items of shards, and from an item to a photo and what is known of it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Int

from dermaxai.data.manifest import Manifest
from dermaxai.data.sample_json import Told, from_json, to_json
from dermaxai.errors import DataError
from dermaxai.images import Limits, read_image
from dermaxai.training.shards import ShardItem
from dermaxai.types import SkinImage

AT_ONCE = 500
"""Samples of a manifest in memory."""
SAMPLE = "json"


def shuffled(rows: Int[np.ndarray, "n"], seed: int = 0) -> Int[np.ndarray, "n"]:
    """Rows in a drawn order, so that neighbours of a shard are not of one dataset."""
    return np.random.default_rng(seed).permutation(rows)


def items_of(manifest: Manifest, rows: Int[np.ndarray, "n"]) -> Iterator[ShardItem]:
    """The photos' files as they are, each with its sample. Raises: DataError for a photo that is gone."""
    for start in range(0, len(rows), AT_ONCE):
        for one in manifest.samples(rows[start : start + AT_ONCE]):
            path = one.sample.path
            if path is None or not path.is_file():
                raise DataError(
                    f"The photo of '{one.sample.id}' is not at '{path}'.",
                    hint="Bring it back, or build the manifest again from where the photos are now.",
                )
            ending = path.suffix.lower().removeprefix(".")
            files = {ending: path.read_bytes(), SAMPLE: to_json(one.sample, one.appearance)}
            yield ShardItem(one.sample.id.replace(".", "_"), files)


def read_item(item: ShardItem, limits: Limits) -> tuple[SkinImage, Told]:
    """The photo, decoded, and what is known of it. Raises: DataError, ImageError."""
    photos = [content for ending, content in item.files.items() if ending != SAMPLE]
    if len(photos) != 1 or SAMPLE not in item.files:
        raise DataError(
            f"'{item.key}' has the files {', '.join(item.files)}; one photo and one .{SAMPLE} are expected.",
            hint="Write shards with `dermaxai data shards`.",
        )
    return read_image(photos[0], limits=limits), from_json(item.files[SAMPLE], item.key)
