import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter
from typer.testing import CliRunner

import dermaxai.commands.options as options
from dermaxai.cases import load_case
from dermaxai.cli import app
from dermaxai.errors import DermaXAIError, ImageError, UsageError, WeightsError
from tests.conftest import HEAVY
from tests.tiny_model import CAPTIONS

pytestmark = pytest.mark.usefixtures("plain_environment")
NOTICE = "not a medical device; it makes no diagnosis"
NOTICE_RU = "не медицинское изделие; диагноза не ставит"
PROC = Path("/proc")
"""Where even the superuser cannot write."""


@pytest.fixture
def run(model, monkeypatch, tmp_path):
    """The command line in this process, with the tiny model already in memory, in an empty folder."""
    monkeypatch.setattr(options.Choice, "load", lambda choice: model)
    monkeypatch.chdir(tmp_path)
    return lambda *words: CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def unloaded(run, monkeypatch):
    """The same, where loading a model is a fault."""
    monkeypatch.setattr(options.Choice, "load", lambda choice: pytest.fail("the model was loaded"))
    return run


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
    assert done.stderr.count(NOTICE) == done.stderr.count(NOTICE_RU) == 1
    assert NOTICE not in done.stdout


def test_words_without_a_map_have_a_mark_and_one_line_explains_it(run, photos):
    done = run("explain", photos[0])
    lines = done.stdout.splitlines()
    assert [line.split()[-1] for line in lines if line.startswith("a ")] == ["·"]
    assert [line for line in lines if "average photo" in line] == [
        "· An average photo gives this word too, so it has no map."
    ]


def test_explain_in_russian_with_two_methods(run, photos):
    done = run("explain", photos[0], "-m", "evidence,grad_eclip", "-m", "evidence", "--lang", "ru")
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[1] == f"ru  {CAPTIONS['ru']}"
    assert "Уверенность" in done.stdout
    assert not re.search(r"\d\.\d|\d%", done.stdout)
    assert NOTICE_RU in done.stderr


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
    done = run("explain", broken, photos[1], "missing.jpg", "--json")
    assert done.exit_code == 1
    bad, good, missing = objects(done.stdout)
    assert [row["file"] for row in (bad, good, missing)] == [str(broken), str(photos[1]), "missing.jpg"]
    assert set(bad) == set(missing) == {*good, "error", "kind"}
    assert (bad["caption"], bad["words"], bad["outside"], bad["case"]) == (None, [], None, None)
    assert (bad["kind"], missing["kind"]) == ("ImageUnreadable", "ImageUnreadable")
    assert done.stderr.count("broken.jpg: ") == done.stderr.count("missing.jpg: ") == 1
    assert "2 of 3 photos failed" in done.stderr
    assert run("explain", photos[1], "missing.jpg").exit_code == 3


def test_a_blurred_photo_is_told(run, photos, tmp_path):
    soft = tmp_path / "soft.png"
    with Image.open(photos[0]) as photo:
        photo.filter(ImageFilter.GaussianBlur(12)).save(soft)
    sharp, blurred = run("explain", photos[0]), run("explain", soft, "--json")
    assert "looks blurred" not in sharp.stderr
    assert "! The photo looks blurred. Even its sharpest edges are spread by " in blurred.stderr
    (row,) = objects(blurred.stdout)
    assert row["blur"] > row["blur_threshold"]


def test_a_case_that_cannot_be_kept_does_not_stop_the_others(run, photos, tmp_path, model):
    taken = tmp_path / "cases" / model.read(photos[0]).sha256[:8]
    taken.mkdir(parents=True)
    (taken / "precious.txt").write_text("mine")
    done = run("explain", *photos[:2], "--json")
    assert done.exit_code == 2
    bad, good = objects(done.stdout)
    assert "not a case folder" in bad["error"]
    assert load_case(good["case"]).caption.text == CAPTIONS["en"]


def test_explain_says_that_it_replaces_a_case_and_leaves_those_of_other_photos(run, photos, tmp_path, model):
    assert "replaced" not in run("explain", photos[0]).stderr
    assert "replaced the earlier case" in run("explain", photos[0]).stderr
    sha256 = model.read(photos[0]).sha256
    document = tmp_path / "cases" / sha256[:8] / "case.json"
    document.write_text(document.read_text("utf-8").replace(sha256, sha256[:8] + "0" * 56), "utf-8")
    done = run("explain", photos[0])
    assert "replaced" not in done.stderr
    assert sorted(place.name for place in (tmp_path / "cases").iterdir()) == [sha256[:8], sha256[:16]]


