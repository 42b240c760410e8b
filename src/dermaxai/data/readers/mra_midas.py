"""MRA-MIDAS: 3,416 photos of 733 records, from one foot, from six inches and through a dermatoscope.

The label is the pathology; controls have none. `midas_melanoma`, a flag of the record and not of the lesion,
and the pathologist's report are left out. The table is the spreadsheet or the CSV of Redivis.

Source: Chiou et al., NEJM AI, medRxiv 10.1101/2024.06.27.24309562. Research use, no redistribution.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from dermaxai.data.cells import disagreement, read_age, read_rows, read_sex, read_skin_type, required
from dermaxai.data.readers.ontology import match_site
from dermaxai.data.reading import DatasetFolder, PhotoIndex, Row
from dermaxai.data.samples import Modality, Sample
from dermaxai.data.tables import read_table
from dermaxai.vocabulary import Label

MODALITIES: Mapping[str, Modality] = {
    "dscope": "dermoscopic",
    "6in": "clinical",
    "1ft": "clinical",
    "n/a - virtual": "clinical",
}
"""By the distance of the camera."""
NO_PATHOLOGY = "0"
"""What a few controls have for a pathology."""
_RELATIONS = frozenset({
    "above", "and", "behind", "below", "beside", "between", "by", "from", "near", "of", "or", "to", "under",
})  # fmt: skip
"""A place said with one of them may be another than the one it names."""
_FURTHER_SITES: Mapping[str, str] = {
    "cheek": "face", "chin": "face", "eyebrow": "face", "forehead": "face", "temple": "face",
    "palm": "palms_soles", "sole": "palms_soles",
}  # fmt: skip
"""Words of places that are part of a site."""

_TABLES = ("release_midas.xlsx", "*midas*.xlsx", "*midas*.csv")
_COLUMNS = (
    "midas_record_id", "midas_file_name", "midas_iscontrol", "midas_distance", "midas_location", "midas_path",
    "midas_gender", "midas_age", "midas_fitzpatrick",
)  # fmt: skip


def read(folder: DatasetFolder) -> Iterator[Sample]:
    """One sample per row.

    Raises: DataError if the table or one of its columns is missing, MissingExtra without openpyxl.
    """
    yield from read_rows(folder, read_table(folder.find_file(*_TABLES)).require(*_COLUMNS), _sample)


def _sample(folder: DatasetFolder, row: Row) -> Sample | None:
    image, record = required(row, "midas_file_name"), required(row, "midas_record_id")
    text, location = _words(row["midas_path"]), _words(row.known("midas_location") or "")
    label = _label(folder, row, text)
    if label is None and text not in ("", NO_PATHOLOGY) and not folder.keep_unknown:
        return None
    return Sample(
        id=f"mra_midas/{image}",
        dataset="mra_midas",
        path=find_photo(folder.photos, image),
        place=row.place,
        licence="research use agreement, no redistribution",
        diagnosis=label.diagnosis if label else None,
        label=text,
        source_malignancy=disagreement(label.source_malignancy, label.diagnosis) if label else "",
        site=read_location(location),
        site_text=location,
        age=read_age(row, "midas_age"),
        sex=read_sex(row, "midas_gender"),
        skin_type=read_skin_type(row, "midas_fitzpatrick"),
        modality=_modality(row),
        groups=(f"mra_midas/record/{record}",),
    )


def _words(text: str) -> str:
    """With single, breaking spaces."""
    return " ".join(text.split())


def read_location(text: str) -> str | None:
    """Id of the one body site that the free text names; None where it names none, several, or a relation.

    >>> read_location("l lower back"), read_location("left cheek"), read_location("below left ear")
    ('back', 'face', None)
    """
    words = re.findall(r"[a-z]+", text.casefold())
    if not _RELATIONS.isdisjoint(words):
        return None
    found = {
        site for word in words if (site := _FURTHER_SITES.get(word.removesuffix("s")) or match_site(word))
    }
    return found.pop() if len(found) == 1 else None


def _label(folder: DatasetFolder, row: Row, text: str) -> Label | None:
    """What the pathology stands for; None for a control. Raises: ValueError for another row without one."""
    if text in ("", NO_PATHOLOGY):
        if row["midas_iscontrol"].strip().casefold() != "yes":
            raise ValueError("midas_path is empty, and the row is no control")
        return None
    return folder.label("mra_midas", "midas_path", text, row.place)


def _modality(row: Row) -> Modality | None:
    told = _words(row["midas_distance"]).casefold()
    if told and told not in MODALITIES:
        raise ValueError(f"midas_distance: {told!r} is none of {', '.join(MODALITIES)}")
    return MODALITIES.get(told)


def find_photo(photos: PhotoIndex, name: str) -> Path | None:
    """The photo of a name whose case, ending or suffix ('_cropped') may be others on disk.

    A longer stem counts only if it is the one that does not go on with a digit, which makes another photo.
    """
    stem = Path(name).stem
    exact = photos.stem(stem)
    if exact is not None:
        return exact
    longer = [path for path in photos.starting(stem) if not path.stem[len(stem) :][:1].isdigit()]
    return longer[0] if len(longer) == 1 else None
