"""Correlation and infidelity beside plain definitions, and beside known attributions."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import nnls

from dermaxai.explain.base import Explained
from dermaxai.measure.maps.base import Protocol, Subject
from dermaxai.measure.maps.probe import probe_of
from dermaxai.measure.maps.subsets import (
    FaithfulnessCorrelation,
    Infidelity,
    _correlation,
    _infidelity,
    losses,
    random_sets,
)
from dermaxai.types import Target
from tests.measure.maps import toy
from tests.measure.maps.test_deletion import heat_of
from tests.measure.maps.test_probe import NO_PHOTO, QUERIES

NUMBERS = st.lists(st.tuples(st.integers(-9, 9), st.integers(-9, 9)), min_size=3, max_size=30)


def slow_losses(subject, target):
    """One set per call: (set, loss)."""
    probe = probe_of(subject)
    found = []
    for gone in random_sets(probe.patches, subject.protocol.subsets, subject.protocol.seed):
        kept = torch.tensor([[not patch for patch in gone]])
        lost = probe.whole([target])[0] - probe.scores(probe.see(kept), [target])[0, 0]
        found.append((np.flatnonzero(gone), float(lost)))
    return found


def slow_correlation(told, lost):
    return np.corrcoef(told, lost)[0, 1]


def slow_infidelity(told, lost):
    """By non-negative least squares."""
    return nnls(np.array(told)[:, None], np.array(lost))[1] ** 2 / np.sum(np.square(lost))


def slow_values(subject, heat, score):
    pairs = slow_losses(subject, heat.target)
    told = [sum(float(heat.values.ravel()[patch]) for patch in gone) for gone, _ in pairs]
    return score(told, [lost for _, lost in pairs])


@pytest.mark.parametrize("removal", ["tokens", "mean"])
def test_one_set_at_a_time(tower, removal):
    encoder, encoded = tower
    subject = Subject(Explained(encoder), encoded, NO_PHOTO, Protocol(removal=removal, subsets=9))
    maps = [heat_of(encoded, target) for target in (*QUERIES, QUERIES[0])]
    expected = [slow_values(subject, heat, slow_correlation) for heat in maps]
    np.testing.assert_allclose(FaithfulnessCorrelation().measure(subject, maps), expected, atol=1e-3)
    expected = [slow_values(subject, heat, slow_infidelity) for heat in maps]
    np.testing.assert_allclose(Infidelity().measure(subject, maps), expected, atol=1e-3)


def test_words_one_set_at_a_time(model, photos):
    encoded = model.encoder.encode([model.read(photos[0])])[0]
    caption = model.captioner.describe(encoded, "en")[0]
    subject = Subject(Explained(model.encoder, model.captioner, caption), encoded, NO_PHOTO)
    targets = [Target("word", caption.words[2].text, 2), Target("word", "lesion", 3, "nodule")]
    maps = [heat_of(encoded, target) for target in targets]
    expected = [slow_values(subject, heat, slow_correlation) for heat in maps]
    # The tiny captioner says the same of every photo: what its words lose is near the arithmetic's noise.
    np.testing.assert_allclose(FaithfulnessCorrelation().measure(subject, maps), expected, atol=0.02)
    article = heat_of(encoded, Target("word", "a", 0))
    assert np.isnan(FaithfulnessCorrelation().measure(subject, [article])).all()
    assert np.isnan(Infidelity().measure(subject, [article])).all()


@given(NUMBERS)
def test_correlation_is_pearson(pairs):
    told, lost = np.array(pairs, float).T
    found = _correlation(told, lost)
    if np.ptp(told) == 0 or np.ptp(lost) == 0:
        assert np.isnan(found) or abs(found) <= 1
    else:
        assert found == pytest.approx(np.corrcoef(told, lost)[0, 1], abs=1e-9)


@given(NUMBERS, st.floats(0.01, 100))
def test_infidelity_is_the_least_over_scales(pairs, scale):
    told, lost = np.array(pairs, float).T
    found = _infidelity(told, lost)
    if not lost.any():
        assert np.isnan(found)
        return
    assert 0 <= found <= 1
    assert _infidelity(scale * told, lost) == pytest.approx(found, abs=1e-9)
    assert _infidelity(told, scale * lost) == pytest.approx(found, abs=1e-9)
    scales = np.concatenate([[0.0], np.geomspace(1e-3, 1e3, 4001)])
    tried = ((scales[:, None] * told - lost) ** 2).mean(1) / (lost**2).mean()
    assert found <= tried.min() + 1e-9
    assert found == pytest.approx(tried.min(), abs=1e-4)


def test_what_is_not_defined(tower):
    encoder, encoded = tower
    subject = Subject(Explained(encoder), encoded, NO_PHOTO)
    maps = [heat_of(encoded, QUERIES[0], np.full(encoded.grid, value)) for value in (0.0, 1.0)]
    # A text compared with itself never changes.
    maps.append(heat_of(encoded, Target("query", "skin", against="skin")))
    for metric in (FaithfulnessCorrelation, Infidelity):
        assert np.isnan(metric().measure(subject, maps)).all()
        assert metric().measure(subject, []) == []


def test_sets():
    sets = random_sets(196, 64, 0)
    assert (sets.sum(1) == 49).all()
    assert (random_sets(196, 5, 0) == sets[:5]).all()
    assert (random_sets(196, 64, 1) != sets).any()
    assert random_sets(2, 3, 0).sum(1).tolist() == [1, 1, 1]
    # Each patch is in a quarter of many sets.
    assert abs(random_sets(16, 4000, 0).mean(0) - 0.25).max() < 0.04


def test_sets_are_seen_once_for_all_maps_and_both_metrics(tower, monkeypatch):
    encoder, encoded = tower
    subject = Subject(Explained(encoder), encoded, NO_PHOTO)
    probe, calls = probe_of(subject), []
    see = type(probe).see
    monkeypatch.setattr(type(probe), "see", lambda *given, **named: calls.append(1) or see(*given, **named))
    FaithfulnessCorrelation().measure(subject, [heat_of(encoded, QUERIES[0])])
    Infidelity().measure(subject, [heat_of(encoded, target) for target in QUERIES])
    assert len(calls) == 1


@pytest.mark.parametrize("seed", range(3))
def test_the_true_map_foretells_every_loss(seed):
    subject = toy.subject_of(toy.photo_of(toy.colours_of(seed)))
    right = toy.truth(subject.image, "red")
    noise = np.random.default_rng(seed)
    others = [-right, np.abs(right), np.roll(right, 1, 0), *noise.standard_normal((200, *right.shape))]
    maps = [toy.heat_of(subject, values) for values in (right, 3 * right, *others)]
    correlations = FaithfulnessCorrelation().measure(subject, maps)
    unfaithful = Infidelity().measure(subject, maps)
    assert correlations[:2] == pytest.approx([1, 1], abs=1e-3)
    assert correlations[2] == pytest.approx(-1, abs=1e-3)
    assert unfaithful[:2] == pytest.approx([0, 0], abs=1e-3)
    assert unfaithful[2] == 1
    assert max(correlations[2:]) < 0.9
    assert min(unfaithful[2:]) > 0.1
    # Random maps: no correlation, and nothing foretold but by chance.
    drawn = np.array(correlations[-200:])
    assert abs(drawn.mean()) < 4 * drawn.std() / np.sqrt(200)
    assert np.median(unfaithful[-200:]) > 0.9


def test_losses_of_the_toy_are_sums():
    subject = toy.subject_of(toy.photo_of(toy.colours_of(7)))
    sets, lost = losses(subject, [Target("query", "red"), Target("query", "green")])
    for column, text in enumerate(("red", "green")):
        right = toy.truth(subject.image, text).ravel()
        np.testing.assert_allclose(lost[:, column], sets @ right, atol=2e-3 * np.abs(right).sum())
