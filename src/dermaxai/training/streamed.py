"""Photos that stream from shards, for sets that fit no disk: shards bring pixels, the manifest what is said.

Photos come in the stream's order, so weights of datasets, class balance and buckets of length have no place
here; an epoch is one of the stream.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import final

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from dermaxai.encoders.base import AbstractEncoder
from dermaxai.errors import DataError
from dermaxai.images import Limits
from dermaxai.training.batches import BatchPlan, Draws
from dermaxai.training.material import ManifestMaterial, Reading
from dermaxai.training.shard_items import read_item
from dermaxai.training.shards import ShardItem
from dermaxai.training.streaming import BatchStream, ShardStream
from dermaxai.types import SkinImage


@final
class StreamedFeed:
    """Photos from a stream, encoded as they come.

    Args: places of samples in `material`, by id; -1 for those of which nothing is said, which are left out.
    Raises: SettingError, when read, where lanes do not fit batch and processes.
    """

    def __init__(
        self,
        stream: ShardStream,
        plan: BatchPlan,
        material: ManifestMaterial,
        places: Mapping[str, int],
        encoder: AbstractEncoder,
    ) -> None:
        self.plan, self._stream, self._material = plan, stream, material
        self._places, self._encoder = places, encoder
        self._batches: dict[tuple[int, int], BatchStream] = {}

    @property
    def epoch(self) -> float:
        """Steps of one epoch."""
        return self._stream.epoch_length(0) * self._stream.lanes / self.plan.batch

    def read(self, step: int, *, rank: int, world: int) -> list[Reading]:
        """A process's photos of a step. Raises: DataError for a photo that the recipe does not learn from."""
        if (rank, world) not in self._batches:
            batches = BatchStream(self._stream, self.plan.batch, rank=rank, world=world)
            self._batches[rank, world] = batches
        items = self._batches[rank, world].at(step)
        numbers = step * self.plan.batch + rank * len(items) + np.arange(len(items))
        parts = np.split(np.arange(len(items)), self.plan.accumulate)
        return [self._reading([items[place] for place in part], numbers[part]) for part in parts]

    def sample(self, photos: int) -> Float[Tensor, "photos tokens width"]:
        """The patches of the first photos of a lane, for measuring."""
        lane = self._stream.lane(0)
        most = min(photos, self._stream.epoch_length(0))
        return torch.cat([self._encode([read_item(next(lane), Limits())[0]]) for _ in range(most)])

    def _reading(self, items: Sequence[ShardItem], numbers: Int[np.ndarray, "n"]) -> Reading:
        read = [read_item(item, Limits()) for item in items]
        places = np.array([self._place(told.sample.id) for _, told in read], dtype=np.int64)
        told = np.flatnonzero(places >= 0)
        if not len(told):
            raise DataError(f"Nothing is said of any of {len(items)} photos in a row of the shards.")
        patches = self._encode([read[index][0] for index in told.tolist()])
        return self._material.tell(Draws(places[told], numbers[told]), patches)

    def _place(self, sample: str) -> int:
        if sample not in self._places:
            raise DataError(
                f"The recipe does not learn from '{sample}', a photo of the shards.",
                hint="Write shards from the parts of this manifest that the recipe learns from.",
            )
        return self._places[sample]

    def _encode(self, photos: Sequence[SkinImage]) -> Float[Tensor, "n tokens width"]:
        pixels = torch.stack([self._encoder.preprocess(photo)[0] for photo in photos])
        with torch.inference_mode():
            patches = self._encoder.forward(pixels.to(self._encoder.device, self._encoder.dtype)).patches
        return patches.clone()
