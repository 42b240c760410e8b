"""What was found for each photo, on disk as it comes, so that a stop costs nothing done.

One file per key: JSON lines, the first holds the key, each further one a photo. The key names everything that
the documents depend on (model, method, protocol), so that another setting is another file.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import socket
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, final

import numpy as np

from dermaxai.errors import DataError, DermaXAIError, NotSupported, SettingError, UsageError
from dermaxai.evaluate.items import Item, Progress

FORMAT = 1
AT_ONCE = 16
"""Documents after which the disk is asked to have them; a power cut costs at most so many."""
Document = dict[str, Any]
"""Texts, numbers, truth values, lists and dictionaries of these. NaN is written as null and read as NaN;
None is read as NaN too."""


@final
class Records:
    """Documents by item, in a file that grows; one process at a time adds to it.

    Reading needs no lock. The first `put` takes it, `close` lets it go, and a later `put` takes it again.
    """

    def __init__(self, path: Path, header: bytes) -> None:
        self.path = path
        self._header = header
        self._places: dict[str, tuple[str, int, int]] = {}
        self._file = -1
        self._end = self._unsynced = 0
        self._lock = threading.Lock()
        if path.exists():
            self._read()

    @classmethod
    def open(cls, folder: Path | str, key: Mapping[str, str]) -> Records:
        """The records of `key` below `folder`; nothing is written yet.

        Raises: DataError where the file holds something else; SettingError for an empty key.
        """
        if not key:
            raise SettingError("Records need a key.", hint="Name model, protocol and seed in it.")
        header = _to_line({"format": FORMAT, "key": {name: str(key[name]) for name in sorted(key)}})
        return cls(Path(folder) / f"{hashlib.sha256(header).hexdigest()[:32]}.jsonl", header)

    def __len__(self) -> int:
        return len(self._places)

    def __enter__(self) -> Records:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_file", -1) >= 0:
            os.close(self._file)

    def get(self, item: Item) -> Document | None:
        """What was put for this photo; None where nothing was, or where its file is another one now.

        Raises: DataError where the file has gone or was changed meanwhile.
        """
        known = self._places.get(item.id)
        if known is None or known[0] != item.sha256:
            return None
        _, start, length = known
        try:
            with self.path.open("rb") as file:
                file.seek(start)
                return _document(json.loads(file.read(length)))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"'{self.path}' was changed while it was read.", hint="Run again; what is whole is kept."
            ) from error

    def put(self, item: Item, document: Mapping[str, Any]) -> None:
        """Add what was found for a photo; it outlives this process at once, a power cut after `AT_ONCE`.

        Raises: UsageError while another process adds; DataError for values that JSON cannot hold and where
        nothing can be written.
        """
        line = _to_line({"id": item.id, "sha256": item.sha256, "document": plain(document)})
        with self._lock:
            if self._file < 0:
                self._take()
            self._write(line)
            self._places[item.id] = item.sha256, self._end - len(line), len(line)
            self._unsynced += 1
            if self._unsynced >= AT_ONCE:
                self._sync()

    def missing(self, items: Iterable[Item]) -> list[Item]:
        """Those without a document."""
        return [item for item in items if self._places.get(item.id, ("",))[0] != item.sha256]

    def close(self) -> None:
        """Everything is on the disk, and others may add."""
        with self._lock:
            if self._file >= 0:
                try:
                    self._sync()
                finally:
                    os.close(self._file)
                    self._file = -1

    def _take(self) -> None:
        """The lock, and the file as it is now: without a torn end, with what others added."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise _unwritable(self.path, error) from error
        try:
            _hold(file, self.path)
            self._read()
            os.ftruncate(file, self._end)
        except OSError as error:
            os.close(file)
            raise _unwritable(self.path, error) from error
        except BaseException:
            os.close(file)
            raise
        self._file = file
        if self._end == 0:
            self._write(self._header)

    def _read(self) -> None:
        """Places of all whole documents, the last of a photo; lines that nobody can read are passed over."""
        self._places, self._end = {}, 0
        with self.path.open("rb") as file:
            for number, line in enumerate(file):
                if not line.endswith(b"\n"):
                    break
                if number == 0 and line != self._header:
                    raise DataError(
                        f"'{self.path}' does not begin with the key {self._header.decode().strip()}.",
                        hint="Choose another folder for records, or remove the file.",
                    )
                if number and (told := _owner(line)):
                    self._places[told[0]] = told[1], self._end, len(line)
                self._end += len(line)

    def _write(self, line: bytes) -> None:
        left, place = memoryview(line), self._end
        try:
            while left:
                written = os.pwrite(self._file, left, place)
                left, place = left[written:], place + written
        except OSError as error:
            raise _unwritable(self.path, error) from error
        self._end = place

    def _sync(self) -> None:
        try:
            os.fsync(self._file)
        except OSError as error:
            raise _unwritable(self.path, error) from error
        self._unsynced = 0


