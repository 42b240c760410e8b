import math
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dermaxai.data.samples import Sample
from dermaxai.errors import UnknownName, UsageError
from dermaxai.evaluate.items import Evaluation, Item
from dermaxai.evaluate.summary import FEW, label_evaluations, summarise
from dermaxai.measure.columns import mean_column
from dermaxai.measure.estimates import difference, estimate, holm, mean_parts
from tests.evaluate.made import DELETION, INSERTION, SPARSENESS, make_evaluation

NUMBER = st.one_of(st.just(math.nan), st.floats(0, 1))
SEXES = ("female", "male", None)


@st.composite
def evaluations(draw):
    count = draw(st.integers(1, 7))
    items = []
    for number in range(count):
        sample = Sample(f"s/{number}", "s", None, "", sex=draw(st.sampled_from(SEXES)))
        items.append(Item(sample.id, Path("x"), "", sample, draw(st.sampled_from(["", "a", "b"]))))
    names = draw(st.lists(st.sampled_from("ABCD"), min_size=1, max_size=3, unique=True))
    columns = []
    for scale in (DELETION, INSERTION, SPARSENESS)[: draw(st.integers(1, 3))]:
        for name in names:
            rows = draw(st.lists(st.sampled_from(items), unique=True, max_size=count))
            values = [(item.id, draw(NUMBER)) for item in rows]
            columns.append(mean_column(name, "word", scale, values, is_baseline=name in "AB"))
    return Evaluation("explanations", tuple(columns), tuple(items), {}, "")


def slow_rows(one, other):
    """Values of both, where both have one, with clusters, in the order of ids."""
    mine = {row: part[0] for row, part in zip(one.rows, one.parts, strict=True) if part[1]}
    theirs = {row: part[0] for row, part in zip(other.rows, other.parts, strict=True) if part[1]}
    rows = sorted(set(mine) & set(theirs))
    return rows, [mine[row] for row in rows], [theirs[row] for row in rows]


def slow_clusters(rows, evaluation):
    names = {item.id: item.cluster or f"alone {item.id}" for item in evaluation.items}
    order = list(dict.fromkeys(names[row] for row in rows))
    return np.array([order.index(names[row]) for row in rows], int)


def slow_difference(one, other, evaluation, seed):
    rows, mine, theirs = slow_rows(one, other)
    if not rows:
        return None
    clusters = slow_clusters(rows, evaluation)
    return difference(mean_parts(mine), mean_parts(theirs), clusters=clusters, seed=seed)


def same(found, expected):
    if expected is None:
        assert found.n == 0
        assert math.isnan(found.value)
        return
    names = [name for name in ("value", "low", "high", "p") if hasattr(found, name)]
    one, two = ([getattr(told, name) for name in names] for told in (found, expected))
    np.testing.assert_allclose(one, two, atol=1e-9)
    assert found.n == expected.n


@settings(max_examples=60)
@given(evaluations(), st.integers(0, 2))
def test_against_the_obvious_way(evaluation, seed):
    summary = summarise([evaluation], ["sex"], seed)
    columns = {(one.contestant, one.scale.name): one for one in evaluation.columns}
    sexes = {item.id: item.sample.sex or "unknown" for item in evaluation.items}
    for cell in summary.cells:
        column = columns[cell.contestant, cell.scale.name]
        rows = [row for row in column.rows if not cell.by or sexes[row] == cell.group]
        some = column.pick(rows)
        same(cell.estimate, estimate(some.parts, clusters=slow_clusters(rows, evaluation), seed=seed))
        assert cell.few == (cell.estimate.n < FEW)
        assert bool(cell.against) <= (not cell.is_baseline)
        for one in cell.against:
            rival = columns[one.baseline, cell.scale.name]
            theirs = rival.pick([row for row in rival.rows if not cell.by or sexes[row] == cell.group])
            same(one.difference, slow_difference(some, theirs, evaluation, seed))
    for scale in {one.scale.name: one.scale for one in evaluation.columns}.values():
        told = [one for one in summary.comparisons if one.scale == scale]
        own = [one for one in evaluation.columns if one.scale == scale and not one.is_baseline]
        pairs = {(one.contestant, two.contestant) for one, two in combinations(own, 2)}
        assert {(one.ours, one.theirs) for one in told if not one.is_baseline} == pairs
        for one in told:
            two = [columns[name, scale.name] for name in (one.ours, one.theirs)]
            same(one.difference, slow_difference(*two, evaluation, seed))
        adjusted = holm([one.difference.p for one in told])
        np.testing.assert_array_equal([one.adjusted for one in told], adjusted)


def test_every_column_over_all_and_per_group():
    evaluation = make_evaluation(24, conditions=("word", "query"))
    summary = summarise([evaluation], ["sex", "skin_type"])
    per_column = 1 + 3 + 6
    assert len(summary.cells) == len(evaluation.columns) * per_column
    groups = {(cell.by, cell.group) for cell in summary.cells}
    assert ("sex", "unknown") in groups
    counted = [cell for cell in summary.cells if cell.by == "sex" and cell.scale == DELETION]
    of_one = [cell for cell in counted if cell.contestant == "grad_cam" and cell.condition == "word"]
    assert sum(cell.estimate.n for cell in of_one) == 24


