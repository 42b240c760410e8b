"""What is written is read, to the last field; opening reads next to nothing."""

import pickle
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermaxai.data.appearance import Appearance
from dermaxai.data.hashing import Signature
from dermaxai.data.manifest import Manifest, manifest_schema
from dermaxai.data.samples import Sample, SampleCaption, Sentence
from dermaxai.data.scanning import Scan
from dermaxai.errors import DataError, UnknownName, UsageError
from tests.data.manifests import APPEARANCE, sample, write

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
MAYBE = st.none() | TEXT
FINITE = st.floats(allow_nan=False, allow_infinity=False)
SENTENCES = st.lists(st.builds(Sentence, TEXT, st.sampled_from(["label", "author"])), max_size=3).map(tuple)
CAPTIONS = st.lists(st.builds(SampleCaption, st.sampled_from(["en", "ru"]), SENTENCES, TEXT), max_size=3)
PARTS = st.sampled_from(["train", "validation", "test"])
NAME = st.text("abcXYZ019 _-ё", min_size=1, max_size=9)
TUPLES = st.lists(TEXT, max_size=3).map(tuple)
SAMPLES = st.builds(
    Sample,
    id=TEXT, dataset=st.sampled_from(["one", "two"]), path=st.none() | NAME.map(Path("/d").joinpath),
    place=TEXT, licence=TEXT, captions=CAPTIONS.map(tuple), diagnosis=MAYBE, label=TEXT,
    other_diagnoses=TUPLES, source_malignancy=TEXT, present=TUPLES, absent=TUPLES, site=MAYBE, site_text=TEXT,
    age=st.none() | FINITE, sex=st.none() | st.sampled_from(["female", "male"]), skin_type=MAYBE,
    modality=st.none() | st.sampled_from(["dermoscopic", "clinical"]), groups=TUPLES,
    official_split=st.none() | PARTS,
    votes=st.lists(st.tuples(TEXT, st.integers(-(2**63), 2**63 - 1)), max_size=3).map(tuple), sha256=TEXT,
)  # fmt: skip
COLOURS = st.lists(st.tuples(TEXT, FINITE), max_size=3).map(tuple)
APPEARANCES = st.none() | st.builds(Appearance, FINITE, FINITE, FINITE, COLOURS, FINITE, FINITE)
SIDES = st.integers(0, 2**31 - 1)


def fields(appearance):
    return appearance and [getattr(appearance, name) for name in Appearance.__slots__]


@given(st.lists(st.tuples(SAMPLES, APPEARANCES, SIDES, PARTS), max_size=9))
def test_round_trip(rows):
    samples = [row[0] for row in rows]
    scans = [Scan("", row[2], 7, None, row[1]) for row in rows]
    roots = {"one": Path("/d"), "two": Path("/d")}
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "m.parquet"
        write(path, samples, roots, scans=scans, splits=[row[3] for row in rows])
        manifest = Manifest.open(path)
        found = manifest.samples(range(len(rows)))
        assert [one.sample for one in found] == samples
        assert [fields(one.appearance) for one in found] == [fields(row[1]) for row in rows]
        assert [(one.width, one.split) for one in found] == [(row[2], row[3]) for row in rows]
        assert [one.sample for some in manifest.batches(2) for one in some] == samples
        manifest.verify()


@pytest.fixture
def manifest(tmp_path):
    """Ten rows of two datasets; row 7 repeats row 1, row 8 repeats row 7's photo."""
    samples = [sample(number, tmp_path, "skincap" if number > 5 else "ham10000") for number in range(10)]
    splits = ["train", "test"] * 5
    repeats = [""] * 7 + ["ham10000/1", "ham10000/1", ""]
    roots = {"ham10000": tmp_path, "skincap": tmp_path}
    write(tmp_path / "m.parquet", samples, roots, splits=splits, repeats=repeats)
    return Manifest.open(tmp_path / "m.parquet")


def test_rows_are_chosen(manifest):
    assert manifest.rows().tolist() == [0, 1, 2, 3, 4, 5, 6, 9]
    assert manifest.rows(unique=False).tolist() == list(range(10))
    assert manifest.rows("train").tolist() == [0, 2, 4, 6, 8]
    assert manifest.rows(datasets=["skincap"]).tolist() == [6, 7, 9]
    assert manifest.rows("test", ["skincap", "ham10000"]).tolist() == [1, 3, 5, 9]
    assert manifest.rows(datasets=[]).tolist() == []


