"""Calibration against a loop over bins, and against scikit-learn."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dermaxai.measure.clinical.calibration import (
    BINS,
    bin_parts,
    calibrate,
    calibration,
    confidence_of,
    curve,
    equal_mass,
    equal_width,
    told_facts,
)
from dermaxai.statements.clinical import ClinicalFacts
from dermaxai.statements.reading import read_clinical
from dermaxai.types import Caption, Word
from tests.measure.clinical.facts import stated, values

FACTS = st.lists(
    st.tuples(st.integers(0, 5), st.floats(0, 1, width=32), st.booleans()), min_size=1, max_size=60
)


def arrays(facts):
    rows, confidence, right = zip(*facts, strict=True)
    return np.array(rows), np.array(confidence, float), np.array(right)


def slow_error(facts, bounds):
    """Sort every fact into the interval it falls in, lower bound excluded, and compare the means."""
    total = 0.0
    for low, high in zip([-1.0, *bounds], [*bounds, 2.0], strict=True):
        held = [(sure, right) for _, sure, right in facts if low < sure <= high]
        if held:
            gap = np.mean([right for _, right in held]) - np.mean([sure for sure, _ in held])
            total += abs(gap) * len(held)
    return total / len(facts)


@settings(max_examples=150)
@given(FACTS)
def test_errors_are_sums_over_bins(facts):
    rows, confidence, right = arrays(facts)
    found = values(calibrate(rows, confidence, right, 6))
    assert found["ece"] == pytest.approx(slow_error(facts, [place / BINS for place in range(1, BINS)]))
    bounds = sorted({float(one) for one in equal_mass(confidence)})
    assert found["ece_mass"] == pytest.approx(slow_error(facts, bounds))
    assert found["brier"] == pytest.approx(np.mean([(sure - true) ** 2 for _, sure, true in facts]))
    assert found["overconfidence"] == pytest.approx(
        np.mean([sure - true for _, sure, true in facts]), abs=1e-9
    )


@settings(max_examples=60)
@given(FACTS)
def test_the_brier_score_is_that_of_scikit_learn(facts):
    from sklearn.metrics import brier_score_loss

    rows, confidence, right = arrays(facts)
    expected = brier_score_loss(right, confidence, pos_label=True)
    assert values(calibrate(rows, confidence, right, 6))["brier"] == pytest.approx(expected)


@settings(max_examples=60)
@given(FACTS)
def test_the_curve_is_that_of_scikit_learn(facts):
    """Their bins hold the lower bound, ours the upper: values on a bound are moved off it."""
    from sklearn.calibration import calibration_curve

    rows, confidence, right = arrays(facts)
    confidence = np.clip(confidence, 0.003, 0.997)
    confidence = np.where(np.isclose(confidence * BINS % 1, 0, atol=1e-6), confidence + 0.001, confidence)
    shares, means = calibration_curve(right, confidence, n_bins=BINS, pos_label=True)
    bins = curve(bin_parts(rows, confidence, right, equal_width(), 6)).bins
    assert [one.confidence for one in bins] == pytest.approx(means.tolist())
    assert [one.accuracy for one in bins] == pytest.approx(shares.tolist())
    assert sum(one.n for one in bins) == len(facts)


@given(st.integers(2, 40), st.integers(0, 10**6))
def test_bins_of_equal_mass_hold_as_many(times, seed):
    confidence = np.random.default_rng(seed).permutation(np.linspace(0.01, 0.99, times * BINS))
    parts = bin_parts(np.zeros(len(confidence), int), confidence, confidence > 2, equal_mass(confidence), 1)
    assert parts[0, :BINS].tolist() == [times] * BINS


def test_equal_values_stay_in_one_bin():
    confidence = np.array([0.9] * 50 + [0.2] * 10)
    parts = bin_parts(np.zeros(60, int), confidence, confidence > 0.5, equal_mass(confidence), 1)
    assert [number for number in parts[0, : parts.shape[1] // 3] if number] == [10, 50]


def test_perfectly_calibrated_facts_have_no_error():
    confidence = np.repeat([0.25, 0.75], 40)
    right = (
        np.tile([True, False, False, False], 10).tolist() + np.tile([True, True, True, False], 10).tolist()
    )
    found = values(calibrate(np.arange(80), confidence, np.array(right), 80))
    assert found["ece"] == pytest.approx(0)
    assert found["overconfidence"] == pytest.approx(0)


def test_rows_add_up_to_the_whole():
    rows, confidence, right = np.array([0, 0, 2]), np.array([0.1, 0.95, 1.0]), np.array([False, True, True])
    whole, *_ = calibrate(rows, confidence, right, 3)
    assert whole.parts.shape == (3, 3 * BINS)
    assert whole.parts.sum(1)[1] == 0
    assert whole.parts[:, :BINS].sum() == 3


TEXT = "A large lesion with an irregular border."
PIECES = ["A", "large", "lesion", "with", "an", "irregular", "border"]


def caption(logprobs, tokens=None):
    words, start = [], 0
    for place, piece in enumerate(PIECES):
        start = TEXT.index(piece, start)
        own = tokens[place] if tokens else (place,)
        words.append(Word(piece, start, start + len(piece), own, sum(logprobs[one] for one in own)))
        start += len(piece)
    return Caption(TEXT, "en", tuple(words), tuple(range(len(logprobs))), tuple(logprobs))


def confidences(told):
    return {mention.value: confidence_of(told, mention) for mention in read_clinical(TEXT, "en").mentions}


def test_the_probability_of_a_fact_is_that_of_its_words():
    told = caption([-0.5, -1.0, -2.0, -3.0, -0.7, -0.1, 0.0])
    assert confidences(told) == pytest.approx({"large": math.exp(-1.5), "irregular": math.exp(-0.8)})


def test_a_token_that_two_words_share_counts_once():
    tokens = [(0,), (0, 1), (2,), (3,), (4, 5), (4, 5), (6,)]
    told = caption([-0.5, -1.0, -2.0, -3.0, -0.7, -0.1, 0.0], tokens)
    assert confidences(told)["irregular"] == pytest.approx(math.exp(-0.8))
    assert confidences(told)["large"] == pytest.approx(math.exp(-1.5))


def test_words_without_tokens_have_no_probability():
    told = caption([-0.5, -1.0, -2.0, -3.0], [(0,), (1,), (2,), (3,), (), (), ()])
    assert math.isnan(confidences(told)["irregular"])


def test_facts_of_captions_are_judged():
    known = ClinicalFacts(size="large", border="regular", present=("ulcer",), absent=("crust",))
    text = (
        "A large lesion with an irregular border. An ulcer, no crust, possible scale. An ulcer on the face."
    )
    rows = [stated(""), stated(text, known=known, confidences=(0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3))]
    told = [(one.row, one.slot, one.value, one.confidence, one.right) for one in told_facts(rows)]
    assert told == [
        (1, "size", "large", 0.9, True),
        (1, "border", "irregular", 0.8, False),
        (1, "finding", "ulcer", 0.7, True),
        (1, "finding", "crust", 0.6, True),
    ]
    assert values(calibration(rows))["ece"] == pytest.approx((0.1 + 0.8 + 0.3 + 0.4) / 4)
    assert not any("border" in one.scale.name for one in calibration(rows))
    found = values(calibration(rows * 30))
    assert found["ece_border"] == found["overconfidence_border"] == pytest.approx(0.8)
    assert found["brier_finding"] == pytest.approx((0.09 + 0.16) / 2)


def test_findings_that_are_told_often_have_figures_of_their_own():
    one = stated("An ulcer.", known=ClinicalFacts(present=("ulcer",)), confidences=(0.75,))
    assert set(values(calibration([one] * 29))) == {"ece", "ece_mass", "brier", "overconfidence"}
    assert values(calibration([one] * 30))["ece_finding_ulcer"] == pytest.approx(0.25)


def test_without_probabilities_there_is_nothing():
    assert calibration([stated("An ulcer.", known=ClinicalFacts(present=("ulcer",)))]) == []
