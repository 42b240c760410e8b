"""Everything that is wrong with a folder is told, with file and row."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from dermaxai.data import checking
from dermaxai.data.checking import ExpectedCounts, check
from dermaxai.data.reading import DatasetFolder, Fault
from dermaxai.data.scanning import ScanIndex
from tests.data.copies import change, draw_skin, encode
from tests.data.mixture import Readers, few

DATA = Path(os.environ.get("DERMAXAI_DATA", Path(__file__).parents[2] / "../shared/data"))


NOTHING_PROMISED = ExpectedCounts()


@pytest.fixture
def checked(monkeypatch, tmp_path):
    """Check the rows of a mixture that holds SkinCAP only."""

    def found(mixture, expected=NOTHING_PROMISED, **given):
        monkeypatch.setattr(checking, "READERS", Readers(rows=mixture.samples))
        with ScanIndex(tmp_path / "index", workers=1) as photos:
            return check("skincap", DatasetFolder(mixture.root / "skincap"), expected, photos=photos, **given)

    return found


def test_nothing_wrong(checked, tmp_path):
    told = []
    report = checked(
        few(tmp_path, {}, {}), ExpectedCounts(rows=2), on_progress=lambda *step: told.append(step)
    )
    assert report.is_clean
    assert (report.samples, report.photos, report.same, report.near, report.unnamed) == (2, 2, (), (), ())
    assert told == [("photos", 2, 2)]


def test_rows_and_photos_that_are_wrong(checked, tmp_path):
    mixture = few(tmp_path, {}, {"path": None}, {}, {"id": "skincap/0"}, {})
    rows = mixture.samples["skincap"]
    rows[2].path.write_bytes(b"\xff\xd8 cut off")
    rows[4] = replace(rows[4], path=rows[0].path)
    report = checked(mixture)
    assert [(fault.kind, fault.place) for fault in report.faults] == [
        ("missing photo", "skincap.csv, line 3"),
        ("repeated id", "skincap.csv, line 5"),
        ("repeated photo", "skincap.csv, line 6"),
        ("unreadable photo", "2.jpg"),
    ]
    assert "damaged" in report.faults[-1].message
    assert report.kinds == {kind: 1 for kind in report.kinds}
    assert [path.name for path in report.unnamed] == ["1.jpg", "4.jpg"]
    assert not report.is_clean


def test_faults_of_reading_come_first(checked, tmp_path, monkeypatch):
    mixture = few(tmp_path, {"path": None})
    folder = DatasetFolder(mixture.root / "skincap")
    folder.report("unknown label", "a.csv, line 9", "dx='x'")
    monkeypatch.setattr(checking, "READERS", Readers(rows=mixture.samples))
    with ScanIndex(tmp_path / "index", workers=1) as photos:
        report = check("skincap", folder, photos=photos)
    assert report.faults[0] == Fault("unknown label", "a.csv, line 9", "dx='x'")
    assert len(report.faults) == 2


def test_duplicates_inside(checked, tmp_path):
    mixture = few(tmp_path, {}, {}, {"groups": ("skincap/lesion/1",)}, {"groups": ("skincap/lesion/1",)}, {})
    paths = [sample.path for sample in mixture.samples["skincap"]]
    paths[1].write_bytes(paths[0].read_bytes())
    paths[3].write_bytes(change(mixture.picture(2), "jpeg"))
    report = checked(mixture)
    (same,), (near,) = report.same, report.near
    assert (same.one, same.other, same.flips, same.grouped) == (paths[0], paths[1], 0, False)
    assert (near.one, near.other, near.grouped) == (paths[2], paths[3], True)
    assert 0 < near.flips < 33
    assert [(fault.kind, fault.place) for fault in report.faults] == [("repeated photo", "1.jpg")]


def test_counts_against_the_card(checked, tmp_path):
    mixture = few(tmp_path, {"label": "psoriasis"}, {"label": "psoriasis"}, {"label": "acne"})
    expected = ExpectedCounts(rows=4, labels={"psoriasis": 2, "acne": 2, "vitiligo": 1})
    report = checked(mixture, expected)
    assert [(fault.kind, fault.place, fault.message) for fault in report.faults] == [
        ("count", "all rows", "4 are promised, 3 were read."),
        ("count", "label 'acne'", "2 are promised, 1 were read."),
        ("count", "label 'vitiligo'", "1 are promised, 0 were read."),
    ]
    assert report.labels == {"psoriasis": 2, "acne": 1}
    assert checked(mixture).is_clean


def test_photos_that_no_row_names(checked, tmp_path):
    mixture = few(tmp_path, {})
    extra = mixture.root / "skincap" / "not_include" / "9.jpg"
    extra.parent.mkdir()
    extra.write_bytes(encode(Image.fromarray(draw_skin(9))))
    report = checked(mixture)
    assert report.unnamed == (extra,)
    assert report.is_clean


@pytest.mark.shared
def test_pad_ufes_20(tmp_path):
    if not (DATA / "pad_ufes_20").is_dir():
        pytest.skip("needs PAD-UFES-20 in DERMAXAI_DATA or ../shared/data")
    with ScanIndex(tmp_path / "index", workers=1) as photos:
        report = check("pad_ufes_20", DatasetFolder(DATA / "pad_ufes_20"), photos=photos)
    assert report.samples == 2298
    assert report.kinds == {"missing photo": report.samples - report.photos}
    assert report.unnamed == report.same == ()