def test_a_photo_counts_once_among_the_rows_asked_for(manifest):
    """A dataset alone keeps photos whose first row is another dataset's."""
    assert 7 in manifest.rows(datasets=["skincap"])
    assert 7 not in manifest.rows(datasets=["ham10000", "skincap"])


def test_samples_come_in_the_order_asked_for(manifest):
    found = manifest.samples([9, 0, 5, 9])
    assert [one.sample.id for one in found] == ["skincap/9", "ham10000/0", "ham10000/5", "skincap/9"]
    assert fields(found[0].appearance) == fields(APPEARANCE)
    assert manifest.samples([]) == []


@pytest.mark.parametrize("rows", [[10], [-1], [0, 99]])
def test_rows_that_are_not_there(manifest, rows):
    with pytest.raises(UsageError, match="Rows are 0 to 9"):
        manifest.samples(rows)


def test_columns(manifest):
    assert manifest.columns == tuple(manifest_schema().names)
    assert manifest.column("width").tolist() == [600] * 10
    assert manifest.column("age").dtype == float
    assert np.isnan(manifest.column("age")).all()
    assert list(manifest.column("sex")) == [None] * 10
    assert manifest.column("groups") == [[]] * 10
    with pytest.raises(UnknownName, match="Did you mean 'width'"):
        manifest.column("widht")


def test_names_are_checked(manifest):
    with pytest.raises(UsageError, match="train, validation, test"):
        manifest.rows("holdout")
    with pytest.raises(UnknownName, match="skincap"):
        manifest.rows(datasets=["skin_cap"])


def test_photos_that_moved(manifest, tmp_path):
    moved = Manifest.open(manifest.path, roots={"skincap": "/elsewhere"})
    assert moved.samples([9])[0].sample.path == Path("/elsewhere/photos/9.jpg")
    assert moved.samples([0])[0].sample.path == tmp_path / "photos" / "0.jpg"
    assert moved.sha256 == manifest.sha256
    with pytest.raises(UnknownName, match="dataset in the manifest"):
        Manifest.open(manifest.path, roots={"ddi": "/elsewhere"})


def test_it_goes_to_another_process_with_its_roots(manifest):
    moved = Manifest.open(manifest.path, roots={"skincap": "/elsewhere"})
    again = pickle.loads(pickle.dumps(moved))
    assert again.samples([9])[0].sample == moved.samples([9])[0].sample
    assert again.roots == moved.roots


def test_opening_reads_no_rows(manifest, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("rows were read")

    for name in ("read", "read_row_group", "iter_batches"):
        monkeypatch.setattr(pyarrow.parquet.ParquetFile, name, refuse)
    assert len(Manifest.open(manifest.path)) == 10


def test_a_changed_file_is_told(manifest):
    manifest.verify()
    data = bytearray(manifest.path.read_bytes())
    data[40] ^= 1
    manifest.path.write_bytes(data)
    with pytest.raises(DataError, match="was changed"):
        Manifest.open(manifest.path).verify()


@pytest.mark.parametrize("kind", ["absent", "text", "empty", "parquet"])
def test_what_is_no_manifest(tmp_path, kind):
    path = tmp_path / "m.parquet"
    if kind == "text":
        path.write_text("a letter")
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "parquet":
        pyarrow.parquet.write_table(pa.table({"a": [1]}), path)
    with pytest.raises(DataError, match="no manifest"):
        Manifest.open(path)


def test_a_later_format_is_told(manifest, monkeypatch):
    monkeypatch.setattr("dermaxai.data.manifest.FORMAT", 2)
    with pytest.raises(DataError, match="format 1; 2 is read"):
        Manifest.open(manifest.path)


def test_a_signature_keeps_its_bits(tmp_path):
    bits = bytes(range(32))
    one = sample(1, tmp_path)
    write(
        tmp_path / "m.parquet",
        [one],
        {"ham10000": tmp_path},
        scans=[Scan("", 1, 1, Signature(bits, b""), None)],
    )
    assert Manifest.open(tmp_path / "m.parquet").column("phash").tolist() == [bits]
