"""Exports of the ISIC Archive: any order of columns, both generations of diagnoses and of body sites."""

import csv
import random

import pytest
from PIL import Image

from dermaxai.data.cells import disagreement
from dermaxai.data.readers.isic_archive import isic_key, read
from dermaxai.data.reading import DatasetFolder
from dermaxai.errors import DataError

MELANOMA = {
    "isic_id": "ISIC_0053454",
    "attribution": "Hospital Clínic de Barcelona",
    "copyright_license": "CC-BY-NC",
    "age_approx": "55",
    "anatom_site_general": "anterior torso",
    "concomitant_biopsy": "True",
    "diagnosis_1": "Malignant",
    "diagnosis_2": "Malignant melanocytic proliferations (Melanoma)",
    "diagnosis_3": "Melanoma, NOS",
    "diagnosis_confirm_type": "histopathology",
    "image_type": "dermoscopic",
    "lesion_id": "IL_8314504",
    "patient_id": "IP_1234567",
    "sex": "male",
}


def write(folder, *rows, name="metadata.csv", columns=None):
    columns = columns or list(dict.fromkeys(column for row in rows for column in row))
    with (folder / name).open("w", newline="", encoding="utf-8") as lines:
        table = csv.DictWriter(lines, columns, restval="")
        table.writeheader()
        table.writerows(rows)
    return DatasetFolder(folder)


def read_one(folder, **cells):
    (sample,) = read(write(folder, {"isic_id": "ISIC_0000001", "attribution": "", **cells}))
    return sample


@pytest.mark.parametrize("seed", range(3))
def test_columns_in_any_order(tmp_path, seed):
    columns = list(MELANOMA)
    random.Random(seed).shuffle(columns)
    Image.new("RGB", (4, 3), (200, 150, 140)).save(tmp_path / "ISIC_0053454.jpg")
    folder = write(tmp_path, MELANOMA, name="bcn20000_metadata_2025-07-22.csv", columns=columns)
    (sample,) = read(folder)
    assert folder.faults == []
    assert sample.id == "isic_archive/ISIC_0053454"
    assert sample.path == tmp_path / "ISIC_0053454.jpg"
    assert sample.licence == "CC-BY-NC"
    assert (sample.label, sample.diagnosis, sample.source_malignancy) == ("Melanoma, NOS", "melanoma", "")
    assert (sample.age, sample.sex, sample.site, sample.modality) == (
        55.0,
        "male",
        "anterior_torso",
        "dermoscopic",
    )
    assert sample.groups == ("isic/lesion/IL_8314504", "isic/patient/IP_1234567", "isic/ISIC_0053454")
    assert "histopathology" not in repr(sample)


@pytest.mark.parametrize(
    ("levels", "label", "diagnosis", "malignancy"),
    [
        (
            ("Benign", "Benign melanocytic proliferations", "Nevus", "Blue nevus"),
            "Blue nevus", "blue_nevus", "",
        ),
        (
            ("Benign", "Benign melanocytic proliferations", "Nevus", "Nevus, Acral"),
            "Nevus, Acral", "melanocytic_nevus", "",
        ),
        (
            ("Benign", "Benign soft tissue proliferations - Vascular"),
            "Benign soft tissue proliferations - Vascular", "vascular_lesion", "",
        ),
        (
            ("Indeterminate", "Indeterminate epidermal proliferations", "Solar or actinic keratosis"),
            "Solar or actinic keratosis", "actinic_keratosis", "Indeterminate",
        ),
        (
            ("Malignant", "Malignant epidermal proliferations", "Squamous cell carcinoma, NOS"),
            "Squamous cell carcinoma, NOS", "squamous_cell_carcinoma", "",
        ),
        (
            ("Benign", "Benign melanocytic proliferations", "Nevus", "Nevus, Atypical, Dysplastic, or Clark"),
            "Nevus, Atypical, Dysplastic, or Clark", "atypical_clark_dysplastic_nevus", "",
        ),
        (("Benign", "Cysts", "Milium"), "Milium", "milia", ""),
        (("Benign",), "Benign", None, "Benign"),
        ((), "", None, ""),
    ],
)  # fmt: skip
def test_levels_of_a_diagnosis(tmp_path, levels, label, diagnosis, malignancy):
    cells = {f"diagnosis_{number}": text for number, text in enumerate(levels, 1)}
    sample = read_one(tmp_path, **{"diagnosis_1": "", **cells})
    assert (sample.label, sample.diagnosis, sample.source_malignancy) == (label, diagnosis, malignancy)


