"""DDI as Stanford and Redivis ship it."""

import pytest

from dermaxai.data.readers.ddi import read
from dermaxai.data.reading import DatasetFolder

ROWS = (
    "0,1,000001.png,56,True,melanoma-in-situ",
    "1,2,000002.png,12,False,actinic-keratosis",
    "2,3,000003.png,34,True,nodular-melanoma-(nm)",
)


def folder_with(root, *rows, index="", **options):
    header = f"{index},DDI_ID,DDI_file,skin_tone,malignant,disease"
    (root / "ddi_metadata.csv").write_text("\n".join((header, *rows, "")), encoding="utf-8")
    (root / "images").mkdir()
    (root / "images" / "000001.png").touch()
    return DatasetFolder(root, **options)


@pytest.mark.parametrize("index", ["", "_unnamed_var"])
def test_rows(tmp_path, index):
    folder = folder_with(tmp_path, *ROWS, index=index)
    first, second, third = read(folder)
    assert folder.faults == []
    assert (first.id, first.groups) == ("ddi/000001", ("ddi/000001",))
    assert first.path == tmp_path / "images" / "000001.png"
    assert (first.diagnosis, first.label, first.skin_type) == ("melanoma_in_situ", "melanoma-in-situ", "56")
    assert (first.source_malignancy, first.modality) == ("", "clinical")
    assert second.path is None
    assert (second.diagnosis, second.source_malignancy) == ("actinic_keratosis", "benign")
    assert (third.diagnosis, third.skin_type) == ("nodular_melanoma", "34")


@pytest.mark.parametrize(
    ("row", "kind", "message"),
    [
        ("3,4,4.png,56,True,scar", "broken row", "DDI_file='4.png'"),
        ("3,4,000004.png,78,True,scar", "broken row", "skin_tone='78'"),
        ("3,4,000004.png,56,yes,scar", "broken row", "malignant='yes'"),
        ("3,4,000004.png,56,True,scarr", "unknown label", "disease='scarr'"),
    ],
)
def test_a_row_with_a_fault_is_told_and_skipped(tmp_path, row, kind, message):
    folder = folder_with(tmp_path, ROWS[0], row)
    assert [sample.id for sample in read(folder)] == ["ddi/000001"]
    (fault,) = folder.faults
    assert (fault.kind, fault.place) == (kind, "ddi_metadata.csv, line 3")
    assert message in fault.message


def test_an_unknown_label_can_be_kept(tmp_path):
    (sample,) = read(folder_with(tmp_path, "0,4,000004.png,12,False,scarr", keep_unknown=True))
    assert (sample.diagnosis, sample.label, sample.source_malignancy) == (None, "scarr", "benign")
