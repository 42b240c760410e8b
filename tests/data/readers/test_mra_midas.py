"""MRA-MIDAS: spreadsheet and CSV, file names that differ from the table's, controls without pathology."""

import pytest
from openpyxl import Workbook
from PIL import Image

from dermaxai.data.readers.mra_midas import find_photo, read, read_location
from dermaxai.data.reading import DatasetFolder, PhotoIndex
from dermaxai.errors import DataError

COLUMNS = (
    "", "midas_record_id", "midas_file_name", "midas_iscontrol", "midas_distance", "midas_location",
    "midas_path", "midas_pathreport", "midas_gender", "midas_age", "midas_fitzpatrick", "midas_melanoma",
    "midas_ethnicity", "midas_race", "clinical_impression_1", "clinical_impression_2",
    "clinical_impression_3", "length_(mm)", "width_(mm)",
)  # fmt: skip
REDIVIS = {"": "_unnamed_var", "length_(mm)": "length__mm_", "width_(mm)": "width__mm_"}
CARCINOMA = {
    "midas_record_id": 12,
    "midas_file_name": "s-prd-398966407.jpg",
    "midas_iscontrol": "no",
    "midas_distance": "dscope",
    "midas_location": "l lower\u00a0back",
    "midas_path": "malignant- bcc",
    "midas_pathreport": "skin,\u00a0nodular",
    "midas_gender": "male",
    "midas_age": 71,
    "midas_fitzpatrick": "ii fair skin, blue eyes",
    "midas_melanoma": "yes",
    "length_(mm)": 6.5,
}


def write(folder, *rows, form="xlsx"):
    cells = [[{"": number, **row}.get(column) for column in COLUMNS] for number, row in enumerate(rows)]
    if form == "xlsx":
        book = Workbook()
        book.active.title = "Sheet1"
        for line in ([column or None for column in COLUMNS], *cells):
            book.active.append(line)
        book.save(folder / "release_midas.xlsx")
    else:
        header = [REDIVIS.get(column, column) for column in COLUMNS]
        lines = [[*map(quote, line)] for line in (header, *cells)]
        text = "\n".join(map(",".join, lines)) + "\n"
        (folder / "midas_release_metadata.csv").write_text(text, encoding="utf-8")
    return DatasetFolder(folder)


def quote(cell):
    return "" if cell is None else f'"{cell}"' if "," in str(cell) else str(cell)


def draw(folder, *names):
    for name in names:
        Image.new("RGB", (4, 3), (200, 150, 140)).save(folder / name, format="JPEG")


def read_one(folder, **cells):
    (sample,) = read(write(folder, {**CARCINOMA, **cells}))
    return sample


@pytest.mark.parametrize("form", ["xlsx", "csv"])
def test_published_forms(tmp_path, form):
    draw(tmp_path, "S-prd-398966407.JPG")
    folder = write(tmp_path, CARCINOMA, {**CARCINOMA, "midas_file_name": "s-prd-1.jpeg"}, form=form)
    sample, absent = read(folder)
    assert folder.faults == []
    assert sample.id == "mra_midas/s-prd-398966407.jpg"
    assert sample.path == tmp_path / "S-prd-398966407.JPG"
    assert (sample.diagnosis, sample.label) == ("basal_cell_carcinoma", "malignant- bcc")
    assert (sample.age, sample.sex, sample.skin_type) == (71.0, "male", "2")
    assert (sample.site, sample.site_text, sample.modality) == ("back", "l lower back", "dermoscopic")
    assert sample.groups == ("mra_midas/record/12",)
    assert "nodular" not in repr(sample)
    assert absent.path is None


@pytest.mark.parametrize(
    ("text", "diagnosis", "malignancy"),
    [
        ("malignant- melanoma", "melanoma", ""),
        ("Malignant-\u00a0 Melanoma", "melanoma", ""),
        ("malignant - ak", "actinic_keratosis", "malignant"),
        ("malignant-sccis", "squamous_cell_carcinoma_in_situ_bowen_disease", ""),
        ("benign- melanocytic nevus", "melanocytic_nevus", ""),
        ("other- non-neoplastic, inflammatory, infectious", "non_neoplastic_inflammatory_or_infectious", ""),
    ],
)
def test_spaces_in_labels(tmp_path, text, diagnosis, malignancy):
    sample = read_one(tmp_path, midas_path=text)
    assert (sample.diagnosis, sample.source_malignancy) == (diagnosis, malignancy)


