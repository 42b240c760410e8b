"""Energy inside a mask: exact by hand, fair to a map that knows nothing."""

import numpy as np
import pytest

from dermaxai.errors import ShapeError
from dermaxai.explain.localisation import energy_inside, mask_share
from dermaxai.geometry import Placement, place_center_crop, place_squash
from dermaxai.types import HeatMap, Target


def heat(values, place):
    return HeatMap(np.asarray(values, np.float32), "any", Target("query", "x"), place, "cosine", "any")


def test_by_hand():
    mask = np.zeros((4, 8), bool)
    mask[:2, 2:4] = True
    place = place_center_crop(4, 8)
    assert energy_inside(heat([[3, 1], [-5, 2]], place), mask) == pytest.approx((3 / 6, 0.25))
    assert energy_inside(heat([[0, 0], [0, 0]], place), mask) == pytest.approx((0.0, 0.25))
    assert energy_inside(heat([[0, 0], [-1, 0]], place), mask)[0] == 0.0


def test_cells_that_cut_pixels_count_by_their_part():
    mask = np.array([[True, False, False]])
    assert mask_share(heat([[1, 1]], place_squash(1, 3)), mask) == pytest.approx(np.array([[2 / 3, 0]]))


def test_padding_holds_no_mask():
    place = Placement(height=2, width=4, top=-1, left=0, covered_height=4, covered_width=4)
    assert mask_share(heat(np.ones((2, 2)), place), np.ones((2, 4), bool)) == pytest.approx(
        np.full((2, 2), 0.5)
    )


@pytest.mark.parametrize(
    "place", [place_center_crop(45, 60), place_squash(45, 60), place_center_crop(45, 60, 0.9)]
)
def test_a_map_that_knows_nothing_has_equal_shares(place):
    mask = np.random.default_rng(0).random((45, 60)) > 0.7
    energy, area = energy_inside(heat(np.ones((7, 7)), place), mask)
    assert energy == pytest.approx(area)
    assert energy_inside(heat(np.ones((7, 7)), place), np.ones((45, 60), bool)) == pytest.approx((1, 1))


def test_mask_of_another_photo():
    with pytest.raises(ShapeError, match="45 x 60"):
        energy_inside(heat(np.ones((2, 2)), place_squash(45, 60)), np.ones((60, 45), bool))
