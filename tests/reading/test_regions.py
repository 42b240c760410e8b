import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermaxai.errors import ShapeError, UsageError
from dermaxai.geometry import Placement, place_center_crop
from dermaxai.reading import regions as rooms
from dermaxai.reading.regions import (
    POINTS,
    REGIONS,
    Region,
    area_share,
    cover,
    dice,
    draw_mask,
    energy_share,
    read_regions,
    write_regions,
)
from dermaxai.types import HeatMap, Target

HEIGHT, WIDTH = 300, 400
BOX = {"kind": "box", "points": [[10, 20], [110, 70]]}


def heat_of(values, placement=None):
    place = placement or Placement(HEIGHT, WIDTH, 0, 0, HEIGHT, WIDTH)
    return HeatMap(np.asarray(values, np.float32), "m", Target("word", "w", 0), place, "", "")


def test_every_kind_goes_there_and_back():
    given_regions = [
        {"kind": "brush", "points": [[1, 2], [30.5, 40.25]], "radius": 6},
        BOX,
        {"kind": "point", "points": [[400, 300]]},
        {"kind": "polygon", "points": [[0, 0], [50, 0], [50, 50]]},
    ]
    found = read_regions(given_regions, HEIGHT, WIDTH)
    assert [region.kind for region in found] == ["brush", "box", "point", "polygon"]
    assert found[0] == Region("brush", ((1.0, 2.0), (30.5, 40.2)), 6.0)
    assert read_regions(json.loads(json.dumps(write_regions(found))), HEIGHT, WIDTH) == found
    assert "radius" not in write_regions(found)[1]


def test_points_just_outside_are_moved_to_the_border():
    (region,) = read_regions([{"kind": "point", "points": [[-0.4, 300.7]]}], HEIGHT, WIDTH)
    assert region.points == ((0.0, 300.0),)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({}, "list"),
        ("box", "list"),
        ([BOX] * (REGIONS + 1), "at most 64 regions"),
        ([{"kind": "circle", "points": [[1, 1]]}], "kind"),
        ([7], "kind"),
        ([{**BOX, "colour": "red"}], "colour"),
        ([{"kind": "box", "points": [[1, 1]]}], "2 points"),
        ([{"kind": "box"}], "2 points"),
        ([{"kind": "box", "points": [[5, 5], [5, 90]]}], "no area"),
        ([{"kind": "polygon", "points": [[1, 1], [2, 2], [1, 1]]}], "three different"),
        ([{"kind": "point", "points": [[1, math.nan]]}], "finite"),
        ([{"kind": "point", "points": [[1, math.inf]]}], "finite"),
        ([{"kind": "point", "points": [[10**400, 1]]}], "finite"),
        ([{"kind": "point", "points": [[True, 1]]}], "finite"),
        ([{"kind": "point", "points": [["1", 1]]}], "finite"),
        ([{"kind": "point", "points": [[1, 2, 3]]}], "finite"),
        ([{"kind": "point", "points": [[402, 1]]}], "outside the photo"),
        ([{"kind": "point", "points": [[1, -2]]}], "outside the photo"),
        ([{"kind": "brush", "points": [[1, 2]]}], "radius"),
        ([{"kind": "brush", "points": [[1, 2]], "radius": 201}], "radius"),
        ([{"kind": "brush", "points": [[1, 2]] * (POINTS + 1), "radius": 2}], "points"),
        ([{"kind": "brush", "points": [[1, 2]] * 3000, "radius": 2}] * 2, "4000 points"),
    ],
)
def test_what_is_no_region_is_refused_with_words(document, said):
    with pytest.raises(UsageError, match=said):
        read_regions(document, HEIGHT, WIDTH)


numbers = st.one_of(st.floats(), st.integers(), st.booleans(), st.text(max_size=3), st.none())
points = st.one_of(numbers, st.lists(st.one_of(numbers, st.lists(numbers, max_size=3)), max_size=5))
entries = st.one_of(
    numbers,
    st.dictionaries(st.sampled_from(["kind", "points", "radius", "x"]), st.one_of(points, st.just("box"))),
)


@given(st.one_of(numbers, st.lists(entries, max_size=4)))
def test_anything_else_is_refused_by_the_same_error(document):
    try:
        found = read_regions(document, HEIGHT, WIDTH)
    except UsageError:
        return
    assert read_regions(write_regions(found), HEIGHT, WIDTH) == found


def masked(*given_regions, height=HEIGHT, width=WIDTH, longest=0):
    return draw_mask(read_regions(list(given_regions), height, width), height, width, longest)


def test_a_box_is_exactly_its_pixels():
    mask = masked(BOX)
    assert mask.shape == (HEIGHT, WIDTH)
    assert mask.sum() == 100 * 50
    assert mask[20:70, 10:110].all()
    assert masked({"kind": "box", "points": [[110, 70], [10, 20]]}).sum() == 5000
    assert masked({"kind": "box", "points": [[0, 0], [400, 300]]}).all()


