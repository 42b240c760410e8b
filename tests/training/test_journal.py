import csv
import json

import pytest

from dermaxai.training.journal import COLUMNS, Journal, read_journal


def records(count):
    for step in range(1, count + 1):
        yield {"step": step, "kind": "train", "loss": 1.0 / step, "shares": {"read": 0.25}}


def test_both_files_say_the_same(tmp_path):
    journal = Journal(tmp_path / "run")
    journal.begin(0)
    for record in records(3):
        journal.write(record)
    assert list(read_journal(journal.lines)) == list(records(3))
    with journal.table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert [float(row["loss"]) for row in rows] == [record["loss"] for record in records(3)]
    assert rows[0]["shares.read"] == "0.25"


def test_a_resumed_run_cuts_off_what_it_will_do_again(tmp_path):
    journal = Journal(tmp_path)
    journal.begin(0)
    for record in records(5):
        journal.write(record)
    journal.begin(3)
    journal.write({"step": 4, "kind": "train", "loss": 9.0})
    assert [one["step"] for one in read_journal(journal.lines)] == [1, 2, 3, 4]
    assert journal.table.read_text().count("\n") == 5


def test_a_line_that_was_cut_off_counts_as_none(tmp_path):
    journal = Journal(tmp_path)
    journal.begin(0)
    for record in records(2):
        journal.write(record)
    with journal.lines.open("a") as file:
        file.write(json.dumps({"step": 3, "loss": 1})[:9])
    assert [one["step"] for one in read_journal(journal.lines)] == [1, 2]
    journal.begin(2)
    assert journal.lines.read_text().endswith("}\n")


@pytest.mark.parametrize("line", [b'{"a": 1}', b"7", b"\xff\xfe"])
def test_what_is_no_record_ends_the_journal(tmp_path, line):
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"step": 1}\n' + line + b'\n{"step": 2}\n')
    assert list(read_journal(path)) == [{"step": 1}]
