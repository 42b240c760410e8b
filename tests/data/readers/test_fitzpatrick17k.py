"""Fitzpatrick17k as its authors ship it: -1, rows without a link, lost photos, odd labels, wrong rows."""

import os
from collections import Counter
from pathlib import Path

import pytest

from dermaxai.data.cells import disagreement
from dermaxai.data.readers.fitzpatrick17k import read
from dermaxai.data.reading import DatasetFolder
from dermaxai.errors import DataError

DATA = Path(os.environ.get("DERMAXAI_DATA", Path(__file__).parents[3] / "../shared/data"))
TABLE = DATA / "metadata" / "fitzpatrick17k.csv"
HEADER = (
    "md5hash,fitzpatrick_scale,fitzpatrick_centaur,label,nine_partition_label,three_partition_label,qc,url,"
    "url_alphanum"
)
A, B, C, D, E = (letter * 32 for letter in "abcde")
ROWS = (
    f"{A},3,3,drug induced pigmentary changes,inflammatory,non-neoplastic,,https://www.dermaamin.com/a.jpg,a",
    f"{B},-1,-1,actinic keratosis,malignant epidermal,malignant,1 Diagnostic,,",
    f"{C},6,5,papilomatosis confluentes and reticulate,inflammatory,non-neoplastic,,http://x/img?imageId=1,x",
)


def folder_with(root, *rows, **options):
    (root / "fitzpatrick17k.csv").write_text("\n".join((HEADER, *rows, "")), encoding="utf-8")
    photos = root / "data" / "finalfitz17k"
    photos.mkdir(parents=True)
    (photos / f"{A}.jpg").touch()
    return DatasetFolder(root, **options)


def test_rows(tmp_path):
    folder = folder_with(tmp_path, *ROWS)
    first, second, third = read(folder)
    assert folder.faults == []
    assert first.id == f"fitzpatrick17k/{A}"
    assert first.groups == (f"fitzpatrick17k/{A}",)
    assert first.path == tmp_path / "data" / "finalfitz17k" / f"{A}.jpg"
    assert first.place == "fitzpatrick17k.csv, line 2"
    assert (first.diagnosis, first.skin_type) == ("drug_induced_pigmentation", "3")
    assert (first.source_malignancy, first.modality) == ("", "clinical")
    assert (second.path, second.skin_type) == (None, None)
    assert (second.diagnosis, second.source_malignancy) == ("actinic_keratosis", "malignant")
    assert third.diagnosis == "confluent_and_reticulated_papillomatosis"
    assert third.label == "papilomatosis confluentes and reticulate"


@pytest.mark.parametrize(
    ("row", "kind", "message"),
    [
        (f"{D},2,2,melanoma,malignant melanoma,malignant,3 Wrongly labelled,,", "left out", "Wrongly lab"),
        (f"{D},7,2,melanoma,malignant melanoma,malignant,,,", "broken row", "fitzpatrick_scale='7'"),
        (f"{D},2,2,melanoma,malignant melanoma,perhaps,,,", "broken row", "three_partition_label='perhaps'"),
        ("deadbeef,2,2,melanoma,malignant melanoma,malignant,,,", "broken row", "md5hash='deadbeef'"),
        (f"{D},2,2,melanomma,malignant melanoma,malignant,,,", "unknown label", "label='melanomma'"),
    ],
)
def test_a_row_with_a_fault_is_told_and_skipped(tmp_path, row, kind, message):
    folder = folder_with(tmp_path, row, ROWS[0])
    assert [sample.groups for sample in read(folder)] == [(f"fitzpatrick17k/{A}",)]
    (fault,) = folder.faults
    assert (fault.kind, fault.place) == (kind, "fitzpatrick17k.csv, line 2")
    assert message in fault.message


def test_an_unknown_label_can_be_kept(tmp_path):
    row = f"{E},2,2,melanomma,malignant melanoma,malignant,,,"
    (sample,) = read(folder_with(tmp_path, row, keep_unknown=True))
    assert (sample.diagnosis, sample.label, sample.source_malignancy) == (None, "melanomma", "malignant")


def test_a_changed_table_is_refused(tmp_path):
    (tmp_path / "fitzpatrick17k.csv").write_text("md5hash,label\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"lacks the columns fitzpatrick_scale.*it has md5hash, label"):
        next(read(DatasetFolder(tmp_path)))


@pytest.mark.parametrize(
    ("diagnosis", "told", "kept"),
    [
        ("melanoma", "malignant", ""),
        ("melanoma_in_situ", "malignant", ""),
        ("psoriasis", "non-neoplastic", ""),
        ("psoriasis", "malignant", "malignant"),
        ("langerhans_cell_histiocytosis", "non-neoplastic", "non-neoplastic"),
        ("melanoma", "", ""),
        (None, "benign", "benign"),
    ],
)
def test_malignancy_is_kept_where_it_differs(diagnosis, told, kept):
    assert disagreement(told, diagnosis) == kept


@pytest.mark.shared
@pytest.mark.skipif(not TABLE.is_file(), reason="the table of Fitzpatrick17k is not beside the repository")
def test_real_table():
    folder = DatasetFolder(TABLE.parent)
    samples = list(read(folder))
    assert len(samples) == 16_577 - 17
    assert Counter(fault.kind for fault in folder.faults) == {"left out": 17}
    assert len({sample.label for sample in samples}) == 114
    assert sum(sample.skin_type is None for sample in samples) == 565
    kept = {sample.diagnosis for sample in samples if sample.source_malignancy}
    assert kept == {"actinic_keratosis", "langerhans_cell_histiocytosis"}
