"""Go through tables larger than memory; the rows of one photo come together, wherever they stand."""

from __future__ import annotations

import csv
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, final

import numpy as np

from dermaxai.data.reading import FaultKind, ReadTable, Row
from dermaxai.errors import DataError

csv.field_size_limit(10_000_000)
Report = Callable[[FaultKind, str, str], None]
"""`DatasetFolder.report`."""
_LOST = "\ufffd"


@dataclass(frozen=True, slots=True)
class RowGroup:
    """All rows with one key, in table order."""

    key: str
    rows: tuple[Row, ...]
    table: Path
    """Where the first of them stands."""


def grouped_rows(tables: Sequence[Path], columns: Sequence[str], report: Report) -> Iterator[RowGroup]:
    """Rows of comma-separated UTF-8 tables, grouped by the first of `columns`, in order of first appearance.

    The tables are gone through twice: once to note where each row stands, about 20 bytes a row and the keys
    themselves, then group by group. Rows with too few or too many cells or without a key are reported and
    left out. Raises: DataError for a table that lacks one of `columns` or is not CSV.
    """
    yield from _gather(tables, _survey(tables, columns, report), columns[0])


@final
class _Lines:
    """Decoded lines of a file from where it stands; `offset` is where the next one begins, in bytes."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.offset = file.tell()

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._file.readline()
        if not line:
            raise StopIteration
        self.offset += len(line)
        return line.decode("utf-8", errors="replace")


@final
class _Places:
    """Of each row: its key's number, table, byte and line."""

    def __init__(self) -> None:
        self.groups, self.tables = array("i"), array("B")
        self.offsets, self.lines = array("q"), array("i")
        self.columns: list[tuple[str, ...]] = []

    def note(self, group: int, table: int, offset: int, line: int) -> None:
        self.groups.append(group)
        self.tables.append(table)
        self.offsets.append(offset)
        self.lines.append(line)


def _survey(tables: Sequence[Path], columns: Sequence[str], report: Report) -> _Places:
    places = _Places()
    numbers: dict[str, int] = {}
    for table, path in enumerate(tables):
        with path.open("rb") as file:
            header = _header(path, file, columns)
            places.columns.append(header)
            key = header.index(columns[0])
            for offset, line, cells in _records(path, file):
                fault = _fault(cells, key, len(header))
                if fault:
                    report("broken row", f"{path.name}, line {line}", fault)
                    continue
                places.note(numbers.setdefault(cells[key].strip(), len(numbers)), table, offset, line)
    return places


def _header(path: Path, file: BinaryIO, columns: Sequence[str]) -> tuple[str, ...]:
    try:
        cells = next(csv.reader([file.readline().decode("utf-8-sig", errors="replace")]), [])
    except csv.Error as error:
        raise DataError(
            f"{path.name} is no table: {error}.", hint="Get the publisher's file again."
        ) from None
    header = tuple(cell.strip() for cell in cells)
    return ReadTable(path, header, ()).require(*columns).columns


def _records(path: Path, file: BinaryIO) -> Iterator[tuple[int, int, list[str]]]:
    """Byte, line and cells of every row that is not blank."""
    lines = _Lines(file)
    reader = csv.reader(lines)
    while True:
        offset, line = lines.offset, reader.line_num + 2
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise DataError(f"{path.name}, line {line}: {error}.", hint="Is a quote left open?") from error
        if any(cells):
            yield offset, line, cells


def _fault(cells: list[str], key: int, width: int) -> str:
    if len(cells) != width:
        return f"{len(cells)} cells where {width} were expected."
    if not cells[key].strip():
        return "The photo's name is empty."
    return "The photo's name is not UTF-8." if _LOST in cells[key] else ""


def _gather(tables: Sequence[Path], places: _Places, key: str) -> Iterator[RowGroup]:
    order = np.argsort(np.array(places.groups), kind="stable")
    ends = np.flatnonzero(np.diff(np.array(places.groups)[order], append=-1)) + 1
    with ExitStack() as stack:
        files = [stack.enter_context(path.open("rb")) for path in tables]
        start = 0
        for stop in ends.tolist():
            group = order[start:stop].tolist()
            rows = tuple(_row_at(number, tables, files, places) for number in group)
            yield RowGroup(rows[0][key].strip(), rows, tables[places.tables[group[0]]])
            start = stop


def _row_at(number: int, tables: Sequence[Path], files: Sequence[BinaryIO], places: _Places) -> Row:
    table = places.tables[number]
    files[table].seek(places.offsets[number])
    cells = next(csv.reader(_Lines(files[table])))
    place = f"{tables[table].name}, line {places.lines[number]}"
    return Row(dict(zip(places.columns[table], cells, strict=True)), place)
