"""Agreement of maps: who votes, and Spearman's correlation by hand."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from dermaxai.explain import METHODS
from dermaxai.measure.maps.agreement import NO_VOTE, Agreement
from tests.measure.maps import toy


@pytest.fixture(scope="module")
def subject():
    return toy.subject_of(toy.photo_of(toy.colours_of(0)))


def drawn(subject, seed, method, text="red"):
    return toy.heat_of(subject, np.random.default_rng(seed).integers(-3, 4, (6, 6)), text, method)


@given(st.integers(2, 5), st.integers(0, 1000))
def test_the_mean_of_all_pairs(count, seed):
    subject = toy.subject_of(toy.photo_of(toy.colours_of(0)))
    maps = [drawn(subject, seed + number, f"method {number}") for number in range(count)]
    found = Agreement().measure(subject, maps)
    for number, heat in enumerate(maps):
        others = [other for place, other in enumerate(maps) if place != number]
        slow = np.mean([spearmanr(heat.values.ravel(), one.values.ravel()).statistic for one in others])
        assert found[number] == pytest.approx(slow, abs=1e-6)


def test_a_map_alone_and_a_constant_one(subject):
    one, other = drawn(subject, 1, "one"), drawn(subject, 2, "other")
    flat = toy.heat_of(subject, np.ones((6, 6)), "red", "flat")
    assert np.isnan(Agreement().measure(subject, [one])).all()
    assert np.isnan(Agreement().measure(subject, [one, drawn(subject, 2, "other", "blue")])).all()
    alone, pair = (Agreement().measure(subject, maps) for maps in ([one, other], [one, other, flat]))
    assert pair[:2] == alone
    assert np.isnan(pair[2])


def test_copies_agree_and_opposites_do_not(subject):
    one = drawn(subject, 1, "one")
    copy, against = (
        replace(one, method="two", values=3 * one.values),
        replace(one, method="three", values=-one.values),
    )
    assert Agreement().measure(subject, [one, copy]) == pytest.approx([1, 1])
    assert Agreement().measure(subject, [one, against]) == pytest.approx([-1, -1])


@pytest.mark.parametrize("silent", [*NO_VOTE, "rollout"])
def test_who_does_not_vote_is_still_measured(subject, silent):
    assert silent != "rollout" or not METHODS.load(silent).reads_question
    one, other, third = drawn(subject, 1, "one"), drawn(subject, 2, "other"), drawn(subject, 3, silent)
    found = Agreement().measure(subject, [one, other, third])
    assert found[:2] == Agreement().measure(subject, [one, other])
    rows = [spearmanr(third.values.ravel(), heat.values.ravel()).statistic for heat in (one, other)]
    assert found[2] == pytest.approx(np.mean(rows))


def test_variants_are_voters_of_their_own(subject):
    one = drawn(subject, 1, "grad_eclip")
    other = replace(drawn(subject, 2, "grad_eclip"), variant="reference")
    slow = spearmanr(one.values.ravel(), other.values.ravel()).statistic
    assert Agreement().measure(subject, [one, other]) == pytest.approx([slow, slow])
