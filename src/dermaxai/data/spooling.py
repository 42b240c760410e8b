"""The rows of a build on disk, between its steps: as they were read, then with what their photos told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import final

import numpy as np
from jaxtyping import Int64, UInt8, UInt64

from dermaxai.data.appearance import Appearance
from dermaxai.data.hashing import BLANK, THUMBNAIL, to_words
from dermaxai.data.reading import DatasetFolder
from dermaxai.data.rows import (
    Batch,
    Column,
    File,
    Schema,
    arrow,
    captions_column,
    sample_schema,
    scan_columns,
    scan_schema,
    to_columns,
    to_samples,
)
from dermaxai.data.samples import Sample, SampleCaption
from dermaxai.data.scanning import Photos, Progress, Scan, in_batches
from dermaxai.errors import DataError

ROWS = 16_384
"""In a batch, and in a row group of the manifest."""
Compose = Callable[[Sample, Appearance | None], Sequence[SampleCaption]]
_UNREAD = Scan("", 0, 0, None, None)


@final
class Spool:
    """Record batches in a file: written once, then read as often as wanted."""

    def __init__(self, path: Path, schema: Schema) -> None:
        pa = arrow()
        self._path = path
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        self._writer = pa.ipc.new_file(str(path), schema, options=options)
        self.rows = 0

    def write(self, batch: Batch) -> None:
        """Add a batch."""
        self._writer.write_batch(batch)
        self.rows += len(batch)

    def finish(self) -> None:
        """End the writing."""
        self._writer.close()

    @cached_property
    def _file(self) -> File:
        return arrow().ipc.open_file(arrow().memory_map(str(self._path)))

    def batches(self) -> Iterator[Batch]:
        """All batches, in order."""
        return map(self._file.get_batch, range(self._file.num_record_batches))

    def column(self, name: str) -> Column:
        """One column of all rows, in one piece."""
        schema = self._file.schema
        pieces = [batch.column(name) for batch in self.batches()]
        return arrow().chunked_array(pieces, schema.field(name).type).combine_chunks()


def spool_samples(
    samples: Iterable[Sample],
    name: str,
    folder: DatasetFolder,
    spool: Spool,
    on_progress: Progress,
) -> int:
    """Write the samples of one dataset; how many its reader gave.

    A second sample of one id is left out and reported, as is one whose file has a name that is no text.
    Raises: DataError for a sample of another dataset or a photo outside the folder.
    """
    seen: set[str] = set()
    count = 0
    for some in in_batches(samples, ROWS):
        count += len(some)
        kept = [sample for sample in some if _is_fit(sample, seen, folder)]
        try:
            spool.write(to_columns(kept, {name: folder.root}))
        except (KeyError, ValueError) as error:
            raise DataError(
                f"The reader of {name} gave a sample of another dataset or with a photo elsewhere: {error}."
            ) from error
        on_progress(name, count, 0)
    return count


def _is_fit(sample: Sample, seen: set[str], folder: DatasetFolder) -> bool:
    if sample.id in seen:
        folder.report("repeated id", sample.place, f"'{sample.id}' was read before; this row is left out.")
        return False
    seen.add(sample.id)
    try:
        str(sample.path).encode()
    except UnicodeEncodeError:
        folder.report("broken row", sample.place, f"the file name {str(sample.path)!r} is no valid text.")
        return False
    return True


def spooled_schema() -> Schema:
    """Columns of rows with what their photos told."""
    return arrow().schema([*sample_schema(), *scan_schema()])


def photo_paths(spool: Spool, roots: Mapping[str, Path], *, dermoscopic: bool) -> Iterator[Path]:
    """Photos of one kind, in order."""
    for batch in spool.batches():
        names = ("dataset", "path", "modality")
        for dataset, path, modality in zip(*(batch.column(name).to_pylist() for name in names), strict=True):
            if path is not None and (modality == "dermoscopic") == dermoscopic:
                yield roots[dataset] / path


@dataclass(frozen=True, slots=True, eq=False)
class Signatures:
    """What near-duplicates of n rows are found by, and the rows' datasets."""

    hashes: UInt64[np.ndarray, "n 4"]
    """Zero for a photo without pattern or that was not read."""
    thumbnails: UInt8[np.ndarray, "n 256"]
    dataset: Int64[np.ndarray, " n"]
    """Place in the list of sources."""


