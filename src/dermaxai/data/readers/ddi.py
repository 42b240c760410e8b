"""DDI, Diverse Dermatology Images: 656 clinical photos with biopsied diagnoses, balanced by skin tone.

`ddi_metadata.csv` (the index column is unnamed, '_unnamed_var' in the Redivis form) and photos called
`000001.png` anywhere below the root. They show 570 patients, but no patient id was released: photos of one
patient can be told by their look only. Made for evaluation; no official split.
Source: Daneshjou et al., Sci Adv 8:eabq6147 (2022). Stanford AIMI research use agreement.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from dermaxai.data.cells import disagreement, read_rows
from dermaxai.data.reading import DatasetFolder, Row
from dermaxai.data.samples import Sample
from dermaxai.data.tables import read_table

LICENCE = "Stanford AIMI research use agreement"
NUMBER = re.compile(r"\d{6}")
_MALIGNANT = {"true": "malignant", "false": "benign"}
_SKIN_TONES = ("12", "34", "56")
_COLUMNS = ("DDI_file", "skin_tone", "malignant", "disease")


def read(folder: DatasetFolder) -> Iterator[Sample]:
    """One sample per row. Raises: DataError where the table or a column is missing."""
    table = read_table(folder.find_file("ddi_metadata.csv")).require(*_COLUMNS)
    yield from read_rows(folder, table, _read_row)


def _read_row(folder: DatasetFolder, row: Row) -> Sample | None:
    name = row["DDI_file"].strip()
    number = name.removesuffix(".png")
    if not NUMBER.fullmatch(number):
        raise ValueError(f"DDI_file={name!r} is not of the form 000001.png")
    skin_type, told = read_skin_tone(row["skin_tone"]), read_malignant(row["malignant"])
    label = folder.label("ddi", "disease", row["disease"], row.place)
    if label is None and not folder.keep_unknown:
        return None
    diagnosis = label.diagnosis if label else None
    return Sample(
        id=f"ddi/{number}",
        dataset="ddi",
        path=folder.photos.stem(number),
        place=row.place,
        licence=LICENCE,
        diagnosis=diagnosis,
        label=row["disease"],
        source_malignancy=disagreement(told, diagnosis),
        skin_type=skin_type,
        modality="clinical",
        groups=(f"ddi/{number}",),
    )


def read_skin_tone(text: str) -> str | None:
    """'12', '34' or '56', two Fitzpatrick types each; None where empty. Raises: ValueError."""
    tone = text.strip().removesuffix(".0")
    if tone and tone not in _SKIN_TONES:
        raise ValueError(f"skin_tone={text!r} is none of {', '.join(_SKIN_TONES)}")
    return tone or None


def read_malignant(text: str) -> str:
    """'malignant' for True, 'benign' for False, whatever the case; '' where empty. Raises: ValueError."""
    flag = text.strip().lower()
    if flag and flag not in _MALIGNANT:
        raise ValueError(f"malignant={text!r} is neither True nor False")
    return _MALIGNANT.get(flag, "")
