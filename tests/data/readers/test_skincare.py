"""SkinCaRe: SkinCAP's rows, and SkinCoT's photos with a text each."""

import pytest

from dermaxai.data.readers.skincare import read
from dermaxai.data.reading import DatasetFolder
from dermaxai.errors import DataError
from tests.data.readers.test_skincap import MELANOMA, PSORIASIS, add_photos, record, write_csv

ECZEMA, MOLES = "Eczema Photos", "Melanoma Skin Cancer Nevi and Moles"


def add_argument(root, class_name, photo, text="A plaque is seen. Therefore it is eczema.", drop=()):
    for kind, name in (("images", photo), ("EN", f"{photo}.txt"), ("ZH", f"{photo}.txt")):
        if kind not in drop:
            place = root / "SkinCoT" / kind / class_name / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text("" if kind == "images" else text, encoding="utf-8")


def test_both_halves(tmp_path):
    (tmp_path / "SkinCAP").mkdir()
    write_csv(tmp_path / "SkinCAP", record(*PSORIASIS), record(*MELANOMA))
    add_photos(tmp_path / "SkinCAP", "1490.png", "3999.png")
    add_argument(tmp_path, MOLES, "atypical-nevi-12.jpg")
    add_argument(tmp_path, ECZEMA, "Eczema-Hand-7.jpg")
    folder = DatasetFolder(tmp_path)
    samples = list(read(folder))
    assert folder.faults == []
    assert [sample.id for sample in samples] == [
        "skincare/skincap/1490",
        "skincare/skincap/3999",
        f"skincare/skincot/{ECZEMA}/Eczema-Hand-7.jpg",
        f"skincare/skincot/{MOLES}/atypical-nevi-12.jpg",
    ]
    assert {sample.dataset for sample in samples} == {"skincare"}
    assert samples[0].path == tmp_path / "SkinCAP" / "skincap" / "1490.png"
    assert samples[1].groups == ("ddi/000655",)
    eczema = samples[2]
    assert eczema.groups == ("dermnet/series/eczema-hand",)
    assert eczema.path == tmp_path / "SkinCoT" / "images" / ECZEMA / "Eczema-Hand-7.jpg"
    assert (eczema.label, eczema.modality) == (ECZEMA, "clinical")
    (caption,) = eczema.captions
    assert (caption.text, caption.field) == ("A plaque is seen. Therefore it is eczema.", "SkinCoT/EN")


@pytest.mark.parametrize("above", [".", "download"])
def test_faults_of_the_inner_half_are_told(tmp_path, above):
    (tmp_path / above / "SkinCAP").mkdir(parents=True)
    write_csv(tmp_path / above / "SkinCAP", record(*PSORIASIS), record(1, "ddi", "000001.png", "nothing"))
    folder = DatasetFolder(tmp_path)
    assert [sample.id for sample in read(folder)] == ["skincare/skincap/1490"]
    assert [(fault.kind, fault.place) for fault in folder.faults] == [
        ("unknown label", "skincap_v240623.csv, line 3")
    ]
    assert len(list(read(DatasetFolder(tmp_path, keep_unknown=True)))) == 2


def test_either_half_alone_and_neither(tmp_path):
    with pytest.raises(DataError, match="neither SkinCAP nor SkinCoT"):
        next(read(DatasetFolder(tmp_path)))
    add_argument(tmp_path / "download", ECZEMA, "a-1.jpg")
    assert [sample.groups for sample in read(DatasetFolder(tmp_path))] == [("dermnet/series/a",)]


def test_a_photo_without_text_and_a_text_without_photo(tmp_path):
    add_argument(tmp_path, ECZEMA, "a-1.jpg", drop=("EN",))
    add_argument(tmp_path, ECZEMA, "b-2.jpg", text=" \n")
    add_argument(tmp_path, ECZEMA, "c-3.jpg", drop=("images",))
    add_argument(tmp_path, "Odd Photos", "d-4.jpg")
    folder = DatasetFolder(tmp_path)
    (sample,) = read(folder)
    assert sample.path is None
    assert sample.groups == ("dermnet/series/c",)
    assert [(fault.kind, fault.place) for fault in folder.faults] == [
        ("broken row", f"SkinCoT/images/{ECZEMA}/a-1.jpg"),
        ("broken row", f"SkinCoT/images/{ECZEMA}/b-2.jpg"),
        ("unknown label", "SkinCoT/images/Odd Photos/d-4.jpg"),
    ]
    assert f"no text SkinCoT/EN/{ECZEMA}/a-1.jpg.txt" in folder.faults[0].message
    kept = list(read(DatasetFolder(tmp_path, keep_unknown=True)))
    assert [(each.label, each.diagnosis) for each in kept][1:] == [("Odd Photos", None)]
