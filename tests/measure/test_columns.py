import math

import numpy as np
import pytest

from dermaxai.errors import ShapeError
from dermaxai.measure.columns import Column, mean_column
from dermaxai.measure.estimates import MEAN, evaluate_all
from dermaxai.measure.scale import Scale

SCALE = Scale("deletion", "Deletion", "lower", "share")


def test_several_values_of_one_item_are_averaged_first():
    column = mean_column("a", "word", SCALE, [("x", 1.0), ("y", 5.0), ("x", 3.0), ("y", math.nan)])
    assert column.rows == ("x", "y")
    assert column.parts.tolist() == [[2.0, 1.0], [5.0, 1.0]]
    assert evaluate_all(column.parts, MEAN) == 3.5


def test_an_item_with_nothing_but_nan_is_a_row_without_value():
    column = mean_column("a", "word", SCALE, [("x", math.nan), ("y", 0.25)])
    assert column.rows == ("x", "y")
    assert column.parts.tolist() == [[0.0, 0.0], [0.25, 1.0]]
    assert evaluate_all(column.parts, MEAN) == 0.25


def test_a_column_of_nothing():
    column = mean_column("a", "word", SCALE, [])
    assert column.rows == ()
    assert column.parts.shape == (0, 2)
    assert math.isnan(evaluate_all(column.parts, MEAN))


def test_rows_and_parts_belong_together():
    with pytest.raises(ShapeError, match="2 rows, 3 values"):
        Column("a", "word", SCALE, ("x", "y"), np.zeros((3, 2)))


def test_picking_keeps_the_order_asked_for_and_leaves_out_strangers():
    column = mean_column("a", "word", SCALE, [("x", 1.0), ("y", 2.0), ("z", 3.0)], is_baseline=True)
    some = column.pick(["z", "nobody", "x"])
    assert some.rows == ("z", "x")
    assert some.parts[:, 0].tolist() == [3.0, 1.0]
    assert (some.contestant, some.condition, some.scale, some.is_baseline) == ("a", "word", SCALE, True)
    assert column.pick([]).parts.shape == (0, 2)