def test_every_choice_of_a_model_reaches_it(monkeypatch, bundle):
    asked = []
    monkeypatch.setattr("dermaxai.pipeline.load", lambda name, **given: asked.append((name, given)))
    options.Choice(model=str(bundle), beams=3, dtype="bfloat16", seed=5, device="cpu").load()
    ((name, given),) = asked
    settings = given["settings"]
    assert name == str(bundle)
    assert (settings.beams, settings.dtype, settings.seed, settings.device) == (3, "bfloat16", 5, "cpu")


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("explain", "missing.jpg"), 3, "There is no file 'missing.jpg'"),
        (("explain", "missing.jpg", "-m", ""), 2, "has no name"),
        (("explain", "missing.jpg", "-m", "evidence:nice"), 2, "No variant of evidence"),
        (("explain", "missing.jpg", "--query", " "), 2, "no text to look for"),
        (("explain", "missing.jpg", "--model", "monett"), 2, "Did you mean 'monet'"),
        (("explain", "missing.jpg", "--captioner", "none"), 3, "no captioner in 'none'"),
        (("describe", "missing.jpg", "--captioner", "none"), 3, "no captioner in 'none'"),
        (("describe", "missing.jpg", "--source", "none"), 3, "nothing at 'none'"),
        (("describe", "missing.jpg", "--beams", "0"), 2, "beams"),
        (("explain", "missing.jpg", "-m", "gradcam"), 2, "No explanation method is called 'gradcam'"),
        (("explain",), 2, "Missing argument"),
        (("explain", "a.jpg", "--lang", "de"), 2, "'de'"),
        (("describe", "."), 2, "There is no photo"),
        (("describe", "a.jpg", "--json", "--csv"), 2, "exclude each other"),
        (("describe", "a.jpg", "--resume"), 2, "Name it with -o"),
        (("report", "."), 1, "case.json"),
        (("query", ".", "skin"), 1, "case.json"),
        (("report", "missing"), 3, "There is no case 'missing'"),
        (("query", "missing", "skin"), 3, "There is no case 'missing'"),
        (("contrast", "missing", "--word", "a", "--against", "b"), 3, "There is no case 'missing'"),
        (("models", "card", "monett"), 2, "Did you mean 'monet'"),
        (("fetch", "monett"), 2, "Did you mean 'monet'"),
        (("nonsense",), 2, "No such command"),
    ],
)
def test_mistakes_are_one_message_and_an_exit_code(unloaded, words, code, told):
    done = unloaded(*words)
    assert done.exit_code == code, done.output
    assert told in done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("query", "CASE", " "), "no text to look for"),
        (("query", "CASE", "skin", "-m", "gradcam"), "No explanation method is called 'gradcam'"),
        (("query", "CASE", "skin", "-m", ""), "No explanation method is called ''"),
        (("contrast", "CASE", "--word", "huge", "--against", "small"), "no word 'huge'"),
        (("contrast", "CASE", "--word", "dark large", "--against", "small"), "no words 'dark large'"),
        (("contrast", "CASE", "--word", "large", "--against", "Large"), "cannot be compared with itself"),
        (("contrast", "CASE", "--word", "large", "--against", ""), "no text to look for"),
        (("contrast", "CASE", "--word", "large", "--against", "small", "-m", "nice"), "called 'nice'"),
        (
            ("contrast", "CASE", "--word", "large dark", "--against", "pale", "-m", "rollout"),
            "not 'phrase'",
        ),
    ],
)
def test_mistakes_about_a_case_are_told_before_a_model_is_loaded(unloaded, folder, words, told):
    done = unloaded(*[folder if word == "CASE" else word for word in words])
    assert done.exit_code == 2, done.output
    assert told in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    "words",
    [
        ("explain", "PHOTO", "-o", "text.jpg"),
        ("explain", "PHOTO", "-o", "/proc/zz"),
        ("describe", "PHOTO", "-o", "cases"),
        ("describe", "PHOTO", "-o", "cases", "--resume"),
        ("describe", "PHOTO", "-o", "text.jpg/rows.jsonl"),
        ("describe", "PHOTO", "-o", "/proc/x/rows.jsonl"),
        ("describe", "PHOTO", "-o", os.devnull),
        ("report", "CASE", "-o", "cases"),
        ("report", "CASE", "-o", "text.jpg/r.html"),
        ("report", "CASE", "-o", "/proc/x/r.html"),
        ("phantom", "-o", "text.jpg"),
        ("phantom", "-o", "/proc/zz"),
    ],
)
def test_places_that_cannot_be_written_are_told_first(unloaded, photos, folder, tmp_path, words):
    if any(word.startswith("/proc") for word in words) and not PROC.exists():
        pytest.skip("this system has no /proc")
    (tmp_path / "text.jpg").write_text("no folder")
    before = sorted(tmp_path.rglob("*"))
    done = unloaded(*[{"PHOTO": photos[0], "CASE": folder}.get(word, word) for word in words])
    assert done.exit_code == 2, done.output
    assert done.stderr.startswith(f"Error: '{words[words.index('-o') + 1]}'")
    assert "-o" in done.stderr
    assert done.stdout == ""
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (PermissionError(13, "Permission denied", "case.json"), "'case.json' cannot be read or written"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), "no valid text"),
    ],
)
def test_what_the_system_refuses_is_a_message(run, folder, monkeypatch, error, told):
    def refuse(place):
        raise error

    monkeypatch.setattr("dermaxai.cases.load_case", refuse)
    done = run("report", folder)
    assert done.exit_code == 1
    assert done.stderr.startswith("Error: ")
    assert told in done.stderr
    assert "Traceback" not in done.output


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
    assert done.stderr.count(NOTICE) == done.stderr.count(NOTICE_RU) == 1


