"""The vocabulary is whole: every label leads to a diagnosis, every site has a name in both languages."""

import csv
from collections import Counter
from importlib.resources import files

import pytest

from dermaxai.errors import UnknownName
from dermaxai.vocabulary import (
    MALIGNANCIES,
    diagnoses,
    diagnosis,
    finding,
    findings,
    labels,
    site,
    site_values,
    sites,
)

LABELS = {
    "ham10000": 7, "isic2019": 9, "bcn20000": 8, "isic_archive": 10, "pad_ufes_20": 6, "derm7pt": 20,
    "mra_midas": 30, "sd198": 198, "dermnet": 23, "fitzpatrick17k": 114, "ddi": 78, "derm1m": 370,
}  # fmt: skip
CYRILLIC = set("абвгдеёжзийклмнопрстуфхцчшщъыьэюя")


def rows(name):
    with (files("dermaxai.vocabulary") / name).open(encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def test_every_label_stands_for_a_diagnosis():
    told = rows("labels.csv")
    assert Counter(row["dataset"] for row in told) == LABELS
    assert len(told) == 873
    for row in told:
        found = labels(row["dataset"])[row["field"]][row["source_label"]]
        assert found.diagnosis in diagnoses(), row


def test_labels_of_one_spelling_stand_for_one_diagnosis():
    """Derm1M's ontology has two pairs of nodes of one name; they may not disagree."""
    told = {}
    for row in rows("labels.csv"):
        key = (row["dataset"], row["field"], row["source_label"])
        assert told.setdefault(key, row["diagnosis_id"]) == row["diagnosis_id"]
    assert len(told) == 871


@pytest.mark.parametrize(
    ("dataset", "column", "text", "expected"),
    [
        ("ham10000", "dx", "nv", "melanocytic_nevus"),
        ("isic2019", "one-hot column", "SCC", "squamous_cell_carcinoma"),
        ("isic_archive", "diagnosis_3", "Melanoma, NOS", "melanoma"),
        ("pad_ufes_20", "diagnostic", "ACK", "actinic_keratosis"),
        ("derm7pt", "diagnosis", "clark nevus", "atypical_clark_dysplastic_nevus"),
        ("mra_midas", "midas_path", "malignant- sccis", "squamous_cell_carcinoma_in_situ_bowen_disease"),
        ("ddi", "disease", "melanoma-in-situ", "melanoma_in_situ"),
    ],
)
def test_labels_as_their_publishers_spell_them(dataset, column, text, expected):
    assert labels(dataset)[column][text].diagnosis == expected


def test_publishers_differ_on_malignancy():
    assert labels("mra_midas")["midas_path"]["malignant- ak"].source_malignancy == "malignant"
    assert (
        labels("isic_archive")["diagnosis_3"]["Solar or actinic keratosis"].source_malignancy
        == "Indeterminate"
    )
    assert labels("ham10000")["dx"]["mel"].source_malignancy == ""
    assert labels("no such dataset") == {}


def test_diagnoses():
    assert len(diagnoses()) == 483
    for entry in diagnoses().values():
        assert entry.malignancy in MALIGNANCIES
        assert entry.group
        assert entry.name["en"].strip()
        assert CYRILLIC & set(entry.name["ru"].lower()), entry
    for language in ("en", "ru"):
        assert len({entry.name[language] for entry in diagnoses().values()}) == 483


def test_aliases_lead_to_one_diagnosis_only():
    aliases = Counter(alias for entry in diagnoses().values() for alias in {a.lower() for a in entry.aliases})
    assert [alias for alias, count in aliases.items() if count > 1] == []
    assert {"mel", "malignant melanoma"} <= set(diagnosis("melanoma").aliases)


@pytest.mark.parametrize(
    ("name", "malignant"),
    [
        ("melanoma", True),
        ("melanoma_in_situ", True),
        ("melanocytic_nevus", False),
        ("psoriasis", False),
        ("actinic_keratosis", None),
        ("keratoacanthoma", None),
        ("melanoma_nevi_and_moles", None),
    ],
)
def test_malignancy(name, malignant):
    assert diagnosis(name).malignant is malignant


def test_only_verified_codes_are_shown():
    coded = {entry.id: entry.snomed_ct for entry in diagnoses().values() if entry.snomed_ct}
    assert len(coded) == 6
    assert coded["actinic_keratosis"] == "201101007"
    assert diagnosis("melanoma").snomed_ct == ""


def test_findings():
    assert len(findings()) == 127
    asked = [entry.skincon for entry in findings().values() if entry.skincon]
    assert len(asked) == len(set(asked)) == 48
    for entry in findings().values():
        assert entry.kind
        assert entry.name["en"].strip()
        assert CYRILLIC & set(entry.name["ru"].lower()), entry
    assert "comma vessels" in finding("vascular_structures").derm1m


def test_sites():
    """Twenty-seven with 'unknown', which is no site."""
    assert len({row["site_id"] for row in rows("sites.csv")}) == 27
    assert len(sites()) == 26
    assert "unknown" not in sites()
    for entry in sites().values():
        assert entry.group
        assert entry.name["en"].strip()
        assert CYRILLIC & set(entry.name["ru"].lower()), entry


@pytest.mark.parametrize("row", rows("sites.csv"), ids=lambda row: f"{row['dataset']}-{row['source_value']}")
def test_every_value_of_a_site_is_known_or_untold(row):
    found = site_values(row["dataset"])[row["source_value"]]
    assert found in sites() or (found == "" and row["source_value"] in ("", "unknown"))


@pytest.mark.parametrize(
    ("look_up", "wrong", "near"),
    [(diagnosis, "melanome", "melanoma"), (finding, "papul", "papule"), (site, "foots", "foot")],
)
def test_unknown_name_comes_with_the_nearest(look_up, wrong, near):
    with pytest.raises(UnknownName, match=rf"Did you mean '{near}'"):
        look_up(wrong)
    assert look_up(near).id == near