@pytest.mark.parametrize(("path", "label"), [(None, ""), (0, "0"), ("0", "0")])
def test_controls_keep_no_label(tmp_path, path, label):
    folder = write(tmp_path, {**CARCINOMA, "midas_iscontrol": "yes", "midas_path": path})
    (sample,) = read(folder)
    assert folder.faults == []
    assert (sample.diagnosis, sample.label, sample.source_malignancy) == (None, label, "")


@pytest.mark.parametrize(
    ("distance", "modality"),
    [
        ("dscope", "dermoscopic"),
        ("6in", "clinical"),
        ("1ft", "clinical"),
        ("n/a - virtual", "clinical"),
        ("", None),
    ],
)
def test_modality_by_distance(tmp_path, distance, modality):
    assert read_one(tmp_path, midas_distance=distance).modality == modality


@pytest.mark.parametrize(
    ("text", "skin_type"),
    [
        ("i pale white skin, blue/green eyes, blond/red hair", "1"),
        ("iv light brown skin", "4"),
        ("vi dark brown or black skin", "6"),
        (None, None),
    ],
)
def test_skin_type_by_numeral(tmp_path, text, skin_type):
    assert read_one(tmp_path, midas_fitzpatrick=text).skin_type == skin_type


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["s-prd-100.jpg"], "s-prd-100.jpg"),
        (["S-PRD-100.JPG"], "S-PRD-100.JPG"),
        (["S-prd-100.jpeg"], "S-prd-100.jpeg"),
        (["S-prd-100_cropped.jpg"], "S-prd-100_cropped.jpg"),
        (["s-prd-100.jpg", "s-prd-100_cropped.jpg"], "s-prd-100.jpg"),
        (["s-prd-100_cropped.jpg", "s-prd-1002.jpg"], "s-prd-100_cropped.jpg"),
        (["s-prd-1002.jpg"], None),
        (["s-prd-100_cropped.jpg", "s-prd-100 (2).jpg"], None),
        ([], None),
    ],
)
def test_names_on_disk(tmp_path, names, found):
    draw(tmp_path, *names)
    place = find_photo(PhotoIndex(tmp_path), "s-prd-100.jpg")
    assert (place and place.name) == found


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        ({"midas_path": "malignant- elf"}, "unknown label"),
        ({"midas_path": None}, "broken row"),
        ({"midas_path": 0}, "broken row"),
        ({"midas_age": 210}, "broken row"),
        ({"midas_gender": "x"}, "broken row"),
        ({"midas_distance": "3ft"}, "broken row"),
        ({"midas_fitzpatrick": "fair skin"}, "broken row"),
        ({"midas_record_id": None}, "broken row"),
        ({"midas_file_name": None}, "broken row"),
    ],
)
def test_wrong_row_is_reported_and_skipped(tmp_path, cells, kind):
    folder = write(tmp_path, {**CARCINOMA, **cells}, {**CARCINOMA, "midas_path": "malignant- scc"})
    assert [sample.diagnosis for sample in read(folder)] == ["squamous_cell_carcinoma"]
    assert [(fault.kind, fault.place) for fault in folder.faults] == [(kind, "release_midas.xlsx, line 2")]


def test_unknown_label_is_kept_if_asked(tmp_path):
    write(tmp_path, {**CARCINOMA, "midas_path": "malignant- elf"})
    (sample,) = read(DatasetFolder(tmp_path, keep_unknown=True))
    assert (sample.diagnosis, sample.label) == (None, "malignant- elf")


@pytest.mark.parametrize(
    ("text", "site"),
    [
        ("R forearm", "forearm"), ("left dorsal hand", "hand"), ("scalp vertex", "scalp"),
        ("l cheek", "face"), ("Chest", "chest"), ("soles", "palms_soles"), ("", None), ("somewhere", None),
        ("left ear, right hand", None), ("back of neck", None), ("near nose", None),
    ],
)  # fmt: skip
def test_places_in_free_words(text, site):
    assert read_location(text) == site


def test_what_is_missing_is_said(tmp_path):
    with pytest.raises(DataError, match=r"release_midas\.xlsx"):
        list(read(DatasetFolder(tmp_path)))
    (tmp_path / "midas.csv").write_text("midas_record_id,midas_path\n", encoding="utf-8")
    with pytest.raises(DataError, match="midas_file_name"):
        list(read(DatasetFolder(tmp_path)))
