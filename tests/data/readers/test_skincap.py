"""SkinCAP in its two forms: a csv, and a spreadsheet whose header stands below a title."""

import csv

import pytest

from dermaxai.data.readers.skincap import read
from dermaxai.data.readers.skincon import FLAG
from dermaxai.data.reading import DatasetFolder
from dermaxai.errors import DataError
from tests.data.readers.test_skincon import COLUMNS

openpyxl = pytest.importorskip("openpyxl")
MD5 = "eb0cbb277ba6b206c5fafc66ab8c46f9"
TEXT = "The photo shows  a red plaque on the elbow, approx. 2 cm wide. The diagnosis is psoriasis."
CSV, SHEET = "skincap_v240623.csv", "skincap_v240715.xlsx"


def record(number, source, original, disease, english="caption_zh_polish_en", **cells):
    fitzpatrick = source == "fitzpatrick17k"
    told = {
        "id": number,
        "skincap_file_path": f"{number}.png",
        "ori_file_path": original,
        "disease": disease,
        "caption_zh": "图片显示肘部红色斑块。",
        english: TEXT,
        "remark": "",
        "source": source,
        "skin_tone": "" if fitzpatrick else 56,
        "malignant": "" if fitzpatrick else "True",
        "fitzpatrick_scale": 2 if fitzpatrick else "",
        "fitzpatrick_centaur": 3 if fitzpatrick else "",
        "nine_partition_label": "inflammatory" if fitzpatrick else "",
        "three_partition_label": "non-neoplastic" if fitzpatrick else "",
        **dict.fromkeys(COLUMNS, 0),
        "Plaque": 1,
        FLAG: 0,
    }
    return told | cells


def write_csv(root, *records):
    with (root / CSV).open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(records[0]))
        writer.writeheader()
        writer.writerows(records)
    return root


def write_sheet(root, *records, title=True):
    book = openpyxl.Workbook()
    page = book.active
    if title:
        page.append(["SkinCAP", *[None] * (len(records[0]) - 2), "SKINCON"])
    page.append(list(records[0]))
    for each in records:
        page.append([value if value != "" else None for value in each.values()])
    book.save(root / SHEET)
    return root


def add_photos(root, *names):
    for name in names:
        (root / "skincap" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "skincap" / name).touch()


PSORIASIS = (1490, "fitzpatrick17k", f"{MD5}.jpg", "psoriasis")
MELANOMA = (3999, "ddi", "000655.png", "melanoma-in-situ")


@pytest.mark.parametrize("form", ["csv", "sheet", "sheet without title"])
def test_both_forms(tmp_path, form):
    english = "caption_zh_polish_en" if form == "csv" else "caption_en"
    records = [record(*each, english=english) for each in (PSORIASIS, MELANOMA)]
    if form == "csv":
        write_csv(tmp_path, *records)
    else:
        write_sheet(tmp_path, *records, title=form == "sheet")
    add_photos(tmp_path, "1490.png", "not_include/3999.png")
    folder = DatasetFolder(tmp_path)
    first, second = read(folder)
    assert folder.faults == []
    assert (first.id, first.groups) == ("skincap/1490", (f"fitzpatrick17k/{MD5}",))
    assert first.path == tmp_path / "skincap" / "1490.png"
    assert (first.diagnosis, first.label, first.skin_type) == ("psoriasis", "psoriasis", "2")
    assert first.present == ("plaque",)
    (caption,) = first.captions
    assert (caption.language, caption.field, caption.is_weak) == ("en", english, False)
    assert [sentence.text for sentence in caption.sentences] == [
        "The photo shows a red plaque on the elbow, approx. 2 cm wide.",
        "The diagnosis is psoriasis.",
    ]
    assert {sentence.source for sentence in caption.sentences} == {"author"}
    assert (second.id, second.groups) == ("skincap/3999", ("ddi/000655",))
    assert (second.path, second.diagnosis, second.skin_type) == (None, "melanoma_in_situ", "56")


def test_the_newer_table_is_read_where_both_are(tmp_path):
    write_csv(tmp_path, record(*PSORIASIS))
    write_sheet(tmp_path, record(*MELANOMA, english="caption_en"))
    (sample,) = read(DatasetFolder(tmp_path))
    assert sample.captions[0].field == "caption_en"


@pytest.mark.parametrize(
    ("disease", "diagnosis"),
    [
        ("malignant melanoma", "melanoma"),
        ("Melanoma In Situ", "melanoma_in_situ"),
        ("nodular melanoma (nm)", "nodular_melanoma"),
        ("acquired autoimmune bullous diseaseherpes gestationis", "pemphigoid_gestationis"),
        ("Melanocytic nevus", "melanocytic_nevus"),
        ("ringworm of nowhere", None),
    ],
)
def test_diseases_of_all_spellings(tmp_path, disease, diagnosis):
    write_csv(tmp_path, record(1, "ddi", "000001.png", disease))
    folder = DatasetFolder(tmp_path)
    assert [sample.diagnosis for sample in read(folder)] == ([diagnosis] if diagnosis else [])
    assert [fault.kind for fault in folder.faults] == ([] if diagnosis else ["unknown label"])
    (kept,) = read(DatasetFolder(tmp_path, keep_unknown=True))
    assert (kept.diagnosis, kept.label) == (diagnosis, disease)


def test_flagged_rows_are_left_out_and_counted(tmp_path):
    write_csv(tmp_path, record(*PSORIASIS, **{FLAG: 1}), record(*MELANOMA))
    folder = DatasetFolder(tmp_path)
    assert [sample.id for sample in read(folder)] == ["skincap/3999"]
    assert [(fault.kind, fault.place) for fault in folder.faults] == [("left out", CSV)]


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({"source": "ddi"}, "source='ddi' does not fit"),
        ({"ori_file_path": "x.jpg"}, "'x.jpg' is no photo"),
        ({"caption_zh_polish_en": "  "}, "caption_zh_polish_en holds no caption"),
        ({"fitzpatrick_scale": 9}, "fitzpatrick_scale='9'"),
        ({"Papule": 3}, "Papule='3' is neither 0 nor 1"),
    ],
)
def test_a_broken_row_is_told_and_skipped(tmp_path, cells, message):
    write_csv(tmp_path, record(*PSORIASIS) | cells, record(*MELANOMA))
    folder = DatasetFolder(tmp_path)
    assert [sample.id for sample in read(folder)] == ["skincap/3999"]
    (fault,) = folder.faults
    assert (fault.kind, fault.place) == ("broken row", f"{CSV}, line 2")
    assert message in fault.message


def test_no_skin_type_is_none(tmp_path):
    (sample,) = read(DatasetFolder(write_csv(tmp_path, record(*PSORIASIS, fitzpatrick_scale=-1))))
    assert sample.skin_type is None


def test_a_table_without_english_is_refused(tmp_path):
    told = record(*PSORIASIS)
    del told["caption_zh_polish_en"]
    with pytest.raises(DataError, match="no English caption: none of caption_en, caption_zh_polish_en"):
        next(read(DatasetFolder(write_csv(tmp_path, told))))
