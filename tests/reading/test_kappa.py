from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermaxai.errors import ShapeError
from dermaxai.reading.kappa import agreement_of, category_kappas_of, kappa_of, kappa_parts, shares_of

PSYCHIATRISTS = (
    "444444 222555 233335 555555 222444 113333 333355 113334 114444 555555 144444 124444 222333 144444 "
    "224445 333335 111455 111112 224444 133555 555555 244444 224555 114444 144445 222224 111155 224444 "
    "133333 555555"
)
"""Fleiss (1971), table 1: thirty patients, six diagnoses each; 1 depression, 2 personality disorder,
3 schizophrenia, 4 neurosis, 5 other."""


def counted(items, categories):
    return np.array([[item.count(category) for category in categories] for item in items])


def sums_of(table):
    return kappa_parts(table).sum(0)


def slow_kappa(items, categories):
    """Pair by pair, in fractions; each item counts once."""
    items = [item for item in items if len(item) > 1]
    alike, shares = Fraction(0), dict.fromkeys(categories, Fraction(0))
    for item in items:
        pairs = list(combinations(item, 2))
        alike += Fraction(sum(a == b for a, b in pairs), len(pairs)) / len(items)
        for answer in item:
            shares[answer] += Fraction(1, len(item) * len(items))
    chance = sum(share**2 for share in shares.values())
    return None if chance == 1 else (alike - chance) / (1 - chance)


def test_the_published_example():
    sums = sums_of(counted(PSYCHIATRISTS.split(), "12345"))
    assert float(kappa_of(sums)) == pytest.approx(0.430, abs=5e-4)
    assert shares_of(sums) == pytest.approx([0.144, 0.144, 0.167, 0.306, 0.239], abs=5e-4)
    assert category_kappas_of(sums) == pytest.approx([0.245, 0.245, 0.520, 0.471, 0.566], abs=5e-4)


answers = st.lists(st.sampled_from("abc"), min_size=2, max_size=6)


@given(st.lists(answers, min_size=1, max_size=12))
def test_against_counting_pairs_one_by_one(items):
    table = counted(items, "abc")
    sums = sums_of(table)
    wanted = slow_kappa(items, "abc")
    if wanted is None:
        assert np.isnan(kappa_of(sums))
    else:
        assert float(kappa_of(sums)) == pytest.approx(float(wanted), abs=1e-9)
        shares, kappas = shares_of(sums), category_kappas_of(sums)
        known = ~np.isnan(kappas)
        weights = (shares * (1 - shares))[known]
        # Fleiss (1971): kappa is the mean of the categories', weighted by p (1 - p).
        assert float((kappas[known] * weights).sum() / weights.sum()) == pytest.approx(
            float(wanted), abs=1e-9
        )


def test_full_agreement_is_one_and_the_worst_is_below_zero():
    assert float(kappa_of(sums_of([[3, 0, 0], [0, 3, 0]]))) == pytest.approx(1)
    assert float(kappa_of(sums_of([[1, 1, 0], [1, 1, 0]]))) == pytest.approx(-1)


def test_one_answer_only_leaves_kappa_undefined():
    sums = sums_of([[3, 0, 0], [4, 0, 0]])
    assert np.isnan(kappa_of(sums))
    assert float(agreement_of(sums)) == 1
    assert np.isnan(category_kappas_of(sums)).all()


def test_no_item_at_all():
    sums = np.zeros(8)
    assert np.isnan(kappa_of(sums))
    assert np.isnan(agreement_of(sums))


def test_many_sums_at_once():
    table = counted(["aab", "abc", "ccc"], "abc")
    both = np.stack([sums_of(table), sums_of(table[:2])])
    assert kappa_of(both) == pytest.approx([float(kappa_of(both[0])), float(kappa_of(both[1]))])


def test_items_of_one_reader_are_no_items():
    with pytest.raises(ShapeError, match="two readers"):
        kappa_parts([[1, 0, 0]])
