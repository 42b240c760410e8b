"""HAM10000 as its publisher ships it: two image folders and one metadata table.

Source: Tschandl, Rosendahl, Kittler, Sci Data 5:180161 (2018), doi 10.7910/DVN/DBW86T. CC BY-NC 4.0.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dermaxai.errors import DataError

DIAGNOSES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
"""The publisher's labels, in alphabetical order."""

_TABLES = ("HAM10000_metadata.csv", "HAM10000_metadata.tab", "HAM10000_metadata")
_COLUMNS = ("lesion_id", "image_id", "dx", "age", "sex", "localization")


@dataclass(frozen=True, slots=True)
class HamRow:
    """One photo of one lesion."""

    image: str
    """The publisher's image id, e.g. ISIC_0027419."""
    lesion: str
    """Group key: photos of one lesion never stand on both sides of a split."""
    diagnosis: str
    """One of `DIAGNOSES`."""
    path: Path
    age: float | None
    """Years in steps of five, capped at 85; 0 counts as missing."""
    sex: str | None
    site: str | None


def read_ham10000(folder: Path) -> list[HamRow]:
    """All rows whose photo is on disk, sorted by image id.

    The metadata table may carry any of its published names and be separated by commas or tabs.
    Raises: DataError if the table, a column or every photo is missing, or a label is unknown.
    """
    table = next((folder / name for name in _TABLES if (folder / name).is_file()), None)
    if table is None:
        raise DataError(
            f"{folder} holds none of {', '.join(_TABLES)}.",
            hint="Point to the folder of the Harvard Dataverse download (doi 10.7910/DVN/DBW86T).",
        )
    photos = {path.stem: path for path in folder.rglob("*.jpg")}
    rows = sorted(_read_rows(table, photos), key=lambda row: row.image)
    if not rows:
        raise DataError(f"{folder} holds the table but none of its photos (<image_id>.jpg in any subfolder).")
    return rows


def _read_rows(table: Path, photos: dict[str, Path]) -> Iterator[HamRow]:
    with table.open(newline="", encoding="utf-8-sig") as lines:
        delimiter = "\t" if "\t" in lines.readline() else ","
        lines.seek(0)
        reader = csv.DictReader(lines, delimiter=delimiter)
        absent = [column for column in _COLUMNS if column not in (reader.fieldnames or ())]
        if absent:
            found = ", ".join(reader.fieldnames or ()) or "none"
            raise DataError(f"{table.name} lacks the columns {', '.join(absent)}; it has {found}.")
        for row in reader:
            if row["dx"] not in DIAGNOSES:
                raise DataError(
                    f"{table.name}, line {reader.line_num}: unknown label dx={row['dx']!r}.",
                    hint=f"Known: {', '.join(DIAGNOSES)}.",
                )
            if row["image_id"] in photos:
                yield _read_row(row, photos[row["image_id"]], f"{table.name}, line {reader.line_num}")


def _read_row(row: dict[str, str], path: Path, place: str) -> HamRow:
    return HamRow(
        image=row["image_id"],
        lesion=row["lesion_id"],
        diagnosis=row["dx"],
        path=path,
        age=_read_age(row["age"], place),
        sex=_known(row["sex"]),
        site=_known(row["localization"]),
    )


def _known(text: str | None) -> str | None:
    return text if text and text != "unknown" else None


def _read_age(text: str | None, place: str) -> float | None:
    known = _known(text)
    try:
        return (float(known) or None) if known else None
    except ValueError as error:
        raise DataError(f"{place}: age {text!r} is not a number.") from error
