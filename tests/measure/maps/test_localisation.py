"""Localisation of maps against pixels, counted one by one."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import average_precision_score, roc_auc_score

from dermaxai.errors import NotSupported, ShapeError, UsageError
from dermaxai.geometry import Placement
from dermaxai.measure.maps import localisation
from dermaxai.measure.maps.localisation import (
    Energy,
    PixelAuroc,
    PixelAveragePrecision,
    Pointing,
    RankAccuracy,
    chance,
    chance_precision,
)
from dermaxai.phantom import PhantomPlan, draw_phantom
from dermaxai.types import HeatMap, Target
from tests.measure.maps import toy

ALL = [Pointing, Energy, RankAccuracy, PixelAveragePrecision, PixelAuroc]
CELL = 4
"""Pixels along a cell of the drawn photos."""
few = st.sampled_from([-1.0, 0.0, 0.25, 1.0, 2.0])
"""So that ties are common."""
grids = st.tuples(st.integers(2, 4), st.integers(2, 4))


@st.composite
def maps_and_masks(draw):
    """Values of cells, and a mask of pixels that holds some and leaves some."""
    rows, columns = draw(grids)
    values = draw(arrays(np.float32, (rows, columns), elements=few))
    mask = draw(arrays(bool, (rows * CELL, columns * CELL)))
    mask[0, 0], mask[-1, -1] = True, False
    return values, mask


def share_of(mask):
    """The share of each cell that the mask covers."""
    rows, columns = (side // CELL for side in mask.shape)
    return mask.reshape(rows, CELL, columns, CELL).mean((1, 3))


def as_pixels(values):
    return values.repeat(CELL, 0).repeat(CELL, 1)


@given(maps_and_masks())
def test_average_precision_is_that_of_scikit_learn_on_the_pixels(drawn):
    values, mask = drawn
    slow = average_precision_score(mask.ravel(), as_pixels(values).ravel())
    assert localisation.average_precision(values, share_of(mask)) == pytest.approx(slow, abs=1e-12)


@given(maps_and_masks())
def test_auroc_is_that_of_scikit_learn_on_the_pixels(drawn):
    values, mask = drawn
    slow = roc_auc_score(mask.ravel(), as_pixels(values).ravel())
    assert localisation.area_under_roc(values, share_of(mask)) == pytest.approx(slow, abs=1e-12)


@given(maps_and_masks())
def test_rank_accuracy_by_taking_pixels_one_after_the_other(drawn):
    """Tied pixels are all taken by the same part, which is the mean over all orders."""
    values, mask = drawn
    scores, inside = as_pixels(values).ravel(), mask.ravel()
    left, hit = int(inside.sum()), 0.0
    for value in sorted(set(scores.tolist()), reverse=True):
        tied = scores == value
        part = min(1.0, left / tied.sum())
        hit += part * (inside & tied).sum()
        left -= part * tied.sum()
    slow = hit / inside.sum()
    assert localisation.rank_accuracy(values, share_of(mask)) == pytest.approx(slow, abs=1e-12)


def test_rank_accuracy_of_ties_is_the_mean_over_all_orders():
    """Three tied cells of one pixel each: every order, by hand."""
    values, inside = np.array([[2.0, 1.0, 1.0, 1.0]]), np.array([[1.0, 0.0, 1.0, 0.0]])
    found = []
    for order in itertools.permutations([1, 2, 3]):
        top = [0, order[0]]
        found.append(inside[0, top].sum() / 2)
    assert localisation.rank_accuracy(values, inside) == pytest.approx(np.mean(found))


@given(arrays(np.float64, st.integers(2, 6), elements=st.sampled_from([0.0, 0.3, 0.5, 1.0])))
def test_chance_precision_is_the_mean_over_all_orders(share):
    share[0] = 0.7
    subject = toy.subject_of(toy.photo_of(toy.colours_of(0)))
    orders = [
        localisation.average_precision(np.array(order, float)[None], share[None])
        for order in itertools.permutations(range(len(share)))
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(localisation, "covered_by_mask", lambda _subject: share[None])
        assert chance_precision(subject) == pytest.approx(np.mean(orders), abs=1e-12)


@given(maps_and_masks())
def test_pointing_and_energy_by_the_pixel(drawn):
    values, mask = drawn
    rows, columns = values.shape
    place = Placement(rows * CELL, columns * CELL, 0.0, 0.0, float(rows * CELL), float(columns * CELL))
    heat = HeatMap(values, "drawn", Target("query", "red"), place, "cosine", "drawn")
    subject = toy.subject_of(toy.photo_of(toy.colours_of(0)), mask=mask)
    subject = replace(subject, encoded=replace(subject.encoded, grid=values.shape, placement=place))
    scores = as_pixels(values)
    ((pointing,), (energy,)) = (one().measure(subject, [heat]) for one in (Pointing, Energy))
    if values.max() > 0:
        assert pointing == pytest.approx(mask[scores == scores.max()].mean())
        assert energy == pytest.approx(scores.clip(0)[mask].sum() / scores.clip(0).sum())
    else:
        assert pointing == 0
        assert np.isnan(energy)


@pytest.fixture(scope="module")
def subject():
    """The toy's photo with a square of 3 x 3 cells outlined, exactly along cells."""
    mask = np.zeros((toy.SIDE, toy.SIDE), bool)
    mask[toy.PATCH : 4 * toy.PATCH, toy.PATCH : 4 * toy.PATCH] = True
    return toy.subject_of(toy.photo_of(toy.colours_of(0)), mask=mask)


