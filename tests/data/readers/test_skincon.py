"""SkinCon (Daneshjou): two tables with an empty first header, 48 columns, rows not to be considered."""

import pytest

from dermaxai import vocabulary
from dermaxai.data.readers.skincon import FLAG, read
from dermaxai.data.reading import DatasetFolder
from dermaxai.errors import DataError

COLUMNS = [each.skincon for each in vocabulary.findings().values() if each.skincon]
FITZPATRICK, DDI = "annotations_fitzpatrick17k.csv", "annotations_ddi.csv"
MD5 = "eb0cbb277ba6b206c5fafc66ab8c46f9"


def line(number, image, present=(), flag=0, **cells):
    marks = [cells.get(column, int(column in present)) for column in COLUMNS]
    return ",".join(map(str, (number, image, *marks, flag)))


def write(root, name, *lines):
    (root / name).write_text("\n".join((",".join(("", "ImageID", *COLUMNS, FLAG)), *lines, "")))


def test_both_tables(tmp_path):
    write(tmp_path, FITZPATRICK, line(0, f"{MD5}.jpg", ("Plaque", "Brown(Hyperpigmentation)", "Scale")))
    write(tmp_path, DDI, line(0, "000655.png", ("Dome-shaped", "Exophytic/Fungating")))
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "000655.png").touch()
    folder = DatasetFolder(tmp_path)
    first, second = read(folder)
    assert folder.faults == []
    assert (first.id, first.groups) == (f"skincon/{MD5}", (f"fitzpatrick17k/{MD5}",))
    assert first.present == ("plaque", "scale", "brown_hyperpigmentation")
    assert (first.path, first.diagnosis, first.modality) == (None, None, "clinical")
    assert (second.id, second.groups) == ("skincon/000655", ("ddi/000655",))
    assert second.path == tmp_path / "photos" / "000655.png"
    assert second.licence != first.licence


def test_not_marked_is_absent_only_where_it_was_looked_for(tmp_path):
    write(tmp_path, DDI, line(0, "000655.png", ("Plaque",), Papule="", Scale="1.0", Crust="0.0"))
    (sample,) = read(DatasetFolder(tmp_path))
    assert sample.present == ("plaque", "scale")
    assert {"macule", "crust", "ulcer"} <= set(sample.absent)
    kinds = {vocabulary.finding(each).kind for each in sample.absent}
    assert kinds == {"primary_lesion", "secondary_change"}
    assert "papule" not in (*sample.absent, *sample.present)
    assert not set(sample.present) & set(sample.absent)


@pytest.mark.parametrize("name", [FITZPATRICK, DDI])
def test_flagged_rows_are_left_out_and_counted_once(tmp_path, name):
    write(tmp_path, name, *(line(n, f"00000{n}.png", ("Cyst",), flag=n % 2) for n in range(1, 6)))
    folder = DatasetFolder(tmp_path)
    assert [sample.id for sample in read(folder)] == ["skincon/000002", "skincon/000004"]
    (fault,) = folder.faults
    assert (fault.kind, fault.place) == ("left out", name)
    assert fault.message.startswith("3 of 5 rows")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (line(0, "000001.png", Papule="2"), "Papule='2' is neither 0 nor 1"),
        (line(0, "000001.png", Papule="x"), "Papule='x' is neither"),
        (line(0, "000001.png", flag=7), "Do not consider this image='7'"),
        (line(0, "holiday.png"), "'holiday.png' is no photo of Fitzpatrick17k"),
    ],
)
def test_a_broken_row_is_told_and_skipped(tmp_path, row, message):
    write(tmp_path, DDI, row, line(1, "000002.png"))
    folder = DatasetFolder(tmp_path)
    assert [sample.id for sample in read(folder)] == ["skincon/000002"]
    (fault,) = folder.faults
    assert (fault.kind, fault.place) == ("broken row", "annotations_ddi.csv, line 2")
    assert message in fault.message


def test_no_table_or_a_lost_column(tmp_path):
    with pytest.raises(DataError, match=r"holds none of annotations_fitzpatrick17k\.csv, annotations_ddi"):
        next(read(DatasetFolder(tmp_path)))
    (tmp_path / DDI).write_text(f",ImageID,Vesicle,{FLAG}\n")
    with pytest.raises(DataError, match="lacks the columns Papule, Macule"):
        next(read(DatasetFolder(tmp_path)))
