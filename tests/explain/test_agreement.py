"""Agreement of maps: rank correlation, consensus, spread."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from scipy.stats import spearmanr

from dermaxai.explain.agreement import CONSENSUS, SPREAD, add_agreements, compare_maps, ranks_of
from dermaxai.types import HeatMap, Target
from tests.explain.conftest import PLACE

TARGET = Target("query", "a dark mole")


def heat(values, method="grad_eclip", target=TARGET):
    return HeatMap(np.asarray(values, np.float32), method, target, PLACE, "cosine", "last block", method)


def three(seed=0):
    generator = np.random.default_rng(seed)
    return [heat(generator.normal(size=(4, 5)).round(1), name) for name in ("a", "b", "c")]


@given(some.integers(0, 10_000))
def test_correlations_are_spearmans(seed):
    maps = three(seed)
    found = np.reshape(compare_maps(TARGET, maps).correlations, (3, 3))
    wanted = spearmanr(np.stack([one.values.ravel() for one in maps]).T).statistic
    assert np.allclose(found, wanted, atol=1e-12)
    assert np.allclose(np.diag(found), 1)


def test_only_the_order_counts():
    one = three()[0]
    maps, (agreement,) = add_agreements([one, heat(np.exp(one.values), "other")])
    assert agreement.methods == ("grad_eclip", "other") or agreement.methods == ("a", "other")
    assert np.allclose(agreement.correlations, 1)
    consensus, spread = maps[-2:]
    assert (consensus.method, spread.method) == (CONSENSUS, SPREAD)
    assert np.allclose(consensus.values.ravel(), ranks_of(one))
    assert (spread.values == 0).all()


def test_opposite_maps_agree_nowhere_but_in_the_middle():
    one = heat(np.arange(9.0).reshape(3, 3), "a")
    maps, (agreement,) = add_agreements([one, heat(-one.values, "b")])
    assert agreement.correlations == pytest.approx((1, -1, -1, 1))
    consensus, spread = maps[-2:]
    assert np.allclose(consensus.values, 0.5)
    assert spread.values[1, 1] == 0
    assert spread.values.max() == 0.5


def test_a_constant_map_has_no_order_and_no_vote():
    flat = heat(np.zeros((4, 5)), "flat")
    maps, (agreement,) = add_agreements([three()[0], flat])
    assert np.isnan(agreement.correlations[1:]).all()
    assert [one.method for one in maps] == ["a", "flat"]
    assert add_agreements([*three(), flat])[0][-1].layer == "maps of a, b, c"


def test_questions_are_kept_apart_and_older_summaries_replaced():
    other = heat(np.eye(4, 5), "a", Target("query", "skin"))
    once = add_agreements([*three(), other])
    again = add_agreements(once[0])
    assert len(once[0]) == len(again[0]) == 6
    assert [entry.target for entry in again[1]] == [TARGET]


def test_methods_that_ignore_the_question_do_not_vote():
    maps, agreements = add_agreements([three()[0], heat(np.eye(4, 5), "rollout")])
    assert (len(maps), agreements) == (2, ())
