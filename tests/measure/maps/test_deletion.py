"""Deletion and insertion beside one map at a time, one step at a time, and beside known attributions."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dermaxai.explain.base import Explained
from dermaxai.measure.maps.base import Protocol, Subject, tie_order
from dermaxai.measure.maps.deletion import (
    Curves,
    Deletion,
    Insertion,
    InsertionMinusDeletion,
    curves_of,
    masks_of,
    random_aucs,
    random_orders,
    shares,
)
from dermaxai.measure.maps.probe import probe_of
from dermaxai.types import HeatMap, Target
from tests.measure.maps import toy
from tests.measure.maps.test_probe import NO_PHOTO, QUERIES


def heat_of(encoded, target, values=None):
    """A map of these values, or of noise that is the target's own."""
    if values is None:
        drawn = np.random.default_rng([11, *f"{target.text}/{target.against}".encode()])
        values = drawn.standard_normal(encoded.grid)
    return HeatMap(np.float32(values), "drawn", target, encoded.placement, "cosine", "none")


def slow_curves(subject, heat, steps):
    """One mask per call."""
    probe, order = probe_of(subject), tie_order(heat, subject.protocol.seed).tolist()
    points = [[], []]
    for count in shares(len(order), steps):
        for curve, gone in zip(points, (order[:count], order[count:]), strict=True):
            kept = torch.ones(1, len(order), dtype=torch.bool)
            for patch in gone:
                kept[0, patch] = False
            curve.append(float(probe.scores(probe.see(kept), [heat.target])[0, 0]))
    return points


def area(heights, fractions):
    """Trapezoids, one by one."""
    return sum(
        (fractions[place + 1] - fractions[place]) * (heights[place] + heights[place + 1]) / 2
        for place in range(len(heights) - 1)
    )


@pytest.mark.parametrize("removal", ["tokens", "blur", "mean", "noisy linear"])
def test_curves_of_similarities(tower, removal):
    encoder, encoded = tower
    subject = Subject(Explained(encoder), encoded, NO_PHOTO, Protocol(removal=removal, steps=5))
    maps = [heat_of(encoded, target) for target in QUERIES]
    check(subject, maps, 5)


def test_curves_of_words(model, photos):
    encoded = model.encoder.encode([model.read(photos[0])])[0]
    caption = model.captioner.describe(encoded, "en")[0]
    last = len(caption.words) - 1
    targets = [
        Target("word", caption.words[1].text, 1),
        Target("word", caption.words[last].text, last, "nodule"),
        Target("caption", caption.text),
        Target("query", "a dark mole"),
    ]
    explained = Explained(model.encoder, model.captioner, caption)
    subject = Subject(explained, encoded, NO_PHOTO, Protocol(steps=4))
    check(subject, [heat_of(encoded, target) for target in targets], 4)


def check(subject, maps, steps):
    found = curves_of(subject, maps)
    for heat, curves in zip(maps, found, strict=True):
        deletion, insertion = slow_curves(subject, heat, steps)
        np.testing.assert_allclose(curves.deletion, deletion, atol=2e-5)
        np.testing.assert_allclose(curves.insertion, insertion, atol=2e-5)
        assert curves.deletion[[0, -1]] == pytest.approx(curves.insertion[[-1, 0]], abs=1e-6)
        assert curves.deletion_auc == pytest.approx(area(deletion, curves.fractions), abs=2e-5)
        assert curves.insertion_auc == pytest.approx(area(insertion, curves.fractions), abs=2e-5)
    values = [metric().measure(subject, maps) for metric in (Deletion, Insertion, InsertionMinusDeletion)]
    assert values[0] == [curves.deletion_auc for curves in found]
    assert values[1] == [curves.insertion_auc for curves in found]
    assert values[2] == [curves.insertion_auc - curves.deletion_auc for curves in found]


def test_an_area_by_hand():
    curves = Curves(np.array([0, 0.25, 1]), np.array([1.0, 0.5, 0.1]), np.array([0.1, 0.9, 1.0]))
    assert curves.deletion_auc == pytest.approx(0.25 * 0.75 + 0.75 * 0.3)
    assert curves.insertion_auc == pytest.approx(0.25 * 0.5 + 0.75 * 0.95)