def inside_of(subject):
    return localisation.covered_by_mask(subject)


@pytest.mark.parametrize("metric", ALL)
def test_best_and_worst(subject, metric):
    perfect, opposite = inside_of(subject), 1 - inside_of(subject)
    best, worst = metric().measure(subject, [toy.heat_of(subject, perfect), toy.heat_of(subject, opposite)])
    assert best == 1
    if metric is PixelAveragePrecision:
        assert worst == pytest.approx(0.25)
    else:
        assert worst == 0


@pytest.mark.parametrize("metric", [Pointing, Energy, RankAccuracy, PixelAveragePrecision])
def test_a_constant_map_gets_the_share_of_the_area(subject, metric):
    flat = toy.heat_of(subject, np.ones(subject.encoded.grid))
    assert metric().measure(subject, [flat]) == pytest.approx([chance(subject)])
    assert chance(subject) == pytest.approx(9 / 36)


def test_a_constant_map_orders_nothing(subject):
    flat = toy.heat_of(subject, np.ones(subject.encoded.grid))
    assert PixelAuroc().measure(subject, [flat]) == [0.5]


@pytest.mark.parametrize("metric", ALL)
def test_random_maps_are_at_chance(subject, metric):
    generator = np.random.default_rng(5)
    maps = [toy.heat_of(subject, generator.random((6, 6)) + 0.01) for _ in range(400)]
    found = np.array(metric().measure(subject, maps))
    expected = {PixelAuroc: 0.5, PixelAveragePrecision: chance_precision(subject)}
    error = found.std() / np.sqrt(len(found))
    assert abs(found.mean() - expected.get(metric, chance(subject))) < 3 * error


@pytest.mark.parametrize("metric", ALL)
def test_without_a_mask_nothing_says_where(metric):
    subject = toy.subject_of(toy.photo_of(toy.colours_of(0)))
    with pytest.raises(NotSupported, match="outlined"):
        metric().measure(subject, [toy.heat_of(subject, np.ones((6, 6)))])


@pytest.mark.parametrize("metric", ALL)
def test_a_mask_that_the_encoder_does_not_see(subject, metric):
    place = replace(subject.encoded.placement, left=24.0, covered_width=24.0)
    aside = replace(subject, encoded=replace(subject.encoded, placement=place))
    mask = np.zeros((toy.SIDE, toy.SIDE), bool)
    mask[:, :20] = True
    heat = replace(toy.heat_of(subject, np.ones((6, 6))), placement=place)
    assert np.isnan(metric().measure(replace(aside, mask=mask), [heat])).all()
    assert np.isnan(metric().measure(replace(aside, mask=np.zeros_like(mask)), [heat])).all()
    assert np.isnan(chance_precision(replace(aside, mask=mask)))


def test_two_masks_of_one_photo_are_two_answers(subject):
    heat = toy.heat_of(subject, inside_of(subject))
    other = replace(subject, mask=~subject.mask)
    assert other.model.shared is subject.model.shared
    assert Energy().measure(subject, [heat]) == [1.0]
    assert Energy().measure(other, [heat]) == [0.0]


def test_maps_of_another_photo_are_refused(subject):
    heat = toy.heat_of(subject, np.ones((6, 6)))
    with pytest.raises(ShapeError, match="cells"):
        Energy().measure(subject, [replace(heat, values=np.ones((7, 7), np.float32))])
    with pytest.raises(ShapeError, match="together"):
        Energy().measure(subject, [replace(heat, placement=replace(heat.placement, top=1.0))])
    with pytest.raises(ShapeError, match="mask"):
        Energy().measure(replace(subject, mask=np.ones((5, 5), bool)), [heat])
    with pytest.raises(UsageError, match="no numbers"):
        Energy().measure(subject, [replace(heat, values=np.full((6, 6), np.nan, np.float32))])


@pytest.mark.parametrize("side", [7, 14, 16, 27])
def test_the_lesion_of_a_phantom(side):
    """A map that is the mask itself: only cells that the outline cuts take from it."""
    drawn = draw_phantom(
        PhantomPlan("large", "symmetric", "regular", ("dark brown",)), 3, height=448, width=448
    )
    place = Placement(448, 448, 0.0, 0.0, 448.0, 448.0)
    subject = toy.subject_of(toy.photo_of(toy.colours_of(0)), mask=drawn.mask)
    subject = replace(subject, encoded=replace(subject.encoded, grid=(side, side), placement=place))
    cells = inside_of(subject)
    heat = toy.heat_of(subject, cells)
    found = {one.scale.name: one().measure(subject, [heat])[0] for one in ALL}
    assert found["pointing"] == pytest.approx(1)
    # Of each cell's energy the share that is cut off lies outside: Σ s² / Σ s.
    assert found["energy"] == pytest.approx((cells**2).sum() / cells.sum(), abs=1e-6)
    cut = ((cells > 0) & (cells < 1)).sum() / (cells > 0).sum()
    for name in ("energy", "pixel_ap", "rank_accuracy"):
        assert 1 - cut / 2 < found[name] < 1, name
    assert found["pixel_auroc"] > 0.97
