"""`dermaxai agreement` and `dermaxai export`."""

import csv
import json
import re

import pytest
from typer.testing import CliRunner

from dermaxai.cli import app
from dermaxai.reading.export import BOM

PLACE = {"kind": "box", "points": [[180, 60], [300, 190]]}


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def folder(study):
    for reader in ("r1", "r2"):
        study.answer(reader, "wrong_place", regions=[PLACE])
        study.answer(reader, "agree", case="two")
    study.answer("r3", "agree")
    study.answer("r3", "wrong_word", comment="нет")
    study.answer("r1", "agree", word=None, method="")
    return study.store.folder


def test_agreement_as_tables(folder):
    done = run("agreement", "--cases", folder)
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert lines[0] == "3 readers · 2 cases · 6 answers that count"
    assert lines[1] == "1 answer was replaced by a newer one of the same reader."
    assert "2 items with two readers or more." in lines
    assert "1.00 (1.00 – 1.00)  1 pair of readers" not in lines
    assert "1.00  1 pair of readers" in lines
    assert any(line.startswith("Grad-ECLIP") for line in lines)
    assert any(line.startswith("Fleiss' kappa  0.") for line in lines)


def test_agreement_in_russian(folder):
    stdout = run("agreement", "--cases", folder, "--lang", "ru").stdout
    assert stdout.startswith("3 эксперта · 2 случая · 6 засчитанных ответов")
    assert "не то место" in stdout
    assert "1,00  1 пара экспертов" in stdout
    assert not re.search(r"\d\.\d", stdout)


def test_agreement_for_programs(folder):
    told = json.loads(run("agreement", "--cases", folder, "--json").stdout)
    assert (told["answers"], told["replaced"], told["words"]["items"]) == (6, 1, 2)


def test_nothing_answered_yet(study):
    done = run("agreement", "--cases", study.store.folder)
    assert done.exit_code == 0
    assert "no item has two readers" in done.stdout


def test_export_to_a_file_and_to_a_pipe(folder, tmp_path):
    place = tmp_path / "таблицы" / "ответы.csv"
    done = run("export", "feedback", "--cases", folder, "-o", place, "--bom")
    assert (done.exit_code, done.stdout) == (0, "")
    text = place.read_text(encoding="utf-8")
    assert text.startswith(BOM)
    with place.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 7
    piped = run("export", "feedback", "--cases", folder)
    assert BOM + piped.stdout_bytes.decode() == place.read_bytes().decode()
    assert [path.name for path in place.parent.iterdir()] == ["ответы.csv"]


@pytest.mark.parametrize("what", ["readings", "cases", "events"])
def test_every_table(folder, what):
    assert isinstance(json.loads(run("export", what, "--cases", folder, "--format", "json").stdout), list)


def test_an_export_leaves_an_event(folder):
    run("export", "feedback", "--cases", folder)
    events = json.loads(run("export", "events", "--cases", folder, "--format", "json").stdout)
    assert [event["subject"] for event in events if event["action"] == "export.made"] == [
        "feedback",
        "events",
    ]


@pytest.mark.parametrize("command", [("agreement",), ("export", "feedback")])
def test_a_folder_without_a_store_is_said_and_not_made(tmp_path, command):
    done = run(*command, "--cases", tmp_path / "nowhere")
    assert done.exit_code == 2
    assert "no store" in done.stderr
    assert not (tmp_path / "nowhere").exists()


def test_what_cannot_be_exported(folder):
    assert run("export", "photos", "--cases", folder).exit_code == 2
