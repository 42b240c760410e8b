import dataclasses
import hashlib
import json
import math
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dermaxai.cases import find_place, load_case, save_case
from dermaxai.errors import DataError, ShapeError, UsageError
from dermaxai.geometry import Placement
from dermaxai.types import (
    Alternative,
    Caption,
    Case,
    Concept,
    Evidence,
    HeatMap,
    Outside,
    Provenance,
    Score,
    SkinImage,
    Target,
    Word,
)
from tests.sample_case import make_case

LASTING = ["case.json", "image.jpg", "image.png", "maps.npz"]


def assert_same(one, other):
    """Equal in type and value, arrays bit for bit, NaN equal to NaN."""
    assert type(one) is type(other)
    if dataclasses.is_dataclass(one):
        for entry in dataclasses.fields(one):
            assert_same(getattr(one, entry.name), getattr(other, entry.name))
    elif isinstance(one, np.ndarray):
        assert one.dtype == other.dtype
        assert one.shape == other.shape
        assert one.tobytes() == other.tobytes()
    elif isinstance(one, tuple):
        assert len(one) == len(other)
        for left, right in zip(one, other, strict=True):
            assert_same(left, right)
    elif isinstance(one, float) and math.isnan(one):
        assert math.isnan(other)
    else:
        assert one == other


def test_round_trip_is_exact(tmp_path):
    case = make_case()
    assert_same(load_case(save_case(case, tmp_path / "7f3a")), case)


def test_case_without_maps_and_outside(tmp_path):
    case = dataclasses.replace(make_case(), maps=(), outside=None, scores=(), warnings=())
    assert_same(load_case(save_case(case, tmp_path / "кейс")), case)


def test_same_case_same_bytes_whatever_the_clock(tmp_path):
    case = make_case()
    slower = tuple(dataclasses.replace(heat, seconds=9.0) for heat in case.maps)
    one = save_case(case, tmp_path / "one")
    other = save_case(dataclasses.replace(case, maps=slower), tmp_path / "other")
    for name in LASTING:
        assert (one / name).read_bytes() == (other / name).read_bytes()
    assert (one / "timings.json").read_bytes() != (other / "timings.json").read_bytes()
    assert sorted(path.name for path in one.iterdir()) == sorted([*LASTING, "timings.json"])


def test_what_came_later_is_written_only_where_there_is_some(tmp_path):
    """Folders of the same format from before are read, and written again byte for byte."""
    case = make_case()
    home = save_case(case, tmp_path / "before")
    before = json.loads((home / "case.json").read_text("utf-8"))["case"]
    assert "alternatives" not in before
    assert load_case(home).alternatives == ()
    again = save_case(load_case(home), tmp_path / "again")
    assert (again / "case.json").read_bytes() == (home / "case.json").read_bytes()
    rivals = (Alternative(1, "small", -2.5), Alternative(1, "круглое", -4.0))
    fuller = dataclasses.replace(case, alternatives=rivals)
    assert_same(load_case(save_case(fuller, tmp_path / "fuller")), fuller)


def test_saving_again_replaces_and_leaves_nothing_behind(tmp_path):
    save_case(make_case(), tmp_path / "case")
    later = dataclasses.replace(make_case(), warnings=("second",))
    save_case(later, tmp_path / "case")
    assert load_case(tmp_path / "case").warnings == ("second",)
    assert [path.name for path in tmp_path.iterdir()] == ["case"]


def test_a_folder_with_other_things_is_left_alone(tmp_path):
    (tmp_path / "holiday.jpg").write_bytes(b"precious")
    with pytest.raises(UsageError, match="not a case folder"):
        save_case(make_case(), tmp_path)
    assert (tmp_path / "holiday.jpg").read_bytes() == b"precious"


@pytest.mark.parametrize("name", [".", ".."])
def test_a_case_is_not_replaced_from_inside(tmp_path, monkeypatch, name):
    monkeypatch.chdir(save_case(make_case(), tmp_path / "case"))
    with pytest.raises(UsageError, match="from inside"):
        save_case(make_case(), name)
    assert [path.name for path in tmp_path.iterdir()] == ["case"]


def test_photos_that_share_digits_get_longer_names(tmp_path):
    case = make_case()
    names = []
    for tail in ("a" * 56, "b" * 56, "b" * 8 + "c" * 48, "b" * 8 + "c" * 16 + "d" * 32):
        image = dataclasses.replace(case.image, sha256="7f3a7f3a" + tail)
        place = find_place(tmp_path, image.sha256)
        save_case(dataclasses.replace(case, image=image), place)
        assert find_place(tmp_path, image.sha256) == place
        names.append(len(place.name))
    assert names == [8, 16, 32, 64]


def test_an_error_while_writing_keeps_the_earlier_case(tmp_path):
    case = make_case()
    save_case(case, tmp_path / "case")
    broken = dataclasses.replace(case.maps[0], values=np.zeros(3, np.float32))
    with pytest.raises(ShapeError, match="rows, columns"):
        save_case(dataclasses.replace(case, maps=(broken,)), tmp_path / "case")
    assert_same(load_case(tmp_path / "case"), case)
    assert [path.name for path in tmp_path.iterdir()] == ["case"]


@pytest.mark.parametrize("name", ["case.json", "maps.npz", "image.png"])
def test_missing_file(tmp_path, name):
    folder = save_case(make_case(), tmp_path / "case")
    (folder / name).unlink()
    with pytest.raises(DataError, match="not a complete case folder"):
        load_case(folder)