def test_describe_loads_no_model_for_photos_that_are_not_there(unloaded):
    done = unloaded("describe", "a.jpg", "b.jpg", "--json")
    assert done.exit_code == 3
    assert [row["file"] for row in objects(done.stdout)] == ["a.jpg", "b.jpg"]
    assert done.stderr.count("There is no file") == 2


def test_describe_tells_a_missing_photo_once(run, photos):
    done = run("describe", "a.jpg", photos[0])
    assert done.exit_code == 3
    assert done.stderr.count("There is no file 'a.jpg'") == 1
    assert done.stdout.splitlines()[1] == f"{photos[0]}\t{CAPTIONS['en']}"


def test_describe_as_json(run, photos, broken):
    done = run("describe", photos[0], broken, "--json", "--lang", "ru")
    first, second = objects(done.stdout)
    assert {"file", "lang", "caption", "words", "outside"} <= first.keys()
    assert second.keys() == {*first, "error", "kind"}
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
    monkeypatch.setattr(model, "describe", lambda *_: pytest.fail("nothing is left to describe"))
    assert run("describe", *photos, "-o", "captions.jsonl", "--resume").exit_code == 0


def test_describe_mixes_no_rows_of_other_weights(run, photos, tmp_path, model, monkeypatch):
    assert run("describe", photos[0], "-o", "captions.csv").exit_code == 0
    before = (tmp_path / "captions.csv").read_bytes()
    monkeypatch.setattr(model.captioner, "sha256", "0" * 64)
    done = run("describe", *photos, "-o", "captions.csv", "--resume")
    assert done.exit_code == 2
    assert "written with other weights" in done.stderr
    assert (tmp_path / "captions.csv").read_bytes() == before


def test_describe_continues_no_file_of_another_kind(unloaded, photos, tmp_path):
    (tmp_path / "bin.jsonl").write_bytes(b"\xff\xfe\x00\n")
    done = unloaded("describe", photos[0], "-o", "bin.jsonl", "--resume")
    assert done.exit_code == 1
    assert "'bin.jsonl' is no text of 'describe'" in done.stderr


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


def test_an_answer_is_shown_first(run, folder):
    done = run("contrast", folder, "--word", "large dark", "--against", "small", "-m", "evidence:integrated")
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0].startswith("large dark rather than small")
    assert lines[1:] == [f"en  {CAPTIONS['en']}", f"case    {folder}", f"report  {folder / 'report.html'}"]
    assert NOTICE in done.stderr
    done = run("query", folder, "skin", "--json")
    (row,) = objects(done.stdout)
    assert row["answer"] == row["maps"][-1]
    assert row["answer"]["text"] == "skin"
    assert NOTICE_RU in done.stderr


def test_questions_keep_the_language_of_the_case(run, model, photos, tmp_path):
    case = model.explain(photos[0], lang="ru").save(tmp_path / "russian")
    for words in (("query", case, "skin"), ("contrast", case, "--word", "очаг", "--against", "узел")):
        done = run(*words)
        assert done.exit_code == 0, done.output
        assert f"ru  {CAPTIONS['ru']}" in done.stdout.splitlines()
        assert 'lang="ru"' in (case / "report.html").read_text("utf-8")
    assert run("query", case, "skin", "--lang", "en").exit_code == 0
    assert 'lang="en"' in (case / "report.html").read_text("utf-8")


