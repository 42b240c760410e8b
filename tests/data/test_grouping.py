"""Clusters are what sharing anything makes, whatever the order of photos."""

import hashlib

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermaxai.data.grouping import join, number_keys, same_photo

NONE = np.zeros((0, 2), np.int64)


def keys_of(groups):
    ids = pa.array([f"id/{place}" for place in range(len(groups))], pa.string())
    return number_keys(pa.array(groups, pa.list_(pa.string())), ids)


def joined(groups, files=None, near=()):
    files = files or [""] * len(groups)
    pairs = np.array(near, np.int64).reshape(-1, 2)
    return join(keys_of(groups), pa.array(files, pa.string()), pairs)


def test_a_shared_key_joins_through_others():
    found = joined([["a/x/1"], ["b/x/2"], ["a/x/1", "c/x/3"], ["c/x/3", "b/x/2"], ["d/x/4"]])
    assert found.of.tolist() == [0, 0, 0, 0, 1]


def test_files_and_near_duplicates_join():
    found = joined([[], [], [], [], []], ["f", "", "f", "", "g"], [(1, 4)])
    assert found.of.tolist() == [0, 1, 0, 2, 1]
    assert found.by_near == 1


def test_photos_without_file_are_not_one():
    assert len(joined([[], [], []], ["", "", ""])) == 3


def test_near_duplicates_that_are_joined_anyway_count_nothing():
    assert joined([["k/x/1"], ["k/x/1"]], near=[(0, 1)]).by_near == 0


def test_names_are_of_the_smallest_key():
    found = joined([["b/x/2", "a/x/9"], ["c/x/1"], []])
    assert found.names == tuple(
        hashlib.sha256(key.encode()).hexdigest()[:16] for key in ("a/x/9", "c/x/1", "id/2")
    )


def test_nothing_at_all():
    assert len(joined([])) == 0


def test_the_same_photo_by_key_or_file():
    groups = [["isic/ISIC_1", "h/lesion/1"], ["h/lesion/1"], ["isic/ISIC_1"], ["b/lesion/7"], []]
    files = ["f", "g", "h", "g", "h"]
    assert same_photo(keys_of(groups), pa.array(files)).tolist() == [0, 1, 0, 1, 0]


def by_hand(groups, near):
    """Clusters as sets of photos, by the slowest rule."""
    sets = [{place} for place in range(len(groups))]
    links = [
        (one, other)
        for one in range(len(groups))
        for other in range(one)
        if set(groups[one]) & set(groups[other])
    ]
    for one, other in [*links, *near]:
        first = next(each for each in sets if one in each)
        second = next(each for each in sets if other in each)
        if first is not second:
            sets.remove(second)
            first |= second
    return {frozenset(each) for each in sets}


@given(st.data())
def test_clusters_are_those_found_by_hand(data):
    groups = data.draw(
        st.lists(st.lists(st.sampled_from("abcdefgh").map("k/x/{}".format), max_size=3), max_size=12)
    )
    places = st.integers(0, max(len(groups) - 1, 0))
    near = data.draw(st.lists(st.tuples(places, places), max_size=4)) if groups else []
    found = joined(groups, near=near)
    sets = {frozenset(np.flatnonzero(found.of == cluster).tolist()) for cluster in range(len(found))}
    assert sets == by_hand(groups, near)


@given(st.permutations(range(8)))
def test_names_do_not_depend_on_the_order(order):
    groups = [["a/x/1"], ["a/x/1", "b/x/1"], ["c/x/1"], ["b/x/1"], ["d/x/1"], ["c/x/1"], ["e/x/1"], ["d/x/1"]]
    straight, mixed = joined(groups), joined([groups[place] for place in order])
    names = [straight.names[cluster] for cluster in straight.of]
    assert [mixed.names[cluster] for cluster in mixed.of] == [names[place] for place in order]


@pytest.mark.parametrize("key", ["isic/ISIC_0027419", "ddi/000123", "fitzpatrick17k/5e82"])
def test_keys_of_one_photo(key):
    assert keys_of([[key, "ham10000/lesion/HAM_1"]]).is_photo.tolist() == [True, False]
