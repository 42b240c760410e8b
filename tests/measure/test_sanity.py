"""The checks beside maps and models whose answer is known."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from dermaxai.explain.base import Explained
from dermaxai.measure.estimates import Estimate
from dermaxai.measure.maps.base import Protocol, Subject
from dermaxai.measure.maps.baselines import CentredGaussian, RandomMap
from dermaxai.measure.sanity import (
    FEWEST,
    RULES,
    VERDICTS,
    Rule,
    blank_photo,
    chance_of,
    check_maps,
    check_words,
    likeness_of_blank,
    likeness_of_mirrored,
    outcome,
)
from dermaxai.questions import find_method
from dermaxai.types import SkinImage, Target
from tests.encoders.tiny import photo
from tests.explain.snapshot import snapshot
from tests.measure.maps import toy

NO_PHOTO = SkinImage(np.zeros((2, 2, 3), np.uint8), "")
TEXTS = ("dark mole", "skin", "melanoma", "papule")


def subject_of(encoder, encoded, *methods):
    held = {(method.name, method.variant): method for method in methods}
    return Subject(Explained(encoder), encoded, NO_PHOTO, Protocol(), held)


def by_name(checks, method):
    return {check.name: check for check in checks if check.method == method}


def test_a_map_that_knows_nothing_fails_and_the_models_stay(tower):
    """A Gaussian in the middle: the same for any weights, text and photo, and it turns with the photo."""
    encoder, encoded = tower
    method, other = CentredGaussian(), find_method("grad_eclip")
    subject = subject_of(encoder, encoded, method, other)
    asked = [Target("query", text) for text in TEXTS]
    maps = [heat for one in (method, other) for heat in one.explain(subject.model, encoded, asked)]
    before = snapshot(encoder.module)
    checks = check_maps(subject, maps)
    assert snapshot(encoder.module) == before
    assert [check.method for check in checks] == [method.name] * 4 + ["grad_eclip"] * 4
    found = by_name(checks, method.name)
    assert {name: check.verdict for name, check in found.items()} == {
        "random_weights": "failed",
        "wrong_question": "failed",
        "blank_photo": "failed",
        "mirrored_photo": "passed",
    }
    assert found["wrong_question"].value == found["mirrored_photo"].value == pytest.approx(1.0)
    assert all(check.n == len(TEXTS) and check.about == RULES[check.name].about for check in checks)
    assert check_maps(subject, maps) == checks


def test_noise_of_every_photo_passes_but_does_not_turn(tower):
    encoder, encoded = tower
    method = RandomMap()
    subject = subject_of(encoder, encoded, method)
    maps = method.explain(subject.model, encoded, [Target("query", str(place)) for place in range(30)])
    found = by_name(check_maps(subject, maps), method.name)
    # Drawn from photo and question, it cannot know that the weights are others.
    assert found["random_weights"].verdict == "failed"
    assert found["wrong_question"].verdict == found["blank_photo"].verdict == "passed"
    assert found["mirrored_photo"].verdict == "failed"


def test_the_perfect_method_on_the_toy():
    subject = toy.subject_of(toy.photo_of(toy.colours_of(7)))
    maps = toy.perfect_maps(subject, ("red", "green", "blue"))
    assert likeness_of_mirrored(subject, maps) == pytest.approx([1.0] * 3, abs=1e-3)
    # Every patch of one colour counts the same: the map of plain skin has no order.
    assert np.abs(likeness_of_blank(subject, maps)).max() < 0.4


def test_plain_skin_is_the_median_of_the_frame():
    colours = np.zeros((toy.GRID, toy.GRID, 3))
    colours[1:-1, 1:-1] = -0.9
    colours[0], colours[-1], colours[:, 0], colours[:, -1] = ((0.6, 0.2, 0.0),) * 4
    subject = toy.subject_of(toy.photo_of(colours))
    blank = blank_photo(subject)
    assert blank.pixels.flatten(1).std(1).max() == 0
    assert blank.pixels[:, 0, 0].tolist() == pytest.approx([0.6, 0.2, 0.0], abs=0.01)
    assert torch.equal(subject.model.encoder.forward(blank.pixels[None]).pooled[0], blank.pooled)


def test_flat_maps_of_plain_skin_count_as_different():
    subject = toy.subject_of(toy.photo_of(toy.colours_of(7)))
    maps = toy.perfect_maps(subject)
    flat = [replace(maps[0], values=0 * maps[0].values)]
    assert math.isnan(likeness_of_blank(subject, flat)[0])


@settings(max_examples=20)
@given(st.integers(2, 5), st.integers(2, 5), st.integers(0, 99))
def test_chance_is_the_mean_over_all_places_of_the_other_map(rows, columns, seed):
    one, other = np.random.default_rng(seed).standard_normal((2, rows, columns))
    squares = [
        spearmanr(one.ravel(), np.roll(flip, (down, right), (0, 1)).ravel()).statistic ** 2
        for flip in (other, other[::-1], other[:, ::-1], other[::-1, ::-1])
        for down in range(rows)
        for right in range(columns)
    ]
    assert chance_of(one, other) == pytest.approx(np.mean(squares), abs=1e-9)


def test_unrelated_smooth_maps_have_nothing_left_on_average():
    """The number behind 'random weights' is 0 in the mean for maps that only look alike by being smooth."""
    from scipy.ndimage import gaussian_filter

    from dermaxai.measure.sanity import _beyond_chance

    generator = np.random.default_rng(0)
    maps = [gaussian_filter(generator.standard_normal((14, 14)), 2, mode="wrap") for _ in range(2000)]
    raw = [spearmanr(a.ravel(), b.ravel()).statistic ** 2 for a, b in zip(maps[::2], maps[1::2], strict=True)]
    left = [_beyond_chance(a, b) for a, b in zip(maps[::2], maps[1::2], strict=True)]
    assert np.mean(raw) > 0.03
    assert abs(np.mean(left)) < 0.01


@given(
    st.floats(-1, 1),
    st.floats(0, 0.5),
    st.floats(0, 0.5),
    st.integers(0, 9),
    st.booleans(),
    st.floats(-0.9, 0.9),
)
def test_what_is_decided(value, below, above, n, is_upper, limit):
    rule = Rule(limit, is_upper, "", "")
    low, high = value - below, value + above
    found = outcome(rule, Estimate(value, low, high, n))
    if n < FEWEST or low <= limit <= high:
        assert found == "undecided"
    else:
        assert found == ("passed" if (high < limit) == is_upper else "failed")
    assert outcome(rule, Estimate(value, math.nan, math.nan, n)) == "undecided"


def test_the_words_of_the_caption_on_plain_skin(model):
    (encoded,) = model.encoder.encode([model.read(photo(64, 64, 1))])
    caption = model.captioner.describe(encoded)[0]
    subject = Subject(Explained(model.encoder, model.captioner, caption), encoded, NO_PHOTO)
    (check,) = check_words(subject)
    from dermaxai.explain.evidence import visual_evidence

    own = visual_evidence(model.captioner, encoded, caption)
    blank = visual_evidence(model.captioner, blank_photo(subject), caption)
    kept = [place for place, one in enumerate(own) if one.from_image]
    expected = sum(max(blank[place].nats, 0) for place in kept) / sum(own[place].nats for place in kept)
    assert check.value == pytest.approx(expected)
    assert (check.name, check.method, check.n) == ("blank_words", "caption", len(kept))
    assert check_words(Subject(Explained(model.encoder), encoded, NO_PHOTO)) == []


def test_a_check_is_kept_as_a_score(tower):
    encoder, encoded = tower
    method = CentredGaussian()
    subject = subject_of(encoder, encoded, method)
    for check in check_maps(subject, method.explain(subject.model, encoded, [Target("query", "skin")])):
        assert check.verdict == "undecided"
        score = check.score
        assert (score.metric, score.of) == (f"sanity_{check.name}", method.name)
        assert (score.value, score.n, score.baseline) == (check.value, 1, check.limit)
        assert score.verdict == VERDICTS[check.verdict] == "undecided"


def test_what_cannot_be_asked_again_has_no_value_and_says_why(tower):
    encoder, encoded = tower
    method = find_method("grad_eclip")
    subject = subject_of(encoder, replace(encoded, pixels=None), method)
    maps = method.explain(subject.model, subject.encoded, [Target("query", text) for text in TEXTS])
    found = by_name(check_maps(subject, maps), "grad_eclip")
    assert found["wrong_question"].n == len(TEXTS)
    for name in ("random_weights", "blank_photo", "mirrored_photo"):
        assert (found[name].n, found[name].verdict) == (0, "undecided")
        assert math.isnan(found[name].value)
        assert "pixels" in found[name].about


def test_what_failing_means_is_said_in_both_languages():
    from dermaxai.i18n import catalogue

    for name, rule in RULES.items():
        assert catalogue("en").text(f"check.{name}.fails") == rule.about
        assert rule.about.count(".") == 1
        assert catalogue("ru").text(f"check.{name}.fails").endswith(".")
