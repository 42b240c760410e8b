"""The photos that the embedded model learns from; `tests/data/readers/test_ham10000.py` tests the reader."""

import os
from collections import Counter
from pathlib import Path

import pytest

from dermaxai.embedded.lesions import DIAGNOSES, read_lesions
from dermaxai.errors import DataError

HEADER = ("lesion_id", "image_id", "dx", "dx_type", "age", "sex", "localization", "dataset")
ROWS = (
    ("HAM_2", "ISIC_3", "mel", "histo", "80.0", "male", "scalp", "vidir_modern"),
    ("HAM_1", "ISIC_2", "nv", "follow_up", "0.0", "unknown", "unknown", "rosendahl"),
    ("HAM_1", "ISIC_1", "nv", "follow_up", "", "female", "back", "rosendahl"),
    ("HAM_4", "ISIC_9", "bcc", "histo", "45.0", "female", "face", "rosendahl"),
)
DATA = Path(os.environ.get("DERMAXAI_DATA", Path(__file__).parents[2] / "../shared/data"))


def write(folder, *, name="HAM10000_metadata.csv", separator=",", header=HEADER, rows=ROWS, start=""):
    lines = [separator.join(row) for row in (header, *rows)]
    (folder / name).write_text(start + "\n".join(lines) + "\n", encoding="utf-8")
    for part, image in ((1, "ISIC_1"), (1, "ISIC_2"), (2, "ISIC_3")):
        place = folder / f"HAM10000_images_part_{part}"
        place.mkdir(exist_ok=True)
        (place / f"{image}.jpg").write_bytes(b"")
    return folder


def test_photos_on_disk_in_order(tmp_path):
    first, second, third = read_lesions(write(tmp_path))
    assert (first.image, first.lesion, first.diagnosis) == ("ISIC_1", "HAM_1", "nv")
    assert (second.image, third.image, third.diagnosis) == ("ISIC_2", "ISIC_3", "mel")
    assert third.path == tmp_path / "HAM10000_images_part_2" / "ISIC_3.jpg"


def test_no_table(tmp_path):
    with pytest.raises(DataError, match="HAM10000_metadata"):
        read_lesions(tmp_path)


def test_unknown_label_names_file_and_line(tmp_path):
    rows = (*ROWS[:2], (*ROWS[2][:2], "naevus", *ROWS[2][3:]))
    with pytest.raises(DataError, match=r"HAM10000_metadata\.csv, line 4: dx='naevus'"):
        read_lesions(write(tmp_path, rows=rows))


def test_a_broken_row_is_not_passed_over(tmp_path):
    rows = ((*ROWS[0][:4], "old", *ROWS[0][5:]), *ROWS[1:])
    with pytest.raises(DataError, match=r"HAM10000_metadata\.csv, line 2: .*old"):
        read_lesions(write(tmp_path, rows=rows))


def test_no_photo(tmp_path):
    with pytest.raises(DataError, match="none of its photos"):
        read_lesions(write(tmp_path, rows=ROWS[3:]))


@pytest.mark.shared
@pytest.mark.skipif(
    not (DATA / "ham10000").is_dir(), reason="the HAM10000 photos are not beside the repository"
)
def test_real_folder():
    rows = read_lesions(DATA / "ham10000")
    assert len(rows) == 5534
    counts = Counter(row.diagnosis for row in rows)
    assert set(counts) == set(DIAGNOSES)
    assert counts.most_common(1)[0][0] == "nv"
    assert [row.image for row in rows] == sorted({row.image for row in rows})
    assert all(row.path.is_file() for row in rows[::500])
