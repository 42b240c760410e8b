"""Derm7pt: two photos of a case, the checklist as findings, and a split by row positions."""

import csv
from importlib.resources import files

import pytest
from PIL import Image

from dermaxai.data.readers.derm7pt import CRITERIA, read
from dermaxai.data.reading import DatasetFolder
from dermaxai.errors import DataError
from dermaxai.vocabulary import findings

HEADER = (
    "case_num,diagnosis,seven_point_score,pigment_network,streaks,pigmentation,regression_structures,"
    "dots_and_globules,blue_whitish_veil,vascular_structures,level_of_diagnostic_difficulty,elevation,location,"
    "sex,management,clinic,derm,case_id,notes"
)
CARCINOMA = (
    "1,basal cell carcinoma,0,absent,absent,absent,absent,absent,absent,arborizing,medium,nodular,abdomen,"
    "female,excision,NEL/NEL025.JPG,NEL/Nel026.jpg,,"
)
MELANOMA = (
    "2,melanoma (in situ),4,atypical,irregular,diffuse irregular,blue areas,,present,absent,low,flat,"
    "lower limbs,male,excision,A1l/A1l001.jpg,A1l/A1l002.jpg,A1,"
)
NEVUS = (
    "7,clark nevus,0,typical,absent,absent,absent,regular,absent,absent,high,palpable,back,male,"
    "clinical follow up,NEL/nel026.JPG,Fhl/Fhl007.jpg,,Clinical missing and replaced with derm"
)


def write(folder, *rows, train="0", valid="1", test="2"):
    (folder / "meta").mkdir(parents=True)
    (folder / "meta" / "meta.csv").write_text("\n".join((HEADER, *rows)) + "\n", encoding="utf-8")
    for name, text in (("train", train), ("valid", valid), ("test", test)):
        lines = "\n".join(("indexes", *text.split()))
        (folder / "meta" / f"{name}_indexes.csv").write_text(f"{lines}\n", encoding="utf-8")
    for name in ("NEL/NEL025.JPG", "NEL/Nel026.jpg", "A1l/A1l002.jpg"):
        place = folder / "images" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 3), (200, 150, 140)).save(place, format="JPEG")


@pytest.mark.parametrize("root", [".", "release_v0"])
def test_release(tmp_path, root):
    home = tmp_path / root
    write(home, CARCINOMA, MELANOMA, NEVUS)
    folder = DatasetFolder(tmp_path)
    derm, clinic, second, second_clinic, alone = read(folder)
    assert folder.faults == []
    assert (derm.id, clinic.id) == ("derm7pt/1/derm", "derm7pt/1/clinic")
    assert (derm.modality, clinic.modality) == ("dermoscopic", "clinical")
    assert derm.path == home / "images" / "NEL" / "Nel026.jpg"
    assert clinic.path == home / "images" / "NEL" / "NEL025.JPG"
    assert derm.groups == clinic.groups == ("derm7pt/case/1",)
    assert derm.diagnosis == clinic.diagnosis == "basal_cell_carcinoma"
    assert (derm.site, derm.sex, derm.age) == ("abdomen", "female", None)
    assert second.path.name == "A1l002.jpg"
    assert second_clinic.path is None
    assert second.site == "lower_extremity"
    assert alone.id == "derm7pt/7/derm"
    assert "excision" not in repr(derm)


def test_findings(tmp_path):
    write(tmp_path, CARCINOMA, MELANOMA)
    derm, clinic, second, _ = read(DatasetFolder(tmp_path))
    assert derm.present == ("arborizing_vessels", "nodule")
    assert set(derm.absent) == set(CRITERIA) - {"vascular_structures"}
    assert (clinic.present, clinic.absent) == (("nodule",), ())
    assert set(second.present) == {
        "atypical_pigment_network", "irregular_streaks", "diffuse_irregular_pigmentation",
        "blue_regression_areas", "blue_whitish_veil", "flat",
    }  # fmt: skip
    assert second.absent == ("vascular_structures",)


