import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermaxai.evaluate.panels import draw_groups, draw_points, draw_wins, shorten_all
from dermaxai.evaluate.summary import summarise
from tests.evaluate.made import DELETION, make_evaluation


@given(st.lists(st.text(min_size=1, max_size=60), unique=True, max_size=6))
def test_short_names_stay_different(names):
    short = shorten_all(names)
    assert len(set(short)) == len(names)
    assert all(one == name for one, name in zip(short, names, strict=True) if len(name) <= 30)


@pytest.mark.parametrize(
    ("names", "short"),
    [
        (["grad_cam:the reference variant", "x"], ["grad_ca…ce variant", "x"]),
        (["a" * 8 + "b" * 30 + "c" * 9, "a" * 8 + "d" * 30 + "c" * 9], None),
    ],
)
def test_the_middle_goes_first(names, short):
    found = shorten_all(names, 18)
    assert short is None or found == short
    assert len(set(found)) == len(names)


def lines_at(axes, colour):
    return [line for line in axes.get_lines() if line.get_color() == colour]


class TestPoints:
    summary = summarise([make_evaluation(40)], ["sex"], 0)
    cells = tuple(cell for cell in summary.cells if not cell.by)

    def test_points_lie_at_the_estimates(self):
        figure = draw_points(self.cells, self.summary.comparisons, "title")
        axes = figure.axes[0]
        held = {cell.contestant: cell for cell in self.cells if cell.scale == DELETION}
        names = [label.get_text() for label in axes.get_yticklabels()]
        marked = [line for line in axes.get_lines() if line.get_marker() in "os"]
        points = {names[int(line.get_ydata()[0])]: line.get_xdata()[0] for line in marked}
        assert points == {name: cell.estimate.value for name, cell in held.items()}
        bounds = {
            names[int(line.get_ydata()[0])]: tuple(line.get_xdata())
            for line in axes.get_lines()
            if line.get_marker() == "None" and len(set(line.get_ydata())) == 1
        }
        assert bounds == {name: (cell.estimate.low, cell.estimate.high) for name, cell in held.items()}

    def test_those_that_beat_the_baseline_are_filled(self):
        figure = draw_points(self.cells, self.summary.comparisons, "title")
        faces = {axes.get_title("left"): [] for axes in figure.axes}
        for axes in figure.axes:
            for line in axes.get_lines():
                if line.get_marker() == "o":
                    faces[axes.get_title("left")].append(line.get_markerfacecolor())
        assert faces["Deletion"] == ["#0072b2"] * 2
        assert faces["Sparseness"] == ["white"] * 2, "no direction is better"

    def test_few_are_pale_in_groups(self):
        cells = [cell for cell in self.summary.cells if cell.by == "sex"]
        figure = draw_groups(cells, "sex", "title")
        axes = figure.axes[0]
        assert [label.get_text() for label in axes.get_yticklabels()] == [
            "female (20)",
            "male (10)",
            "unknown (10)",
        ]
        marked = [line for line in axes.get_lines() if line.get_marker() in "os^|"]
        assert len(marked) == 3 * 3
        assert {line.get_alpha() for line in marked} == {0.35}

    def test_verdicts_are_signs(self):
        figure = draw_wins([one for one in self.summary.comparisons if one.scale == DELETION], "title")
        (axes,) = figure.axes
        assert [text.get_text() for text in axes.texts] == ["−", "+", "+", "+"]
        assert [label.get_text() for label in axes.get_xticklabels()] == [
            "grad_cam",
            "grad_eclip",
            "best baseline",
        ]
