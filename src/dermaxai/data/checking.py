"""What is wrong with one dataset on disk: rows, photos, duplicates, counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from dermaxai.data.duplicates import find_near
from dermaxai.data.hashing import THUMBNAIL, Signature, count_flips, to_words
from dermaxai.data.readers import READERS
from dermaxai.data.reading import DatasetFolder, Fault
from dermaxai.data.samples import Part, Sample
from dermaxai.data.scanning import Photos, Progress, Scan


@dataclass(frozen=True, slots=True)
class ExpectedCounts:
    """What the publisher promises."""

    rows: int = 0
    """Photos in the table; 0 where nobody tells."""
    labels: Mapping[str, int] = field(default_factory=dict)
    """Photos per label as the publisher spells it; empty where nobody tells."""
    part: Part | None = None
    """The publisher's part that `labels` counts; None for all. A part without any row is not missed."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two photos of the dataset that are the same or nearly."""

    one: Path
    other: Path
    flips: int
    """Bits in which their hashes differ; 0 for the same file twice."""
    grouped: bool
    """They share a group key, as two photos of one lesion do."""


@dataclass(frozen=True, slots=True)
class CheckReport:
    """All that was found; nothing is left out, what is shown is the reader's choice."""

    dataset: str
    root: Path
    samples: int
    """That the reader gave."""
    photos: int
    """Files of photos below the root."""
    labels: Mapping[str, int]
    """Samples per label as the publisher spells it."""
    faults: tuple[Fault, ...]
    """In the order of reading, then photos, then counts."""
    same: tuple[Pair, ...]
    """The same file under two names."""
    near: tuple[Pair, ...]
    """Near-duplicates (`duplicates`) that are not the same file."""
    unnamed: tuple[Path, ...]
    """Photos on disk that no row names."""

    @property
    def is_clean(self) -> bool:
        """Whether there are no faults. Near-duplicates, photos without a row, rows left out are none."""
        return not self.wrong

    @property
    def wrong(self) -> int:
        """How many faults there are, without the rows that the publisher says not to use."""
        return sum(fault.kind != "left out" for fault in self.faults)

    @property
    def kinds(self) -> Mapping[str, int]:
        """How many faults there are of each kind, the commonest first."""
        return dict(Counter(fault.kind for fault in self.faults).most_common())


def check(
    name: str,
    folder: DatasetFolder,
    expected: ExpectedCounts = ExpectedCounts(),
    *,
    photos: Photos,
    on_progress: Progress | None = None,
) -> CheckReport:
    """Read a dataset as a build would, and each of its photos.

    Raises: UnknownName; DataError for structural trouble.
    """
    samples = list(READERS.load(name)(folder))
    named = [sample for sample in samples if sample.path is not None]
    paths = list(dict.fromkeys(sample.path for sample in named if sample.path is not None))
    photos.scan(paths, measured=False, on_progress=on_progress)
    scans = {path: scan for path, scan in zip(paths, photos.find(paths), strict=True) if scan is not None}
    same, near = _same(scans), _near(scans)
    groups = _groups(named)
    labels = Counter(sample.label for sample in samples if sample.label)
    faults = (
        *folder.faults,
        *_row_faults(samples),
        *_photo_faults(scans, folder.root),
        *_count_faults(samples, folder.faults, expected),
    )
    return CheckReport(
        dataset=name,
        root=folder.root,
        samples=len(samples),
        photos=len(folder.photos),
        labels=dict(labels.most_common()),
        faults=faults,
        same=tuple(_pair(*pair, 0, groups) for pair in same),
        near=tuple(_pair(*pair, groups) for pair in near),
        unnamed=tuple(sorted(set(folder.photos.paths) - set(paths))),
    )


def _row_faults(samples: Sequence[Sample]) -> Iterator[Fault]:
    ids: dict[str, str] = {}
    paths: dict[Path, str] = {}
    for sample in samples:
        if sample.id in ids:
            yield Fault("repeated id", sample.place, f"'{sample.id}' is also in {ids[sample.id]}.")
        ids.setdefault(sample.id, sample.place)
        if sample.path is None:
            yield Fault("missing photo", sample.place, f"'{sample.id}' has no photo on disk.")
        elif sample.path in paths:
            yield Fault(
                "repeated photo", sample.place, f"'{sample.path.name}' is also in {paths[sample.path]}."
            )
        else:
            paths[sample.path] = sample.place


def _photo_faults(scans: Mapping[Path, Scan], root: Path) -> Iterator[Fault]:
    for path, scan in scans.items():
        if scan.error:
            yield Fault("unreadable photo", _below(path, root), scan.error)
    for one, other in _same(scans):
        yield Fault(
            "repeated photo", _below(other, root), f"The same file as '{_below(one, root)}', byte for byte."
        )


def _below(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def _count_faults(
    samples: Sequence[Sample], told: Sequence[Fault], expected: ExpectedCounts
) -> Iterator[Fault]:
    """Promises count the rows that are left out too, where the reader tells them one by one."""
    left_out = [fault.label for fault in told if fault.label]
    rows = len(samples) + len(left_out)
    if rows != (expected.rows or rows):
        yield Fault("count", "all rows", f"{expected.rows} are promised, {rows} were read.")
    elif not samples:
        yield Fault("count", "all rows", "None was read.")
    counted = [sample for sample in samples if expected.part in (None, sample.official_split)]
    if expected.labels and (counted or expected.part is None):
        labels = Counter([*(sample.label for sample in counted if sample.label), *left_out])
        for label in sorted(expected.labels.keys() | labels.keys()):
            promised, found = expected.labels.get(label, 0), labels[label]
            if promised != found:
                yield Fault("count", f"label {label!r}", f"{promised} are promised, {found} were read.")


def _same(scans: Mapping[Path, Scan]) -> Iterator[tuple[Path, Path]]:
    """The first file of a content, and each later one."""
    first: dict[str, Path] = {}
    for path, scan in scans.items():
        if scan.sha256:
            if scan.sha256 in first:
                yield first[scan.sha256], path
            first.setdefault(scan.sha256, path)


def _near(scans: Mapping[Path, Scan]) -> Iterator[tuple[Path, Path, int]]:
    """Each two files of different content that are near-duplicates, with the bits that differ."""
    unlike: dict[str, tuple[Path, Signature]] = {}
    for path, scan in scans.items():
        if scan.signature is not None:
            unlike.setdefault(scan.sha256, (path, scan.signature))
    signed = list(unlike.values())
    hashes = to_words([signature.phash for _, signature in signed])
    thumbnails = np.frombuffer(b"".join(signature.thumbnail for _, signature in signed), np.uint8)
    pairs = find_near(hashes, thumbnails.reshape(-1, THUMBNAIL**2))
    flips = count_flips(hashes[pairs[:, 0]], hashes[pairs[:, 1]])
    for (one, other), count in zip(pairs.tolist(), flips.tolist(), strict=True):
        yield signed[one][0], signed[other][0], count


def _groups(samples: Sequence[Sample]) -> Mapping[Path, frozenset[str]]:
    found: dict[Path, frozenset[str]] = {}
    for sample in samples:
        if sample.path is not None:
            found[sample.path] = found.get(sample.path, frozenset()) | set(sample.groups)
    return found


def _pair(one: Path, other: Path, flips: int, groups: Mapping[Path, frozenset[str]]) -> Pair:
    return Pair(one, other, flips, not groups[one].isdisjoint(groups[other]))
