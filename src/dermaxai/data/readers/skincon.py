"""SkinCon (Daneshjou): 48 clinical findings on photos of Fitzpatrick17k and DDI.

`annotations_fitzpatrick17k.csv` and `annotations_ddi.csv`, both or either, and the photos, got from where
the two datasets have them, anywhere below the root. Rows marked 'Do not consider this image' are left out
and counted. A 1 is present. A 0 is 'not marked': for primary lesions and secondary changes, which the
dermatologists went through, it is read as absent; for colours, vessels, shape and texture as unknown.
Source: Daneshjou et al., NeurIPS Datasets and Benchmarks 2022, arXiv 2302.00785.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path, PurePath

from dermaxai import vocabulary
from dermaxai.data.cells import read_rows
from dermaxai.data.readers import ddi, fitzpatrick17k
from dermaxai.data.reading import DatasetFolder, ReadTable, Row
from dermaxai.data.samples import Sample
from dermaxai.data.tables import read_table

FLAG = "Do not consider this image"
LICENCES = {"fitzpatrick17k": fitzpatrick17k.LICENCE, "ddi": ddi.LICENCE}
"""Of the photos; the annotations are open."""
_TABLES = ("annotations_fitzpatrick17k.csv", "annotations_ddi.csv")
_MARKS = {"": None, "0": False, "0.0": False, "1": True, "1.0": True}
_LOOKED_FOR = ("primary_lesion", "secondary_change")
"""Kinds of findings where 'not marked' means absent."""


def read(folder: DatasetFolder) -> Iterator[Sample]:
    """One sample per row that is to be considered. Raises: DataError where no table or a column is."""
    for path in _find_tables(folder):
        table = read_table(path).require("ImageID", *_columns(), FLAG)
        yield from read_rows(folder, considered(folder, table), _read_row)


def _find_tables(folder: DatasetFolder) -> list[Path]:
    """Those that are there, at least one."""
    folder.find_file(*_TABLES)
    places = [(*folder.root.glob(name), *folder.root.glob(f"*/{name}")) for name in _TABLES]
    return [min(paths) for paths in places if paths]


def _read_row(folder: DatasetFolder, row: Row) -> Sample:
    group = source_group(row["ImageID"])
    dataset, _, image = group.partition("/")
    present, absent = read_findings(row)
    return Sample(
        id=f"skincon/{image}",
        dataset="skincon",
        path=folder.photos.stem(image),
        place=row.place,
        licence=LICENCES[dataset],
        present=present,
        absent=absent,
        modality="clinical",
        groups=(group,),
    )


def considered(folder: DatasetFolder, table: ReadTable) -> Iterator[Row]:
    """The rows that the publisher has not marked as unusable; the others are counted in one fault."""
    total = left_out = 0
    for row in table:
        total += 1
        try:
            flagged = _read_flag(row, FLAG)
        except ValueError as error:
            folder.report("broken row", row.place, f"{error}.")
            continue
        if flagged:
            left_out += 1
        else:
            yield row
    if left_out:
        folder.report(
            "left out", table.path.name, f"{left_out} of {total} rows are marked '{FLAG}' and left out."
        )


def read_findings(row: Row) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Ids of the findings that are present, and of those that are absent. Raises: ValueError."""
    marks = {finding: _read_flag(row, column) for column, finding in _columns().items()}
    present = tuple(finding for finding, mark in marks.items() if mark)
    absent = tuple(
        finding
        for finding, mark in marks.items()
        if mark is False and vocabulary.finding(finding).kind in _LOOKED_FOR
    )
    return present, absent


def source_group(name: str) -> str:
    """The group key of a photo of Fitzpatrick17k or DDI, by its file name. Raises: ValueError.

    >>> source_group("000655.png")
    'ddi/000655'
    """
    image = PurePath(name.strip()).stem.lower()
    if fitzpatrick17k.MD5.fullmatch(image):
        return f"fitzpatrick17k/{image}"
    if ddi.NUMBER.fullmatch(image):
        return f"ddi/{image}"
    raise ValueError(f"{name!r} is no photo of Fitzpatrick17k (<md5>.jpg) or DDI (000001.png)")


def _read_flag(row: Row, column: str) -> bool | None:
    """None where the cell is empty."""
    mark = row[column].strip()
    if mark not in _MARKS:
        raise ValueError(f"{column}={row[column]!r} is neither 0 nor 1")
    return _MARKS[mark]


@cache
def _columns() -> dict[str, str]:
    """The 48 columns and the findings they stand for."""
    return {each.skincon: each.id for each in vocabulary.findings().values() if each.skincon}