def test_a_case_of_a_folder_asks_for_that_folder(monkeypatch, folder, tmp_path):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["query", str(folder), "skin"])
    assert done.exit_code == 2
    assert "The case was made by 'tiny'" in done.stderr
    assert "--model" in done.stderr


def test_a_question_asked_inside_the_case(unloaded, folder, monkeypatch):
    monkeypatch.chdir(folder)
    done = unloaded("query", ".", "skin")
    assert done.exit_code == 2
    assert "Go one folder up" in done.stderr


def test_report(run, folder, tmp_path):
    done = run("report", folder)
    assert done.exit_code == 0, done.output
    assert NOTICE in done.stderr
    assert done.stdout.strip() == str(folder / "report.html")
    done = run("report", folder, "--lang", "ru", "-o", tmp_path / "r.html", "--json")
    told = {"case": str(folder), "report": str(tmp_path / "r.html"), "readings": 0}
    assert objects(done.stdout) == [told]
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


def test_masks_of_phantoms_are_exact_and_no_photos(run, tmp_path):
    from dermaxai.images import find_images
    from dermaxai.phantom import draw_phantom, sample_plans

    assert run("phantom", "-n", "2", "-o", "drawn").exit_code == 0
    assert [path.name for path in find_images(["drawn"])] == ["phantom-0000.png", "phantom-0001.png"]
    assert [path.name for path in find_images(["drawn/masks"])] == []
    rows = objects((tmp_path / "drawn" / "phantoms.jsonl").read_text("utf-8"))
    with Image.open(tmp_path / rows[1]["mask"]) as picture:
        found = np.array(picture.convert("L")) > 0
    assert np.array_equal(found, draw_phantom(sample_plans(2, 0)[1], 1).mask)


def test_models(run):
    rows = objects(run("models", "list", "--json").stdout)
    assert rows[0]["name"] == "demo"
    assert {row["name"] for row in rows} >= {"dermlip-vit-b16", "monet"}
    assert "BiomedCLIP" in run("models", "list").stdout
    card = objects(run("models", "card", "monet", "--json").stdout)[0]
    assert card["repo_id"] in run("models", "card", "monet").stdout


def test_methods(run):
    rows = {row["name"]: row for row in objects(run("methods", "--json").stdout)}
    assert rows["evidence"]["answers"] == ["caption", "phrase", "word"]
    assert rows["grad_eclip"]["reads_question"] is True
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
    for subject in found:
        assert any(line[2:].startswith(f"{subject}  ") for line in done.stdout.splitlines())


def test_doctor_names_every_encoder(run, model, monkeypatch):
    from dermaxai.encoders.cards import card_names

    monkeypatch.setattr("dermaxai.pipeline.load", lambda name: model)
    monkeypatch.setattr("dermaxai.commands.models.find_weights", lambda card: None)
    found = {row["subject"]: row["text"] for row in objects(run("doctor", "--json").stdout)}
    assert set(card_names()) <= set(found)
    assert found["panderm-base"].startswith("by hand")


def test_doctor_finds_settings_that_cannot_be_used(run, monkeypatch):
    monkeypatch.setenv("DERMAXAI_BATCH", "foo")
    done = run("doctor", "--json")
    assert done.exit_code == 4
    last = objects(done.stdout)[-1]
    assert (last["subject"], last["state"]) == ("settings", "failed")
    assert "DERMAXAI_BATCH" in last["text"]
    assert done.stderr == ""


def test_fetch_offline_names_what_is_missing(run, monkeypatch, tmp_path):
    monkeypatch.setenv("DERMAXAI_OFFLINE", "1")
    monkeypatch.setattr("dermaxai.encoders.hub.find", lambda card: None)
    done = run("fetch", "monet")
    assert done.exit_code == 3
    assert "monet" in done.stderr
    assert done.stdout == ""


# ---- as a program -------------------------------------------------------------------------------


def test_help_loads_nothing_heavy():
    """Seconds are measured in benchmarks/."""
    code = (
        f"import sys; heavy = {HEAVY}\n"
        "from dermaxai.cli import app\n"
        "try:\n    app(['explain', '--help'], prog_name='dermaxai')\nexcept SystemExit as left:\n"
        "    print(left.code, *[name for name in heavy if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.split() == ["0"]
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
