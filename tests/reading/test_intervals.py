import numpy as np
import pytest

from dermaxai.reading.intervals import Interval, estimate, mean, mean_of


def test_the_interval_of_a_mean_is_about_two_standard_errors():
    values = np.random.default_rng(1).normal(3, 1, 400)
    found = mean(values, [str(number) for number in range(400)])
    error = values.std() / 20
    assert found.value == pytest.approx(values.mean(), abs=1e-6)
    assert found.low == pytest.approx(values.mean() - 1.96 * error, abs=0.03)
    assert found.high == pytest.approx(values.mean() + 1.96 * error, abs=0.03)
    assert found.n == 400


def test_answers_to_one_case_are_drawn_together():
    values = np.repeat(np.random.default_rng(2).normal(0, 1, 20), 50)
    together = mean(values, [str(number // 50) for number in range(1000)])
    apart = mean(values, [str(number) for number in range(1000)])
    assert together.high - together.low > 4 * (apart.high - apart.low)


def test_one_case_has_no_interval():
    assert mean([1.0, 0.0], ["a", "a"]) == Interval(0.5, None, None, 2)


def test_nothing_has_no_value():
    assert mean([], []) == Interval(None, None, None, 0)


def test_the_same_answers_give_the_same_numbers():
    values, cases = [0.1, 0.7, 0.4, 0.4], ["a", "b", "c", "c"]
    assert mean(values, cases) == mean(values, cases)


def test_several_numbers_at_once():
    parts = np.array([[1.0, 1.0], [0.0, 1.0], [1.0, 1.0]])
    both = estimate(
        parts, ["a", "b", "c"], lambda sums: np.concatenate([mean_of(sums), 1 - mean_of(sums)], -1)
    )
    assert both[0].value == pytest.approx(2 / 3, abs=1e-6)
    assert both[1].value == pytest.approx(1 / 3, abs=1e-6)
    assert both[0].low == pytest.approx(1 - both[1].high, abs=1e-6)
