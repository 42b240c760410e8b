"""HAM10000: 10,015 dermoscopic photos of 7,470 lesions in seven classes.

The table is `HAM10000_metadata`, with the ending .csv or .tab or none, separated by commas or tabs, in copies
without the column `dataset`. `dx_type` and `dataset` tell the label and are left out.

Source: Tschandl, Rosendahl, Kittler, Sci Data 5:180161 (2018), doi 10.7910/DVN/DBW86T. CC BY-NC 4.0.
"""

from __future__ import annotations

from collections.abc import Iterator

from dermaxai.data.cells import read_age, read_rows, read_sex, read_site, required
from dermaxai.data.readers.isic_archive import isic_key
from dermaxai.data.reading import DatasetFolder, Row
from dermaxai.data.samples import Sample
from dermaxai.data.tables import read_table

_TABLES = ("HAM10000_metadata.csv", "HAM10000_metadata.tab", "HAM10000_metadata")
_COLUMNS = ("lesion_id", "image_id", "dx", "age", "sex", "localization")


def read(folder: DatasetFolder) -> Iterator[Sample]:
    """One sample per row. Raises: DataError if the table or one of its columns is missing."""
    yield from read_rows(folder, read_table(folder.find_file(*_TABLES)).require(*_COLUMNS), _sample)


def _sample(folder: DatasetFolder, row: Row) -> Sample | None:
    image, lesion = required(row, "image_id"), required(row, "lesion_id")
    label = folder.label("ham10000", "dx", row["dx"], row.place)
    if label is None and not folder.keep_unknown:
        return None
    site, site_text = read_site("ham10000", row["localization"])
    return Sample(
        id=f"ham10000/{image}",
        dataset="ham10000",
        path=folder.photos.stem(image),
        place=row.place,
        licence="CC BY-NC 4.0",
        diagnosis=label.diagnosis if label else None,
        label=row["dx"].strip(),
        site=site,
        site_text=site_text,
        age=read_age(row, "age"),
        sex=read_sex(row, "sex"),
        modality="dermoscopic",
        groups=(f"ham10000/lesion/{lesion}", isic_key(image)),
    )