@pytest.mark.parametrize(
    ("text", "malignant", "diagnosis", "malignancy"),
    [
        ("nevus", "benign", "melanocytic_nevus", ""),
        ("pigmented benign keratosis", "benign", "benign_keratosis", ""),
        ("actinic keratosis", "indeterminate", "actinic_keratosis", "indeterminate"),
        ("melanoma", "malignant", "melanoma", ""),
        ("unknown", "benign", None, "benign"),
        ("", "", None, ""),
    ],
)
def test_earlier_generation(tmp_path, text, malignant, diagnosis, malignancy):
    sample = read_one(tmp_path, diagnosis=text, benign_malignant=malignant, anatom_site_general="head/neck")
    assert (sample.diagnosis, sample.source_malignancy, sample.site) == (diagnosis, malignancy, "head_neck")


@pytest.mark.parametrize(
    ("levels", "site", "text"),
    [
        (("Head and neck", "Head", "Face", "Nose"), "nose", ""),
        (("Trunk", "Posterior trunk", "Upper back"), "back", ""),
        (("Trunk", "Anterior trunk"), "anterior_torso", ""),
        (("Lower extremity", "Foot", "Sole of foot", "Heel"), "palms_soles", "Heel"),
        (("Anogenital region", "Genital region"), "genital", ""),
        (("Anogenital region", "Perianal region"), None, "Perianal region"),
        ((), None, ""),
    ],
)
def test_levels_of_a_site(tmp_path, levels, site, text):
    cells = {f"anatom_site_{number}": level for number, level in enumerate(levels, 1)}
    sample = read_one(tmp_path, **{"anatom_site_1": "", **cells})
    assert (sample.site, sample.site_text) == (site, text)


def test_special_site_where_the_general_one_is_empty(tmp_path):
    assert read_one(tmp_path, anatom_site_general="", anatom_site_special="acral NOS").site == "acral"


@pytest.mark.parametrize(
    ("text", "modality"),
    [
        ("dermoscopic", "dermoscopic"),
        ("clinical: close-up", "clinical"),
        ("TBP tile: overview", "clinical"),
        ("RCM: mosaic", None),
        ("", None),
    ],
)
def test_kinds_of_image(tmp_path, text, modality):
    assert read_one(tmp_path, image_type=text).modality == modality


@pytest.mark.parametrize(("text", "skin_type"), [("III", "3"), ("VI", "6"), ("", None)])
def test_skin_types(tmp_path, text, skin_type):
    assert read_one(tmp_path, fitzpatrick_skin_type=text).skin_type == skin_type


@pytest.mark.parametrize(("text", "age"), [("85", 85.0), ("0", None), ("", None)])
def test_ages(tmp_path, text, age):
    assert read_one(tmp_path, age_approx=text).age == age


@pytest.mark.parametrize("text", ["melanocytic", "nail diseases", "elf"])
def test_category_is_no_diagnosis(tmp_path, text):
    folder = write(tmp_path, {"isic_id": "ISIC_0000001", "diagnosis": text})
    assert list(read(folder)) == []
    assert [fault.kind for fault in folder.faults] == ["unknown label"]


def test_fewest_columns(tmp_path):
    sample = read_one(tmp_path)
    assert sample.groups == ("isic/ISIC_0000001",)
    assert (sample.diagnosis, sample.age, sample.sex, sample.site) == (None, None, None, None)


def test_unknown_label_names_its_column(tmp_path):
    folder = write(tmp_path, {**MELANOMA, "diagnosis_2": "Elves", "diagnosis_3": "Elf, NOS"}, MELANOMA)
    assert [sample.diagnosis for sample in read(folder)] == ["melanoma"]
    assert [(fault.kind, fault.place) for fault in folder.faults] == [
        ("unknown label", "metadata.csv, line 2")
    ]
    assert "diagnosis_3='Elf, NOS'" in folder.faults[0].message
    kept = next(read(DatasetFolder(tmp_path, keep_unknown=True)))
    assert (kept.diagnosis, kept.label, kept.source_malignancy) == (None, "Elf, NOS", "Malignant")


@pytest.mark.parametrize(
    "cells", [{"isic_id": ""}, {"age_approx": "130"}, {"sex": "both"}, {"fitzpatrick_skin_type": "VII"}]
)
def test_broken_rows(tmp_path, cells):
    folder = write(tmp_path, {**MELANOMA, **cells}, MELANOMA)
    assert len(list(read(folder))) == 1
    assert [(fault.kind, fault.place) for fault in folder.faults] == [("broken row", "metadata.csv, line 2")]


def test_table_of_something_else(tmp_path):
    with pytest.raises(DataError, match=r"metadata\.csv"):
        list(read(DatasetFolder(tmp_path)))
    (tmp_path / "metadata.csv").write_text("img_id,diagnostic\n", encoding="utf-8")
    with pytest.raises(DataError, match="isic_id"):
        list(read(DatasetFolder(tmp_path)))


def test_keys_and_disagreements():
    assert isic_key("ISIC_0000001") == isic_key("ISIC_0000001_downsampled") == "isic/ISIC_0000001"
    assert disagreement("malignant", "actinic_keratosis") == "malignant"
    assert disagreement("malignant", "melanoma_in_situ") == ""
    assert disagreement("benign", "melanoma") == "benign"
