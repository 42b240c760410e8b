"""Writes a manifest: whole or not at all, and the same bytes for the same rows."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self, final

from dermaxai.data.rows import Batch, Schema, arrow, sample_schema, scan_schema

FORMAT = 1
KEY = b"dermaxai"
"""Of the file's metadata: format, roots and hash as JSON."""


def manifest_schema() -> Schema:
    """All columns, in order."""
    pa = arrow()
    added = [(name, pa.string()) for name in ("cluster", "split", "duplicate_of")]
    return pa.schema([*sample_schema(), *scan_schema(), *pa.schema(added)])


@final
class ManifestWriter:
    """Writes a manifest batch by batch; it is there, whole, when all is written, and not before.

    The same batches give the same bytes.
    """

    def __init__(self, path: Path | str, roots: Mapping[str, Path]) -> None:
        self.path = Path(path)
        self._roots = {name: str(root) for name, root in roots.items()}
        self._new = self.path.with_name(f".{self.path.name}.new")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._sink = _HashingFile(self._new.open("wb"))
        self._writer = arrow().parquet.ParquetWriter(self._sink, manifest_schema(), compression="zstd")

    def write(self, batch: Batch) -> None:
        """Add rows, as one row group."""
        self._writer.write_table(arrow().Table.from_batches([batch]), row_group_size=max(len(batch), 1))

    def finish(self) -> str:
        """Put the manifest in its place; its `sha256`."""
        digest = self._sink.sha256.hexdigest()
        notes = {"format": FORMAT, "roots": self._roots, "sha256": digest}
        self._writer.add_key_value_metadata({KEY: json.dumps(notes)})
        self._writer.close()
        self._sink.sync()
        os.replace(self._new, self.path)
        return digest

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer.is_open:
            self._writer.close()
        self._sink.close()
        self._new.unlink(missing_ok=True)


def rewrite(path: Path, out: Path, roots: Mapping[str, Path]) -> str:
    """The same rows with other folders of datasets; gives their hash, which stays the same.

    Args: path, a manifest; out may be the same file; roots of all its datasets.
    """
    file = arrow().parquet.ParquetFile(path)
    with ManifestWriter(out, roots) as writer:
        for group in range(file.num_row_groups):
            for batch in file.read_row_group(group).combine_chunks().to_batches():
                writer.write(batch)
        return writer.finish()


@final
class _HashingFile:
    """A file that knows the hash of what was written to it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.sha256 = hashlib.sha256()

    def write(self, data: bytes) -> int:
        self.sha256.update(data)
        return self._file.write(data)

    def tell(self) -> int:
        return self._file.tell()

    def flush(self) -> None:
        self._file.flush()

    def sync(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def close(self) -> None:
        self._file.close()

    @property
    def closed(self) -> bool:
        return self._file.closed

    def readable(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False


def hash_rows(path: Path) -> str:
    """Of everything before the footer, whose length stands before the last four bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        file.seek(-8, os.SEEK_END)
        left = file.tell() - int.from_bytes(file.read(4), "little")
        file.seek(0)
        while left > 0:
            part = file.read(min(left, 1 << 20))
            digest.update(part)
            left -= len(part)
    return digest.hexdigest()