def work_through(
    items: Sequence[Item],
    records: Records | None,
    work: Callable[[Item], Mapping[str, Any]],
    tell: Progress | None = None,
    what: str = "photos",
) -> list[Document]:
    """One document per item, in order; only what the records lack is worked out.

    Documents are as they would be read back, whether or not they are. A photo that fails gives
    `{"error": why}`, which no record keeps, so that it is tried again next time.
    Raises: the error of the first photo where every single one fails.
    """
    found: list[Document] = []
    first: DermaXAIError | None = None
    try:
        for done, item in enumerate(items, 1):
            document = records.get(item) if records is not None else None
            if document is None:
                try:
                    document = _document({"document": plain(work(item))})
                except DermaXAIError as error:
                    first = first or error
                    document = {"error": str(error)}
                else:
                    if records is not None:
                        records.put(item, document)
            found.append(document)
            if tell:
                tell(what, done, len(items))
    finally:
        if records is not None:
            records.close()
    if first and all("error" in document for document in found):
        raise first
    return found


def failures(items: Sequence[Item], documents: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """One sentence on photos that failed, with the first of them; nothing where none did."""
    failed = [
        (item.id, document["error"])
        for item, document in zip(items, documents, strict=True)
        if "error" in document
    ]
    if not failed:
        return ()
    return (
        f"{len(failed)} of {len(items)} photos could not be used; the first, {failed[0][0]}: {failed[0][1]}",
    )


def plain(value: Any) -> Any:  # noqa: ANN401 - JSON is any of its types
    """A value as JSON holds it: numpy becomes numbers and lists, NaN becomes None.

    Raises: DataError for infinite numbers and for what is neither text, number, list nor dictionary.
    """
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, float) and not math.isfinite(value):
        if math.isnan(value):
            return None
        raise DataError("A number is infinite; records hold finite numbers and NaN.", hint="Report this.")
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(name): plain(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    raise DataError(f"Records hold texts, numbers and lists of them; {type(value).__name__} came.")


def _document(line: Mapping[str, Any]) -> Document:
    """The document in a line, as every reader gets it."""
    found = _with_nan(line["document"])
    if not isinstance(found, dict):
        raise DataError(f"A document is a dictionary; {type(found).__name__} came.")
    return found


def _with_nan(value: Any) -> Any:  # noqa: ANN401 - JSON is any of its types
    if value is None:
        return float("nan")
    if isinstance(value, dict):
        return {name: _with_nan(entry) for name, entry in value.items()}
    return [_with_nan(entry) for entry in value] if isinstance(value, list) else value


def _to_line(value: object) -> bytes:
    return f"{json.dumps(value, ensure_ascii=False, allow_nan=False)}\n".encode("utf-8", "backslashreplace")


def _owner(line: bytes) -> tuple[str, str] | None:
    """Id and hash of the photo that a line is about; None for a line that is none."""
    try:
        told = json.loads(line)
        return (str(told["id"]), str(told["sha256"])) if isinstance(told["document"], dict) else None
    except (ValueError, KeyError, TypeError):
        return None


def _hold(file: int, path: Path) -> None:
    """Raises: UsageError while another process holds the file; NotSupported; OSError."""
    try:
        import fcntl
    except ImportError:
        raise NotSupported("Records are written on Linux and macOS only; reading works.") from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UsageError(
            f"'{path}' is being written by another process on {socket.gethostname()}.",
            hint="Wait for it, or choose another folder for records.",
        ) from None


def _unwritable(path: Path, error: OSError) -> DataError:
    reason = error.strerror or str(error)
    return DataError(f"'{path}' cannot be written: {reason}.", hint="Make room, or choose another folder.")
