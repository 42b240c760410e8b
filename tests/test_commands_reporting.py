"""`dermaxai report`: a case as a page or on paper, a folder of cases as a page and two tables."""

import json
from importlib.util import find_spec

import pytest
from typer.testing import CliRunner

from dermaxai.cases import save_case
from dermaxai.cli import app
from tests.collection.cases import write_cases
from tests.reading.conftest import filled, study
from tests.sample_case import make_case
from tests.test_report import unpacked

__all__ = ["filled", "study"]

pytestmark = pytest.mark.usefixtures("plain_environment")


@pytest.fixture
def run(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    return lambda *words: CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def case(tmp_path):
    return save_case(make_case(), tmp_path / "case")


@pytest.fixture
def home(tmp_path):
    write_cases(tmp_path / "cases", 3)
    return tmp_path / "cases"


def test_a_case_as_a_page(run, case):
    done = run("report", "case", "--lang", "ru")
    assert done.exit_code == 0, done.output
    assert done.stdout.strip() == "case/report.html"
    assert '<html lang="ru"' in (case / "report.html").read_text("utf-8")
    assert "not a medical device" in done.stderr


def test_a_case_on_paper(run, case):
    pytest.importorskip("weasyprint", exc_type=(ImportError, OSError), reason="Pango is not installed")
    done = run("report", "case", "--pdf", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == {"case": "case", "report": "case/report.pdf", "readings": 0}
    assert (case / "report.pdf").read_bytes().startswith(b"%PDF-")
    assert run("report", "case", "--pdf", "-o", "paper.pdf").exit_code == 0


def test_readings_of_the_store_beside_the_case(run, study, tmp_path):
    study.answer("r1", "wrong_word", comment="no border here")
    done = run("report", "cases/one", "--json")
    assert json.loads(done.stdout)["readings"] == 1, done.output
    (said,) = unpacked((tmp_path / "cases/one/report.html").read_text("utf-8"))["readings"]
    assert (said["pseudonym"], said["comment"]) == ("r1", "no border here")
    assert json.loads(run("report", "cases/one", "--json", "--no-readings").stdout)["readings"] == 0


def test_a_store_that_cannot_be_read_costs_only_the_readings(run, case, tmp_path):
    (tmp_path / "dermaxai.sqlite").write_bytes(b"no database at all" * 100)
    done = run("report", "case")
    assert done.exit_code == 0, done.output
    assert "readers said is left out" in done.stderr


def test_paper_without_the_extra(run, case, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "weasyprint", None)
    done = run("report", "case", "--pdf")
    assert done.exit_code == 3
    assert "dermaxai[pdf]" in done.stderr
    assert not (case / "report.pdf").exists()


def test_a_folder_of_cases(run, home):
    done = run("report", "cases")
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines() == [
        "report  cases/report.html",
        "results cases/report_results.csv",
        "cases   cases/report_cases.csv",
    ]
    assert all((home / name).is_file() for name in ("report.html", "report_results.csv", "report_cases.csv"))
    assert [(home / f"case{number}" / "report.html").exists() for number in range(3)] == [False, False, True]


def test_a_folder_with_groups_and_the_reports_of_its_cases(run, home, tmp_path):
    (tmp_path / "groups.csv").write_text("case,skin_type\ncase0,V\ncase1,II\n", "utf-8")
    (home / "case1" / "maps.npz").write_bytes(b"nothing")
    done = run("report", "cases", "--groups", "groups.csv", "--reports", "-o", "all.html", "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told == {
        "folder": "cases", "report": "all.html", "results": "all_results.csv", "cases": "all_cases.csv",
        "skipped": ["case1"],
    }  # fmt: skip
    assert "case1: left out." in done.stderr
    assert (home / "case0" / "report.html").is_file()
    assert (home / "case2" / "report.html").read_text("utf-8") == "a report", "one that is there stays"
    assert "skin type" in (tmp_path / "all.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("report", "missing"), 3, "There is no case"),
        (("report", "empty"), 1, "case.json"),
        (("report", "cases", "--pdf"), 2, "folder of cases"),
        (("report", "case", "--groups", "groups.csv"), 2, "for a folder of cases"),
        (("report", "case", "-o", "x.pdf"), 2, "--pdf"),
        (("report", "case", "--pdf", "-o", "x.html"), 2, ".pdf"),
        (("report", "cases", "--groups", "nowhere.csv"), 1, "nowhere.csv"),
        (("report", "cases", "-o", "empty"), 2, "is a folder"),
    ],
)
def test_what_cannot_be_reported(run, case, home, tmp_path, words, code, told):
    (tmp_path / "empty").mkdir()
    done = run(*words)
    assert done.exit_code == code, done.output
    assert told in done.stderr
    assert not (home / "report.html").exists()
    assert "Traceback" not in done.output


def test_reporting_a_folder_loads_no_model(heavy_after, home):
    code = (
        "from pathlib import Path; from dermaxai.collection.writing import write_collection; "
        f"write_collection(Path({str(home)!r}))"
    )
    assert find_spec("torch")
    assert set(heavy_after(code)) <= {"numpy"}
