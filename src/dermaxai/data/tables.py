"""Read a publisher's table, whatever its delimiter, line ends, byte-order mark or spreadsheet form."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from dermaxai.data.reading import ReadTable, Row
from dermaxai.errors import DataError, MissingExtra

csv.field_size_limit(10_000_000)


def read_table(path: Path, *, sheet: str | None = None, header_line: int = 1) -> ReadTable:
    """A table from .csv, .tab, .tsv, .xlsx or a file without ending; rows are read as they are asked for.

    Text is UTF-8 (with or without mark), else Windows-1252. An empty header cell is called '_unnamed_var',
    as Redivis calls it. Cells are text: whole numbers of a spreadsheet have no decimal point.
    Args: header_line, 2 where a title stands above the header.
    Raises: DataError for what is no table, MissingExtra for a spreadsheet without openpyxl.
    """
    if path.suffix.lower() == ".xlsx":
        return _read_sheet(path, sheet, header_line)
    text = _decode(path)
    head = text.partition("\n")[0] if header_line == 1 else text[:10_000]
    delimiter = max(",\t;", key=head.count)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        columns = _header(next(islice(lines, header_line - 1, None)))
    except (StopIteration, csv.Error):
        raise DataError(
            f"{path.name} is empty or no table.", hint="Get the publisher's file again."
        ) from None
    return ReadTable(path, columns, _CsvRows(path.name, columns, text, delimiter, header_line))


class _CsvRows:
    """Rows that can be gone through again and again."""

    def __init__(self, name: str, columns: tuple[str, ...], text: str, delimiter: str, header: int) -> None:
        self._name, self._columns, self._text, self._delimiter = name, columns, text, delimiter
        self._header = header

    def __iter__(self) -> Iterator[Row]:
        lines = csv.reader(io.StringIO(self._text, newline=""), delimiter=self._delimiter)
        next(islice(lines, self._header - 1, None))
        try:
            for cells in lines:
                if any(cells):
                    values = dict(zip(self._columns, cells, strict=False))
                    beyond = sum(map(bool, cells[len(self._columns) :]))
                    yield Row(values, f"{self._name}, line {lines.line_num}", beyond)
        except csv.Error as error:
            raise DataError(f"{self._name}, line {lines.line_num}: {error}.") from error


def _header(cells: Sequence[object]) -> tuple[str, ...]:
    return tuple(str(cell or "").strip() or "_unnamed_var" for cell in cells)


def _decode(path: Path) -> str:
    data = path.read_bytes()
    if b"\0" in data[:4096]:
        raise DataError(f"{path.name} is no text table.", hint="A table (.csv, .tab or .xlsx) is expected.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def _read_sheet(path: Path, sheet: str | None, header_line: int) -> ReadTable:
    try:
        from openpyxl import load_workbook
    except ImportError:
        raise MissingExtra(
            f"{path.name} is a spreadsheet, which needs openpyxl.", hint="pip install 'dermaxai[data]'"
        ) from None
    from zipfile import BadZipFile

    try:
        book = load_workbook(path, read_only=True, data_only=True)
    except (OSError, KeyError, ValueError, BadZipFile) as error:
        raise DataError(f"{path.name} is no spreadsheet: {error}.") from error
    if sheet is not None and sheet not in book.sheetnames:
        raise DataError(f"{path.name} has no sheet '{sheet}'; it has {', '.join(book.sheetnames)}.")
    page = book[sheet] if sheet else book.worksheets[0]
    lines = page.iter_rows(min_row=header_line, values_only=True)
    columns = _header(next(lines, ()))
    rows = [
        Row(dict(zip(columns, map(_cell, cells), strict=False)), f"{path.name}, line {number}")
        for number, cells in enumerate(lines, header_line + 1)
        if any(cell is not None for cell in cells)
    ]
    book.close()
    return ReadTable(path, columns, rows)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
