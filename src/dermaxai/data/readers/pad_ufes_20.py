"""PAD-UFES-20: 2,298 smartphone photos of 1,373 patients in six classes.

Lesion ids are unique only within a patient. `biopsed` tells the label and is left out. So is the
questionnaire: of the 804 rows that lack it none is malignant. Sex and skin type are empty on the
same rows, so that their being told hints at the label.

Source: Pacheco et al., Data in Brief 32:106221 (2020), doi 10.17632/zr7vgbcyr2.1. CC BY 4.0.
"""

from __future__ import annotations

from collections.abc import Iterator

from dermaxai.data.cells import read_age, read_rows, read_sex, read_site, required
from dermaxai.data.reading import DatasetFolder, Row, read_number
from dermaxai.data.samples import Sample
from dermaxai.data.tables import read_table

_COLUMNS = ("patient_id", "lesion_id", "age", "gender", "fitspatrick", "region", "diagnostic", "img_id")


def read(folder: DatasetFolder) -> Iterator[Sample]:
    """One sample per row. Raises: DataError if the table or one of its columns is missing."""
    yield from read_rows(folder, read_table(folder.find_file("metadata.csv")).require(*_COLUMNS), _sample)


def _sample(folder: DatasetFolder, row: Row) -> Sample | None:
    image, patient, lesion = (required(row, column) for column in ("img_id", "patient_id", "lesion_id"))
    if not image.startswith(f"{patient}_{lesion}_"):
        raise ValueError(f"{image} is no photo of patient {patient}, lesion {lesion}")
    label = folder.label("pad_ufes_20", "diagnostic", row["diagnostic"], row.place)
    if label is None and not folder.keep_unknown:
        return None
    site, site_text = read_site("pad_ufes_20", row["region"])
    return Sample(
        id=f"pad_ufes_20/{image}",
        dataset="pad_ufes_20",
        path=folder.photos.named(image),
        place=row.place,
        licence="CC BY 4.0",
        diagnosis=label.diagnosis if label else None,
        label=row["diagnostic"].strip(),
        site=site,
        site_text=site_text,
        age=read_age(row, "age"),
        sex=read_sex(row, "gender"),
        skin_type=_skin_type(row),
        modality="clinical",
        groups=(f"pad_ufes_20/patient/{patient}", f"pad_ufes_20/lesion/{patient}_{lesion}"),
    )


def _skin_type(row: Row) -> str | None:
    """Fitzpatrick's type, '1' to '6'. Raises: ValueError."""
    value = read_number(row["fitspatrick"], low=1, high=6)
    if value is not None and not value.is_integer():
        raise ValueError(f"fitspatrick: {value:g} is no skin type")
    return None if value is None else f"{value:.0f}"