def test_the_best_baseline_comes_first_whatever_the_direction():
    items = [Item(f"s/{n}", Path("x"), "", Sample(f"s/{n}", "s", None, "")) for n in range(4)]
    columns = []
    for scale in (DELETION, INSERTION):
        for name, value, is_baseline in (("low", 0.1, True), ("ours", 0.5, False), ("high", 0.9, True)):
            values = [(item.id, value) for item in items]
            columns.append(mean_column(name, "word", scale, values, is_baseline=is_baseline))
    evaluation = Evaluation("explanations", tuple(columns), tuple(items), {}, "")
    summary = summarise([evaluation])
    best = {cell.scale.name: cell.best_baseline for cell in summary.cells if cell.contestant == "ours"}
    assert (best["deletion"].baseline, best["insertion"].baseline) == ("low", "high")
    assert best["deletion"].difference.value == pytest.approx(0.4)
    assert [one.theirs for one in summary.comparisons] == ["low", "high"]
    assert all(one.few and one.better == "" for one in summary.comparisons)


def test_which_is_better_follows_the_direction():
    summary = summarise([make_evaluation(60)])
    told = {(one.scale.name, one.theirs): one for one in summary.comparisons if one.ours == "grad_cam"}
    assert told["deletion", "grad_eclip"].better == "grad_eclip"
    assert told["deletion", "grad_eclip"].difference.value > 0
    assert told["insertion", "grad_eclip"].better == "grad_eclip"
    assert told["insertion", "grad_eclip"].difference.value < 0
    assert told["sparseness", "grad_eclip"].better == ""
    against = [one for one in summary.comparisons if one.is_baseline and one.scale.better != "neither"]
    assert {(one.ours, one.better) for one in against} == {
        (name, name) for name in ("grad_cam", "grad_eclip")
    }


def test_gaps_are_between_groups_with_enough_photos():
    summary = summarise([make_evaluation(124)], ["sex", "skin_type"])
    assert {gap.by for gap in summary.gaps} == {"sex"}, "31 men; 20 or 21 of each skin type"
    one = next(gap for gap in summary.gaps if gap.contestant == "grad_cam" and gap.scale == DELETION)
    assert {one.largest, one.smallest} == {"female", "male"}
    cells = {
        cell.group: cell.estimate.value
        for cell in summary.cells
        if (cell.by, cell.contestant, cell.scale) == ("sex", "grad_cam", DELETION)
    }
    assert one.value == pytest.approx(abs(cells["female"] - cells["male"]))


def test_thirty_contestants_can_still_be_told_apart():
    """Adjusting 465 pairs must not be stopped by how many resamples there are."""
    summary = summarise([make_evaluation(60, tuple(f"method {n}" for n in range(30)))])
    worst = [one for one in summary.comparisons if (one.ours, one.theirs) == ("method 0", "method 29")]
    assert {one.better for one in worst if one.scale.better != "neither"} == {"method 29"}


def test_the_same_twice_and_another_seed():
    one, two = (summarise([make_evaluation()], ["sex"], 5) for _ in range(2))
    assert one == two
    other = summarise([make_evaluation()], ["sex"], 6)
    assert [cell.estimate.value for cell in other.cells] == [cell.estimate.value for cell in one.cells]
    assert other != one


def test_rows_that_are_no_photos_are_unknown_and_by_themselves():
    columns = (mean_column("a", "word", DELETION, [("concept/crust", 0.5), ("concept/scale", 0.7)]),)
    summary = summarise([Evaluation("encoders", columns, (), {}, "")], ["sex"])
    assert [(cell.group, cell.estimate.n) for cell in summary.cells] == [("", 2), ("unknown", 2)]
    assert summary.cells[0].estimate.low < summary.cells[0].estimate.high


def test_names_of_evaluations():
    one = make_evaluation(4)
    other = make_evaluation(4, settings={"model": "dermlip"})
    captions = make_evaluation(4, kind="captions")
    assert label_evaluations([one, captions]) == ("explanations", "captions")
    assert label_evaluations([one, other]) == ("explanations of demo", "explanations of dermlip")
    assert label_evaluations([one, one]) == ("explanations of demo (1)", "explanations of demo (2)")
    assert label_evaluations([make_evaluation(4, settings={})] * 2) == (
        "explanations (1)",
        "explanations (2)",
    )


def test_what_cannot_be_summarised():
    evaluation = make_evaluation(4)
    with pytest.raises(UnknownName):
        summarise([evaluation], ["colour"])
    with pytest.raises(UsageError, match="deletion of 'grad_cam' under 'word' is there twice"):
        summarise([make_evaluation(4, contestants=("grad_cam", "grad_cam"))])
