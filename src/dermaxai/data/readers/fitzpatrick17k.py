"""Fitzpatrick17k: 16,577 clinical photos of two web atlases, with skin types and 114 labels.

`fitzpatrick17k.csv` and photos called `<md5>.jpg` anywhere below the root (`data/finalfitz17k/` in the
authors' archive). Many links are dead, so photos may lack. -1 is 'no skin type'; rows that the authors'
quality check calls wrongly labelled are told and left out.
Source: Groh et al., CVPR Workshops 2021, arXiv 2104.09957. CC BY-NC-SA 3.0.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from dermaxai.data.cells import disagreement, read_rows
from dermaxai.data.reading import DatasetFolder, Row
from dermaxai.data.samples import Sample
from dermaxai.data.tables import read_table

LICENCE = "CC BY-NC-SA 3.0"
MD5 = re.compile(r"[0-9a-f]{32}")
WRONG = "3 Wrongly labelled"
_NO_SKIN_TYPE = ("", "-1")
_SKIN_TYPES = ("1", "2", "3", "4", "5", "6")
_THREE = ("malignant", "benign", "non-neoplastic")
_COLUMNS = ("md5hash", "fitzpatrick_scale", "label", "three_partition_label", "qc")


def read(folder: DatasetFolder) -> Iterator[Sample]:
    """One sample per row. Raises: DataError where the table or a column is missing."""
    table = read_table(folder.find_file("fitzpatrick17k.csv")).require(*_COLUMNS)
    yield from read_rows(folder, table, _read_row)


def _read_row(folder: DatasetFolder, row: Row) -> Sample | None:
    md5 = row["md5hash"].strip().lower()
    if not MD5.fullmatch(md5):
        raise ValueError(f"md5hash={row['md5hash']!r} is no md5 sum")
    if row["qc"] == WRONG:
        folder.report("left out", row.place, f"qc says {WRONG!r}.", label=row["label"])
        return None
    skin_type = read_skin_type(row["fitzpatrick_scale"])
    told = read_three_partition(row["three_partition_label"])
    label = folder.label("fitzpatrick17k", "label", row["label"], row.place)
    if label is None and not folder.keep_unknown:
        return None
    diagnosis = label.diagnosis if label else None
    return Sample(
        id=f"fitzpatrick17k/{md5}",
        dataset="fitzpatrick17k",
        path=folder.photos.stem(md5),
        place=row.place,
        licence=LICENCE,
        diagnosis=diagnosis,
        label=row["label"],
        source_malignancy=disagreement(told, diagnosis),
        skin_type=skin_type,
        modality="clinical",
        groups=(f"fitzpatrick17k/{md5}",),
    )


def read_skin_type(text: str) -> str | None:
    """Fitzpatrick '1' to '6' of the column `fitzpatrick_scale`; None for -1. Raises: ValueError.

    >>> read_skin_type("3.0"), read_skin_type("-1")
    ('3', None)
    """
    scale = text.strip().removesuffix(".0")
    if scale in _NO_SKIN_TYPE:
        return None
    if scale not in _SKIN_TYPES:
        raise ValueError(f"fitzpatrick_scale={text!r} is neither 1 to 6 nor -1")
    return scale


def read_three_partition(text: str) -> str:
    """The column `three_partition_label`, '' where it is empty. Raises: ValueError."""
    told = text.strip().lower()
    if told and told not in _THREE:
        raise ValueError(f"three_partition_label={text!r} is none of {', '.join(_THREE)}")
    return told
