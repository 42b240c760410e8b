"""An endless, shuffled, repeatable stream of photos from shards, entered at any place.

A stream has lanes. In each epoch the shards are dealt to the lanes in an order drawn from (seed, epoch); a
lane reads some shards at once, its window, and gives their photos in an order drawn likewise. A global batch
takes the same number of photos from every lane, so that its content does not depend on how many processes
share the lanes; a process opens only the shards of its own lanes. No state is kept: the place is a number.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import final

import numpy as np

from dermaxai.errors import SettingError
from dermaxai.training.shards import Shard, ShardItem, read_shard


@final
class ShardStream:
    """Shards as lanes of photos.

    Args:
        shards: as `read_index` gives them; at least one per lane.
        lanes: independent sub-streams; the number of processes must divide it.
        window: shards a lane shuffles together; the memory it takes is theirs.

    Raises: SettingError.
    """

    def __init__(self, shards: Sequence[Shard], *, lanes: int = 1, window: int = 4, seed: int = 0) -> None:
        if not 1 <= lanes <= len(shards):
            raise SettingError(
                f"lanes must be 1 to {len(shards)}, the number of shards, not {lanes}.",
                hint="Write smaller shards (--per-shard).",
            )
        if window < 1:
            raise SettingError(f"window must be at least 1, not {window}.")
        self.shards, self.lanes, self.window, self.seed = tuple(shards), lanes, window, seed

    def epoch_length(self, epoch: int) -> int:
        """Photos that each lane gives in one epoch: those of the lane with the fewest."""
        return min(sum(shard.count for shard in self._deal(epoch, lane)) for lane in range(self.lanes))

    def place(self, position: int) -> tuple[int, int]:
        """Epoch of a lane's `position`-th photo, and its number within that epoch."""
        epoch = 0
        while position >= (length := self.epoch_length(epoch)):
            position -= length
            epoch += 1
        return epoch, position

    def lane(self, lane: int, position: int = 0) -> Iterator[ShardItem]:
        """Photos of one lane without end, from its `position`-th on; nothing before it is decoded."""
        if not 0 <= lane < self.lanes:
            raise SettingError(f"This stream has lanes 0 to {self.lanes - 1}, not {lane}.")
        epoch, skipped = self.place(position)
        while True:
            yield from self._epoch(epoch, lane, skipped)
            epoch, skipped = epoch + 1, 0

    def _epoch(self, epoch: int, lane: int, skipped: int) -> Iterator[ShardItem]:
        left = self.epoch_length(epoch)
        own = self._deal(epoch, lane)
        for start in range(0, len(own), self.window):
            window = own[start : start + self.window]
            count = min(sum(shard.count for shard in window), left)
            if skipped < count:
                yield from self._shuffled(window, (epoch, lane, start))[skipped:count]
            skipped = max(skipped - count, 0)
            left -= count

    def _deal(self, epoch: int, lane: int) -> list[Shard]:
        order = np.random.default_rng((self.seed, epoch)).permutation(len(self.shards))
        return [self.shards[index] for index in order[lane :: self.lanes]]

    def _shuffled(self, window: Sequence[Shard], place: tuple[int, int, int]) -> list[ShardItem]:
        items = [item for shard in window for item in read_shard(shard)]
        order = np.random.default_rng((self.seed, *place)).permutation(len(items))
        return [items[index] for index in order]


@final
class BatchStream:
    """Global batches of a stream, and the part of each that belongs to one process.

    Raises: SettingError where lanes, batch and processes do not divide each other.
    """

    def __init__(self, stream: ShardStream, batch: int, *, rank: int = 0, world: int = 1) -> None:
        if batch % stream.lanes or stream.lanes % world:
            raise SettingError(
                f"A batch of {batch} from {stream.lanes} lanes cannot be shared by {world} processes: "
                "lanes must divide the batch, processes must divide lanes."
            )
        self._stream, self._share = stream, batch // stream.lanes
        self._own = range(rank * stream.lanes // world, (rank + 1) * stream.lanes // world)
        self._lanes: list[Iterator[ShardItem]] = []
        self._next = -1

    def at(self, step: int) -> list[ShardItem]:
        """The photos of a step's global batch that are this process's; the next step costs no jump."""
        if step != self._next:
            self._lanes = [self._stream.lane(lane, step * self._share) for lane in self._own]
        self._next = step + 1
        return [next(lane) for lane in self._lanes for _ in range(self._share)]