@pytest.mark.parametrize("name", ["maps.npz", "image.png"])
def test_one_flipped_byte_is_noticed(tmp_path, name):
    folder = save_case(make_case(), tmp_path / "case")
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(DataError, match="sha256"):
        load_case(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda document: document.update(format=99), "format 99"),
        (lambda document: document.pop("case"), "'case' should be"),
        (lambda document: document["files"].pop("maps.npz"), "should name"),
        (lambda document: document["maps"].pop(), "expected 14 tables"),
        (lambda document: document["case"]["captions"][0].update(text=5), "Caption.text"),
        (lambda document: document["case"]["captions"][0].update(language="fr"), "Caption.language"),
        (lambda document: document["case"]["captions"][0].pop("words"), "words"),
        (lambda document: document["case"]["made_by"].update(colour="red"), "no field colour"),
        (lambda document: document["case"]["evidence"][0].update(nats="much"), "much"),
        (lambda document: document["case"].update(outside=[]), "fields of Outside"),
        (lambda document: document["maps"][0].update(placement=None), "fields of Placement"),
    ],
)
def test_damaged_document(tmp_path, change, message):
    folder = save_case(make_case(), tmp_path / "case")
    document = json.loads((folder / "case.json").read_text("utf-8"))
    change(document)
    (folder / "case.json").write_text(json.dumps(document), "utf-8")
    with pytest.raises(DataError, match=message):
        load_case(folder)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe"])
def test_document_that_is_not_an_object(tmp_path, content):
    folder = save_case(make_case(), tmp_path / "case")
    (folder / "case.json").write_bytes(content)
    with pytest.raises(DataError, match=r"case\.json"):
        load_case(folder)


def test_pickles_are_refused(tmp_path):
    folder = save_case(make_case(), tmp_path / "case")
    np.savez(folder / "maps.npz", **{"0000": np.array([{"a": 1}], dtype=object)}, allow_pickle=True)
    document = json.loads((folder / "case.json").read_text("utf-8"))
    document["files"]["maps.npz"] = hashlib.sha256((folder / "maps.npz").read_bytes()).hexdigest()
    (folder / "case.json").write_text(json.dumps(document), "utf-8")
    with pytest.raises(DataError, match="allow_pickle"):
        load_case(folder)


def test_timings_may_be_deleted(tmp_path):
    folder = save_case(make_case(), tmp_path / "case")
    (folder / "timings.json").unlink()
    assert {heat.seconds for heat in load_case(folder).maps} == {0.0}


def test_maps_can_be_read_with_numpy_alone(tmp_path):
    case = make_case()
    folder = save_case(case, tmp_path / "case")
    with np.load(folder / "maps.npz", allow_pickle=False) as archive:
        assert np.array_equal(archive["0003"], case.maps[3].values)
    with zipfile.ZipFile(folder / "maps.npz") as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


TEXT = st.text(max_size=12)
REAL = st.floats(allow_nan=True, allow_infinity=True)
COUNT = st.integers(0, 10_000)
PLACEMENT = st.builds(Placement, COUNT, COUNT, *[st.floats(-1e4, 1e4)] * 4)
WORD = st.builds(Word, TEXT, COUNT, COUNT, st.lists(COUNT, max_size=3).map(tuple), REAL)
CAPTION = st.builds(
    Caption,
    TEXT,
    st.sampled_from(["en", "ru"]),
    st.lists(WORD, max_size=3).map(tuple),
    st.lists(COUNT, max_size=4).map(tuple),
    st.lists(REAL, max_size=4).map(tuple),
)
TARGET = st.builds(
    Target,
    st.sampled_from(["caption", "word", "query", "concept", "diagnosis"]),
    TEXT,
    st.none() | COUNT,
    st.none() | TEXT,
)
VALUES = hnp.arrays(np.float32, hnp.array_shapes(min_dims=2, max_dims=2, max_side=5))
HEAT = st.builds(HeatMap, VALUES, TEXT, TARGET, PLACEMENT, TEXT, TEXT, TEXT, st.floats(0, 10))
PIXELS = hnp.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3)))
IMAGE = st.builds(SkinImage, PIXELS, TEXT, TEXT, st.lists(TEXT, max_size=2).map(tuple))
CASES = st.builds(
    Case,
    IMAGE,
    st.lists(CAPTION, min_size=1, max_size=2).map(tuple),
    st.builds(
        Provenance,
        TEXT,
        TEXT,
        TEXT,
        TEXT,
        TEXT,
        st.dictionaries(TEXT, TEXT, max_size=2),
        st.just({}),
        TEXT,
        COUNT,
    ),
    st.lists(HEAT, max_size=3).map(tuple),
    st.lists(st.builds(Evidence, COUNT, REAL, st.booleans()), max_size=2).map(tuple),
    st.lists(st.builds(Concept, TEXT, REAL, st.lists(COUNT, max_size=2).map(tuple)), max_size=2).map(tuple),
    st.lists(st.builds(Score, TEXT, REAL, REAL, REAL, COUNT, TEXT), max_size=2).map(tuple),
    st.none() | st.builds(Outside, st.booleans(), REAL, REAL, TEXT),
    st.lists(TEXT, max_size=2).map(tuple),
)


@settings(max_examples=40, deadline=None, database=None)
@given(CASES)
def test_any_case_round_trips(case):
    with tempfile.TemporaryDirectory() as folder:
        assert_same(load_case(save_case(case, Path(folder) / "case")), case)
