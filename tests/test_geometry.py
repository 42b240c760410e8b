"""Placement: patches tile the covered rectangle, and points find their patch again."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dermaxai.errors import ShapeError
from dermaxai.geometry import Placement, place_center_crop, place_squash

sides = st.integers(1, 4000)
grids = st.tuples(st.integers(1, 40), st.integers(1, 40))
shares = st.floats(0.05, 0.95)


@st.composite
def placements(draw) -> Placement:
    return Placement(
        height=draw(sides),
        width=draw(sides),
        top=draw(st.floats(-500, 500)),
        left=draw(st.floats(-500, 500)),
        covered_height=draw(st.floats(1, 4000)),
        covered_width=draw(st.floats(1, 4000)),
    )


@given(placements(), grids, st.data(), shares, shares)
def test_a_point_inside_a_cell_is_located_in_that_cell(placement, grid, data, down, right):
    row, column = data.draw(st.integers(0, grid[0] - 1)), data.draw(st.integers(0, grid[1] - 1))
    top, left, bottom, far = placement.cell(row, column, grid)
    y, x = top + down * (bottom - top), left + right * (far - left)
    assert placement.locate(y, x, grid) == (row, column)


@given(placements(), grids)
def test_cells_tile_the_covered_rectangle(placement, grid):
    rows, columns = grid
    first, last = placement.cell(0, 0, grid), placement.cell(rows - 1, columns - 1, grid)
    assert first[:2] == pytest.approx((placement.top, placement.left))
    ends = (placement.top + placement.covered_height, placement.left + placement.covered_width)
    assert last[2:] == pytest.approx(ends)
    for row in range(rows - 1):
        assert placement.cell(row, 0, grid)[2] == pytest.approx(placement.cell(row + 1, 0, grid)[0])
    for column in range(columns - 1):
        assert placement.cell(0, column, grid)[3] == pytest.approx(placement.cell(0, column + 1, grid)[1])


@given(placements(), grids, st.floats(-6000, 6000), st.floats(-6000, 6000))
def test_every_point_is_inside_its_cell_or_outside_the_rectangle(placement, grid, y, x):
    found = placement.locate(y, x, grid)
    inside_y = placement.top <= y < placement.top + placement.covered_height
    inside_x = placement.left <= x < placement.left + placement.covered_width
    if found is None:
        near = np.isclose(
            [y, y, x, x],
            [
                placement.top,
                placement.top + placement.covered_height,
                placement.left,
                placement.left + placement.covered_width,
            ],
        )
        assert near.any() or not (inside_y and inside_x)
    else:
        top, left, bottom, right = placement.cell(*found, grid)
        assert top - 1e-6 <= y <= bottom + 1e-6
        assert left - 1e-6 <= x <= right + 1e-6


@given(placements(), grids)
def test_cells_have_equal_size(placement, grid):
    top, left, bottom, right = placement.cell(grid[0] - 1, grid[1] // 2, grid)
    assert bottom - top == pytest.approx(placement.covered_height / grid[0], abs=1e-6)
    assert right - left == pytest.approx(placement.covered_width / grid[1], abs=1e-6)


@given(sides, sides)
def test_center_crop_is_the_middle_square(height, width):
    placement = place_center_crop(height, width)
    side = min(height, width)
    assert placement.covered_height == placement.covered_width == side
    assert placement.top == (height - side) / 2
    assert placement.left == (width - side) / 2
    assert 0 <= placement.top <= height - side
    assert 0 <= placement.left <= width - side


@given(sides, sides, grids)
def test_squash_covers_every_pixel(height, width, grid):
    placement = place_squash(height, width)
    assert placement.locate(0, 0, grid) == (0, 0)
    assert placement.locate(height - 0.5, width - 0.5, grid) is not None
    assert placement.locate(-0.5, 0, grid) is None
    assert placement.locate(0, width, grid) is None


@given(sides, sides, st.floats(0.5, 1.0))
def test_a_rim_that_no_patch_covers_lies_right_and_below(height, width, used):
    for place in (place_center_crop, place_squash):
        full, partly = place(height, width), place(height, width, used)
        assert (partly.top, partly.left) == (full.top, full.left)
        assert partly.covered_height == pytest.approx(full.covered_height * used)
        assert partly.covered_width == pytest.approx(full.covered_width * used)


@given(placements(), grids, st.integers(-3, 43), st.integers(-3, 43))
def test_cells_outside_the_grid_are_refused(placement, grid, row, column):
    assume(not (0 <= row < grid[0] and 0 <= column < grid[1]))
    with pytest.raises(ShapeError, match="outside the grid"):
        placement.cell(row, column, grid)


def test_padded_photo_has_cells_outside_it():
    placement = Placement(100, 200, -50, 0, 200, 200)
    assert placement.cell(0, 0, (4, 4)) == (-50, 0, 0, 50)
    assert placement.locate(-10, 10, (4, 4)) == (0, 0)
