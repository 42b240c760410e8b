"""BCN20000 as the archive exports it and as figshare ships it."""

import os
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from dermaxai.data.readers.bcn20000 import read
from dermaxai.data.reading import DatasetFolder
from dermaxai.errors import DataError

DATA = Path(os.environ.get("DERMAXAI_DATA", Path(__file__).parents[3] / "../shared/data")) / "metadata"
ARCHIVE = """\
isic_id,attribution,copyright_license,age_approx,anatom_site_general,anatom_site_special,concomitant_biopsy,\
diagnosis_1,diagnosis_2,diagnosis_3,diagnosis_confirm_type,image_type,lesion_id,melanocytic,sex
ISIC_0053454,Hospital Clínic de Barcelona,CC-BY-NC,55,anterior torso,,True,Malignant,\
Malignant melanocytic proliferations (Melanoma),"Melanoma, NOS",histopathology,dermoscopic,IL_8314504,\
True,male
ISIC_0053470,Hospital Clínic de Barcelona,,70,head/neck,,False,Benign,\
Benign soft tissue proliferations - Vascular,,,dermoscopic,IL_0000001,False,female
ISIC_0053480,Hospital Clínic de Barcelona,CC-BY-NC,,,,False,,,,,dermoscopic,IL_0000002,,
"""
TRAIN = """\
bcn_filename,age_approx,anatom_site_general,diagnosis,lesion_id,capture_date,sex,split
BCN_0000000001.jpg,55.0,anterior torso,MEL,BCN_0003884,2012-05-16,male,train
BCN_0000000003.jpg,,,NV,BCN_0000019,2015-07-07,female,train
BCN_0000000005.jpg,40.0,palms/soles,AK,BCN_0000020,2015-07-08,,train
"""
TEST = "bcn_filename,age_approx,sex\nBCN_0000000002.jpg,60.0,female\n"
TEST_WITH_EMPTY_LABELS = "bcn_filename,diagnosis,age_approx,sex\nBCN_0000000002.jpg,,60.0,female\n"
FOLDS = """\
bcn_filename,diagnosis,lesion_id,split_type,fold_number
BCN_0000000001.jpg,MEL,BCN_0003884,validation,1
BCN_0000000003.jpg,NV,BCN_0000019,train,1
BCN_0000000001.jpg,MEL,BCN_0003884,train,2
BCN_0000000003.jpg,NV,BCN_0000019,test,2
"""


def draw(place):
    place.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 4), (200, 150, 140)).save(place)


def write(folder, **tables):
    for name, text in tables.items():
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")
    return DatasetFolder(folder)


@pytest.mark.parametrize("name", ["metadata", "bcn20000_metadata_2025-07-22"])
@pytest.mark.parametrize("photos", [".", "ISIC-images"])
def test_archive(tmp_path, name, photos):
    place = tmp_path / photos / "ISIC_0053454.jpg"
    draw(place)
    folder = write(tmp_path, **{name: ARCHIVE.replace("\n", "\r\n")})
    melanoma, vascular, unknown = read(folder)
    assert folder.faults == []
    assert (melanoma.id, melanoma.dataset) == ("bcn20000/ISIC_0053454", "bcn20000")
    assert melanoma.path == place
    assert (melanoma.diagnosis, melanoma.label, melanoma.licence) == ("melanoma", "Melanoma, NOS", "CC-BY-NC")
    assert melanoma.groups == ("isic/lesion/IL_8314504", "isic/ISIC_0053454")
    assert (vascular.diagnosis, vascular.site, vascular.licence) == (
        "vascular_lesion",
        "head_neck",
        "CC BY-NC",
    )
    assert (unknown.diagnosis, unknown.label, unknown.site) == (None, "", None)
    assert {sample.official_split for sample in (melanoma, vascular, unknown)} == {None}


