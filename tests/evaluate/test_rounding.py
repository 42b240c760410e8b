import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermaxai.evaluate.rounding import MOST_DECIMALS, decimals, digits_of, interval, show, show_p
from dermaxai.measure.estimates import Difference, Estimate

NAN = math.nan


@pytest.mark.parametrize(
    ("half", "value", "digits"),
    [
        (0.119, 0.827, 2),  # the review's own examples: 0.827 ± 0.119 is 0.83 ± 0.12,
        (0.367, 0.827, 1),  # 0.827 ± 0.367 is 0.8 ± 0.4
        (0.021, 0.5, 3),
        (0.04, 0.5, 2),
        (0.3501, 1.0, 2),
        (0.36, 1.0, 1),
        (12.0, 100.0, 0),
        (1e-12, 0.5, MOST_DECIMALS),
        (NAN, 0.0, 2),
        (NAN, 12.345, 1),
        (0.0, 0.00123, 5),
        (NAN, NAN, 2),
    ],
)
def test_digits(half, value, digits):
    assert decimals(half, value) == digits


@given(st.floats(1e-5, 1e3), st.floats(-100, 100))
def test_rounding_costs_little_of_the_interval(half, value):
    digits = decimals(half, value)
    assert 10.0**-digits / 2 <= max(half / 2, 10.0**-MOST_DECIMALS), "rounding moves it by half of it at most"
    assert digits == 0 or 10.0**-digits > half / 40, "no digit that says nothing"


@pytest.mark.parametrize(
    ("value", "digits", "signed", "text"),
    [
        (0.126, 2, False, "0.13"),
        (-0.126, 2, False, "−0.13"),
        (0.126, 2, True, "+0.13"),
        (-0.0004, 2, True, "0.00"),
        (NAN, 3, False, "–"),
        (1234.5, 0, False, "1234"),
    ],
)
def test_numbers(value, digits, signed, text):
    assert show(value, digits, signed=signed) == text


def test_intervals():
    assert interval(Estimate(0.5, NAN, NAN, 3), 2) == ""
    assert interval(Difference(0.1, -0.02, 0.22, 0.1, 9), 2, signed=True) == "(−0.02 to +0.22)"
    assert digits_of(Estimate(0.5, 0.46, 0.54, 3)) == 2


@pytest.mark.parametrize(("p", "text"), [(1.0, "1.000"), (0.001, "0.001"), (0.00099, "< 0.001"), (NAN, "–")])
def test_p(p, text):
    assert show_p(p) == text
