"""From any number of datasets to one manifest.

Rows are read and spooled to disk, photos are scanned, photos are joined into clusters and split, and the
manifest is written. Of all rows only keys and signatures are in memory at once.
"""

from __future__ import annotations

import csv
import io
import os
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from dermaxai.data.duplicates import find_near
from dermaxai.data.grouping import join, number_keys, same_photo
from dermaxai.data.readers import READERS
from dermaxai.data.reading import DatasetFolder
from dermaxai.data.rows import arrow, sample_schema
from dermaxai.data.samples import PARTS
from dermaxai.data.scanning import Photos, Progress, ScanIndex
from dermaxai.data.splitting import JoinReport, SplitOptions, report_joins, split, to_places
from dermaxai.data.spooling import (
    Compose,
    Signatures,
    Spool,
    Telling,
    add_scans,
    photo_paths,
    spool_samples,
    spooled_schema,
)
from dermaxai.data.writing import ManifestWriter, manifest_schema
from dermaxai.errors import DataError, UsageError

Sources = Sequence[tuple[str, DatasetFolder]]
Table = Any
"""An Arrow table."""
SHOWN = 5
"""Faults that an error names; all stand in the list of faults."""


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """What goes into a manifest."""

    split: SplitOptions = field(default_factory=SplitOptions)
    keep_missing: bool = False
    """Keep rows whose photo is not on disk or cannot be used."""
    measured: bool = True
    """Measure dermoscopic photos: about 0.1 s of one core for each, once."""
    composed: bool = True
    """Add composed captions."""
    index: Path | None = None
    """The index of photos (`scanning`); None: '<manifest>.photos' beside the manifest."""
    workers: int | None = None
    """Processes that read photos; None: one per core."""


@dataclass(frozen=True, slots=True)
class DatasetCount:
    """What became of one dataset's rows."""

    dataset: str
    rows: int
    """Samples that its reader gave."""
    kept: int
    """Rows in the manifest."""
    missing: int
    """Rows whose photo is not on disk."""
    unreadable: int
    """Rows whose photo cannot be used."""
    faults: int
    """Of all kinds, those included."""


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What was built."""

    path: Path
    sha256: str
    """Of the manifest's rows."""
    faults: Path
    """The list of faults, CSV: dataset, kind, place, message."""
    datasets: tuple[DatasetCount, ...]
    joined: JoinReport


def build(
    sources: Sources,
    out: Path | str,
    options: BuildOptions = BuildOptions(),
    *,
    on_progress: Progress | None = None,
    photos: Photos | None = None,
    compose: Compose | None = None,
) -> BuildReport:
    """Write the manifest of some datasets: names of `READERS` and their folders.

    Of rows that show the same photo the first, in the order of `sources`, is the one that others repeat.
    `photos` and `compose` stand in for the index of photos and for `composing.weak_captions`.
    Raises: UsageError for a dataset given twice, or where no row is left; UnknownName; DataError for
    structural trouble, and for labels that nothing maps unless their folder keeps them.
    """
    path, tell = Path(out), on_progress or _say_nothing
    folders = _named(sources)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as place:
        spool, counts = _read(folders, Path(place), tell)
        _check_labels(folders, _write_faults(folders, path))
        with _opened(photos, path, options) as known:
            _scan(spool, known, folders, measured=options.measured, tell=tell)
            telling = Telling(folders, known, _composer(options, compose), options.keep_missing)
            full, signatures = _complete(spool, telling, Path(place), tell)
        faults = _write_faults(folders, path)
        added, joined = _join(full, signatures, list(folders), options.split, tell)
        sha256 = _write(full, added, path, folders, tell)
    kept = np.bincount(signatures.dataset, minlength=len(folders)).tolist()
    return BuildReport(path, sha256, faults, tuple(_counted(folders, counts, kept)), joined)


def _say_nothing(what: str, done: int, total: int) -> None:
    return None


def _named(sources: Sources) -> dict[str, DatasetFolder]:
    folders = dict(sources)
    if len(folders) < len(sources):
        twice = [name for name, count in Counter(name for name, _ in sources).items() if count > 1]
        raise UsageError(f"{', '.join(twice)} given twice.", hint="Each dataset has one folder.")
    for name in folders:
        READERS[name]
    return folders


def _read(folders: dict[str, DatasetFolder], place: Path, tell: Progress) -> tuple[Spool, list[int]]:
    """All rows, and how many each reader gave."""
    spool = Spool(place / "read.arrow", sample_schema())
    counts = [
        spool_samples(READERS.load(name)(folder), name, folder, spool, tell)
        for name, folder in folders.items()
    ]
    spool.finish()
    return spool, counts


