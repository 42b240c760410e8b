from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermaxai.errors import SettingError
from dermaxai.evaluate.sampling import Drawable, draw, shares

PHOTOS = st.lists(
    st.tuples(st.sampled_from(["", "a", "b", "c", "d"]), st.sampled_from(["mel", "nv"])), max_size=25
)


def drawable(told):
    return [Drawable(f"photo {number}", cluster, kind) for number, (cluster, kind) in enumerate(told)]


@given(PHOTOS, st.integers(1, 30), st.integers(0, 3))
def test_whole_clusters_no_more_than_asked_for_in_order(told, limit, seed):
    photos = drawable(told)
    places = draw(photos, limit, seed)
    assert places == sorted(set(places))
    assert len(places) <= limit
    for cluster in {photo.cluster for photo in photos} - {""}:
        members = {place for place, photo in enumerate(photos) if photo.cluster == cluster}
        assert members <= set(places) or not members & set(places)
    left = limit - len(places)
    outside = [place for place in range(len(photos)) if place not in places]
    sizes = Counter(photos[place].cluster or f"alone {place}" for place in outside)
    assert all(size > left for size in sizes.values()), "whatever fits is taken"


@given(st.dictionaries(st.text(max_size=3), st.integers(1, 50), min_size=1, max_size=6), st.integers(1, 40))
def test_shares_add_up_and_are_near_the_proportion(sizes, limit):
    total = sum(sizes.values())
    found = shares(sizes, limit)
    assert sum(found.values()) == limit
    assert all(abs(found[name] - size * limit / total) < 1 for name, size in sizes.items())


def test_diagnoses_keep_their_shares():
    photos = [Drawable(str(n), "", "mel" if n % 5 == 0 else "nv") for n in range(500)]
    kinds = Counter(photos[place].stratum for place in draw(photos, 50, seed=3))
    assert kinds == {"mel": 10, "nv": 40}


def test_the_seed_decides_and_other_photos_hardly():
    photos = [Drawable(str(n), "", "nv") for n in range(200)]
    assert draw(photos, 20, 1) == draw(photos, 20, 1)
    assert draw(photos, 20, 1) != draw(photos, 20, 2)
    smaller = {photos[place].id for place in draw(photos, 20, 1)}
    assert smaller <= {photos[place].id for place in draw(photos, 40, 1)}, "a larger sample holds the smaller"
    turned = photos[::-1]
    assert {turned[place].id for place in draw(turned, 20, 1)} == smaller


def test_a_limit_of_nothing_is_refused():
    with pytest.raises(SettingError, match="1 photo or more; 0"):
        draw([Drawable("a", "", "")], 0)
