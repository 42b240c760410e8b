import csv
import dataclasses
import io
import math
import re

import pytest

from dermaxai.evaluate import tables
from dermaxai.evaluate.items import Evaluation
from dermaxai.evaluate.summary import summarise
from dermaxai.measure.columns import mean_column
from tests.evaluate.made import DELETION, make_evaluation, make_items


@pytest.fixture(scope="module")
def evaluation():
    return make_evaluation(40)


@pytest.fixture(scope="module")
def summary(evaluation):
    return summarise([evaluation], ["sex", "skin_type"], seed=3)


def rows_of(text):
    return list(csv.DictReader(io.StringIO(text)))


class TestCsv:
    def test_every_estimate_in_full(self, summary):
        rows = rows_of(tables.table_csv(summary))
        assert len(rows) == len(summary.cells)
        for row, cell in zip(rows, summary.cells, strict=True):
            assert float(row["value"]) == cell.estimate.value
            assert row["low"] == repr(cell.estimate.low)
            assert int(row["n"]) == cell.estimate.n
            assert (row["contestant"], row["group"], row["metric"]) == (
                cell.contestant,
                cell.group,
                cell.scale.name,
            )
            assert (row["better"], row["unit"], row["range"]) == (
                cell.scale.better,
                cell.scale.unit,
                cell.scale.range,
            )
            assert row["few"] == ("yes" if cell.estimate.n < 30 else "no")
            assert row["baseline"] == ("yes" if cell.is_baseline else "no")
        beside = [row for row in rows if row["best_baseline"]]
        assert {row["contestant"] for row in beside} == {"grad_cam", "grad_eclip"}
        one = beside[0]
        assert float(one["over_baseline"]) == pytest.approx(
            float(one["value"]) - float(one["best_baseline_value"])
        )

    def test_every_value_of_a_mean(self, summary, evaluation):
        rows = rows_of(tables.values_csv(summary, [evaluation]))
        assert len(rows) == 40 * 3 * 4, "spread is no mean over photos"
        column = evaluation.columns[0]
        mine = [row for row in rows if (row["contestant"], row["metric"]) == ("grad_cam", "deletion")]
        assert [row["item"] for row in mine] == list(column.rows)
        assert [float(row["value"]) for row in mine] == column.parts[:, 0].tolist()

    def test_what_is_undefined_is_an_empty_cell(self):
        items = make_items(2)
        column = mean_column("a", "word", DELETION, [(items[0].id, math.nan), (items[1].id, 0.5)])
        evaluation = Evaluation("explanations", (column,), tuple(items), {}, "")
        summary = summarise([evaluation])
        assert [row["value"] for row in rows_of(tables.values_csv(summary, [evaluation]))] == ["", "0.5"]
        (row,) = rows_of(tables.table_csv(summary))
        assert (row["value"], row["n"], row["best_baseline"]) == ("0.5", "1", "")

    def test_comparisons_baselines_and_gaps(self, summary):
        rows = rows_of(tables.comparisons_csv(summary))
        assert len(rows) == len(summary.comparisons)
        for row, one in zip(rows, summary.comparisons, strict=True):
            assert float(row["p"]) == one.difference.p
            assert float(row["adjusted_p"]) == one.adjusted
            assert row["better"] == one.better
        rows = rows_of(tables.baselines_csv(summary))
        assert len(rows) == sum(len(cell.against) for cell in summary.cells)
        rows = rows_of(tables.gaps_csv(summary))
        assert len(rows) == len(summary.gaps)

    def test_names_with_commas_and_quotes(self):
        evaluation = make_evaluation(8, contestants=('a, "b"',))
        rows = rows_of(tables.table_csv(summarise([evaluation])))
        assert rows[0]["contestant"] == 'a, "b"'


class TestMarkdown:
    def test_every_row_has_as_many_cells_as_the_head(self, summary):
        for text in (tables.table_md(summary), tables.comparisons_md(summary)):
            wide = 0
            for line in text.splitlines():
                if line.startswith("|"):
                    cells = len(re.findall(r"(?<!\\)\|", line))
                    assert wide in (0, cells)
                    wide = cells
                else:
                    wide = 0

    def test_arrows_bold_and_marks(self, summary):
        text = tables.table_md(summary)
        assert "| contestant | n | Deletion ↓ | Insertion ↑ | Sparseness | Spread ↑ |" in text
        head = text.split("## explanations, word, by sex")[0]
        bold = re.findall(r"\| (\S+) \|[^\n]*\*\*0\.\d+\*\*", head.split("| --- |", 1)[1])
        assert bold == [r"grad\_eclip"]
        assert "| *random map* |" in head
        assert "†" not in head.split("\n## ", 1)[1]
        groups = text.split("## explanations, word, by sex")[1]
        assert "†" in groups
        assert "**" not in groups

    def test_numbers_have_the_digits_of_their_intervals(self, summary):
        line = next(
            line for line in tables.table_md(summary).splitlines() if line.startswith(r"| grad\_cam | 40")
        )
        cell = line.split(" | ")[2]
        assert re.fullmatch(r"0\.\d{2,3} \(0\.\d{2,3} to 0\.\d{2,3}\)", cell)

    def test_names_cannot_break_the_table(self):
        evaluation = make_evaluation(8, contestants=("a|b\nc *d*",))
        text = tables.table_md(summarise([evaluation]))
        assert r"| a\|b c \*d\* | 8 |" in text

    def test_comparisons_say_what_is_undecided(self, summary):
        text = tables.comparisons_md(summary)
        assert "## explanations, word: Deletion ↓" in text
        assert re.search(
            r"\| grad\\_cam \| grad\\_eclip \| 40 \| \+0\.0\d+ \(.+\) \| < 0\.001 \| < 0\.001 \|", text
        )

    def test_of_many_pairs_those_of_the_best_are_shown(self):
        summary = summarise([make_evaluation(32, tuple(f"m{n}" for n in range(10)))])
        text = tables.comparisons_md(summary)
        section = text.split("Deletion ↓")[1].split("##")[0]
        assert "36 more are in comparisons.csv." in section
        assert all("m9" in line or "*" in line for line in section.splitlines() if line.startswith("| m"))
        assert len(rows_of(tables.comparisons_csv(summary))) == 3 * (45 + 10)


def test_gaps_stand_below_the_tables():
    summary = summarise([make_evaluation(124)], ["sex"])
    assert "## Gaps between groups" in tables.table_md(summary)
    assert "(n = 62)" in tables.table_md(summary)
    bare = dataclasses.replace(summary, gaps=())
    assert "Gaps" not in tables.table_md(bare)
