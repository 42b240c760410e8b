"""ISIC 2019: both parts, names of all owners, and labels that are no one class."""

import os
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from dermaxai.data.readers.isic2019 import read
from dermaxai.data.reading import DatasetFolder
from dermaxai.errors import DataError

CODES = ("MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC", "UNK")
DATA = Path(os.environ.get("DERMAXAI_DATA", Path(__file__).parents[3] / "../shared/data")) / "metadata"
TRAINING = (
    ("ISIC_0000001", "NV", "30,anterior torso,,female"),
    ("ISIC_0012653_downsampled", "MEL", "55,head/neck,MSK4_0010653,male"),
    ("ISIC_0024306", "SCC", "85,,HAM_0000118,male"),
    ("ISIC_0053454", "VASC", ",palms/soles,BCN_0003884,"),
)


def write_lines(place, lines):
    place.write_bytes("".join(f"{line}\r\n" for line in lines).encode())


def hot(code):
    return ",".join("1.0" if code == each else "0.0" for each in CODES)


def write_training(folder, *, rows=TRAINING, truth=None):
    header = "image," + ",".join(CODES)
    labels = truth or [f"{image},{hot(code)}" for image, code, _ in rows]
    write_lines(folder / "ISIC_2019_Training_GroundTruth.csv", [header, *labels])
    about = ["image,age_approx,anatom_site_general,lesion_id,sex", *(f"{row[0]},{row[2]}" for row in rows)]
    write_lines(folder / "ISIC_2019_Training_Metadata.csv", about)
    place = folder / "ISIC_2019_Training_Input"
    place.mkdir(exist_ok=True)
    for image in ("ISIC_0000001", "ISIC_0012653_downsampled"):
        Image.new("RGB", (4, 3), (200, 150, 140)).save(place / f"{image}.jpg")
    (place / "LICENSE.txt").write_text("CC-BY-NC", encoding="utf-8")
    return DatasetFolder(folder)


def write_test(folder):
    header = f"image,{','.join(CODES)},score_weight,validation_weight"
    rows = [f"ISIC_0034321,{hot('UNK')},0.0,1.0", f"ISIC_0034322,{hot('DF')},1.0,0.0"]
    write_lines(folder / "ISIC_2019_Test_GroundTruth.csv", [header, *rows])
    about = ["ISIC_0034321,60,,female", "ISIC_0034322,0,oral/genital,male"]
    write_lines(folder / "ISIC_2019_Test_Metadata.csv", ["image,age_approx,anatom_site_general,sex", *about])
    return DatasetFolder(folder)


def test_training_part(tmp_path):
    folder = write_training(tmp_path)
    nevus, melanoma, carcinoma, vascular = read(folder)
    assert folder.faults == []
    assert (nevus.id, nevus.label, nevus.diagnosis) == ("isic2019/ISIC_0000001", "NV", "melanocytic_nevus")
    assert (nevus.age, nevus.sex, nevus.site) == (30.0, "female", "anterior_torso")
    assert nevus.groups == ("isic/ISIC_0000001",)
    assert nevus.path == tmp_path / "ISIC_2019_Training_Input" / "ISIC_0000001.jpg"
    assert nevus.modality == "dermoscopic"
    assert nevus.licence == "CC BY-NC 4.0"
    assert melanoma.id == "isic2019/ISIC_0012653_downsampled"
    assert melanoma.groups == ("isic2019/lesion/MSK4_0010653", "isic/ISIC_0012653")
    assert melanoma.path.name == "ISIC_0012653_downsampled.jpg"
    assert carcinoma.groups == ("ham10000/lesion/HAM_0000118", "isic/ISIC_0024306")
    assert (carcinoma.site, carcinoma.site_text) == (None, "")
    assert vascular.groups == ("bcn20000/lesion/BCN_0003884", "isic/ISIC_0053454")
    assert (vascular.age, vascular.sex, vascular.site, vascular.path) == (None, None, "palms_soles", None)
    assert {sample.official_split for sample in (nevus, melanoma, carcinoma, vascular)} == {"train"}


