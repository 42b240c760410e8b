"""Cells that many publishers have: ages, sexes, skin types, body sites, malignancy; and broken rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from dermaxai.data.reading import DatasetFolder, Row, known, read_number
from dermaxai.data.samples import Sample, Sex
from dermaxai.errors import DataError
from dermaxai.vocabulary import diagnosis, site_values

_OLDEST = 120
"""Years; no age is above."""
_SKIN_TYPES = {"i": "1", "ii": "2", "iii": "3", "iv": "4", "v": "5", "vi": "6"}
_SEXES: tuple[Sex, ...] = ("female", "male")
_SPOKEN = {"malignant": True, "benign": False, "non-neoplastic": False}


def disagreement(told: str, diagnosis_id: str | None) -> str:
    """What a publisher says of malignancy, where the vocabulary does not say the same; else ''.

    >>> disagreement("Indeterminate", "actinic_keratosis"), disagreement("Benign", "scar")
    ('Indeterminate', '')
    """
    if diagnosis_id is None or not told:
        return told
    spoken = _SPOKEN.get(told.casefold())
    return told if spoken is None or spoken != diagnosis(diagnosis_id).malignant else ""


def read_rows(
    folder: DatasetFolder, table: Iterable[Row], sample: Callable[[DatasetFolder, Row], Sample | None]
) -> Iterator[Sample]:
    """The samples of a table; a row that raises ValueError or has too many cells is broken and skipped."""
    for row in table:
        try:
            if row.overflow:
                raise ValueError(f"{row.overflow} cells more than columns")
            made = sample(folder, row)
        except ValueError as error:
            folder.report("broken row", row.place, f"{error}.")
            continue
        if made is not None:
            yield made


def find_if_there(folder: DatasetFolder, name: str) -> Path | None:
    """A file that a download may lack."""
    try:
        return folder.find_file(name)
    except DataError:
        return None


def required(row: Row, column: str) -> str:
    """A cell that no row may leave empty. Raises: ValueError."""
    told = row.known(column)
    if told is None:
        raise ValueError(f"{column} is empty")
    return told


def read_age(row: Row, column: str) -> float | None:
    """Years, above 0 to 120; 0 stands for an infant or for nothing, and counts as not told.

    Raises: ValueError.
    """
    try:
        return read_number(row[column], low=0, high=_OLDEST) or None
    except ValueError as error:
        raise ValueError(f"{column}: {error}") from None


def read_sex(row: Row, column: str) -> Sex | None:
    """Female, male or not told. Raises: ValueError for another word."""
    told = row.known(column)
    found = next((sex for sex in _SEXES if sex == (told or "").casefold()), None)
    if told and found is None:
        raise ValueError(f"{column}: {told!r} is neither female nor male")
    return found


def read_skin_type(row: Row, column: str) -> str | None:
    """Fitzpatrick's type, '1' to '6', of a text that begins with its Roman numeral. Raises: ValueError."""
    told = row.known(column)
    if told is None:
        return None
    found = _SKIN_TYPES.get(told.split()[0].casefold())
    if found is None:
        raise ValueError(f"{column}: {told!r} begins with no numeral from I to VI")
    return found


def read_site(dataset: str, text: str) -> tuple[str | None, str]:
    """The body site's id; else None and the publisher's words, '' where nothing is told.

    >>> read_site("pad_ufes_20", "LIP"), read_site("pad_ufes_20", "left knee")
    (('lip', ''), (None, 'left knee'))
    """
    told = known(text)
    if told is None:
        return None, ""
    site = site_values(dataset).get(told)
    return (None, told) if site is None else (site or None, "")