@pytest.mark.parametrize("without_labels", [TEST, TEST_WITH_EMPTY_LABELS])
def test_figshare(tmp_path, without_labels):
    place = tmp_path / "BCN_20k_train" / "bcn_20k_train" / "BCN_0000000001.jpg"
    draw(place)
    folder = write(tmp_path, bcn_20k_train=TRAIN, bcn_20k_test=without_labels)
    melanoma, nevus, keratosis, test = read(folder)
    assert folder.faults == []
    assert (melanoma.id, melanoma.path) == ("bcn20000/BCN_0000000001.jpg", place)
    assert (melanoma.diagnosis, melanoma.label, melanoma.site) == ("melanoma", "MEL", "anterior_torso")
    assert (melanoma.age, melanoma.sex, melanoma.licence) == (55.0, "male", "CC BY-NC")
    assert melanoma.groups == ("bcn20000/lesion/BCN_0003884",)
    assert melanoma.official_split == nevus.official_split == "train"
    assert (nevus.age, nevus.site, nevus.path) == (None, None, None)
    assert (keratosis.diagnosis, keratosis.sex) == ("actinic_keratosis", None)
    assert (test.diagnosis, test.label, test.official_split) == (None, "", "test")
    assert (test.age, test.sex, test.groups) == (60.0, "female", ())
    assert "2012-05-16" not in repr(melanoma)


def test_first_fold_of_the_master_split(tmp_path):
    folder = write(tmp_path, bcn_20k_train=TRAIN, bcn_20k_test=TEST, master_split_file=FOLDS)
    assert [sample.official_split for sample in read(folder)] == ["validation", "train", "train", "test"]


def test_unknown_label_and_broken_row(tmp_path):
    text = TRAIN.replace(",MEL,", ",ELF,").replace("40.0", "forty")
    folder = write(tmp_path, bcn_20k_train=text)
    assert [sample.label for sample in read(folder)] == ["NV"]
    assert [(fault.kind, fault.place) for fault in folder.faults] == [
        ("unknown label", "bcn_20k_train.csv, line 2"),
        ("broken row", "bcn_20k_train.csv, line 4"),
    ]
    kept = next(read(DatasetFolder(tmp_path, keep_unknown=True)))
    assert (kept.diagnosis, kept.label) == (None, "ELF")


def test_what_is_missing_is_said(tmp_path):
    with pytest.raises(DataError, match=r"metadata\.csv"):
        list(read(DatasetFolder(tmp_path)))
    folder = write(tmp_path, bcn_20k_train=TRAIN.replace("lesion_id", "lesion"))
    with pytest.raises(DataError, match="lesion_id"):
        list(read(folder))


@pytest.mark.shared
@pytest.mark.skipif(not DATA.is_dir(), reason=f"no BCN20000 table at {DATA}")
def test_genuine_export():
    folder = DatasetFolder(DATA)
    samples = list(read(folder))
    assert folder.faults == []
    assert len(samples) == len({sample.id for sample in samples}) == 18_946
    assert Counter(sample.label for sample in samples) == {
        "Nevus": 5_647, "Melanoma, NOS": 4_003, "Basal cell carcinoma": 3_676, "Seborrheic keratosis": 1_268,
        "Solar or actinic keratosis": 1_088, "Melanoma metastasis": 633, "Squamous cell carcinoma, NOS": 559,
        "Scar": 314, "Solar lentigo": 283, "Dermatofibroma": 168,
        "Benign soft tissue proliferations - Vascular": 151, "": 1_156,
    }  # fmt: skip
    assert sum(sample.diagnosis is None for sample in samples) == 1_156
    assert Counter(sample.source_malignancy for sample in samples) == {"": 17_858, "Indeterminate": 1_088}
    assert len({sample.groups[0] for sample in samples}) == 5_440
    assert {sample.licence for sample in samples} == {"CC-BY-NC"}
    assert {sample.modality for sample in samples} == {"dermoscopic"}
    assert sum(sample.site is None for sample in samples) == 297
