"""Sparseness and complexity against sums over all pairs, and against their authors' formulas."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dermaxai.errors import UsageError
from dermaxai.measure.maps.shape import Complexity, Sparseness, gini, relative_entropy
from tests.measure.maps import toy

values = arrays(
    np.float32, st.tuples(st.integers(1, 5), st.integers(2, 5)), elements=st.floats(-4, 4, width=32)
)


@given(values)
def test_gini_is_half_the_relative_mean_difference(drawn):
    size = np.abs(drawn.astype(float)).ravel()
    if not size.sum():
        assert np.isnan(gini(drawn))
        return
    total = sum(abs(one - other) for one in size for other in size)
    assert gini(drawn) == pytest.approx(total / (2 * len(size) * size.sum()), abs=1e-9)


@given(values)
def test_entropy_by_the_sum(drawn):
    size = np.abs(drawn.astype(float)).ravel()
    if not size.sum():
        assert np.isnan(relative_entropy(drawn))
        return
    nats = sum(-one / size.sum() * np.log(one / size.sum()) for one in size if one)
    assert relative_entropy(drawn) == pytest.approx(nats / np.log(len(size)), abs=1e-9)


@given(values, st.sampled_from([-2.0, 0.5, 4.0]))
def test_neither_unit_nor_sign_matters(drawn, factor):
    for measured in (gini, relative_entropy):
        assert measured(drawn * np.float32(factor)) == pytest.approx(measured(drawn), abs=1e-6, nan_ok=True)


def test_ends_of_both_scales():
    flat, single = np.ones((6, 6)), np.zeros((6, 6))
    single[2, 3] = -5
    assert (gini(flat), gini(single)) == pytest.approx((0, 35 / 36))
    assert (relative_entropy(flat), relative_entropy(single)) == pytest.approx((1, 0))
    assert np.isnan(relative_entropy(np.ones((1, 1))))


def test_known_numbers():
    """Worked by hand: shares 1/10 to 4/10."""
    drawn = np.array([[3, -1], [4, 2]])
    assert gini(drawn) == pytest.approx(0.25)
    assert relative_entropy(drawn) * np.log(4) == pytest.approx(1.2798542258336676)


@pytest.mark.parametrize("metric", [Sparseness, Complexity])
def test_one_number_per_map(metric):
    subject = toy.subject_of(toy.photo_of(toy.colours_of(0)))
    maps = [toy.heat_of(subject, toy.colours_of(seed)[..., 0]) for seed in range(3)]
    found = metric().measure(subject, maps)
    assert len(set(found)) == 3
    assert all(0 < value < 1 for value in found)
    assert metric().measure(subject, []) == []
    with pytest.raises(UsageError, match="no numbers"):
        metric().measure(subject, [toy.heat_of(subject, np.full((6, 6), np.inf))])
