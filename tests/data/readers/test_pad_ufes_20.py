"""PAD-UFES-20: doubled folders, empty questionnaires, and lesions whose ids patients share."""

import os
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from dermaxai.data.readers.pad_ufes_20 import read
from dermaxai.data.reading import DatasetFolder
from dermaxai.errors import DataError

HEADER = (
    "patient_id,lesion_id,smoke,drink,background_father,background_mother,age,pesticide,gender,"
    "skin_cancer_history,cancer_history,has_piped_water,has_sewage_system,fitspatrick,region,diameter_1,"
    "diameter_2,diagnostic,itch,grew,hurt,changed,bleed,elevation,img_id,biopsed"
)
NEVUS = "PAT_1516,881,,,,,8,,,,,,,,ARM,,,NEV,False,UNK,False,UNK,False,False,PAT_1516_881_530.png,False"
CARCINOMA = (
    "PAT_46,881,False,False,POMERANIA,UNK,55,False,FEMALE,True,True,True,True,2.0,NECK,6.0,5.0,BCC,True,True,"
    "False,True,True,True,PAT_46_881_939.png,True"
)
DATA = Path(os.environ.get("DERMAXAI_DATA", Path(__file__).parents[3] / "../shared/data")) / "pad_ufes_20"


def write(folder, *rows, photos="images/imgs_part_1/imgs_part_1"):
    place = folder / photos
    place.mkdir(parents=True)
    Image.new("RGBA", (4, 3), (200, 150, 140, 255)).save(place / "PAT_46_881_939.png")
    (folder / "metadata.csv").write_text("\n".join((HEADER, *rows)) + "\n", encoding="utf-8")
    return DatasetFolder(folder)


@pytest.mark.parametrize("photos", ["images/imgs_part_1/imgs_part_1", "images/imgs_part_1", "images"])
def test_rows(tmp_path, photos):
    folder = write(tmp_path, NEVUS, CARCINOMA, photos=photos)
    nevus, carcinoma = read(folder)
    assert folder.faults == []
    assert carcinoma.id == "pad_ufes_20/PAT_46_881_939.png"
    assert carcinoma.path == tmp_path / photos / "PAT_46_881_939.png"
    assert (carcinoma.diagnosis, carcinoma.label) == ("basal_cell_carcinoma", "BCC")
    assert (carcinoma.age, carcinoma.sex, carcinoma.skin_type) == (55.0, "female", "2")
    assert (carcinoma.site, carcinoma.modality, carcinoma.licence) == ("neck", "clinical", "CC BY 4.0")
    assert (nevus.age, nevus.sex, nevus.skin_type, nevus.site, nevus.path) == (8.0, None, None, "arm", None)


def test_lesion_ids_that_patients_share(tmp_path):
    nevus, carcinoma = read(write(tmp_path, NEVUS, CARCINOMA))
    assert carcinoma.groups == ("pad_ufes_20/patient/PAT_46", "pad_ufes_20/lesion/PAT_46_881")
    assert not set(nevus.groups) & set(carcinoma.groups)


def test_folder_of_the_archive_around_it(tmp_path):
    write(tmp_path / "zr7vgbcyr2-1", CARCINOMA)
    (sample,) = read(DatasetFolder(tmp_path))
    assert sample.path is not None


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (",55,", ",555,", "age: 555"),
        (",FEMALE,", ",OTHER,", "gender: 'OTHER'"),
        (",2.0,NECK", ",2.5,NECK", "fitspatrick: 2.5"),
        (",2.0,NECK", ",7.0,NECK", "7.0 is outside 1 to 6"),
        ("PAT_46_881_939.png", "PAT_47_881_939.png", "PAT_47_881_939.png is no photo of patient PAT_46"),
        ("PAT_46,881,", "PAT_46,,", "lesion_id is empty"),
    ],
)
def test_broken_row_is_reported_and_skipped(tmp_path, old, new, message):
    folder = write(tmp_path, NEVUS, CARCINOMA.replace(old, new))
    assert [sample.label for sample in read(folder)] == ["NEV"]
    (fault,) = folder.faults
    assert (fault.kind, fault.place) == ("broken row", "metadata.csv, line 3")
    assert message in fault.message


def test_unknown_label_is_skipped_or_kept(tmp_path):
    folder = write(tmp_path, CARCINOMA.replace("BCC", "BBC"))
    assert list(read(folder)) == []
    assert [fault.kind for fault in folder.faults] == ["unknown label"]
    (sample,) = read(DatasetFolder(tmp_path, keep_unknown=True))
    assert (sample.diagnosis, sample.label) == (None, "BBC")


def test_site_in_other_words(tmp_path):
    (sample,) = read(write(tmp_path, CARCINOMA.replace("NECK", "left knee")))
    assert (sample.site, sample.site_text) == (None, "left knee")


def test_table_of_something_else(tmp_path):
    (tmp_path / "metadata.csv").write_text("isic_id,sex\n", encoding="utf-8")
    with pytest.raises(DataError, match="patient_id"):
        list(read(DatasetFolder(tmp_path)))


@pytest.mark.shared
@pytest.mark.skipif(not DATA.is_dir(), reason=f"no PAD-UFES-20 at {DATA}")
def test_genuine_table():
    folder = DatasetFolder(DATA)
    samples = list(read(folder))
    assert folder.faults == []
    assert len(samples) == len({sample.id for sample in samples}) == 2_298
    assert sum(sample.path is not None for sample in samples) == 36
    assert Counter(sample.label for sample in samples) == {
        "BCC": 845, "ACK": 730, "NEV": 244, "SEK": 235, "SCC": 192, "MEL": 52,
    }  # fmt: skip
    assert len({sample.groups[0] for sample in samples}) == 1_373
    assert len({sample.groups[1] for sample in samples}) == 1_891
    assert Counter(sample.skin_type for sample in samples) == {
        "1": 153, "2": 876, "3": 392, "4": 62, "5": 10, "6": 1, None: 804,
    }  # fmt: skip
    assert all(sample.age and sample.site for sample in samples)
