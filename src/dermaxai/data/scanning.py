"""Reads every photo once: its hash, size, signature and, where asked, what can be measured in it.

What was found is kept in an index on disk (SQLite), by path, size and time of change. A second scan reads
nothing again, and one that was killed goes on where it was.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from multiprocessing import get_context, parent_process
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import TracebackType
from typing import Protocol, TypeVar, final

import numpy as np
from jaxtyping import UInt8

from dermaxai.data.appearance import Appearance, measure
from dermaxai.data.hashing import Signature, sign
from dermaxai.errors import DataError, DermaXAIError
from dermaxai.images import read_image

Progress = Callable[[str, int, int], None]
"""Called with what is done, how much of it, and of how much."""

FORMAT = 1
"""Of the index; another number makes it start anew. Raise it with a change of `sign` or `measure`."""
_COMMIT_SECONDS = 1.0
_AT_ONCE = 2048
_TABLE = """CREATE TABLE IF NOT EXISTS photos (
    path BLOB PRIMARY KEY, size INTEGER, changed INTEGER, measured INTEGER, sha256 TEXT, width INTEGER,
    height INTEGER, phash BLOB, thumbnail BLOB, appearance TEXT, error TEXT
) WITHOUT ROWID"""


@dataclass(frozen=True, slots=True)
class Scan:
    """What one photo's file told."""

    sha256: str
    """Of the file; '' where it cannot be read."""
    width: int
    """Pixels, upright; 0 where it cannot be read."""
    height: int
    signature: Signature | None
    appearance: Appearance | None
    """None where it was not asked for, or where no lesion was found."""
    error: str = ""
    """Why the photo cannot be used."""


class Photos(Protocol):
    """What a build asks of photos; a `ScanIndex`, or something that knows them from elsewhere."""

    def scan(self, paths: Iterable[Path], *, measured: bool, on_progress: Progress | None = None) -> int:
        """Read what is not known yet; the number of photos read."""
        ...

    def find(self, paths: Sequence[Path]) -> list[Scan | None]:
        """What is known of each."""
        ...


def scan(
    paths: Iterable[Path],
    index_path: Path,
    *,
    measured: bool = False,
    workers: int | None = None,
    on_progress: Progress | None = None,
) -> dict[Path, Scan]:
    """What photos tell, from the index where it is known; as `ScanIndex`."""
    wanted = list(paths)
    with ScanIndex(index_path, workers=workers) as index:
        index.scan(wanted, measured=measured, on_progress=on_progress)
        found = index.find(wanted)
    return {path: known for path, known in zip(wanted, found, strict=True) if known is not None}


@final
class ScanIndex:
    """The index of photos on disk.

    One process writes at a time; `workers` (default: one per core) only read photos.
    Raises: DataError where the file is something else or another process writes to it.
    """

    def __init__(self, path: Path | str, *, workers: int | None = None) -> None:
        self.path = Path(path)
        self.workers = workers or _cores()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._explained():
            self._open()

    def _open(self) -> None:
        self._base = sqlite3.connect(self.path, timeout=10)
        self._base.execute("PRAGMA journal_mode = WAL")
        self._base.execute("PRAGMA synchronous = NORMAL")
        (written,) = self._base.execute("PRAGMA user_version").fetchone()
        if written != FORMAT:
            self._base.execute("DROP TABLE IF EXISTS photos")
        self._base.execute(_TABLE)
        self._base.execute(f"PRAGMA user_version = {FORMAT}")
        self._base.commit()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            raise DataError(
                f"'{self.path}' cannot be used as an index of photos: {error}.",
                hint="Is another run writing to it? Else remove it; it is made again from the photos.",
            ) from error

    def __enter__(self) -> ScanIndex:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._base.close()

    def scan(
        self, paths: Iterable[Path], *, measured: bool = False, on_progress: Progress | None = None
    ) -> int:
        """Read what is not known yet or has changed since; the number of photos read.

        Raises: DataError where a worker dies, naming the photos it had.
        """
        what = "photos measured" if measured else "photos"
        asked = list(dict.fromkeys(os.fspath(path) for path in paths))
        with self._explained():
            todo = [path for path in asked if not self._knows(path, measured)]
            known, told = len(asked) - len(todo), time.monotonic()
            for done, row in enumerate(_read_all(todo, measured, self.workers), known + 1):
                self._base.execute(f"INSERT OR REPLACE INTO photos VALUES ({','.join('?' * 11)})", row)
                if time.monotonic() - told > _COMMIT_SECONDS:
                    self._base.commit()
                    told = time.monotonic()
                    _tell(on_progress, what, done, len(asked))
            self._base.commit()
        _tell(on_progress, what, len(asked), len(asked))
        return len(todo)

    def _knows(self, path: str, measured: bool) -> bool:
        row = self._base.execute(
            "SELECT size, changed, measured FROM photos WHERE path = ?", (os.fsencode(path),)
        ).fetchone()
        return row is not None and row[:2] == _state(path) and row[2] >= measured

    def find(self, paths: Sequence[Path]) -> list[Scan | None]:
        """What the index holds of each photo, whether or not the file has changed since; None: nothing."""
        asked = [os.fsencode(path) for path in paths]
        found: dict[bytes, Scan] = {}
        with self._explained():
            for some in in_batches(dict.fromkeys(asked), 500):
                rows = self._base.execute(
                    "SELECT path, sha256, width, height, phash, thumbnail, appearance, error FROM photos "
                    f"WHERE path IN ({','.join('?' * len(some))})",
                    some,
                )
                found.update((row[0], _scan_of(row[1:])) for row in rows)
        return [found.get(path) for path in asked]


