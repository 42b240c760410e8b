"""Adding to a cache of features so that a killed writer costs at most the batch under way.

Records are written and reach the disk before the entries that make them count. What a killed writer left
behind the last sound entry is cut off by the next one.
"""

from __future__ import annotations

import json
import os
import socket
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import final

import numpy as np
from jaxtyping import Float, Shaped, UInt8
from torch import Tensor

from dermaxai.errors import DataError, NotSupported, ShapeError, UsageError
from dermaxai.features.index import ENTRY, make_entries, read_entries, to_bytes
from dermaxai.features.quantise import pack
from dermaxai.features.store import (
    LOSS_FILE,
    FeatureCache,
    count_shards,
    data_file,
    index_file,
    unwritable,
)

LOCK_FILE = "writer.lock"
SHARD_BYTES = 2**31
"""Of records in one file, about."""


@final
class FeatureWriter:
    """The one writer of a cache, as a context; the cache sees what was written after `refresh`.

    Raises: UsageError while another process writes; DataError where nothing can be written.
    """

    def __init__(self, cache: FeatureCache, *, shard_bytes: int = SHARD_BYTES) -> None:
        self._cache = cache
        self._limit = max(1, shard_bytes // cache.record)
        self._stack = ExitStack()
        self._shard = self._count = 0
        self._data = self._index = -1

    def __enter__(self) -> FeatureWriter:
        self._stack.enter_context(only_writer(self._cache.folder))
        try:
            self._open(max(0, count_shards(self._cache.folder) - 1))
            self._cache.refresh()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()
        self._stack.close()

    def append(
        self,
        sha256s: Sequence[str],
        views: Sequence[int],
        features: Float[Tensor, "batch tokens width"],
        coverage: Sequence[float] | None = None,
    ) -> None:
        """Add one batch; when this returns, it is on the disk.

        Raises: ShapeError for features of another shape, DataError for a full disk.
        """
        expected = len(sha256s), self._cache.tokens, self._cache.width
        if tuple(features.shape) != expected:
            raise ShapeError(f"Features of shape {expected} are stored; {tuple(features.shape)} came.")
        names, records = to_bytes(sha256s), pack(features, self._cache.key.dtype)
        covered = coverage or [float("nan")] * len(names)
        done = 0
        try:
            while done < len(names):
                if self._count >= self._limit:
                    self._open(self._shard + 1)
                stop = min(len(names), done + self._limit - self._count)
                part = slice(done, stop)
                self._add(names[part], views[part], records[part], covered[part])
                done = stop
        except OSError as error:
            raise unwritable(self._cache.folder, error) from error

    def forget(self, positions: Sequence[int]) -> None:
        """Void the entries at `positions` of the cache, so that they are absent and can be written again."""
        void = np.zeros(1, ENTRY)
        for position in positions:
            shard, record = self._cache.place_of(position)
            with index_file(self._cache.folder, shard).open("r+b", buffering=0) as file:
                _write_all(file.fileno(), void, record * ENTRY.itemsize)
                os.fsync(file.fileno())
        self._cache.refresh()

    def tell_loss(self, relative_rms: float, photos: int) -> None:
        """Keep the rounding error that was measured."""
        path = self._cache.folder / LOSS_FILE
        fresh = path.with_name(f".{path.name}.new")
        fresh.write_text(json.dumps({"relative_rms": relative_rms, "photos": photos}) + "\n")
        os.replace(fresh, path)

    def _open(self, shard: int) -> None:
        """Go on behind the last sound entry of a shard; what lies behind it is cut off. Raises: DataError."""
        self._close()
        folder, record = self._cache.folder, self._cache.record
        index, data = index_file(folder, shard), data_file(folder, shard)
        _, sound = read_entries(index, data, record)
        self._shard, self._count = shard, int(sound.nonzero()[0].max()) + 1 if sound.any() else 0
        try:
            self._data = os.open(data, os.O_RDWR | os.O_CREAT, 0o644)
            self._index = os.open(index, os.O_RDWR | os.O_CREAT, 0o644)
            os.ftruncate(self._index, self._count * ENTRY.itemsize)
            os.ftruncate(self._data, self._count * record)
            _sync_folder(folder)
        except OSError as error:
            raise unwritable(folder, error) from error

    def _add(
        self,
        names: UInt8[np.ndarray, "n 32"],
        views: Sequence[int],
        records: UInt8[np.ndarray, "n record"],
        coverage: Sequence[float],
    ) -> None:
        """Raises: OSError."""
        entries = make_entries(names, views, coverage, [zlib.crc32(row) for row in records], self._count)
        _write_all(self._data, records, self._count * self._cache.record)
        os.fsync(self._data)
        _write_all(self._index, entries, self._count * ENTRY.itemsize)
        os.fsync(self._index)
        self._count += len(entries)

    def _close(self) -> None:
        for file in (self._data, self._index):
            if file >= 0:
                os.close(file)
        self._data = self._index = -1


def _write_all(file: int, data: Shaped[np.ndarray, "..."], offset: int) -> None:
    """Raises: OSError."""
    left = np.ascontiguousarray(data).view(np.uint8).reshape(-1)
    while len(left):
        written = os.pwrite(file, left.data, offset)
        left, offset = left[written:], offset + written


def _sync_folder(folder: Path) -> None:
    """New names reach the disk only with their folder."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Inside, nobody else writes into `folder`; the system frees the lock when its holder dies.

    Raises: UsageError while another process holds it; DataError where it cannot be made; NotSupported.
    """
    try:
        import fcntl
    except ImportError:
        raise NotSupported("Feature caches are written on Linux and macOS only; reading works.") from None
    try:
        file = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise unwritable(folder, error) from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(file, 200, 0).decode("utf-8", "replace").strip()
        os.close(file)
        raise UsageError(
            f"'{folder}' is being written by {holder or 'another process'}.",
            hint="Wait for it, or write into another folder; reading is possible meanwhile.",
        ) from None
    except OSError as error:
        os.close(file)
        raise DataError(
            f"'{folder}' is on a file system without locks: {error.strerror}.", hint="Write to a local disk."
        ) from error
    try:
        os.ftruncate(file, 0)
        os.pwrite(file, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
        yield
    finally:
        os.close(file)
