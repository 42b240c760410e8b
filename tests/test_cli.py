import csv
import json
import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner

import dermaxai.commands.options as options
from dermaxai.cases import load_case
from dermaxai.cli import app
from dermaxai.errors import DermaXAIError, ImageError, UsageError, WeightsError
from tests.tiny_model import CAPTIONS

pytestmark = pytest.mark.usefixtures("plain_environment")
NOTICE = "not a medical device"


@pytest.fixture
def run(model, monkeypatch, tmp_path):
    """The command line in this process, with the tiny model already in memory, in an empty folder."""
    monkeypatch.setattr(options.Choice, "load", lambda choice: model)
    monkeypatch.chdir(tmp_path)
    return lambda *words: CliRunner().invoke(app, [str(word) for word in words])


def child(*words, cwd=None):
    """`dermaxai …` as a user starts it."""
    code = "from dermaxai.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, words)],
        capture_output=True, text=True, encoding="utf-8", cwd=cwd, env={**os.environ, "COLUMNS": "100"},
    )  # fmt: skip


def objects(text):
    return [json.loads(line) for line in text.splitlines()]


# ---- explain ------------------------------------------------------------------------------------


def test_explain_shows_words_and_leaves_a_case_with_its_report(run, photos, tmp_path):
    done = run("explain", photos[0], "-o", "cases", "--query", "dark mole")
    assert done.exit_code == 0, done.output
    (folder,) = (tmp_path / "cases").iterdir()
    case = load_case(folder)
    assert folder.name == case.image.sha256[:8]
    assert (folder / "report.html").is_file()
    lines = done.stdout.splitlines()
    assert lines[0] == str(photos[0])
    assert lines[1:3] == [f"en  {CAPTIONS['en']}", f"ru  {CAPTIONS['ru']}"]
    for word in case.caption.words:
        assert any(line.startswith(word.text) and "%" in line for line in lines)
    assert any(line.startswith("dark mole") for line in lines)
    assert f"case    cases/{folder.name}" in lines
    assert f"report  cases/{folder.name}/report.html" in lines
    assert NOTICE in done.stderr
    assert NOTICE not in done.stdout


def test_explain_in_russian_with_two_methods(run, photos):
    done = run("explain", photos[0], "-m", "evidence,grad_eclip", "-m", "evidence", "--lang", "ru")
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[1] == f"ru  {CAPTIONS['ru']}"
    assert "Уверенность" in done.stdout
    assert "медицинское изделие" in done.stderr


def test_explain_as_json(run, photos):
    done = run("explain", *photos[:2], "--json", "-m", "evidence")
    assert done.exit_code == 0, done.output
    rows = objects(done.stdout)
    assert [row["file"] for row in rows] == [str(photo) for photo in photos[:2]]
    for row in rows:
        assert row["captions"] == CAPTIONS
        assert {"text", "start", "stop", "logprob", "evidence", "from_image"} == row["words"][0].keys()
        assert load_case(row["case"]).caption.text == row["caption"]
        assert all(found["sentence"] for found in row["maps"])


def test_one_bad_photo_does_not_stop_the_others(run, photos, broken):
    done = run("explain", broken, photos[1], "--json")
    assert done.exit_code == 1
    assert [row["file"] for row in objects(done.stdout)] == [str(photos[1])]
    assert "broken.jpg" in done.stderr
    assert "1 of 2 photos failed" in done.stderr


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("explain", "missing.jpg"), 1, "There is no file 'missing.jpg'"),
        (("explain", "missing.jpg", "-m", "gradcam"), 2, "No explanation method is called 'gradcam'"),
        (("explain",), 2, "Missing argument"),
        (("explain", "a.jpg", "--lang", "de"), 2, "'de'"),
        (("describe", "."), 2, "There is no photo"),
        (("describe", "a.jpg", "--json", "--csv"), 2, "exclude each other"),
        (("describe", "a.jpg", "--resume"), 2, "Name it with -o"),
        (("report", "."), 1, "case.json"),
        (("query", ".", "skin"), 1, "case.json"),
        (("models", "card", "monett"), 2, "Did you mean 'monet'"),
        (("fetch", "monett"), 2, "Did you mean 'monet'"),
        (("nonsense",), 2, "No such command"),
    ],
)
def test_mistakes_are_one_message_and_an_exit_code(run, words, code, told):
    done = run(*words)
    assert done.exit_code == code, done.output
    assert told in done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


