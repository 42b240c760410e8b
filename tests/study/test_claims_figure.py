"""Every mark stands on the line of its contestant, whoever else is measured in a panel."""

from matplotlib.figure import Figure

from dermaxai.study.claims import judge_claim
from dermaxai.study.claims_figure import _draw_cell, contestants_of, draw_claim
from dermaxai.study.sections import ClaimSection
from tests.study.scenes import column, evaluation, noise


def claimed():
    columns = [
        column("first", noise(1) + 1),
        column("second", noise(2)),
        column("random map", noise(3), is_baseline=True),
        column("first", noise(4) + 1, "deletion"),
        column("second", noise(5), "deletion"),
        column("cosine of the photo", noise(6), "deletion", is_baseline=True),
    ]
    claim = ClaimSection(name="claim", ranking=("first", "second"))
    return judge_claim(claim, [("here", evaluation(columns, 40))])


def test_marks_stand_beside_their_names():
    found = claimed()
    contestants = contestants_of(found.cells)
    assert set(contestants) == {"first", "second", "random map", "cosine of the photo"}
    for cell in found.cells:
        panel = Figure().subplots()
        _draw_cell(panel, cell, contestants, names=True)
        names = {label.get_text(): label.get_position()[1] for label in panel.get_yticklabels()}
        marks = {
            line.get_ydata()[0]: line.get_xdata()[0] for line in panel.lines if len(line.get_xdata()) == 1
        }
        assert marks == {names[one.contestant]: one.estimate.value for one in cell.standings}


def test_the_same_numbers_give_the_same_bytes(tmp_path):
    first, second = draw_claim(claimed(), tmp_path / "a"), draw_claim(claimed(), tmp_path / "b")
    assert [path.suffix for path in first] == [".svg", ".png"]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