def _check_labels(folders: dict[str, DatasetFolder], told: Path) -> None:
    unknown = [
        fault
        for folder in folders.values()
        if not folder.keep_unknown
        for fault in folder.faults
        if fault.kind == "unknown label"
    ]
    if unknown:
        shown = "".join(f"\n  - {fault.place}: {fault.message}" for fault in unknown[:SHOWN])
        raise DataError(
            f"{len(unknown)} row(s) have a label that no table maps:{shown}\n",
            hint=f"All are in '{told}'. Correct the folder, or keep such rows without a diagnosis.",
        )


@contextmanager
def _opened(photos: Photos | None, path: Path, options: BuildOptions) -> Iterator[Photos]:
    if photos is not None:
        yield photos
        return
    place = options.index or path.with_name(f"{path.name}.photos")
    with ScanIndex(place, workers=options.workers) as index:
        yield index


def _scan(
    spool: Spool, photos: Photos, folders: dict[str, DatasetFolder], *, measured: bool, tell: Progress
) -> None:
    roots = {name: folder.root for name, folder in folders.items()}
    for dermoscopic in (False, True):
        paths = photo_paths(spool, roots, dermoscopic=dermoscopic)
        photos.scan(paths, measured=measured and dermoscopic, on_progress=tell)


def _composer(options: BuildOptions, compose: Compose | None) -> Compose | None:
    if not options.composed:
        return None
    if compose is None:
        from dermaxai.data.composing import weak_captions

        return weak_captions
    return compose


def _complete(spool: Spool, telling: Telling, place: Path, tell: Progress) -> tuple[Spool, Signatures]:
    full = Spool(place / "complete.arrow", spooled_schema())
    signatures = add_scans(spool, full, telling, tell)
    full.finish()
    if not full.rows:
        raise UsageError(
            "No row has a usable photo.", hint="Give the folder with the photos, or keep rows without."
        )
    return full, signatures


def _join(
    full: Spool, signatures: Signatures, datasets: list[str], options: SplitOptions, tell: Progress
) -> tuple[Table, JoinReport]:
    """Columns cluster, split and duplicate_of of all rows, and what was joined."""
    pa = arrow()
    ids, sha256 = full.column("id"), full.column("sha256")
    tell("near-duplicates", 0, 1)
    near = find_near(signatures.hashes, signatures.thumbnails)
    tell("near-duplicates", 1, 1)
    keys = number_keys(full.column("groups"), ids)
    clusters, first = join(keys, sha256, near), same_photo(keys, sha256)
    official = to_places(full.column("official_split"))
    parts = split(clusters, keys, ids, (official, datasets, signatures.dataset), options)
    again = pa.array(first != np.arange(len(first)))
    columns = {
        "cluster": pa.array(clusters.names, pa.string()).take(pa.array(clusters.of)),
        "split": pa.array(PARTS, pa.string()).take(pa.array(parts.of)),
        "duplicate_of": pa.compute.if_else(again, ids.take(pa.array(first)), ""),
    }
    return pa.table(columns), report_joins(clusters, parts, first, (official, datasets, signatures.dataset))


def _write(
    full: Spool,
    added: Table,
    path: Path,
    folders: dict[str, DatasetFolder],
    tell: Progress,
) -> str:
    roots = {name: folder.root.resolve() for name, folder in folders.items()}
    with ManifestWriter(path, roots) as writer:
        done = 0
        for batch in full.batches():
            more = added.slice(done, len(batch)).combine_chunks().to_batches()
            columns = [*batch.columns, *(column for piece in more for column in piece.columns)]
            writer.write(arrow().record_batch(columns, schema=manifest_schema()))
            done += len(batch)
            tell("write", done, full.rows)
        return writer.finish()


def _write_faults(folders: dict[str, DatasetFolder], path: Path) -> Path:
    """The list of all faults so far, beside the manifest."""
    told = path.with_name(f"{path.name}.faults.csv")
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("dataset", "kind", "place", "message"))
    for name, folder in folders.items():
        rows.writerows((name, fault.kind, fault.place, fault.message) for fault in folder.faults)
    new = told.with_name(f".{told.name}.new")
    new.write_text(text.getvalue(), "utf-8", "backslashreplace")
    os.replace(new, told)
    return told


def _counted(folders: dict[str, DatasetFolder], counts: list[int], kept: list[int]) -> Iterator[DatasetCount]:
    for (name, folder), rows, left in zip(folders.items(), counts, kept, strict=True):
        kinds = Counter(fault.kind for fault in folder.faults)
        yield DatasetCount(
            name, rows, left, kinds["missing photo"], kinds["unreadable photo"], len(folder.faults)
        )
