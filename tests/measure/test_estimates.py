import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dermaxai.errors import ShapeError
from dermaxai.measure import estimates
from dermaxai.measure.estimates import (
    MEAN,
    RESAMPLES,
    Statistic,
    count_rows,
    difference,
    differences,
    estimate,
    evaluate_all,
    holm,
    mean_parts,
    ratio,
)

MEDIAN = Statistic("median", of_rows=lambda rows: float(np.median(rows[:, 0])))
MEAN_OF_ROWS = Statistic("mean, row by row", of_rows=lambda rows: float(rows[:, 0].mean()))


def slow_holm(p_values):
    """Hypotheses are rejected one after the other, as the paper says; p is the least level that does."""
    known = sorted({p for p in p_values if not math.isnan(p)})
    levels = sorted({min(1.0, p * m) for p in known for m in range(1, len(p_values) + 1)})
    found = []
    for p in p_values:
        if math.isnan(p):
            found.append(p)
            continue
        for level in levels:
            left = sorted(q for q in p_values if not math.isnan(q))
            rejected = 0
            for number, q in enumerate(left):
                if q <= level / (len(left) - number) + 1e-15:
                    rejected += 1
                else:
                    break
            if p in left[:rejected]:
                found.append(level)
                break
        else:
            found.append(1.0)
    return found


class TestHolm:
    def test_a_known_example(self):
        # R: p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm")
        assert holm([0.01, 0.04, 0.03, 0.005]) == [0.03, 0.06, 0.06, 0.02]

    def test_nan_does_not_count(self):
        found = holm([math.nan, 0.02, 0.04])
        assert math.isnan(found[0])
        assert found[1:] == [0.04, 0.04]

    def test_nothing(self):
        assert holm([]) == []

    @given(st.lists(st.sampled_from([0.001, 0.01, 0.02, 0.025, 0.2, 0.5, 1.0, math.nan]), max_size=7))
    def test_as_the_step_down_procedure(self, p_values):
        np.testing.assert_allclose(holm(p_values), slow_holm(p_values), atol=1e-9)


class TestEstimate:
    def test_value_and_count(self):
        found = estimate(mean_parts([1.0, math.nan, 3.0, 5.0]))
        assert found.value == 3.0
        assert found.n == 3
        assert 1.0 <= found.low < 3.0 < found.high <= 5.0

    def test_the_same_seed_the_same_numbers(self):
        parts = mean_parts(np.random.default_rng(0).normal(size=50))
        assert estimate(parts, seed=3) == estimate(parts, seed=3)
        assert estimate(parts, seed=3) != estimate(parts, seed=4)

    def test_numbers_do_not_depend_on_what_was_kept(self):
        parts = mean_parts(np.random.default_rng(0).normal(size=50))
        first = estimate(parts)
        estimates._KEPT.clear()
        assert estimate(parts) == first

    @settings(max_examples=15)
    @given(st.lists(st.floats(-10, 10), min_size=2, max_size=12), st.integers(0, 1))
    def test_sums_and_rows_agree(self, values, seed):
        parts = mean_parts(values)
        fast, slow = estimate(parts, MEAN, seed=seed), estimate(parts, MEAN_OF_ROWS, seed=seed)
        np.testing.assert_allclose(
            [fast.value, fast.low, fast.high], [slow.value, slow.low, slow.high], atol=1e-9
        )

    def test_against_a_slow_bootstrap(self):
        values = np.random.default_rng(1).gamma(2.0, size=60)
        generator = np.random.default_rng(2)
        drawn = [values[generator.integers(0, 60, 60)].mean() for _ in range(20_000)]
        found = estimate(mean_parts(values))
        low, high = np.percentile(drawn, [2.5, 97.5])
        assert found.low == pytest.approx(low, abs=0.04)
        assert found.high == pytest.approx(high, abs=0.04)

    def test_nothing_defined_is_nan(self):
        for parts in (np.zeros((0, 2)), mean_parts([math.nan, math.nan])):
            found = estimate(parts)
            assert found.n == 0
            assert all(map(math.isnan, (found.value, found.low, found.high)))
        assert math.isnan(estimate(np.zeros((0, 2)), MEDIAN).value)

    def test_one_cluster_tells_nothing_of_the_spread(self):
        found = estimate(mean_parts([1.0, 2.0, 3.0]), clusters=np.array([7, 7, 7]))
        assert (found.value, found.n) == (2.0, 3)
        assert math.isnan(found.low)
        assert math.isnan(found.high)

    def test_the_interval_covers_the_truth_about_as_often_as_it_says(self):
        generator = np.random.default_rng(0)
        covered = 0
        for _ in range(300):
            found = estimate(mean_parts(generator.exponential(size=80)))
            covered += found.low <= 1.0 <= found.high
        assert 0.89 <= covered / 300 <= 0.985

    def test_clusters_are_drawn_together(self):
        """Five photos of each lesion that are all alike tell no more than one."""
        generator = np.random.default_rng(0)
        lesions = generator.normal(size=40)
        values, clusters = np.repeat(lesions, 5), np.repeat(np.arange(40), 5)
        together = estimate(mean_parts(values), clusters=clusters)
        single = estimate(mean_parts(lesions))
        assert together.low == pytest.approx(single.low)
        assert together.high == pytest.approx(single.high)
        blind = estimate(mean_parts(values))
        assert (blind.high - blind.low) < 0.6 * (together.high - together.low)

    def test_clustered_intervals_cover_where_blind_ones_do_not(self):
        generator = np.random.default_rng(3)
        with_clusters, without = 0, 0
        for _ in range(200):
            values = np.repeat(generator.normal(size=50), 4) + generator.normal(scale=0.1, size=200)
            parts, clusters = mean_parts(values), np.repeat(np.arange(50), 4)
            one = estimate(parts, clusters=clusters)
            two = estimate(parts)
            with_clusters += one.low <= 0 <= one.high
            without += two.low <= 0 <= two.high
        assert with_clusters / 200 > 0.88
        assert without / 200 < 0.8

    def test_names_of_clusters_do_not_matter(self):
        parts = mean_parts(np.arange(12.0))
        clusters = np.repeat(np.arange(4), 3)
        assert estimate(parts, clusters=clusters) == estimate(parts, clusters=clusters * 10 + 5)

    def test_many_clusters_need_little_memory(self):
        count = 100_000
        parts = mean_parts(np.random.default_rng(0).normal(size=count))
        tracemalloc.start()
        found = estimate(parts)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 100e6
        assert (found.high - found.low) / 2 == pytest.approx(1.96 / math.sqrt(count), rel=0.1)


