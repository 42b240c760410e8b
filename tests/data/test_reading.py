import pytest

from dermaxai.data.reading import DatasetFolder, known, read_number
from dermaxai.errors import DataError


@pytest.fixture
def folder(tmp_path):
    for name in ("a/IMG_1.JPG", "b/img_2.png", "b/deep/img_2_cropped.jpg", "readme.txt", "x/table.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    return DatasetFolder(tmp_path)


def test_photos_are_found_whatever_the_case(folder):
    photos = folder.photos
    assert len(photos) == 3
    assert photos.at("a/IMG_1.JPG").name == photos.at("a/img_1.jpg").name == "IMG_1.JPG"
    assert photos.at("deep/img_2_cropped.jpg") is not None
    assert photos.at("c/IMG_1.JPG") is None
    assert photos.named("IMG_2.PNG").name == "img_2.png"
    assert photos.stem("img_1").name == "IMG_1.JPG"
    assert [path.name for path in photos.starting("IMG_2")] == ["img_2.png", "img_2_cropped.jpg"]


def test_files_one_folder_deeper(folder):
    assert folder.find_file("absent.csv", "table.csv").parent.name == "x"
    with pytest.raises(DataError, match=r"holds none of absent\.csv"):
        folder.find_file("absent.csv")


def test_labels_whatever_spaces_and_case(folder):
    assert folder.label("mra_midas", "midas_path", "malignant-bcc", "row").diagnosis == "basal_cell_carcinoma"
    assert folder.label("ham10000", "dx", "NV", "row").diagnosis == "melanocytic_nevus"
    assert not folder.faults
    assert folder.label("ham10000", "dx", "mystery", "metadata.csv, line 7") is None
    (fault,) = folder.faults
    assert (fault.kind, fault.place) == ("unknown label", "metadata.csv, line 7")
    assert folder.label("ham10000", "dx", " ", "row") is None
    assert folder.faults[-1].message == "dx is empty."


@pytest.mark.parametrize("text", ["", " ", "unknown", "UNK", "NaN", "N/A", None])
def test_spellings_of_not_told(text):
    assert known(text) is None
    assert read_number(text) is None


@pytest.mark.parametrize("text", ["old", "-1", "200"])
def test_numbers_out_of_bounds(text):
    with pytest.raises(ValueError, match=text):
        read_number(text, low=0, high=120)


def test_no_folder(tmp_path):
    with pytest.raises(DataError, match="no folder"):
        DatasetFolder(tmp_path / "none")
