"""HAM10000 in each form its publisher ships, and what is said of folders that are not it."""

import os
from collections import Counter
from pathlib import Path

import pytest

from dermaxai.data.ham10000 import DIAGNOSES, read_ham10000
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


@pytest.mark.parametrize("name", ["HAM10000_metadata.csv", "HAM10000_metadata.tab", "HAM10000_metadata"])
@pytest.mark.parametrize("separator", [",", "\t"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_published_forms(tmp_path, name, separator, start):
    first, second, third = read_ham10000(write(tmp_path, name=name, separator=separator, start=start))
    assert (first.image, first.lesion, first.diagnosis) == ("ISIC_1", "HAM_1", "nv")
    assert (first.age, first.sex, first.site) == (None, "female", "back")
    assert (second.age, second.sex, second.site) == (None, None, None)
    assert (third.age, third.sex, third.site, third.diagnosis) == (80.0, "male", "scalp", "mel")
    assert third.path == tmp_path / "HAM10000_images_part_2" / "ISIC_3.jpg"


def test_no_table(tmp_path):
    with pytest.raises(DataError, match=r"HAM10000_metadata\.csv.*10\.7910/DVN/DBW86T"):
        read_ham10000(tmp_path)


def test_missing_columns_are_named(tmp_path):
    write(tmp_path, header=("lesion", *HEADER[1:6], "place", "dataset"))
    with pytest.raises(DataError, match="lacks the columns lesion_id, localization; it has lesion, image_id"):
        read_ham10000(tmp_path)


def test_empty_table(tmp_path):
    write(tmp_path)
    (tmp_path / "HAM10000_metadata.csv").write_text("")
    with pytest.raises(DataError, match="it has none"):
        read_ham10000(tmp_path)


def test_unknown_label_names_file_and_line(tmp_path):
    rows = (*ROWS[:2], (*ROWS[2][:2], "naevus", *ROWS[2][3:]))
    with pytest.raises(DataError, match=r"HAM10000_metadata\.csv, line 4: unknown label dx='naevus'.*akiec"):
        read_ham10000(write(tmp_path, rows=rows))


def test_an_age_that_is_no_number_names_file_and_line(tmp_path):
    rows = ((*ROWS[0][:4], "old", *ROWS[0][5:]),)
    with pytest.raises(DataError, match=r"HAM10000_metadata\.csv, line 2: age 'old'"):
        read_ham10000(write(tmp_path, rows=rows))


def test_no_photo(tmp_path):
    with pytest.raises(DataError, match="none of its photos"):
        read_ham10000(write(tmp_path, rows=ROWS[3:]))


@pytest.mark.shared
@pytest.mark.skipif(
    not (DATA / "ham10000").is_dir(), reason="the HAM10000 photos are not beside the repository"
)
def test_real_folder():
    rows = read_ham10000(DATA / "ham10000")
    assert len(rows) == 5534
    counts = Counter(row.diagnosis for row in rows)
    assert set(counts) == set(DIAGNOSES)
    assert counts.most_common(1)[0][0] == "nv"
    assert [row.image for row in rows] == sorted({row.image for row in rows})
    assert all(row.path.is_file() for row in rows[::500])
    assert {row.age for row in rows} - {None} <= {5.0 * step for step in range(1, 18)}