class TestResamples:
    @pytest.mark.parametrize("count", [1, 2, 7, 300])
    def test_every_resample_draws_as_many_as_there_are(self, count):
        table = np.concatenate(list(estimates._resamples(count, 0)))
        assert table.shape == (RESAMPLES, count)
        assert (table.sum(1) == count).all()
        assert table.mean() == pytest.approx(1.0)

    def test_a_table_too_large_to_keep_is_drawn_alike(self, monkeypatch):
        kept = np.concatenate(list(estimates._resamples(500, 1)))
        monkeypatch.setattr(estimates, "KEPT_BYTES", 1000)
        assert np.array_equal(np.concatenate(list(estimates._resamples(500, 1))), kept)

    def test_tables_used_long_ago_are_let_go(self, monkeypatch):
        monkeypatch.setattr(estimates, "_KEPT", {})
        monkeypatch.setattr(estimates, "KEPT_BYTES", RESAMPLES * 100)
        for count in (40, 50, 40, 30):
            list(estimates._resamples(count, 0))
        assert list(estimates._KEPT) == [(40, 0), (30, 0)]


class TestDifference:
    def test_the_value_is_the_difference_of_the_values(self):
        ours, theirs = mean_parts([1.0, 2.0, 6.0]), mean_parts([0.0, 1.0, 2.0])
        found = difference(ours, theirs)
        assert found.value == pytest.approx(2.0)
        assert found.n == 3

    def test_pairs_that_differ_by_a_constant_have_no_spread(self):
        values = np.random.default_rng(0).normal(size=40)
        found = difference(mean_parts(values + 0.5), mean_parts(values))
        assert found.low == pytest.approx(0.5)
        assert found.high == pytest.approx(0.5)
        assert found.p < 1e-6

    def test_the_same_twice(self):
        parts = mean_parts(np.random.default_rng(0).normal(size=40))
        found = difference(parts, parts)
        assert (found.value, found.low, found.high, found.p) == (0.0, 0.0, 0.0, 1.0)

    def test_order_turns_the_sign_and_keeps_p(self):
        generator = np.random.default_rng(4)
        ours, theirs = (mean_parts(generator.normal(size=40)) for _ in range(2))
        one, two = difference(ours, theirs), difference(theirs, ours)
        assert one.value == pytest.approx(-two.value)
        assert one.low == pytest.approx(-two.high)
        assert one.p == pytest.approx(two.p)

    def test_few_clusters_cannot_be_sure(self):
        """Three lesions that all agree: by their signs alone p is 1/4."""
        found = difference(mean_parts([1.0, 1.1, 0.9]), mean_parts([0.0, 0.0, 0.0]))
        assert found.p >= 0.25
        one = difference(mean_parts([1.0, 1.1]), mean_parts([0.0, 0.0]), clusters=np.array([0, 0]))
        assert one.value == pytest.approx(1.05)
        assert math.isnan(one.p)

    def test_p_is_uniform_where_nothing_differs(self):
        generator = np.random.default_rng(0)
        tables = (mean_parts(generator.normal(size=60)) for _ in range(800))
        found = np.array([difference(next(tables), next(tables)).p for _ in range(400)])
        for level in (0.05, 0.25, 0.5, 0.75):
            assert abs((found <= level).mean() - level) < 0.06 + 0.02 * (level > 0.1)

    def test_far_tails_go_on_where_counting_ends(self):
        generator = np.random.default_rng(0)
        values = generator.normal(size=200)
        near, far = (difference(mean_parts(values + shift), mean_parts(values * 0)) for shift in (0.25, 0.6))
        assert far.p < near.p < 0.05
        assert far.p < 1 / RESAMPLES

    def test_it_agrees_with_the_t_test(self):
        from scipy.stats import ttest_rel

        generator = np.random.default_rng(5)
        for shift in (0.0, 0.15, 0.3, 0.5):
            ours = generator.normal(size=100) + shift
            theirs = generator.normal(size=100)
            p = difference(mean_parts(ours), mean_parts(theirs)).p
            assert p == pytest.approx(ttest_rel(ours, theirs).pvalue, rel=0.35, abs=0.02)

    def test_several_at_once_are_what_they_are_alone(self):
        generator = np.random.default_rng(6)
        tables = [mean_parts(generator.normal(size=30)) for _ in range(3)]
        pairs = [(0, 1), (2, 0), (1, 2)]
        together = differences(tables, pairs, seed=2)
        for (ours, theirs), found in zip(pairs, together, strict=True):
            alone = difference(tables[ours], tables[theirs], seed=2)
            np.testing.assert_allclose(
                [found.value, found.low, found.high, found.p],
                [alone.value, alone.low, alone.high, alone.p],
                atol=1e-12,
            )

    def test_rows_that_look_at_themselves(self):
        generator = np.random.default_rng(7)
        ours, theirs = (mean_parts(generator.normal(size=25)) for _ in range(2))
        fast, slow = difference(ours, theirs, MEAN), difference(ours, theirs, MEAN_OF_ROWS)
        np.testing.assert_allclose(
            [fast.value, fast.low, fast.high, fast.p], [slow.value, slow.low, slow.high, slow.p], atol=1e-9
        )

    def test_what_is_undefined_stays_so(self):
        found = difference(mean_parts([math.nan, math.nan]), mean_parts([1.0, 2.0]))
        assert found.n == 0
        assert all(map(math.isnan, (found.value, found.low, found.high, found.p)))
        assert math.isnan(difference(np.zeros((0, 2)), np.zeros((0, 2))).p)
        assert differences([mean_parts([1.0, 2.0])], []) == []

    def test_other_numbers_of_rows_are_refused(self):
        with pytest.raises(ShapeError, match="2 and 3 were given"):
            difference(mean_parts([1.0, 2.0]), mean_parts([1.0, 2.0, 3.0]))


def test_ratio_is_nan_without_a_count():
    assert ratio(np.array([3.0, 2.0])) == 1.5
    assert math.isnan(ratio(np.array([0.0, 0.0])))
    np.testing.assert_array_equal(ratio(np.array([[4.0, 2.0], [1.0, 0.0]])), [2.0, np.nan])


def test_parts_of_sums_and_counts_weigh_by_the_count():
    parts = np.array([[6.0, 3.0], [2.0, 1.0]])
    assert evaluate_all(parts, MEAN) == 2.0
    assert count_rows(parts, MEAN) == 2
    assert count_rows(np.zeros((3, 2)), MEAN) == 0
    assert count_rows(np.zeros((3, 2)), MEDIAN) == 3