def _cores() -> int:
    """Those that this process may use, where the system tells."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _tell(on_progress: Progress | None, what: str, done: int, total: int) -> None:
    if on_progress is not None:
        on_progress(what, done, total)


def _state(path: str) -> tuple[int, int]:
    """Size and time of change, ns; what cannot be asked is tried again at each scan."""
    try:
        state = os.stat(path)
    except (OSError, ValueError):
        return -1, time.time_ns()
    return state.st_size, state.st_mtime_ns


_Row = tuple[object, ...]
_Any = TypeVar("_Any")


def in_batches(items: Iterable[_Any], size: int) -> Iterator[tuple[_Any, ...]]:
    """Tuples of `size` items; the last may be shorter.

    >>> list(in_batches("abcde", 2))
    [('a', 'b'), ('c', 'd'), ('e',)]
    """
    source = iter(items)
    while batch := tuple(islice(source, size)):
        yield batch


def _read_all(paths: Sequence[str], measured: bool, workers: int) -> Iterator[_Row]:
    read = partial(_read_one, measured=measured)
    if workers == 1 or len(paths) < 32:
        yield from map(read, paths)
        return
    with ProcessPoolExecutor(workers, get_context("spawn"), _follow_parent) as pool:
        for some in in_batches(paths, _AT_ONCE):
            try:
                yield from pool.map(read, some, chunksize=16)
            except BrokenProcessPool as error:
                raise DataError(
                    f"A process that read photos died between '{some[0]}' and '{some[-1]}'.",
                    hint="Out of memory, or a script without `if __name__ == '__main__':`? What was read is "
                    "kept; with one worker no process is started.",
                ) from error


def _follow_parent() -> None:
    """End this process with the one that started it, even if that is killed."""
    threading.Thread(target=_end_with, args=(parent_process(),), daemon=True).start()


def _end_with(parent: BaseProcess | None) -> None:
    if parent is not None:
        parent.join()
        os._exit(1)


def _read_one(path: str, *, measured: bool) -> _Row:
    """A row of the index."""
    state = _state(path)
    head = (os.fsencode(path), *state, int(measured))
    try:
        image = read_image(path)
    except DermaXAIError as error:
        return (*head, "", 0, 0, None, None, None, str(error))
    height, width = image.pixels.shape[:2]
    signature = sign(image.pixels)
    appearance = _write_appearance(_measure(image.pixels)) if measured else None
    return *head, image.sha256, width, height, signature.phash, signature.thumbnail, appearance, ""


def _measure(pixels: UInt8[np.ndarray, "height width 3"]) -> Appearance | None:
    try:
        return measure(pixels)
    except ValueError:  # An outline of a pixel or a line has no axes.
        return None


def _write_appearance(found: Appearance | None) -> str | None:
    if found is None or not found.colours:
        return None
    numbers = [found.area, found.asymmetry, found.irregularity, found.contrast, found.touches]
    return json.dumps([*map(float, numbers), found.colours])


def _read_appearance(text: str | None) -> Appearance | None:
    if text is None:
        return None
    area, asymmetry, irregularity, contrast, touches, colours = json.loads(text)
    shares = tuple((name, share) for name, share in colours)
    return Appearance(area, asymmetry, irregularity, shares, contrast, touches)


def _scan_of(row: Sequence[object]) -> Scan:
    sha256, width, height, phash, thumbnail, appearance, error = row
    signature = Signature(phash, thumbnail) if isinstance(phash, bytes) else None  # type: ignore[arg-type]
    return Scan(sha256, width, height, signature, _read_appearance(appearance), error)  # type: ignore[arg-type]
