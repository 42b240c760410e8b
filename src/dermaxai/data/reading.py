"""What all readers share: a dataset's folder, its photos by name, its faults, and missing values."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice, takewhile
from pathlib import Path
from typing import Literal, final

from dermaxai.errors import DataError
from dermaxai.vocabulary import Label, labels

FaultKind = Literal[
    "unknown label",
    "missing photo",
    "broken row",
    "unreadable photo",
    "repeated photo",
    "repeated id",
    "count",
    "left out",
]
"""'left out': rows that the publisher says not to use, words of free text that nothing maps; told, but no
fault of the download."""
PHOTO_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"})
MISSING = frozenset({"", "unknown", "unk", "n/a", "na", "nan", "none", "null", "-"})
"""Spellings of 'not told', lower case."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong in a dataset's folder."""

    kind: FaultKind
    place: str
    """File and row: 'metadata.csv, line 12', or the photo's file."""
    message: str
    label: str = ""
    """Of a single row that is 'left out', so that it still counts among what the publisher promises."""


@final
class DatasetFolder:
    """One dataset on disk, as its publisher's download left it.

    Readers take what they need from here and tell here what is wrong; they raise only where nothing can be
    read at all (DataError: a table or a column is missing).
    """

    def __init__(self, root: Path | str, *, keep_unknown: bool = False) -> None:
        self.root = Path(root)
        self.keep_unknown = keep_unknown
        """Keep rows with a label that no table maps, with diagnosis None; else they are skipped."""
        self.faults: list[Fault] = []
        if not self.root.is_dir():
            raise DataError(f"There is no folder '{self.root}'.", hint="Give the folder of the download.")

    def report(self, kind: FaultKind, place: str, message: str, *, label: str = "") -> None:
        """Note a fault and go on; `label` as in `Fault`."""
        self.faults.append(Fault(kind, place, message, label))

    def find_file(self, *names: str) -> Path:
        """The first of `names` (paths below the root, `*` allowed) that is there, also one folder deeper.

        Raises: DataError naming all of them.
        """
        for name in names:
            for pattern in (name, f"*/{name}"):
                found = sorted(path for path in self.root.glob(pattern) if path.is_file())
                if found:
                    return found[0]
        raise DataError(
            f"'{self.root}' holds none of {', '.join(names)}.", hint="See `dermaxai data how NAME`."
        )

    @cached_property
    def photos(self) -> PhotoIndex:
        """Every photo below the root, found once."""
        return PhotoIndex(self.root)

    def label(self, dataset: str, column: str, text: str, place: str) -> Label | None:
        """What a publisher's label stands for; None (and a fault) where no table maps it.

        The row is then skipped unless `keep_unknown` is set.
        """
        known = labels(dataset)[column]
        found = known.get(text) or _squeezed(dataset, column).get(_squeeze(text))
        if found is None:
            told = f"{column}={text!r} is no label of {dataset}." if text.strip() else f"{column} is empty."
            self.report("unknown label", place, told)
        return found


_SQUEEZED: dict[tuple[str, str], dict[str, Label]] = {}


def _squeeze(text: str) -> str:
    """Case, spaces and the kind of dash do not tell labels apart."""
    return "".join(text.split()).casefold().replace("–", "-").replace("—", "-")


def _squeezed(dataset: str, column: str) -> Mapping[str, Label]:
    key = (dataset, column)
    if key not in _SQUEEZED:
        _SQUEEZED[key] = {_squeeze(text): label for text, label in labels(dataset)[column].items()}
    return _SQUEEZED[key]


@final
class PhotoIndex:
    """The photos of a folder by relative path, by file name and by stem, whatever the case of letters."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.paths: tuple[Path, ...] = tuple(
            sorted(
                path for path in root.rglob("*") if path.suffix.lower() in PHOTO_SUFFIXES and path.is_file()
            )
        )
        self._relative = {path.relative_to(root).as_posix(): path for path in self.paths}
        self._names: dict[str, list[Path]] = {}
        self._stems: dict[str, list[Path]] = {}
        for path in self.paths:
            self._names.setdefault(path.name.casefold(), []).append(path)
            self._stems.setdefault(path.stem.casefold(), []).append(path)

    def __len__(self) -> int:
        return len(self.paths)

    def at(self, relative: str) -> Path | None:
        """By path below the root, letters as they are; else by the end of the path, whatever the case."""
        if relative in self._relative:
            return self._relative[relative]
        end = f"/{relative.casefold()}"
        near = self._names.get(relative.rpartition("/")[2].casefold(), [])
        found = [
            path for path in near if f"/{path.relative_to(self.root).as_posix()}".casefold().endswith(end)
        ]
        return found[0] if found else None

    def named(self, name: str) -> Path | None:
        """By file name with ending, anywhere below the root."""
        return next(iter(self._names.get(name.casefold(), [])), None)

    def stem(self, stem: str) -> Path | None:
        """By file name without ending, anywhere below the root."""
        return next(iter(self._stems.get(stem.casefold(), [])), None)

    def starting(self, stem: str) -> list[Path]:
        """All whose stem begins with `stem`, in alphabetical order of their stems."""
        key = stem.casefold()
        first = bisect_left(self._sorted, key)
        near = takewhile(lambda name: name.startswith(key), islice(self._sorted, first, None))
        return [path for name in near for path in self._stems[name]]

    @cached_property
    def _sorted(self) -> list[str]:
        return sorted(self._stems)


def known(text: str | None) -> str | None:
    """The text, or None where it is a spelling of 'not told'.

    >>> known(" unknown "), known("face")
    (None, 'face')
    """
    stripped = (text or "").strip()
    return None if stripped.casefold() in MISSING else stripped


def read_number(text: str | None, *, low: float = -math.inf, high: float = math.inf) -> float | None:
    """A number within bounds, or None where nothing is told.

    Raises: ValueError for what is no number or out of bounds; readers report it as a broken row.

    >>> read_number("80.0"), read_number("")
    (80.0, None)
    """
    told = known(text)
    if told is None:
        return None
    try:
        value = float(told)
    except ValueError:
        raise ValueError(f"{told!r} is no number") from None
    if not low <= value <= high:
        raise ValueError(f"{told} is outside {low:g} to {high:g}")
    return value


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table, with its place for messages."""

    values: Mapping[str, str]
    place: str
    """'metadata.csv, line 12'."""
    overflow: int = 0
    """Filled cells beyond the last column: somewhere a comma stands too much, and cells are shifted."""

    def __getitem__(self, column: str) -> str:
        """The cell as text, '' where the row is too short."""
        return self.values.get(column) or ""

    def known(self, column: str) -> str | None:
        """The cell, or None where it is a spelling of 'not told'."""
        return known(self.values.get(column))


@dataclass(frozen=True, slots=True)
class ReadTable:
    """A table as read: its columns in order and its rows one by one."""

    path: Path
    columns: tuple[str, ...]
    rows: Iterable[Row] = field(repr=False)

    def require(self, *columns: str) -> ReadTable:
        """Itself. Raises: DataError naming what lacks and what is there."""
        absent = [column for column in columns if column not in self.columns]
        if absent:
            raise DataError(
                f"{self.path.name} lacks the columns {', '.join(absent)}; "
                f"it has {', '.join(self.columns) or 'none'}.",
                hint="A changed copy? Take the publisher's own file.",
            )
        return self

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)
