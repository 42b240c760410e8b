"""ISIC 2019: 25,331 dermoscopic photos in eight classes to train on, 8,238 in these and a ninth to test on.

The photos are those of HAM10000, of BCN20000 and of MSK. Lesion ids keep their owners' prefixes, so that a
lesion is one group in all of them; 2,084 training photos and all test photos have none.

Source: challenge.isic-archive.com, data of 2019. CC BY-NC 4.0, attributed to BCN20000, HAM10000 and MSK.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from dermaxai.data.cells import find_if_there, read_age, read_rows, read_sex, read_site, required
from dermaxai.data.readers.isic_archive import isic_key
from dermaxai.data.reading import DatasetFolder, ReadTable, Row
from dermaxai.data.samples import Part, Sample
from dermaxai.data.tables import read_table
from dermaxai.vocabulary import labels

UNKNOWN = "UNK"
"""None of the eight classes: scars, metastases and others, not told which."""

_PARTS: tuple[tuple[str, Part], ...] = (("Training", "train"), ("Test", "test"))
_COLUMNS: Mapping[Part, tuple[str, ...]] = {
    "train": ("image", "age_approx", "anatom_site_general", "lesion_id", "sex"),
    "test": ("image", "age_approx", "anatom_site_general", "sex"),
}
_OWNERS = {"HAM": "ham10000", "BCN": "bcn20000"}


@dataclass(frozen=True, slots=True)
class _Tables:
    part: Part
    truth: ReadTable
    metadata: Mapping[str, Row]


def read(folder: DatasetFolder) -> Iterator[Sample]:
    """One sample per row, the training part first; a part that is not there is left out.

    Raises: DataError if no labels are there, or labels without their metadata.
    """
    found = [tables for name, part in _PARTS if (tables := _open(folder, name, part))]
    if not found:
        folder.find_file(*(f"ISIC_2019_{name}_GroundTruth.csv" for name, _ in _PARTS))
    for tables in found:
        yield from read_rows(folder, tables.truth, partial(_sample, tables=tables))
        _report_unlabelled(folder, tables)


def _open(folder: DatasetFolder, name: str, part: Part) -> _Tables | None:
    truth = find_if_there(folder, f"ISIC_2019_{name}_GroundTruth.csv")
    metadata = f"ISIC_2019_{name}_Metadata.csv"
    if truth is None:
        if find_if_there(folder, metadata):
            folder.report(
                "count", metadata, f"ISIC_2019_{name}_GroundTruth.csv is not here: photos left out."
            )
        return None
    rows = read_table(folder.find_file(metadata)).require(*_COLUMNS[part])
    return _Tables(
        part, read_table(truth).require("image", *_codes()), {row["image"].strip(): row for row in rows}
    )


def _codes() -> tuple[str, ...]:
    return tuple(labels("isic2019")["one-hot column"])


def _sample(folder: DatasetFolder, row: Row, *, tables: _Tables) -> Sample:
    image = required(row, "image")
    if image not in tables.metadata:
        raise ValueError(f"{image} has no row in the metadata")
    told = tables.metadata[image]
    code = _hot(row)
    site, site_text = read_site("isic2019", told["anatom_site_general"])
    return Sample(
        id=f"isic2019/{image}",
        dataset="isic2019",
        path=folder.photos.stem(image),
        place=row.place,
        licence="CC BY-NC 4.0",
        diagnosis=None if code == UNKNOWN else labels("isic2019")["one-hot column"][code].diagnosis,
        label=code,
        site=site,
        site_text=site_text,
        age=read_age(told, "age_approx"),
        sex=read_sex(told, "sex"),
        modality="dermoscopic",
        groups=(*_lesion(told), isic_key(image)),
        official_split=tables.part,
    )


def _hot(row: Row) -> str:
    """The one class whose column is 1. Raises: ValueError if another number of them is."""
    values = {code: float(row[code]) for code in _codes()}
    if sorted(values.values()) != [0.0] * (len(values) - 1) + [1.0]:
        told = ", ".join(f"{code} {value:g}" for code, value in values.items() if value)
        raise ValueError(f"one class must be 1 and all others 0, not {told or 'none'}")
    return max(values, key=values.__getitem__)


def _lesion(row: Row) -> tuple[str, ...]:
    lesion = row.known("lesion_id")
    if lesion is None:
        return ()
    return (f"{_OWNERS.get(lesion.partition('_')[0], 'isic2019')}/lesion/{lesion}",)


def _report_unlabelled(folder: DatasetFolder, tables: _Tables) -> None:
    labelled = {row["image"].strip() for row in tables.truth}
    for image, row in tables.metadata.items():
        if image not in labelled:
            folder.report("broken row", row.place, f"{image or 'A row'} has no label.")
