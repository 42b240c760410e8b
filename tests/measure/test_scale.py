import math

import pytest

from dermaxai.measure.scale import Scale


@pytest.mark.parametrize(
    ("low", "high", "told"),
    [
        (0.0, 1.0, "0 to 1"),
        (-1.0, 1.0, "-1 to 1"),
        (0.0, math.inf, "0 or more"),
        (-math.inf, 0.0, "0 or less"),
        (-math.inf, math.inf, "any number"),
    ],
)
def test_the_range_in_words(low, high, told):
    assert Scale("x", "X", "higher", "share", low, high).range == told


@pytest.mark.parametrize(("better", "expected"), [("higher", -0.25), ("lower", 0.25), ("neither", -0.25)])
def test_improvement_is_positive_where_ours_is_better(better, expected):
    assert Scale("x", "X", better, "share").improvement(0.5, 0.75) == expected
