"""Numbers with as many digits as their intervals support."""

from __future__ import annotations

import math

from dermaxai.measure.estimates import Difference, Estimate

DASH = "–"
MOST_DECIMALS = 6


def decimals(half_width: float, value: float) -> int:
    """Digits behind the point for a value that is known to plus or minus `half_width`.

    One digit of the half width is told, two where they are 10 to 35. Without a half width (NaN or 0) the
    value gets three digits.
    Source: Particle Data Group, Review of Particle Physics, section 5.3 (rounding).

    >>> decimals(0.0215, 0.63), decimals(0.05, 0.63), decimals(math.nan, 0.0632)
    (3, 2, 4)
    """
    if not half_width > 0 or math.isinf(half_width):
        size = 0 if not value or not math.isfinite(value) else math.floor(math.log10(abs(value)))
        return min(MOST_DECIMALS, max(0, 2 - size))
    power = math.floor(math.log10(half_width))
    leading = round(half_width / 10.0 ** (power - 1), 6)
    return min(MOST_DECIMALS, max(0, (1 if leading <= 35.5 else 0) - power))


def digits_of(told: Estimate | Difference) -> int:
    """Decimals that the interval supports."""
    return decimals((told.high - told.low) / 2, told.value)


def show(value: float, digits: int, *, signed: bool = False) -> str:
    """A number, a real minus sign before it where it is negative; a dash for NaN.

    >>> show(-0.04, 2), show(0.25, 1, signed=True), show(math.nan, 2)
    ('−0.04', '+0.2', '–')
    """
    if math.isnan(value):
        return DASH
    text = f"{value:{'+' if signed else ''}.{digits}f}"
    if not any(sign in "123456789" for sign in text):
        text = text.lstrip("+-")
    return text.replace("-", "−")


def interval(told: Estimate | Difference, digits: int, *, signed: bool = False) -> str:
    """The bounds in brackets; '' where there are none.

    >>> interval(Estimate(0.6333, 0.6121, 0.6552, 100), 3)
    '(0.612 to 0.655)'
    """
    if math.isnan(told.low) or math.isnan(told.high):
        return ""
    low, high = (show(bound, digits, signed=signed) for bound in (told.low, told.high))
    return f"({low} to {high})"


def show_p(p: float) -> str:
    """A p value with three decimals.

    >>> show_p(0.0409), show_p(0.0004), show_p(math.nan)
    ('0.041', '< 0.001', '–')
    """
    if math.isnan(p):
        return DASH
    return "< 0.001" if p < 0.001 else f"{p:.3f}"
