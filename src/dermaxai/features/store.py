"""A cache of features as a folder: `key.json`, shards of records, an index beside each shard.

Records (`shard-00000.bin`) all have one size. The index (`shard-00000.idx`) has one entry of 56 bytes for
each record, in the same order, and only the index makes a record count. Both only ever grow, so a position
that was found stays valid, and any number of readers may look on while one writer adds (`writing.py`).
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64, UInt8
from torch import Tensor

from dermaxai.errors import DataError, UsageError
from dermaxai.features.index import Lookup, read_entries, to_bytes
from dermaxai.features.key import KEY_FILE, FeatureKey, read_key
from dermaxai.features.quantise import record_bytes, unpack

LOSS_FILE = "loss.json"
_BLOCK = 2**25
"""Bytes that `check` reads at once."""

Positions = Sequence[int] | Int64[np.ndarray, "n"] | Int64[Tensor, "n"]


@final
class FeatureCache:
    """Features of photos by the hash of their files; reading maps the files and keeps nothing in memory.

    It may be sent to other processes: they open the folder again.
    """

    key: FeatureKey
    folder: Path

    def __init__(self, folder: Path, key: FeatureKey) -> None:
        self.folder, self.key = folder, key
        self.record = record_bytes(key.tokens, key.width, key.dtype)
        self._maps: dict[int, UInt8[np.ndarray, "records record"]] = {}
        self.refresh()

    @classmethod
    def open(cls, place: Path | str, key: FeatureKey | None = None) -> FeatureCache:
        """The cache in a folder, or in the one folder below it that is a cache (of this key, if given).

        Raises: DataError where there is none, more than one, or one of another key.
        """
        folder = _find(Path(place), key)
        found = read_key(folder)
        if key is not None:
            found.check(key, folder)
        return cls(folder, found)

    @classmethod
    def create(cls, place: Path | str, key: FeatureKey) -> FeatureCache:
        """The cache of this key in a folder of caches, made if it is not there; `key` names its folder.

        Raises: DataError for a folder that cannot be written, or that is itself a cache of another key.
        """
        place = Path(place)
        folder = place if (place / KEY_FILE).is_file() else place / key.folder_name
        if not (folder / KEY_FILE).is_file():
            try:
                key.write(folder)
            except OSError as error:
                raise unwritable(folder, error) from error
        return cls.open(folder, key)

    def __reduce__(self) -> tuple[Callable[..., FeatureCache], tuple[Any, ...]]:
        return FeatureCache, (self.folder, self.key)

    def refresh(self) -> None:
        """See what a writer has added since. Raises: DataError where a shard is missing."""
        shards = [
            read_entries(index_file(self.folder, n), data_file(self.folder, n), self.record)
            for n in range(count_shards(self.folder))
        ]
        entries = [found for found, _ in shards]
        self._starts = np.cumsum([0, *map(len, entries)])
        self._entries = np.concatenate(entries) if entries else np.zeros(0, np.dtype([("coverage", "<f4")]))
        self._sound = np.concatenate([sound for _, sound in shards]) if shards else np.zeros(0, bool)
        self._lookup = Lookup(self._entries, self._sound) if entries else None
        self._maps.clear()

    def __len__(self) -> int:
        """Photos times views that can be read."""
        return int(self._sound.sum())

    @property
    def tokens(self) -> int:
        """Per photo and view."""
        return self.key.tokens

    @property
    def width(self) -> int:
        """Of a token."""
        return self.key.width

    @property
    def views(self) -> int:
        """One more than the highest view of any photo; 0 in an empty cache."""
        return int(self._entries["view"][self._sound].max()) + 1 if len(self) else 0

    @property
    def photos(self) -> int:
        """How many have their view 0."""
        return int((self._entries["view"][self._sound] == 0).sum()) if len(self) else 0

    @property
    def bytes(self) -> int:
        """Of all shards and indices on disk."""
        return sum(path.stat().st_size for path in self.folder.glob("shard-*"))

    @property
    def loss(self) -> float | None:
        """Relative root mean square of the rounding, measured on the first photos; None before that."""
        try:
            return float(json.loads((self.folder / LOSS_FILE).read_text(encoding="utf-8"))["relative_rms"])
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"'{self.folder / LOSS_FILE}' is damaged.", hint="Delete it.") from error

    def locate(self, sha256s: Sequence[str], view: int = 0) -> Int64[np.ndarray, "n"]:
        """Positions of photos, -1 where absent. Raises: UsageError for what is no sha256."""
        wanted = to_bytes(sha256s)
        return self._lookup.find(wanted, view) if self._lookup else np.full(len(wanted), -1, np.int64)

    def coverage(self, positions: Positions) -> Float32[np.ndarray, "n"]:
        """Share of each view that the lesion covers, 0 to 1; NaN where it was not measured."""
        return np.asarray(self._entries["coverage"][self._known(positions)])

    def read(
        self, positions: Positions, out: Float[Tensor, "n tokens width"] | None = None
    ) -> Float[Tensor, "n tokens width"]:
        """Features as float16, contiguous, in the order of `positions`, into `out` (pinned, say) if given.

        Raises: UsageError for a position that is not in the cache, or for an `out` of another shape or dtype.
        """
        rows = self._known(positions)
        shape = len(rows), self.tokens, self.width
        if out is None:
            out = torch.empty(shape, dtype=torch.float16)
        elif (tuple(out.shape), out.dtype, out.is_contiguous()) != (shape, torch.float16, True):
            raise UsageError(
                f"'out' must be float16, contiguous, of shape {shape}; it is {out.dtype}, {tuple(out.shape)}."
            )
        done = 0
        for records in self._runs(rows):
            unpack(records, self.key.dtype, out[done : done + len(records)])
            done += len(records)
        return out

    def check(self, on_progress: Callable[[int, int], None] | None = None) -> Int64[np.ndarray, "n"]:
        """Positions whose data are not what was written; reads everything.

        Entries that do not prove themselves hold nothing and are not counted.
        """
        damaged: list[int] = []
        rows, step = np.flatnonzero(self._sound), max(1, _BLOCK // self.record)
        for start in range(0, len(rows), step):
            block = rows[start : start + step]
            records = (record for run in self._runs(block) for record in run)
            for row, record in zip(block, records, strict=True):
                if zlib.crc32(record) != self._entries["crc"][row]:
                    damaged.append(int(row))
            if on_progress:
                on_progress(start + len(block), len(rows))
        return np.array(damaged, np.int64)

    def place_of(self, position: int) -> tuple[int, int]:
        """Number of the shard and of the record in it. Raises: UsageError."""
        (row,) = self._known([position])
        shard = int(np.searchsorted(self._starts, row, side="right")) - 1
        return shard, int(row - self._starts[shard])

    def _known(self, positions: Positions) -> Int64[np.ndarray, "n"]:
        rows = np.asarray(positions, np.int64)
        if len(rows) and (rows.min() < 0 or rows.max() >= len(self._sound) or not self._sound[rows].all()):
            raise UsageError(
                f"{self.folder} was asked for a position that it does not hold.",
                hint="Leave out photos for which 'locate' answers -1.",
            )
        return rows

    def _runs(self, rows: Int64[np.ndarray, "n"]) -> Iterator[UInt8[np.ndarray, "run record"]]:
        """Stored records in order; neighbours on disk as one slice of the mapped file."""
        if not len(rows):
            return
        shards = np.searchsorted(self._starts, rows, side="right") - 1
        breaks = np.flatnonzero((np.diff(rows) != 1) | (np.diff(shards) != 0)) + 1
        for start, stop in zip([0, *breaks], [*breaks, len(rows)], strict=True):
            shard = int(shards[start])
            first = int(rows[start] - self._starts[shard])
            yield self._mapped(shard)[first : first + stop - start]

    def _mapped(self, shard: int) -> UInt8[np.ndarray, "records record"]:
        if shard not in self._maps:
            count = int(self._sound[self._starts[shard] : self._starts[shard + 1]].nonzero()[0].max()) + 1
            mapped = np.memmap(data_file(self.folder, shard), np.uint8, "r", shape=(count, self.record))
            self._maps[shard] = mapped.view(np.ndarray)
        return self._maps[shard]


def data_file(folder: Path, shard: int) -> Path:
    """Of records."""
    return folder / f"shard-{shard:05}.bin"


def index_file(folder: Path, shard: int) -> Path:
    """Of entries."""
    return folder / f"shard-{shard:05}.idx"


def count_shards(folder: Path) -> int:
    """How many there are. Raises: DataError where one in between is missing."""
    numbers = sorted(int(path.stem.removeprefix("shard-")) for path in folder.glob("shard-*.idx"))
    if numbers != list(range(len(numbers))):
        missing = min(set(range(numbers[-1])) - set(numbers))
        raise DataError(
            f"'{index_file(folder, missing)}' is missing.", hint="Bring it back, or build the cache again."
        )
    return len(numbers)


def unwritable(folder: Path, error: OSError) -> DataError:
    """What the system said on writing, and what to do."""
    return DataError(
        f"The feature cache '{folder}' cannot be written: {error.strerror or error}.",
        hint="What was written before is kept. Make room or choose another folder, then run it again.",
    )


def _find(place: Path, key: FeatureKey | None) -> Path:
    """Raises: DataError."""
    if (place / KEY_FILE).is_file():
        return place
    if key is not None and (place / key.folder_name / KEY_FILE).is_file():
        return place / key.folder_name
    below = sorted(path.parent for path in place.glob(f"*/{KEY_FILE}"))
    if len(below) > 1 and key is None:
        names = ", ".join(folder.name for folder in below)
        raise DataError(f"'{place}' holds {len(below)} feature caches: {names}.", hint="Name one of them.")
    return below[0] if len(below) == 1 else place
