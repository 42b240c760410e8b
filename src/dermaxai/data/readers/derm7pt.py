"""Derm7pt: 1,011 cases with the seven-point checklist, a dermoscopic photo and, but for nine, a clinical one.

The checklist describes the dermoscopic photo, so the clinical one gets none of its findings. Management and
difficulty are left out. Index files hold row positions in `meta.csv`, from zero; they are not case numbers.

Source: Kawahara et al., IEEE JBHI 23(2):538-546 (2019), doi 10.1109/JBHI.2018.2824327.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from dermaxai.data.cells import read_sex, read_site, required
from dermaxai.data.reading import DatasetFolder, ReadTable, Row
from dermaxai.data.samples import Part, Sample
from dermaxai.data.tables import read_table

CRITERIA: Mapping[str, Mapping[str, str]] = {
    "pigment_network": {"typical": "typical_pigment_network", "atypical": "atypical_pigment_network"},
    "blue_whitish_veil": {"present": "blue_whitish_veil"},
    "vascular_structures": {
        "arborizing": "arborizing_vessels",
        "comma": "comma_vessels",
        "hairpin": "hairpin_vessels",
        "within regression": "vessels_within_regression",
        "wreath": "wreath_vessels",
        "dotted": "dotted_vessels",
        "linear irregular": "linear_irregular_vessels",
    },
    "pigmentation": {
        "diffuse regular": "diffuse_regular_pigmentation",
        "localized regular": "localized_regular_pigmentation",
        "diffuse irregular": "diffuse_irregular_pigmentation",
        "localized irregular": "localized_irregular_pigmentation",
    },
    "streaks": {"regular": "regular_streaks", "irregular": "irregular_streaks"},
    "dots_and_globules": {
        "regular": "regular_dots_and_globules",
        "irregular": "irregular_dots_and_globules",
    },
    "regression_structures": {
        "blue areas": "blue_regression_areas",
        "white areas": "white_regression_areas",
        "combinations": "blue_and_white_regression_areas",
    },
}
"""Columns, and the finding that each value is; 'absent' denies the finding of the column's name."""
LICENCE = "academic research only, no redistribution"

_ELEVATIONS = {"flat": "flat", "palpable": "raised", "nodular": "nodule"}
"""Values of `elevation` and the findings that they are."""
_INDEXES: tuple[tuple[str, Part], ...] = (
    ("train_indexes.csv", "train"),
    ("valid_indexes.csv", "validation"),
    ("test_indexes.csv", "test"),
)


def read(folder: DatasetFolder) -> Iterator[Sample]:
    """The dermoscopic sample of each case, then its clinical one where it has one.

    Raises: DataError if the table, an index file or a column is missing.
    """
    table = read_table(folder.find_file("meta/meta.csv")).require(
        "case_num", "diagnosis", *CRITERIA, "location", "sex", "clinic", "derm"
    )
    rows = list(table)
    split = _split(folder, len(rows))
    dermoscopic = {row["derm"].strip().casefold() for row in rows}
    for position, row in enumerate(rows):
        try:
            samples = _case(folder, row, split.get(position), dermoscopic)
        except ValueError as error:
            folder.report("broken row", row.place, f"{error}.")
        else:
            yield from samples


def _split(folder: DatasetFolder, count: int) -> dict[int, Part]:
    """Row positions of the publisher's parts."""
    parts: dict[int, Part] = {}
    for name, part in _INDEXES:
        for row in _indexes(folder, name):
            text = row["indexes"].strip()
            if not text.isdecimal() or int(text) >= count:
                folder.report("broken row", row.place, f"{text!r} is no row position below {count}.")
            elif parts.setdefault(int(text), part) != part:
                folder.report("broken row", row.place, f"Row {text} is in two parts; the first one counts.")
    return parts


def _indexes(folder: DatasetFolder, name: str) -> ReadTable:
    return read_table(folder.find_file(f"meta/{name}")).require("indexes")


def _case(folder: DatasetFolder, row: Row, part: Part | None, dermoscopic: set[str]) -> list[Sample]:
    """The samples of one case; none where its label is unknown. Raises: ValueError."""
    label = folder.label("derm7pt", "diagnosis", row["diagnosis"], row.place)
    if label is None and not folder.keep_unknown:
        return []
    site, site_text = read_site("derm7pt", row["location"])
    case = required(row, "case_num")
    whole = Sample(
        id=f"derm7pt/{case}/derm",
        dataset="derm7pt",
        path=folder.photos.at(required(row, "derm")),
        place=row.place,
        licence=LICENCE,
        diagnosis=label.diagnosis if label else None,
        label=row["diagnosis"].strip(),
        present=(*_criteria(row, seen=True), *_elevation(row)),
        absent=_criteria(row, seen=False),
        site=site,
        site_text=site_text,
        sex=read_sex(row, "sex"),
        modality="dermoscopic",
        groups=(f"derm7pt/case/{case}",),
        official_split=part,
    )
    return [whole, _clinical(folder, row, whole)] if _has_clinical(row, dermoscopic) else [whole]


def _clinical(folder: DatasetFolder, row: Row, whole: Sample) -> Sample:
    return replace(
        whole,
        id=f"derm7pt/{required(row, 'case_num')}/clinic",
        path=folder.photos.at(row["clinic"].strip()),
        present=_elevation(row),
        absent=(),
        modality="clinical",
    )


def _has_clinical(row: Row, dermoscopic: set[str]) -> bool:
    """Whether `clinic` is a clinical photo: where there is none, it names a dermoscopic one."""
    clinic = row["clinic"].strip().casefold()
    return bool(clinic) and clinic not in dermoscopic and "clinical missing" not in row["notes"].casefold()


def _criteria(row: Row, *, seen: bool) -> tuple[str, ...]:
    """The criteria that are there, as the kind they are, or those that are not; an empty cell is neither.

    Raises: ValueError for a value that the checklist does not have.
    """
    told = {column: value for column in CRITERIA if (value := row.known(column))}
    for column, value in told.items():
        if value != "absent" and value not in CRITERIA[column]:
            raise ValueError(f"{column}: {value!r} is no value of the seven-point checklist")
    if seen:
        return tuple(CRITERIA[column][value] for column, value in told.items() if value != "absent")
    return tuple(column for column, value in told.items() if value == "absent")


def _elevation(row: Row) -> tuple[str, ...]:
    told = row.known("elevation")
    if told and told not in _ELEVATIONS:
        raise ValueError(f"elevation: {told!r} is none of {', '.join(_ELEVATIONS)}")
    return (_ELEVATIONS[told],) if told else ()
