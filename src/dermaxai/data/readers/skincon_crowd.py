"""SkinCON (Ren): crowd votes on the 25,331 training photos of ISIC 2019.

`SkinCON.csv` (`file`, `Correct_Label`, `Qualified_Reads`, a column of counts per class) and the photos in
`train/<class>/` and `val/<class>/`; the folders alone are read too, without votes. The publisher does not
document the spelling of the classes, so names and codes of ISIC 2019 are known, whatever the case and the
separators.
Source: Ren et al., MICCAI 2024. No licence file; the photos are ISIC 2019's, CC BY-NC 4.0.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache, partial
from pathlib import Path, PurePath

from dermaxai import vocabulary
from dermaxai.data.cells import read_rows
from dermaxai.data.reading import DatasetFolder, ReadTable, Row
from dermaxai.data.samples import Part, Sample
from dermaxai.data.tables import read_table
from dermaxai.errors import DataError

LICENCE = "photos CC BY-NC 4.0 (ISIC 2019); votes without a licence"
_PARTS: Mapping[str, Part] = {
    "train": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}
_ISIC = re.compile(r"ISIC_\d{7}(_downsampled)?")
_OTHER_NAMES = {"BKL": ("benign keratosis-like lesion",), "VASC": ("vascular",)}


def read(folder: DatasetFolder) -> Iterator[Sample]:
    """One sample per row, or per photo where there is no table.

    Raises: DataError where there is neither, or the table lacks a column or a class.
    """
    try:
        path = folder.find_file("SkinCON.csv")
    except DataError:
        if not any(_part(folder, photo) for photo in folder.photos.paths):
            raise
        yield from _read_folders(folder)
        return
    yield from _read_votes(folder, read_table(path).require("file", "Correct_Label"))


def _read_votes(folder: DatasetFolder, table: ReadTable) -> Iterator[Sample]:
    columns = _vote_columns(table)
    yield from read_rows(folder, table, partial(_read_row, columns=columns))


def _vote_columns(table: ReadTable) -> dict[str, str]:
    """Columns of votes and the diagnoses they count. Raises: DataError unless all eight are there."""
    known = _classes()
    found = {column: known[_squeeze(column)] for column in table.columns if _squeeze(column) in known}
    absent = sorted(set(known.values()) - set(found.values()))
    if absent or len(found) != len(set(found.values())):
        raise DataError(
            f"{table.path.name} should count votes for eight classes, a column each; "
            f"it has {', '.join(table.columns)}.",
            hint=f"Without a column: {', '.join(absent) or 'none, but one class has two'}.",
        )
    return found


def _read_row(folder: DatasetFolder, row: Row, *, columns: Mapping[str, str]) -> Sample | None:
    votes = tuple((diagnosis, _read_count(row, column)) for column, diagnosis in columns.items())
    name = row["file"].strip().rpartition("/")[2]
    photo = folder.photos.named(name) or folder.photos.stem(_read_image(name))
    sample = _sample(folder, _read_image(name), row["Correct_Label"], row.place)
    return sample and replace(sample, path=photo, official_split=_part(folder, photo), votes=votes)


def _read_count(row: Row, column: str) -> int:
    count = row[column].strip().removesuffix(".0")
    if not count.isdecimal():
        raise ValueError(f"{column}={row[column]!r} is no count of votes")
    return int(count)


def _read_folders(folder: DatasetFolder) -> Iterator[Sample]:
    for photo in folder.photos.paths:
        part = _part(folder, photo)
        if part is None:
            continue
        place = photo.relative_to(folder.root).as_posix()
        try:
            sample = _sample(folder, _read_image(photo.name), photo.parent.name, place)
        except ValueError as error:
            folder.report("broken row", place, f"{error}.")
            continue
        if sample is not None:
            yield replace(sample, path=photo, official_split=part)


def _read_image(name: str) -> str:
    """The ISIC name without the file's ending. Raises: ValueError."""
    image = PurePath(name).stem
    if not _ISIC.fullmatch(image):
        raise ValueError(f"file={name!r} is no photo of ISIC 2019 (ISIC_0000000.jpg)")
    return image


def _sample(folder: DatasetFolder, image: str, label: str, place: str) -> Sample | None:
    diagnosis = _classes().get(_squeeze(label))
    if diagnosis is None:
        folder.report("unknown label", place, f"{label!r} is no class of ISIC 2019.")
        if not folder.keep_unknown:
            return None
    return Sample(
        id=f"skincon_crowd/{image}",
        dataset="skincon_crowd",
        path=None,
        place=place,
        licence=LICENCE,
        diagnosis=diagnosis,
        label=label,
        modality="dermoscopic",
        groups=(f"isic/{image.removesuffix('_downsampled')}",),
    )


def _part(folder: DatasetFolder, photo: Path | None) -> Part | None:
    """The publisher's part, by the folder that holds the class's folder."""
    if photo is None:
        return None
    folders = photo.relative_to(folder.root).parts[:-2]
    return _PARTS.get(folders[-1].casefold()) if folders else None


@cache
def _classes() -> dict[str, str]:
    """The eight diagnoses by squeezed code, name and alias."""
    found = {}
    for code, label in vocabulary.labels("isic2019")["one-hot column"].items():
        if code != "UNK":
            each = vocabulary.diagnosis(label.diagnosis)
            for name in (code, each.name["en"], *each.aliases, *_OTHER_NAMES.get(code, ())):
                found[_squeeze(name)] = each.id
    return found


def _squeeze(text: str) -> str:
    """Letters only, American spelling, singular: 'Melanocytic_Naevi' and 'melanocytic nevus' are one."""
    letters = "".join(char for char in text.casefold() if char.isalpha()).replace("naev", "nev")
    for plural, singular in (("nevi", "nevus"), ("keratoses", "keratosis"), ("lesions", "lesion")):
        letters = letters.replace(plural, singular)
    return letters
