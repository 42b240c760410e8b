"""HAM10000 in each form of its table, and rows that are broken."""

import os
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from dermaxai.data.readers.ham10000 import read
from dermaxai.data.reading import DatasetFolder
from dermaxai.errors import DataError

HEADER = ("lesion_id", "image_id", "dx", "dx_type", "age", "sex", "localization", "dataset")
ROWS = (
    ("HAM_2", "ISIC_3", "mel", "histo", "80.0", "male", "scalp", "vidir_modern"),
    ("HAM_1", "ISIC_1", "nv", "follow_up", "0.0", "unknown", "unknown", "rosendahl"),
    ("HAM_1", "ISIC_2", "nv", "follow_up", "", "female", "left knee", "rosendahl"),
    ("HAM_4", "ISIC_9", "akiec", "histo", "45.0", "female", "face", "rosendahl"),
)
DATA = Path(os.environ.get("DERMAXAI_DATA", Path(__file__).parents[3] / "../shared/data")) / "ham10000"


def write(folder, *, name="HAM10000_metadata.csv", separator=",", quote="", header=HEADER, rows=ROWS):
    lines = [separator.join(f"{quote}{cell}{quote}" for cell in row) for row in (header, *rows)]
    (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    for part, image in ((1, "ISIC_1"), (1, "ISIC_2"), (2, "ISIC_3")):
        place = folder / f"HAM10000_images_part_{part}"
        place.mkdir(exist_ok=True)
        Image.new("RGB", (4, 3), (200, 150, 140)).save(place / f"{image}.jpg")
    return DatasetFolder(folder)


@pytest.mark.parametrize(
    ("name", "separator", "quote"),
    [
        ("HAM10000_metadata", ",", ""),
        ("HAM10000_metadata.tab", "\t", '"'),
        ("HAM10000_metadata.csv", ",", ""),
    ],
)
@pytest.mark.parametrize("columns", [7, 8])
def test_published_forms(tmp_path, name, separator, quote, columns):
    rows = [row[:columns] for row in ROWS]
    folder = write(tmp_path, name=name, separator=separator, quote=quote, header=HEADER[:columns], rows=rows)
    melanoma, nevus, other, keratosis = read(folder)
    assert folder.faults == []
    assert melanoma.id == "ham10000/ISIC_3"
    assert (melanoma.diagnosis, melanoma.label) == ("melanoma", "mel")
    assert (melanoma.age, melanoma.sex, melanoma.site, melanoma.modality) == (
        80.0,
        "male",
        "scalp",
        "dermoscopic",
    )
    assert melanoma.groups == ("ham10000/lesion/HAM_2", "isic/ISIC_3")
    assert melanoma.licence == "CC BY-NC 4.0"
    assert melanoma.place == f"{name}, line 2"
    assert melanoma.path == tmp_path / "HAM10000_images_part_2" / "ISIC_3.jpg"
    assert (nevus.age, nevus.sex, nevus.site, nevus.site_text) == (None, None, None, "")
    assert (other.site, other.site_text) == (None, "left knee")
    assert nevus.groups[0] == other.groups[0]
    assert keratosis.path is None


def test_nothing_that_leaks_is_kept(tmp_path):
    told = repr(list(read(write(tmp_path))))
    for leak in ("histo", "follow_up", "rosendahl", "vidir_modern"):
        assert leak not in told


@pytest.mark.parametrize(
    ("column", "text", "message"),
    [
        ("age", "old", "age: 'old' is no number"),
        ("age", "150", "age: 150 is outside 0 to 120"),
        ("age", "-5", "age: -5 is outside"),
        ("sex", "x", "sex: 'x' is neither female nor male"),
        ("image_id", "", "image_id is empty"),
        ("lesion_id", "", "lesion_id is empty"),
    ],
)
def test_broken_row_is_reported_and_skipped(tmp_path, column, text, message):
    broken = [*ROWS[0]]
    broken[HEADER.index(column)] = text
    folder = write(tmp_path, rows=(broken, *ROWS[1:]))
    assert [sample.label for sample in read(folder)] == ["nv", "nv", "akiec"]
    (fault,) = folder.faults
    assert (fault.kind, fault.place) == ("broken row", "HAM10000_metadata.csv, line 2")
    assert fault.message.startswith(message)


def test_row_that_is_cut_short(tmp_path):
    folder = write(tmp_path, rows=(*ROWS, ("HAM_5", "ISIC_8")))
    assert len(list(read(folder))) == 4
    assert [fault.kind for fault in folder.faults] == ["unknown label"]


def test_unknown_label_is_skipped_or_kept(tmp_path):
    folder = write(tmp_path, rows=(("HAM_7", "ISIC_7", "melanom", *ROWS[0][3:]),))
    assert list(read(folder)) == []
    (fault,) = folder.faults
    assert fault.kind == "unknown label"
    assert "melanom" in fault.message
    (sample,) = read(DatasetFolder(tmp_path, keep_unknown=True))
    assert (sample.diagnosis, sample.label) == (None, "melanom")


def test_folder_that_is_something_else(tmp_path):
    with pytest.raises(DataError, match="HAM10000_metadata"):
        list(read(DatasetFolder(tmp_path)))
    (tmp_path / "HAM10000_metadata.csv").write_text("image,dx\nISIC_1,nv\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"lesion_id.*it has image, dx"):
        list(read(DatasetFolder(tmp_path)))


@pytest.mark.shared
@pytest.mark.skipif(not DATA.is_dir(), reason=f"no HAM10000 at {DATA}")
def test_genuine_table():
    folder = DatasetFolder(DATA)
    samples = list(read(folder))
    assert folder.faults == []
    assert len(samples) == len({sample.id for sample in samples}) == 10_015
    assert sum(sample.path is not None for sample in samples) == 5_534
    assert len({sample.groups[0] for sample in samples}) == 7_470
    assert Counter(sample.label for sample in samples) == {
        "akiec": 327, "bcc": 514, "bkl": 1_099, "df": 115, "mel": 1_113, "nv": 6_705, "vasc": 142,
    }  # fmt: skip
    assert sum(sample.age is None for sample in samples) == 57 + 39
    assert sum(sample.sex is None for sample in samples) == 57
    assert sum(sample.site is None for sample in samples) == 234
    assert not any(sample.site_text for sample in samples)


def test_a_row_with_too_many_cells_is_broken(tmp_path):
    (tmp_path / "HAM10000_metadata.csv").write_text(
        "lesion_id,image_id,dx,dx_type,age,sex,localization,dataset\n"
        "HAM_1,ISIC_1,nv,histo,45.0,male,back,x,\n"
        "HAM_2,ISIC_2,nv,histo,45,0,male,back,x\n"
    )
    folder = DatasetFolder(tmp_path)
    assert [sample.id for sample in read(folder)] == ["ham10000/ISIC_1"]
    (fault,) = folder.faults
    assert (fault.kind, fault.place) == ("broken row", "HAM10000_metadata.csv, line 3")
    assert "1 cells more than columns" in fault.message