@given(st.integers(1, 600), st.integers(2, 60))
def test_shares_are_equal_and_mirrored(patches, steps):
    counts = shares(patches, steps).tolist()
    assert counts[0] == 0
    assert counts[-1] == patches
    assert counts == sorted(set(counts))
    ideal = [step * patches / steps for step in range(steps + 1)]
    assert all(min(abs(count - place) for place in ideal) <= 0.5 for count in counts)
    middle = {round(patches / 2)}
    assert {patches - count for count in counts} - set(counts) <= {patches - one for one in middle}
    if patches >= 2 * steps:
        assert len(counts) == steps + 1


def test_masks():
    kept = masks_of(np.array([[2, 0, 1]]), np.array([0, 1, 3])).int().tolist()
    assert kept == [[[[1, 1, 1], [1, 1, 0], [0, 0, 0]], [[0, 0, 0], [0, 0, 1], [1, 1, 1]]]]


def test_the_same_numbers_whatever_is_measured_beside(tower):
    encoder, encoded = tower
    maps = [heat_of(encoded, target) for target in QUERIES]
    together = Deletion().measure(Subject(Explained(encoder), encoded, NO_PHOTO), maps)
    again = Deletion().measure(Subject(Explained(encoder), encoded, NO_PHOTO), maps)
    assert together == again
    alone = [Deletion().measure(Subject(Explained(encoder), encoded, NO_PHOTO), [heat])[0] for heat in maps]
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_maps_and_the_two_metrics_are_shown_once(tower, monkeypatch):
    encoder, encoded = tower
    subject = Subject(Explained(encoder), encoded, NO_PHOTO)
    maps = [heat_of(encoded, target) for target in QUERIES]
    probe = probe_of(subject)
    calls = []
    see = type(probe).see
    monkeypatch.setattr(type(probe), "see", lambda *given, **named: calls.append(1) or see(*given, **named))
    first = Deletion().measure(subject, maps[:2])
    Insertion().measure(subject, maps[:2])
    assert len(calls) == 1
    assert Deletion().measure(subject, [maps[1], maps[2], maps[0]])[::2] == first[::-1]
    assert len(calls) == 2
    # Another protocol is another measurement.
    Deletion().measure(Subject(subject.model, encoded, NO_PHOTO, Protocol(steps=3)), maps[:2])
    assert len(calls) == 3


def test_a_constant_map_is_a_random_order(tower):
    encoder, encoded = tower
    flat = heat_of(encoded, QUERIES[0], np.ones(encoded.grid))
    values = []
    for seed in (0, 1, 0):
        subject = Subject(Explained(encoder), encoded, NO_PHOTO, Protocol(seed=seed))
        values.append(Deletion().measure(subject, [flat])[0])
    assert values[0] == values[2]
    assert values[0] != values[1]


# ---- random orders ------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [2, 5])
def test_random_areas_are_those_of_random_maps(tower, count):
    encoder, encoded = tower
    subject = Subject(Explained(encoder), encoded, NO_PHOTO, Protocol(steps=4, random_maps=count, seed=3))
    deletion, insertion = random_aucs(subject, QUERIES)
    assert deletion.shape == insertion.shape == (len(QUERIES), count)
    for column, order in enumerate(random_orders(16, count, 3)):
        values = -np.argsort(order).reshape(encoded.grid).astype(np.float32)
        maps = [heat_of(encoded, target, values) for target in QUERIES]
        for row, curves in enumerate(curves_of(subject, maps)):
            assert deletion[row, column] == pytest.approx(curves.deletion_auc, abs=1e-5)
            assert insertion[row, column] == pytest.approx(curves.insertion_auc, abs=1e-5)


