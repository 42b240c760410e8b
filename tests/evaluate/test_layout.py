import dataclasses
import math

import pytest

from dermaxai.evaluate.layout import lay_out, winners
from dermaxai.evaluate.summary import summarise
from dermaxai.measure.columns import mean_column
from tests.evaluate.made import DELETION, INSERTION, make_evaluation, make_items


def evaluation_of(levels, count):
    """One metric; each contestant's values vary a little about its level, baselines in capitals."""
    items, columns = make_items(count), []
    for place, (name, level) in enumerate(levels.items()):
        values = [(item.id, level + 0.01 * math.sin(7 * n + place)) for n, item in enumerate(items)]
        columns.append(mean_column(name, "word", INSERTION, values, is_baseline=name.isupper()))
    return dataclasses.replace(make_evaluation(4), columns=tuple(columns), items=tuple(items))


def best(count=60, **levels):
    return [one[3] for one in winners(summarise([evaluation_of(levels, count)]))]


class TestWinners:
    def test_the_best_that_is_shown_to_be(self):
        assert best(a=0.5, b=0.6, C=0.4) == ["b"]

    def test_nobody_where_the_second_is_as_good(self):
        assert best(a=0.5, b=0.5, C=0.1) == []

    def test_nobody_where_a_baseline_is_better(self):
        assert best(a=0.5, b=0.6, C=0.7) == []

    def test_one_alone_against_its_baseline(self):
        assert best(a=0.5, C=0.4) == ["a"]
        assert best(a=0.5) == [], "nobody to be better than"

    def test_nobody_with_few_photos(self):
        assert best(29, a=0.5, b=0.9) == []
        assert best(30, a=0.5, b=0.9) == ["b"]

    def test_the_lower_wins_where_lower_is_better(self):
        found = winners(summarise([make_evaluation(60)]))
        assert ("explanations", "word", "deletion", "grad_eclip") in found
        assert not [one for one in found if one[2] == "sparseness"]


class TestGrids:
    def test_contestants_by_metrics_baselines_last(self):
        (grid,) = lay_out(summarise([make_evaluation(40)]))
        assert [scale.name for scale in grid.scales] == ["deletion", "insertion", "sparseness", "spread"]
        assert [line.contestant for line in grid.lines] == [
            "grad_cam",
            "grad_eclip",
            "random map",
            "centred gaussian",
        ]
        assert [line.is_baseline for line in grid.lines] == [False, False, True, True]
        assert [cell is None for cell in grid.lines[1].cells] == [False, False, False, True]
        assert grid.title == "explanations, word"
        assert grid.lines[0].n == 40

    def test_one_per_condition_and_property(self):
        grids = lay_out(summarise([make_evaluation(24, conditions=("word", "query"))], ["sex"]))
        assert [grid.title for grid in grids] == [
            "explanations, word",
            "explanations, word, by sex",
            "explanations, query",
            "explanations, query, by sex",
        ]
        assert [line.group for line in grids[1].lines[:3]] == ["female", "male", "unknown"]
        assert not any(any(line.best) for line in grids[1].lines)

    def test_metrics_that_do_not_fit_go_into_the_next(self):
        grids = lay_out(summarise([make_evaluation(24)]), across=3)
        assert [len(grid.scales) for grid in grids] == [3, 1]
        assert [grid.title for grid in grids] == ["explanations, word, part 1", "explanations, word, part 2"]

    def test_no_result_is_lost(self):
        summary = summarise([make_evaluation(24, conditions=("word", "query"))], ["sex", "age"])
        shown = [cell for grid in lay_out(summary, 2) for line in grid.lines for cell in line.cells if cell]
        assert len(shown) == len(summary.cells)
        assert {id(cell) for cell in shown} == {id(cell) for cell in summary.cells}

    @pytest.mark.parametrize("width", [1, 2])
    def test_digits_of_a_column_are_those_that_most_intervals_support(self, width):
        (grid, *_) = lay_out(summarise([make_evaluation(60)]), width)
        assert grid.scales[0] == DELETION
        assert grid.digits[0] in (2, 3)
        assert len(grid.digits) == len(grid.scales)
