"""DermNet as Kaggle has it: `train/` and `test/` with 23 folders, no table.

The publisher's split leaks: the same names and near-duplicates are on both sides.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from dermaxai.data.reading import DatasetFolder, known
from dermaxai.data.samples import Part, Sample
from dermaxai.errors import DataError
from dermaxai.vocabulary import Label, diagnoses, labels

LICENCE = "CC BY-NC-ND 4.0, as Kaggle states; rights unclear"
PARTS: dict[str, Part] = {"train": "train", "test": "test"}
_TRAILING = re.compile(r"\s+(?:photos?|pictures?|images?)$", re.IGNORECASE)


def read(folder: DatasetFolder) -> Iterator[Sample]:
    """One sample per photo in a class folder, in order of paths.

    `official_split` is the folder's and leaks. A diagnosis that the file's name spells out goes to
    `other_diagnoses`. Raises: DataError where there is no photo at all.
    """
    if not len(folder.photos):
        raise DataError(
            f"'{folder.root}' holds no photo; train/<class>/ and test/<class>/ were expected.",
            hint="See `dermaxai data how dermnet`.",
        )
    for path in folder.photos.paths:
        place = path.relative_to(folder.root).as_posix()
        if path.parent == folder.root:
            folder.report("broken row", place, "The photo is in no class folder.")
            continue
        label = _label(folder, path.parent.name, place)
        if label is not None or folder.keep_unknown:
            yield _sample(path, place, label)


def _sample(path: Path, place: str, label: Label | None) -> Sample:
    part = path.parent.parent.name.casefold()
    diagnosis = label.diagnosis if label else None
    finer = _named().get(series(path.stem).replace("-", " "))
    return Sample(
        id=f"dermnet/{part}/{path.parent.name}/{path.name}" if part in PARTS else f"dermnet/{place}",
        dataset="dermnet",
        path=path,
        place=place,
        licence=LICENCE,
        diagnosis=diagnosis,
        label=path.parent.name,
        other_diagnoses=(finer,) if finer and finer != diagnosis else (),
        source_malignancy=label.source_malignancy if label else "",
        groups=(f"dermnet/series/{series(path.stem)}",),
        official_split=PARTS.get(part),
    )


def _label(folder: DatasetFolder, name: str, place: str) -> Label | None:
    """Copies of the archive differ in whether a class ends in 'Photos'."""
    plain = _plain_names().get(_TRAILING.sub("", name.strip()).casefold())
    return folder.label("dermnet", "folder", plain or name, place)


@cache
def _plain_names() -> Mapping[str, str]:
    return {_TRAILING.sub("", name).casefold(): name for name in labels("dermnet")["folder"]}


def series(stem: str) -> str:
    """What the photos of one series share: the stem in lower case without its trailing number.

    >>> series("tinea-hand-dorsum-20"), series("07PerioralDermEye")
    ('tinea-hand-dorsum', '07perioraldermeye')
    """
    folded = stem.casefold()
    return re.sub(r"[\W_]*\d*[\W_]*$", "", folded) or folded


@cache
def _named() -> Mapping[str, str]:
    """Diagnoses by English name and alias in lower case, hyphens as spaces; no categories."""
    found: dict[str, str] = {}
    for each in diagnoses().values():
        if each.malignancy != "category":
            for name in filter(known, (each.name["en"], *each.aliases)):
                found.setdefault(name.casefold().replace("-", " "), each.id)
    return found