def test_each_random_mask_serves_both_curves_and_all_questions(tower, monkeypatch):
    encoder, encoded = tower
    subject = Subject(Explained(encoder), encoded, NO_PHOTO, Protocol(steps=8, random_maps=6))
    rows = []
    probe = probe_of(subject)
    passing = type(probe)._pass
    monkeypatch.setattr(
        type(probe),
        "_pass",
        lambda self, tokens, read: rows.append(len(tokens)) or passing(self, tokens, read),
    )
    random_aucs(subject, QUERIES[:1])
    assert sum(rows) <= 6 * 7 + 2
    before = len(rows)
    random_aucs(subject, QUERIES)
    assert len(rows) == before


def test_random_orders_come_in_pairs():
    orders = random_orders(9, 5, 0)
    assert orders.shape == (5, 9)
    assert (np.sort(orders, axis=1) == np.arange(9)).all()
    assert (orders[1] == orders[0][::-1]).all()
    assert (orders[3] == orders[2][::-1]).all()
    assert (random_orders(9, 2, 0) == orders[:2]).all()
    assert (random_orders(9, 5, 1) != orders).any()


def test_what_is_random_is_the_same_for_words(model, photos):
    encoded = model.encoder.encode([model.read(photos[0])])[0]
    caption = model.captioner.describe(encoded, "en")[0]
    subject = Subject(Explained(model.encoder, model.captioner, caption), encoded, NO_PHOTO)
    target = Target("word", caption.words[1].text, 1)
    (deletion,), (insertion,) = random_aucs(subject, [target])
    np.testing.assert_allclose(np.sort(deletion), np.sort(insertion), atol=1e-6)
    order = random_orders(16, 20, 0)[0]
    heat = heat_of(encoded, target, -np.argsort(order).reshape(encoded.grid))
    assert curves_of(subject, [heat])[0].deletion_auc == pytest.approx(deletion[0], abs=1e-5)


# ---- known attributions -------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_the_true_map_has_the_best_areas(seed):
    subject = toy.subject_of(toy.photo_of(toy.colours_of(seed)))
    right = toy.truth(subject.image, "red")
    others = [
        -right,
        np.abs(right),
        np.roll(right, 1, 0),
        right + 0.5 * np.ptp(right) * np.random.default_rng(seed).standard_normal(right.shape),
        *np.random.default_rng(seed).random((30, *right.shape)),
    ]
    maps = [toy.heat_of(subject, values) for values in (right, *others)]
    deletion, insertion = (metric().measure(subject, maps) for metric in (Deletion, Insertion))
    assert deletion[0] < min(deletion[1:])
    assert insertion[0] > max(insertion[1:])
    assert max(deletion) == deletion[1]
    assert min(insertion) == insertion[1]
    # What the area must be: a toy's score is the sum of what is left.
    order = np.argsort(-right.ravel(), kind="stable")
    left = [right.sum() - right.ravel()[order[:count]].sum() for count in shares(36, 12)]
    assert deletion[0] == pytest.approx(area(left, shares(36, 12) / 36), rel=0.01)


def test_random_maps_are_at_their_expectation():
    """Every patch is gone half the time: the expected area is the mean of both ends."""
    subject = toy.subject_of(toy.photo_of(toy.colours_of(5)), protocol=Protocol(steps=12, random_maps=200))
    probe = probe_of(subject)
    targets = [Target("query", text) for text in ("red", "green", "magenta")]
    expected = ((probe.whole(targets) + probe.empty(targets)) / 2).numpy()
    for areas in random_aucs(subject, targets):
        np.testing.assert_allclose(areas.mean(1), expected, rtol=0.01, atol=1e-6)
    drawn = np.random.default_rng(0).random((200, 6, 6))
    maps = [toy.heat_of(subject, values, "red") for values in drawn]
    for metric, middle in ((Deletion, expected[0]), (Insertion, expected[0]), (InsertionMinusDeletion, 0.0)):
        values = np.array(metric().measure(subject, maps))
        assert abs(values.mean() - middle) < 4 * values.std() / np.sqrt(len(values))
    spread = random_aucs(subject, targets)[0][0].std()
    assert np.std(Deletion().measure(subject, maps)) == pytest.approx(spread, rel=0.25)
