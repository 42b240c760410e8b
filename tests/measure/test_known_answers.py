"""Known answers: what perfect, wrong and empty maps get, and what the baselines get."""

from dataclasses import replace

import numpy as np
import pytest

from dermaxai.explain import METHODS
from dermaxai.geometry import Placement
from dermaxai.measure.known_answers import (
    GAUSSIAN,
    RANDOM,
    Known,
    Row,
    baselines,
    colour_phantoms,
    judge_map,
    lesion_phantoms,
    measure_methods,
)
from dermaxai.types import HeatMap, Target

PLACE = Placement(height=448, width=448, top=0.0, left=0.0, covered_height=448.0, covered_width=448.0)


@pytest.fixture(scope="module")
def pair():
    return list(colour_phantoms(1))


def cells(mask, side=14):
    """The share of each cell that a mask covers, by the slow way."""
    size = len(mask) // side
    return mask.reshape(side, size, side, size).mean((1, 3))


def heat(values):
    return HeatMap(np.asarray(values, np.float32), "x", Target("query", ""), PLACE, "cosine", "somewhere")


def test_two_questions_about_one_photo_have_each_others_answer_as_rival(pair):
    one, other = pair
    assert one.image is other.image
    assert one.text != other.text
    assert (one.mask == other.rival).all()
    assert not (one.mask & other.mask).any()


def test_colours_lie_where_the_masks_say(pair):
    black, red = pair
    pixels = black.image.pixels.astype(float)
    assert "black" in black.text
    assert "red" in red.text
    assert pixels[black.mask].mean() < pixels[red.mask].mean()
    assert np.subtract(*pixels[red.mask].mean(0)[[0, 2]]) > np.subtract(*pixels[black.mask].mean(0)[[0, 2]])


def test_a_perfect_map_and_its_rival(pair):
    right = judge_map(heat(cells(pair[0].mask) > 0.99), pair[0])
    assert right["pointing"] == right["energy"] == pytest.approx(1, abs=0.01)
    assert right["right lesion"] == pytest.approx(1, abs=0.05)
    wrong = judge_map(heat(cells(pair[1].mask) > 0.99), pair[0])
    assert (wrong["pointing"], wrong["right lesion"]) == pytest.approx((0, 0), abs=0.05)


def test_maps_that_know_nothing(pair):
    flat = judge_map(heat(np.ones((14, 14))), pair[0])
    assert flat["energy"] == flat["pointing"] == pytest.approx(flat["area"])
    assert flat["right lesion"] == pytest.approx(0.5)
    empty = judge_map(heat(-np.ones((14, 14))), pair[0])
    assert (empty["energy"], empty["pointing"], empty["right lesion"]) == (0, 0, 0.5)


def test_baselines_are_drawn_by_seed(tower):
    _, encoded = tower
    one, again = baselines(encoded, 3), baselines(encoded, 3)
    assert [entry.method for entry in one] == [RANDOM, GAUSSIAN]
    assert all((a.values == b.values).all() for a, b in zip(one, again, strict=True))
    assert (baselines(encoded, 4)[0].values != one[0].values).any()
    assert np.allclose(one[1].values, one[1].values[::-1, ::-1])


def test_verdicts_follow_the_interval():
    row = Row("m", "v", "energy", 0.5, 0.35, 0.65, 0.4, 9, (0.05, 0.15))
    assert row.verdict == "better"
    assert replace(row, gain=(-0.01, 0.15)).verdict == "undecided"
    assert replace(row, gain=(-0.15, -0.01)).verdict == "worse"
    assert replace(row, n=4).verdict == "undecided"


def test_every_row_has_its_number_of_photos(tower):
    encoder, _ = tower
    methods = [METHODS.load("grad_eclip")(), METHODS.load("evidence")()]
    rows = measure_methods(encoder, methods, colour_phantoms(2))
    assert {row.n for row in rows} == {2}
    assert {row.method for row in rows} == {"grad_eclip", RANDOM, GAUSSIAN}
    assert {row.metric for row in rows} == {"pointing", "energy", "right lesion"}
    assert all(row.low <= row.value <= row.high for row in rows)
    chance = next(row for row in rows if (row.method, row.metric) == (RANDOM, "energy"))
    assert chance.value == pytest.approx(chance.chance, abs=0.05)


def test_single_lesions_have_no_rival():
    (one,) = lesion_phantoms(1)
    assert isinstance(one, Known)
    assert one.rival is None
    assert "right lesion" not in judge_map(heat(np.ones((14, 14))), one)