def test_criteria_are_those_of_the_checklist():
    """An empty cell apart, each value of the checklist is known, and each criterion is a finding."""
    with (files("dermaxai.vocabulary") / "seven_point.csv").open(encoding="utf-8") as lines:
        told = [(row["column"], row["value"]) for row in csv.DictReader(lines)]
    ours = {(column, value) for column, values in CRITERIA.items() for value in ("absent", *values)}
    assert len(told) == 28
    assert set(told) == ours
    assert set(CRITERIA) <= set(findings())
    assert {finding for values in CRITERIA.values() for finding in values.values()} <= set(findings())


@pytest.mark.parametrize(
    ("clinic", "notes"),
    [
        ("Fhl/Fhl007.jpg", ""),
        ("fhl/fhl007.JPG", ""),
        ("NEL/Nel026.jpg", ""),
        ("NEL/Nel099.jpg", "Clinical missing and replaced with derm"),
        ("", ""),
    ],
)
def test_no_clinical_photo_where_it_is_a_dermoscopic_one(tmp_path, notes, clinic):
    cells = NEVUS.split(",")
    cells[15], cells[18] = clinic, notes
    write(tmp_path, CARCINOMA, ",".join(cells))
    assert [sample.id for sample in read(DatasetFolder(tmp_path))][2:] == ["derm7pt/7/derm"]


def test_split_is_by_row_position(tmp_path):
    write(tmp_path, CARCINOMA, MELANOMA, NEVUS, train="2", valid="0", test="")
    parts = [(sample.id, sample.official_split) for sample in read(DatasetFolder(tmp_path))]
    assert parts == [
        ("derm7pt/1/derm", "validation"),
        ("derm7pt/1/clinic", "validation"),
        ("derm7pt/2/derm", None),
        ("derm7pt/2/clinic", None),
        ("derm7pt/7/derm", "train"),
    ]


def test_positions_count_broken_rows_too(tmp_path):
    write(tmp_path, CARCINOMA.replace(",arborizing,", ",wild,"), MELANOMA, train="0", valid="", test="1")
    folder = DatasetFolder(tmp_path)
    assert {sample.official_split for sample in read(folder)} == {"test"}
    assert [(fault.kind, fault.place) for fault in folder.faults] == [("broken row", "meta.csv, line 2")]
    assert "vascular_structures: 'wild'" in folder.faults[0].message


def test_positions_that_are_none(tmp_path):
    write(tmp_path, CARCINOMA, MELANOMA, train="0 5 x", valid="0", test="1")
    folder = DatasetFolder(tmp_path)
    assert [sample.official_split for sample in read(folder)] == ["train", "train", "test", "test"]
    assert [(fault.kind, fault.place) for fault in folder.faults] == [
        ("broken row", "train_indexes.csv, line 3"),
        ("broken row", "train_indexes.csv, line 4"),
        ("broken row", "valid_indexes.csv, line 2"),
    ]


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        ("basal cell carcinoma", "elf", "unknown label"),
        ("female", "both", "broken row"),
        ("nodular", "steep", "broken row"),
        ("NEL/Nel026.jpg", "", "broken row"),
    ],
)
def test_rows_that_are_wrong(tmp_path, old, new, kind):
    write(tmp_path, CARCINOMA.replace(old, new), MELANOMA)
    folder = DatasetFolder(tmp_path)
    assert {sample.diagnosis for sample in read(folder)} == {"melanoma_in_situ"}
    assert [(fault.kind, fault.place) for fault in folder.faults if fault.place.startswith("meta.csv")] == [
        (kind, "meta.csv, line 2")
    ]


def test_unknown_label_is_kept_if_asked(tmp_path):
    write(tmp_path, CARCINOMA.replace("basal cell carcinoma", "elf"))
    derm, clinic = read(DatasetFolder(tmp_path, keep_unknown=True))
    assert (derm.diagnosis, derm.label, clinic.label) == (None, "elf", "elf")


def test_what_is_missing_is_said(tmp_path):
    with pytest.raises(DataError, match=r"meta\.csv"):
        list(read(DatasetFolder(tmp_path)))
    write(tmp_path, CARCINOMA)
    (tmp_path / "meta" / "valid_indexes.csv").unlink()
    with pytest.raises(DataError, match="valid_indexes"):
        list(read(DatasetFolder(tmp_path)))