@dataclass(frozen=True, slots=True)
class Telling:
    """What rows are completed with."""

    folders: Mapping[str, DatasetFolder]
    photos: Photos
    compose: Compose | None
    """Makes captions to add; None: none."""
    keep_missing: bool


def add_scans(spool: Spool, full: Spool, telling: Telling, on_progress: Progress) -> Signatures:
    """Write each row again with what its photo told and with composed captions.

    Rows without a usable photo are reported, and left out unless they are to be kept.
    """
    roots = {name: folder.root for name, folder in telling.folders.items()}
    names = {name: place for place, name in enumerate(roots)}
    hashes, thumbnails, datasets, done = [to_words([])], [_thumbnails([])], [np.zeros(0, np.int64)], 0
    for batch in spool.batches():
        samples = to_samples(batch, roots)
        scans = _scans_of(samples, telling.photos)
        kept = [
            place
            for place, (sample, scan) in enumerate(zip(samples, scans, strict=True))
            if _is_usable(sample, scan, telling) or telling.keep_missing
        ]
        samples, read = [samples[place] for place in kept], [scans[place] or _UNREAD for place in kept]
        full.write(_completed(batch.take(arrow().array(kept, "int64")), samples, read, telling.compose))
        hashes.append(to_words([scan.signature.phash if scan.signature else BLANK for scan in read]))
        thumbnails.append(_thumbnails(read))
        datasets.append(np.array([names[sample.dataset] for sample in samples], np.int64))
        done += len(batch)
        on_progress("rows", done, spool.rows)
    return Signatures(np.concatenate(hashes), np.concatenate(thumbnails), np.concatenate(datasets))


def _scans_of(samples: Sequence[Sample], photos: Photos) -> list[Scan | None]:
    """None where a row has no photo on disk."""
    known = iter(photos.find([sample.path for sample in samples if sample.path]))
    return [next(known) or _UNREAD if sample.path else None for sample in samples]


def _is_usable(sample: Sample, scan: Scan | None, telling: Telling) -> bool:
    folder = telling.folders[sample.dataset]
    if scan is None:
        folder.report("missing photo", sample.place, f"'{sample.id}' has no photo on disk.")
    elif not scan.sha256:
        folder.report("unreadable photo", sample.place, scan.error or f"'{sample.path}' was not read.")
    return bool(scan and scan.sha256)


def _completed(
    batch: Batch, samples: Sequence[Sample], scans: Sequence[Scan], compose: Compose | None
) -> Batch:
    """The rows with the hash of their file, more captions, and the columns of their scans."""
    columns = dict(zip(batch.schema.names, batch.columns, strict=True))
    hashes = [scan.sha256 or sample.sha256 for sample, scan in zip(samples, scans, strict=True)]
    columns["sha256"] = arrow().array(hashes, arrow().string())
    if compose is not None:
        columns["captions"] = captions_column(
            [
                (*sample.captions, *compose(sample, scan.appearance))
                for sample, scan in zip(samples, scans, strict=True)
            ]
        )
    return arrow().record_batch([*columns.values(), *scan_columns(scans)], schema=spooled_schema())


def _thumbnails(scans: Sequence[Scan]) -> UInt8[np.ndarray, "n 256"]:
    nothing = bytes(THUMBNAIL**2)
    data = b"".join(scan.signature.thumbnail if scan.signature else nothing for scan in scans)
    return np.frombuffer(data, np.uint8).reshape(-1, THUMBNAIL**2)
