"""BCN20000: 18,946 dermoscopic photos of 5,440 lesions, from the ISIC Archive or from figshare.

The archive names photos by ISIC id and lesions by a masked id; figshare has its own names for photos, and the
lesion ids of ISIC 2019. Date of capture, biopsy and way of confirmation are left out.

Source: Hernandez-Perez et al., Sci Data 11:641 (2024); ISIC collection 249, figshare 24140028. CC BY-NC.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from dermaxai.data.cells import find_if_there, read_age, read_rows, read_sex, read_site, required
from dermaxai.data.readers.isic_archive import find_export, read_export
from dermaxai.data.reading import DatasetFolder, Row
from dermaxai.data.samples import PARTS, Part, Sample
from dermaxai.data.tables import read_table

LICENCE = "CC BY-NC"

_TABLES: tuple[tuple[str, Part], ...] = (("bcn_20k_train.csv", "train"), ("bcn_20k_test.csv", "test"))


def read(folder: DatasetFolder) -> Iterator[Sample]:
    """One sample per row, of figshare's tables where they are, else of the archive's.

    Raises: DataError if neither is there or a column is missing.
    """
    found = [(path, part) for name, part in _TABLES if (path := find_if_there(folder, name))]
    if not found:
        for sample in read_export(folder, find_export(folder), "bcn20000"):
            yield replace(sample, licence=sample.licence or LICENCE)
        return
    folds = _folds(folder)
    for path, part in found:
        yield from _read_figshare(folder, path, part, folds)


def _folds(folder: DatasetFolder) -> Mapping[str, Part]:
    """Parts of photos in the first of the publisher's five folds, which all divide the training table.

    In a fold no lesion stands both in training and in another part, but lesions cross validation and test.
    """
    path = find_if_there(folder, "master_split_file.csv")
    if path is None:
        return {}
    rows = read_table(path).require("bcn_filename", "split_type", "fold_number")
    return {
        row["bcn_filename"]: part
        for row in rows
        if row["fold_number"] in ("1", "1.0") and (part := _part(row["split_type"]))
    }


def _part(text: str) -> Part | None:
    return next((part for part in PARTS if part == text.strip().casefold()), None)


def _read_figshare(
    folder: DatasetFolder, path: Path, part: Part, folds: Mapping[str, Part]
) -> Iterator[Sample]:
    table = read_table(path).require("bcn_filename")
    if part == "train":
        table.require("diagnosis", "lesion_id", "age_approx", "anatom_site_general", "sex")
    yield from read_rows(folder, table, partial(_sample, part=part, folds=folds))


def _sample(folder: DatasetFolder, row: Row, *, part: Part, folds: Mapping[str, Part]) -> Sample | None:
    image = required(row, "bcn_filename")
    labelled = part == "train" or row.known("diagnosis")
    label = folder.label("bcn20000", "diagnosis", row["diagnosis"], row.place) if labelled else None
    if labelled and label is None and not folder.keep_unknown:
        return None
    site, site_text = read_site("bcn20000", row["anatom_site_general"])
    lesion = row.known("lesion_id")
    return Sample(
        id=f"bcn20000/{image}",
        dataset="bcn20000",
        path=folder.photos.named(image),
        place=row.place,
        licence=LICENCE,
        diagnosis=label.diagnosis if label else None,
        label=row["diagnosis"].strip(),
        site=site,
        site_text=site_text,
        age=read_age(row, "age_approx"),
        sex=read_sex(row, "sex"),
        modality="dermoscopic",
        groups=(f"bcn20000/lesion/{lesion}",) if lesion else (),
        official_split=folds.get(image) or _part(row["split"]) or part,
    )