def test_both_parts(tmp_path):
    write_training(tmp_path)
    folder = write_test(tmp_path)
    *training, unknown, fibroma = read(folder)
    assert folder.faults == []
    assert len(training) == 4
    assert (unknown.label, unknown.diagnosis, unknown.official_split) == ("UNK", None, "test")
    assert (fibroma.label, fibroma.diagnosis, fibroma.site) == ("DF", "dermatofibroma", "oral_genital")
    assert fibroma.age is None
    assert fibroma.groups == ("isic/ISIC_0034322",)


def test_test_part_alone(tmp_path):
    assert [sample.label for sample in read(write_test(tmp_path))] == ["UNK", "DF"]


@pytest.mark.parametrize(
    "cells",
    [
        "0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0",
        "1.0,1.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0",
        "0.5,0.5,0.0,0.0,0.0,0.0,0.0,0.0,0.0",
        "2.0,-1.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0",
        "1.0,0.0",
        "yes,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0",
        "nan,1.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0",
    ],
)
def test_not_exactly_one_class(tmp_path, cells):
    truth = [f"ISIC_0000001,{cells}", *(f"{image},{hot(code)}" for image, code, _ in TRAINING[1:])]
    folder = write_training(tmp_path, truth=truth)
    assert [sample.label for sample in read(folder)] == ["MEL", "SCC", "VASC"]
    (fault,) = folder.faults
    assert (fault.kind, fault.place) == ("broken row", "ISIC_2019_Training_GroundTruth.csv, line 2")


def test_labels_and_metadata_that_do_not_meet(tmp_path):
    truth = [f"ISIC_0000001,{hot('NV')}", f"ISIC_0000009,{hot('NV')}"]
    folder = write_training(tmp_path, rows=TRAINING[:2], truth=truth)
    assert [sample.id for sample in read(folder)] == ["isic2019/ISIC_0000001"]
    assert [(fault.kind, fault.message) for fault in folder.faults] == [
        ("broken row", "ISIC_0000009 has no row in the metadata."),
        ("broken row", "ISIC_0012653_downsampled has no label."),
    ]


def test_what_is_missing_is_said(tmp_path):
    with pytest.raises(DataError, match="ISIC_2019_Training_GroundTruth"):
        list(read(DatasetFolder(tmp_path)))
    write_training(tmp_path)
    write_test(tmp_path)
    (tmp_path / "ISIC_2019_Test_GroundTruth.csv").unlink()
    folder = DatasetFolder(tmp_path)
    assert len(list(read(folder))) == 4
    assert [(fault.kind, fault.place) for fault in folder.faults] == [
        ("count", "ISIC_2019_Test_Metadata.csv")
    ]
    (tmp_path / "ISIC_2019_Training_Metadata.csv").unlink()
    with pytest.raises(DataError, match="ISIC_2019_Training_Metadata"):
        list(read(DatasetFolder(tmp_path)))


@pytest.mark.shared
@pytest.mark.skipif(not DATA.is_dir(), reason=f"no ISIC 2019 tables at {DATA}")
def test_genuine_tables():
    folder = DatasetFolder(DATA)
    samples = list(read(folder))
    assert folder.faults == []
    assert len(samples) == len({sample.id for sample in samples}) == 25_331
    assert Counter(sample.label for sample in samples) == {
        "MEL": 4_522, "NV": 12_875, "BCC": 3_323, "AK": 867, "BKL": 2_624, "DF": 239, "VASC": 253, "SCC": 628,
    }  # fmt: skip
    assert sum(sample.id.endswith("_downsampled") for sample in samples) == 2_074
    assert len({key for sample in samples for key in sample.groups if key.startswith("isic/")}) == 25_331
    owners = Counter(sample.groups[0].split("/")[0] for sample in samples)
    assert owners == {"bcn20000": 12_413, "ham10000": 10_015, "isic2019": 819, "isic": 2_084}
    assert sum(sample.site is None for sample in samples) == 2_631
    assert sum(sample.sex is None for sample in samples) == 384