def test_exit_codes_of_errors():
    assert [kind.exit_code for kind in (DermaXAIError, ImageError, UsageError, WeightsError)] == [1, 1, 2, 3]


# ---- describe -----------------------------------------------------------------------------------


def test_describe_prints_a_line_per_photo(run, photos, broken):
    done = run("describe", photos[0].parent, broken)
    assert done.exit_code == 1
    lines = dict(line.split("\t") for line in done.stdout.splitlines())
    assert {str(photo): CAPTIONS["en"] for photo in photos}.items() <= lines.items()
    assert lines[str(broken)].startswith("! ")
    assert "1 photo(s) failed" in done.stderr
    assert NOTICE in done.stderr


def test_describe_as_json(run, photos, broken):
    done = run("describe", photos[0], broken, "--json", "--lang", "ru")
    first, second = objects(done.stdout)
    assert {"file", "lang", "caption", "words", "outside"} <= first.keys()
    assert (first["lang"], first["caption"]) == ("ru", CAPTIONS["ru"])
    assert second["file"] == str(broken)
    assert second["error"]


def test_describe_into_csv(run, photos, tmp_path):
    done = run("describe", *photos, "-o", "captions.csv")
    assert done.exit_code == 0, done.output
    assert done.stdout == ""
    with (tmp_path / "captions.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == [str(photo) for photo in photos]
    assert {row["caption"] for row in rows} == {CAPTIONS["en"]}


def test_describe_goes_on_where_it_stopped(run, photos, tmp_path, model, monkeypatch):
    assert run("describe", photos[0], "-o", "captions.jsonl").exit_code == 0
    again = run("describe", *photos, "-o", "captions.jsonl")
    assert again.exit_code == 2
    assert "--resume" in again.stderr
    done = run("describe", *photos, "-o", "captions.jsonl", "--resume")
    assert done.exit_code == 0, done.output
    assert "1 of 3 photos are described already" in done.stderr
    rows = objects((tmp_path / "captions.jsonl").read_text("utf-8"))
    assert [row["file"] for row in rows] == [str(photo) for photo in photos]
    monkeypatch.setattr(options.Choice, "load", lambda choice: pytest.fail("nothing is left to describe"))
    assert run("describe", *photos, "-o", "captions.jsonl", "--resume").exit_code == 0


# ---- cases --------------------------------------------------------------------------------------


@pytest.fixture
def folder(model, photos, tmp_path):
    return model.explain(photos[0]).save(tmp_path / "cases" / "one")


def test_query_and_contrast_add_maps(run, folder):
    before = len(load_case(folder).maps)
    done = run("query", folder, "blue-white veil")
    assert done.exit_code == 0, done.output
    assert load_case(folder).maps[-1].target.text == "blue-white veil"
    done = run("contrast", folder, "--word", "large", "--against", "small", "--json")
    assert done.exit_code == 0, done.output
    (row,) = objects(done.stdout)
    assert row["maps"][-1]["against"] == "small"
    assert len(load_case(folder).maps) == before + 2
    assert (folder / "report.html").is_file()


def test_report(run, folder, tmp_path):
    done = run("report", folder)
    assert done.exit_code == 0, done.output
    assert done.stdout.strip() == str(folder / "report.html")
    done = run("report", folder, "--lang", "ru", "-o", tmp_path / "r.html", "--json")
    assert objects(done.stdout) == [{"case": str(folder), "report": str(tmp_path / "r.html")}]
    assert 'lang="ru"' in (tmp_path / "r.html").read_text("utf-8")


# ---- what there is ------------------------------------------------------------------------------


def test_phantom(run, tmp_path):
    done = run("phantom", "-n", "2", "-o", "drawn", "--seed", "3", "--json")
    assert done.exit_code == 0, done.output
    rows = objects(done.stdout)
    assert rows == objects((tmp_path / "drawn" / "phantoms.jsonl").read_text("utf-8"))
    assert [sorted(row["captions"]) for row in rows] == [["en", "ru"]] * 2
    first = (tmp_path / rows[0]["file"]).read_bytes()
    assert run("phantom", "-o", "again", "--seed", "3").exit_code == 0
    assert (tmp_path / "again" / "phantom-0000.png").read_bytes() == first


def test_models(run):
    rows = objects(run("models", "list", "--json").stdout)
    assert rows[0]["name"] == "demo"
    assert {row["name"] for row in rows} >= {"dermlip-vit-b16", "monet"}
    assert "BiomedCLIP" in run("models", "list").stdout
    card = objects(run("models", "card", "monet", "--json").stdout)[0]
    assert card["repo_id"] in run("models", "card", "monet").stdout


def test_methods(run):
    rows = {row["name"]: row for row in objects(run("methods", "--json").stdout)}
    assert rows["evidence"]["answers"] == ["caption", "word"]
    assert rows["grad_eclip"]["needs"] == "text tower"
    assert "Grad-ECLIP" in run("methods").stdout


def test_doctor_checks_the_embedded_model(run, model, monkeypatch):
    import dermaxai.pipeline as pipeline
    from dermaxai.errors import WeightsMissing

    monkeypatch.setattr(pipeline, "load", lambda name: model)
    done = run("doctor", "--json")
    assert done.exit_code == 0, done.output
    found = {row["subject"]: row for row in objects(done.stdout)}
    assert "because" in found["device"]["text"]
    assert found["self-test"]["state"] == "ok"

    def missing(name):
        raise WeightsMissing("not there")

    monkeypatch.setattr(pipeline, "load", missing)
    done = run("doctor")
    assert done.exit_code == 4
    assert "✗ self-test" in done.stdout


def test_fetch_offline_names_what_is_missing(run, monkeypatch, tmp_path):
    monkeypatch.setenv("DERMAXAI_OFFLINE", "1")
    monkeypatch.setattr("dermaxai.encoders.hub.find", lambda card: None)
    done = run("fetch", "monet")
    assert done.exit_code == 3
    assert "monet" in done.stderr
    assert done.stdout == ""


# ---- as a program -------------------------------------------------------------------------------


def test_help_is_quick_and_loads_nothing_heavy():
    """Processor time, because the machine may be busy."""
    code = (
        "import sys, time; begun = time.process_time()\n"
        "from dermaxai.cli import app\n"
        "try:\n    app(['explain', '--help'], prog_name='dermaxai')\nexcept SystemExit as left:\n"
        "    heavy = [name for name in ('torch', 'numpy', 'transformers') if name in sys.modules]\n"
        "    print(left.code, heavy, time.process_time() - begun, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    left, heavy, spent = done.stderr.split()
    assert (left, heavy) == ("0", "[]")
    assert float(spent) < 1
    assert "--query" in done.stdout
    assert "--captioner" in done.stdout


def test_the_program_itself(bundle, photos, tmp_path):
    done = child("describe", photos[2], "--json", "--model", bundle, "--device", "cpu", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert objects(done.stdout)[0]["file"] == str(photos[2])
    assert NOTICE in done.stderr


def test_the_program_fails_without_traceback(tmp_path, photos):
    done = child("describe", photos[0], "--model", tmp_path / "none", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "No encoder is called" in done.stderr
    assert "Traceback" not in done.stderr


def test_version():
    done = child("--version")
    assert done.returncode == 0
    from dermaxai import __version__

    assert done.stdout.strip() == __version__