def test_a_stroke_is_as_wide_as_its_brush_and_round_at_its_ends():
    mask = masked({"kind": "brush", "points": [[100, 150], [300, 150]], "radius": 20})
    expected = 200 * 40 + math.pi * 400
    assert abs(mask.sum() - expected) / expected < 0.03
    assert not mask[:, :79].any()
    assert not mask[:129].any()
    dot = masked({"kind": "brush", "points": [[200, 150]], "radius": 50})
    assert abs(dot.sum() - math.pi * 2500) / (math.pi * 2500) < 0.03


def test_a_polygon_is_its_inside():
    mask = masked({"kind": "polygon", "points": [[100, 100], [200, 100], [100, 200]]})
    assert abs(mask.sum() - 5000) <= 50
    assert mask[110, 110]
    assert not mask[190, 190]
    star = masked({"kind": "polygon", "points": [[100, 100], [200, 200], [200, 100], [100, 200]]})
    assert abs(star.sum() - 5000) <= 100


def test_a_polygon_against_asking_every_pixel():
    corners = [(3.2, 1.1), (27.9, 8.4), (11.0, 17.7), (20.3, 2.0), (5.5, 12.5)]
    mask = masked({"kind": "polygon", "points": corners}, height=20, width=30)
    sides = list(zip(corners, [*corners[1:], corners[0]], strict=True))
    for row, column in np.ndindex(mask.shape):
        y, x = row + 0.5, column + 0.5
        right = sum(
            (a[1] > y) != (b[1] > y) and x < a[0] + (y - a[1]) * (b[0] - a[0]) / (b[1] - a[1])
            for a, b in sides
        )
        assert mask[row, column] == (right % 2 == 1), (row, column)


def test_points_have_no_area():
    assert not masked({"kind": "point", "points": [[50, 50]]}).any()
    assert area_share(masked()) == 0


def test_a_smaller_mask_covers_the_same_share():
    whole, small = masked(BOX), masked(BOX, longest=100)
    assert small.shape == (75, 100)
    assert area_share(small) == pytest.approx(area_share(whole), rel=0.05)


def test_dice_against_counting_pixel_by_pixel():
    generator = np.random.default_rng(3)
    first, second = generator.random((2, 20, 30)) < 0.4
    both = sum(bool(a and b) for a, b in zip(first.ravel(), second.ravel(), strict=True))
    assert dice(first, second) == pytest.approx(2 * both / (first.sum() + second.sum()))
    assert dice(first, first) == 1
    assert dice(first, ~first) == 0


def test_two_empty_masks_have_no_dice():
    empty = np.zeros((4, 4), bool)
    assert dice(empty, empty) is None
    assert dice(empty, ~empty) == 0
    with pytest.raises(ShapeError):
        dice(empty, np.zeros((4, 5), bool))


def covered_by(heat, mask):
    return cover(heat.placement, heat.values.shape, mask)


def test_energy_of_a_known_map():
    heat = heat_of([[3.0, 1.0], [-5.0, 0.0]])
    left = np.zeros((HEIGHT, WIDTH), bool)
    left[:, : WIDTH // 2] = True
    for mask in (left, left[::10, ::10]):
        covered = covered_by(heat, mask)
        assert energy_share(heat.values, covered) == pytest.approx(0.75)
        assert covered.mean() == pytest.approx(0.5)


def test_energy_is_that_of_the_metric_of_maps():
    from dermaxai.explain.localisation import energy_inside

    generator = np.random.default_rng(5)
    for place in (place_center_crop(HEIGHT, WIDTH), Placement(HEIGHT, WIDTH, -20, 5, 340, 390)):
        heat = heat_of(generator.normal(size=(14, 14)), place)
        mask = masked(BOX, {"kind": "brush", "points": [[200, 200], [250, 120]], "radius": 25})
        energy, area = energy_inside(heat, mask)
        assert energy_share(heat.values, covered_by(heat, mask)) == pytest.approx(energy)
        assert covered_by(heat, mask).mean() == pytest.approx(area)


def test_energy_is_undefined_where_there_is_none_or_nothing_is_seen():
    everywhere = np.ones((HEIGHT, WIDTH), bool)
    cold = heat_of(-np.ones((2, 2)))
    assert energy_share(cold.values, covered_by(cold, everywhere)) is None
    cropped = heat_of(np.ones((2, 2)), place_center_crop(HEIGHT, WIDTH))
    beside = np.zeros((HEIGHT, WIDTH), bool)
    beside[:, :40] = True
    assert energy_share(cropped.values, covered_by(cropped, beside)) is None


def test_the_limits_are_those_that_are_told():
    assert (rooms.REGIONS, rooms.POINTS) == (64, 4000)
