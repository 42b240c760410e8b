"""Entries prove themselves; the look-up finds the newest."""

import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermaxai.errors import UsageError
from dermaxai.features.index import ENTRY, Lookup, checksum, make_entries, read_entries, to_bytes
from tests.features.conftest import name_of

RECORD = 10


def entries_of(numbers, views=None, first=0):
    names = to_bytes([name_of(number) for number in numbers])
    count = len(names)
    return make_entries(names, views or [0] * count, [0.5] * count, [zlib.crc32(b"x")] * count, first)


def written(folder, entries, records=100):
    (folder / "a.idx").write_bytes(entries if isinstance(entries, bytes) else entries.tobytes())
    (folder / "a.bin").write_bytes(bytes(records * RECORD))
    return read_entries(folder / "a.idx", folder / "a.bin", RECORD)


def test_entries_come_back(tmp_path):
    made = entries_of(range(5))
    found, sound = written(tmp_path, made)
    assert np.array_equal(found, made)
    assert sound.all()
    assert ENTRY.itemsize == 56


def test_no_file_is_no_entry(tmp_path):
    found, sound = read_entries(tmp_path / "a.idx", tmp_path / "a.bin", RECORD)
    assert len(found) == len(sound) == 0


@given(st.integers(0, 3 * 56 - 1), st.integers(1, 255))
def test_any_changed_byte_shows(place, change):
    data = np.frombuffer(entries_of(range(3)).tobytes(), np.uint8).copy()
    data[place] ^= change
    entries = data.view(ENTRY)
    assert (entries["check"] == checksum(entries)).tolist() == [n != place // 56 for n in range(3)]


@given(st.integers(0, 4 * 56))
def test_a_torn_file_holds_its_whole_entries(tmp_path_factory, kept):
    folder = tmp_path_factory.mktemp("torn")
    found, sound = written(folder, entries_of(range(4)).tobytes()[:kept])
    assert len(found) == kept // 56
    assert sound.all()


def test_zeros_moved_entries_and_entries_without_data_are_not_sound(tmp_path):
    made = entries_of(range(4))
    made[1] = np.zeros(1, ENTRY)[0]
    made[2] = entries_of([2], first=0)[0]
    assert written(tmp_path, made)[1].tolist() == [True, False, False, True]
    assert written(tmp_path, made, records=3)[1].tolist() == [True, False, False, False]


def test_look_up_by_photo_and_view():
    entries = entries_of([1, 2, 3, 1, 2], [0, 0, 0, 1, 1])
    lookup = Lookup(entries, np.ones(5, bool))
    names = to_bytes([name_of(number) for number in (3, 1, 9, 2, 1)])
    assert lookup.find(names, 0).tolist() == [2, 0, -1, 1, 0]
    assert lookup.find(names, 1).tolist() == [-1, 3, -1, 4, 3]
    assert lookup.find(names[:0], 0).tolist() == []
    assert Lookup(entries[:0], np.ones(0, bool)).find(names, 0).tolist() == [-1] * 5


def test_the_newest_sound_entry_counts():
    entries = entries_of([1, 2, 1, 1])
    assert Lookup(entries, np.array([1, 1, 1, 0], bool)).find(to_bytes([name_of(1)]), 0).tolist() == [2]


def test_photos_that_share_the_first_64_bits_are_told_apart():
    names = np.zeros((4, 32), np.uint8)
    names[:, 20] = [1, 2, 3, 4]
    entries = make_entries(names[:3], [0] * 3, [0.0] * 3, [0] * 3, 0)
    assert Lookup(entries, np.ones(3, bool)).find(names, 0).tolist() == [0, 1, 2, -1]


@given(st.lists(st.integers(0, 40), max_size=60), st.lists(st.integers(0, 60), max_size=30))
def test_it_finds_what_a_dictionary_finds(stored, asked):
    newest = {number: row for row, number in enumerate(stored)}
    lookup = Lookup(entries_of(stored), np.ones(len(stored), bool))
    found = lookup.find(to_bytes([name_of(number) for number in asked]), 0)
    assert found.tolist() == [newest.get(number, -1) for number in asked]


@pytest.mark.parametrize("name", ["", "abc", "g" * 64, "a" * 65])
def test_what_is_no_hash(name):
    with pytest.raises(UsageError, match="64 hex digits"):
        to_bytes([name_of(1), name])
