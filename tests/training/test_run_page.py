import json
import re

import pytest

from dermaxai.training.run_page import charts_of, render_run_page, write_run_page

RECORDS = [
    {
        "step": step,
        "epoch": 0,
        "kind": "train",
        "loss": 6.0 / step,
        "learning_rate": {"lora": 1e-3},
        "read": 0.1,
    }
    for step in range(1, 60)
] + [{"step": 40, "kind": "validation", "loss": 1.5, "diagnosis": 0.61}]


def test_loss_comes_first_with_both_curves():
    first, *rest = charts_of(RECORDS)
    assert first.title == "loss"
    assert [curve.name for curve in first.curves] == ["training", "validation"]
    assert [chart.title for chart in rest] == ["diagnosis", "learning rate", "shares of time"]


def test_curves_stay_inside_the_chart():
    for chart in charts_of(RECORDS):
        for curve in chart.curves:
            places = [tuple(map(float, pair.split())) for pair in re.findall(r"[\d.]+ [\d.]+", curve.path)]
            assert all(56 <= x <= 508 and 10 <= y <= 194 for x, y in places), chart.title


def test_higher_values_are_drawn_higher():
    (chart,) = charts_of([{"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.0}])
    heights = [float(pair.split()[1]) for pair in re.findall(r"[\d.]+ [\d.]+", chart.curves[0].path)]
    assert heights[0] < heights[1]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None, "text", True])
def test_what_is_no_number_is_left_out(value):
    (chart,) = charts_of([{"step": 1, "loss": 2.0, "other": value}])
    assert chart.title == "loss"


def test_the_page_asks_for_nothing_and_escapes(tmp_path):
    html = render_run_page(RECORDS, title="<script>alert(1)</script>")
    assert "<script" not in html
    assert not re.search(r"(src|href)=|url\(|https?://", html)


def test_a_cut_journal_is_drawn(tmp_path):
    lines = "\n".join(json.dumps(record) for record in RECORDS)
    (tmp_path / "log.jsonl").write_text(lines + '\n{"step": 60, "los')
    page = write_run_page(tmp_path).read_text(encoding="utf-8")
    assert page.count("<figure>") == 4
    assert tmp_path.name in page


def test_an_empty_run_says_so(tmp_path):
    assert "Nothing is logged yet" in write_run_page(tmp_path).read_text(encoding="utf-8")
