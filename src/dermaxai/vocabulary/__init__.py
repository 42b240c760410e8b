"""One vocabulary for all datasets: diagnoses, findings, body sites, in English and Russian, and the
publishers' labels mapped to it.

The tables are CSV files of this folder, read when first asked for.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal, get_args

from dermaxai.registry import check_name
from dermaxai.types import Language

Malignancy = Literal[
    "malignant",
    "in_situ_malignant",
    "premalignant",
    "uncertain",
    "benign",
    "non_neoplastic",
    "mixed",
    "category",
]
"""'mixed': a collective label with benign and malignant members; 'category': a node above diagnoses."""
MALIGNANCIES: tuple[Malignancy, ...] = get_args(Malignancy)
_MALIGNANT = {"malignant": True, "in_situ_malignant": True, "benign": False, "non_neoplastic": False}


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A diagnosis of the unified vocabulary."""

    id: str
    name: Mapping[Language, str]
    malignancy: Malignancy
    group: str
    """Family of diseases: 'melanocytic', 'keratinocytic', 'infection_viral', …"""
    aliases: tuple[str, ...]
    """Other English names."""
    snomed_ct: str
    """'' unless verified."""

    @property
    def malignant(self) -> bool | None:
        """True also in situ; None for what is premalignant, uncertain or collective."""
        return _MALIGNANT.get(self.malignancy)


@dataclass(frozen=True, slots=True)
class Finding:
    """A clinical or dermoscopic sign."""

    id: str
    name: Mapping[Language, str]
    kind: str
    """'primary_lesion', 'secondary_change', 'colour', 'dermoscopic', 'artefact', …"""
    skincon: str
    """Column of SkinCon's tables; '' where SkinCon does not ask for it."""
    derm1m: tuple[str, ...]
    """Words of Derm1M's `skin_concept` column."""


@dataclass(frozen=True, slots=True)
class Site:
    """A place on the body."""

    id: str
    name: Mapping[Language, str]
    group: str
    """The larger region: 'trunk', 'head_neck', 'upper_extremity', …"""


@dataclass(frozen=True, slots=True)
class Label:
    """What a publisher's label stands for."""

    diagnosis: str
    """Id of a `Diagnosis`."""
    source_malignancy: str
    """What the publisher says where it differs from ours; else ''."""


def _rows(name: str) -> Iterator[dict[str, str]]:
    with (files(__name__) / name).open(encoding="utf-8") as lines:
        yield from csv.DictReader(lines)


def _names(row: Mapping[str, str]) -> dict[Language, str]:
    return {"en": row["name_en"], "ru": row["name_ru"]}


def _split(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(";") if part.strip())


@cache
def diagnoses() -> Mapping[str, Diagnosis]:
    """All diagnoses, by id."""
    return {
        row["diagnosis_id"]: Diagnosis(
            id=row["diagnosis_id"],
            name=_names(row),
            malignancy=_malignancy(row["malignancy"]),
            group=row["group"],
            aliases=_split(row["aliases_en"]),
            snomed_ct=row["snomed_ct"] if row["snomed_status"].startswith("verified") else "",
        )
        for row in _rows("diagnoses.csv")
    }


def _malignancy(text: str) -> Malignancy:
    return next(known for known in MALIGNANCIES if known == text)


@cache
def findings() -> Mapping[str, Finding]:
    """All findings, by id."""
    return {
        row["finding_id"]: Finding(
            row["finding_id"], _names(row), row["kind"], row["skincon_column"], _split(row["derm1m_terms"])
        )
        for row in _rows("findings.csv")
    }


@cache
def sites() -> Mapping[str, Site]:
    """All body sites, by id, 'unknown' left out."""
    return {
        row["site_id"]: Site(row["site_id"], _names(row), row["site_group"])
        for row in _rows("sites.csv")
        if row["site_id"] != "unknown"
    }


@cache
def labels(dataset: str) -> Mapping[str, Mapping[str, Label]]:
    """The mapped labels of one dataset: column, then the label as the publisher spells it.

    >>> labels("ham10000")["dx"]["mel"].diagnosis
    'melanoma'
    """
    found: dict[str, dict[str, Label]] = {}
    for row in _rows("labels.csv"):
        if row["dataset"] == dataset:
            label = Label(row["diagnosis_id"], row["source_malignancy"])
            found.setdefault(row["field"], {}).setdefault(row["source_label"], label)
    return found


@cache
def site_values(dataset: str) -> Mapping[str, str]:
    """A dataset's spellings of body sites and the ids they stand for; '' for a spelling of 'unknown'.

    >>> site_values("pad_ufes_20")["FOREARM"]
    'forearm'
    """
    rows = [row for row in _rows("sites.csv") if row["dataset"] == dataset]
    return {row["source_value"]: "" if row["site_id"] == "unknown" else row["site_id"] for row in rows}


def diagnosis(name: str) -> Diagnosis:
    """A diagnosis by its id. Raises: UnknownName."""
    check_name("diagnosis", name, list(diagnoses()))
    return diagnoses()[name]


def finding(name: str) -> Finding:
    """A finding by its id. Raises: UnknownName."""
    check_name("finding", name, list(findings()))
    return findings()[name]


def site(name: str) -> Site:
    """A body site by its id. Raises: UnknownName."""
    check_name("body site", name, list(sites()))
    return sites()[name]
