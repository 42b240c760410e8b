"""Rows of one key come together whatever their order, and memory holds places only."""

import csv
import tracemalloc

import pytest

from dermaxai.data.grouped_rows import grouped_rows
from dermaxai.errors import DataError


def write(path, rows, header=("name", "text")):
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


@pytest.fixture
def faults():
    return []


@pytest.fixture
def report(faults):
    return lambda *fault: faults.append(fault)


def test_groups_in_order_of_first_appearance(tmp_path, report, faults):
    one = write(tmp_path / "one.csv", [("b", "1"), ("a, “x”", "two\nlines"), ("b", "3")])
    two = write(tmp_path / "two.csv", [("7", "a, “x”"), ("8", "c")], header=("text", "name"))
    groups = list(grouped_rows([one, two], ("name", "text"), report))
    assert [(g.key, [row["text"] for row in g.rows], g.table.name) for g in groups] == [
        ("b", ["1", "3"], "one.csv"),
        ("a, “x”", ["two\nlines", "7"], "one.csv"),
        ("c", ["8"], "two.csv"),
    ]
    assert [row.place for row in groups[0].rows] == ["one.csv, line 2", "one.csv, line 5"]
    assert faults == []


def test_broken_rows_are_told_and_left_out(tmp_path, report, faults):
    table = tmp_path / "t.csv"
    table.write_bytes(b"\xef\xbb\xbfname,text\r\na,1\r\n\r\nb\r\n ,2\r\nc,3,4\r\n\xff,5\r\nd,6\r\n")
    groups = list(grouped_rows([table], ("name", "text"), report))
    assert [group.key for group in groups] == ["a", "d"]
    assert [place for _, place, _ in faults] == [f"t.csv, line {line}" for line in (4, 5, 6, 7)]
    assert {kind for kind, _, _ in faults} == {"broken row"}


def test_a_column_that_lacks_and_an_empty_table(tmp_path, report):
    with pytest.raises(DataError, match="lacks the columns text; it has name"):
        list(grouped_rows([write(tmp_path / "a.csv", [], header=("name",))], ("name", "text"), report))
    (tmp_path / "empty.csv").write_bytes(b"")
    with pytest.raises(DataError, match="lacks the columns name"):
        list(grouped_rows([tmp_path / "empty.csv"], ("name",), report))
    assert list(grouped_rows([write(tmp_path / "b.csv", [])], ("name", "text"), report)) == []


def test_memory_holds_places_and_not_texts(tmp_path, report):
    table = write(tmp_path / "t.csv", ((str(number % 500), "word " * 400) for number in range(2000)))
    tracemalloc.start()
    try:
        assert sum(len(group.rows) for group in grouped_rows([table], ("name", "text"), report)) == 2000
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 0.25 * table.stat().st_size
