"""The labelled photos that the embedded model learns from, as HAM10000's reader gives them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dermaxai.data.readers.ham10000 import read
from dermaxai.data.reading import DatasetFolder
from dermaxai.errors import DataError
from dermaxai.statements.clinical import DIAGNOSES as _IDS

DIAGNOSES = tuple(_IDS)
"""The publisher's labels, in alphabetical order."""
_LESION = "ham10000/lesion/"


@dataclass(frozen=True, slots=True)
class LesionPhoto:
    """One photo of one lesion."""

    image: str
    """The publisher's image id, e.g. ISIC_0027419."""
    lesion: str
    """Photos of one lesion never stand on both sides of a split."""
    diagnosis: str
    """One of `DIAGNOSES`."""
    path: Path


def read_lesions(folder: Path) -> list[LesionPhoto]:
    """All rows whose photo is on disk, sorted by image id.

    Raises: DataError if the table, a column or every photo is missing, or the table has faults.
    """
    source = DatasetFolder(folder)
    samples = list(read(source))
    if source.faults:
        first = source.faults[0]
        more = f" ({len(source.faults)} faults in all)" if len(source.faults) > 1 else ""
        raise DataError(
            f"{first.place}: {first.message}{more}", hint="`dermaxai data check ham10000 DIR` lists them."
        )
    photos = [
        LesionPhoto(sample.id.partition("/")[2], _lesion(sample.groups), sample.label, sample.path)
        for sample in samples
        if sample.path is not None
    ]
    if not photos:
        raise DataError(f"{folder} holds the table but none of its photos (<image_id>.jpg in any subfolder).")
    return sorted(photos, key=lambda photo: photo.image)


def _lesion(groups: tuple[str, ...]) -> str:
    return next(key.removeprefix(_LESION) for key in groups if key.startswith(_LESION))
