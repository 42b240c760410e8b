import csv
import dataclasses
import io
import json
import re
import shlex

import pytest
from rich.console import Console
from typer.testing import CliRunner

import dermaxai.commands.options as options
from dermaxai.cli import app
from dermaxai.commands import watching
from dermaxai.evaluate import explanations
from dermaxai.evaluate.listing import listed_metrics
from dermaxai.measure.captions import CAPTION_METRICS
from dermaxai.measure.clinical import CLINICAL_METRICS
from dermaxai.measure.maps import MAP_METRICS
from dermaxai.measure.sanity import RULES
from dermaxai.progress import stage, steps
from tests.data import manifests
from tests.evaluate.small_set import draw_items

pytestmark = pytest.mark.usefixtures("plain_environment")
MAPS = ("-m", "evidence,grad_eclip", "--metric", "pointing,sparseness", "--baseline", "random,centre")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Photos with masks, as anybody has them."""
    place = tmp_path_factory.mktemp("photos") / "clinic"
    draw_items(place, 3)
    return place


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    """Photos with diagnoses, findings and captions, in parts."""
    place = tmp_path_factory.mktemp("manifest")
    drawn = draw_items(place / "photos", 8)
    samples = [dataclasses.replace(one.sample, sha256=one.sha256) for one in drawn]
    splits = ["test" if number < 4 else "train" for number in range(8)]
    manifests.write(place / "all.parquet", samples, {"ham10000": place / "photos"}, splits=splits)
    return place / "all.parquet"


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


def rows(place):
    with (place / "table.csv").open(encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


# ---- explanations ------------------------------------------------------------------------------------


def test_explanations_leave_tables_and_figures(run, folder, tmp_path):
    done = run("evaluate", "explanations", "--on", folder, *MAPS, "-o", "out", "--by", "dataset")
    assert done.exit_code == 0, done.output
    assert "| evidence |" in done.stdout
    assert "3 photos." in done.stderr
    assert "photos explained: " in done.stderr
    assert "s for the first, so about" in done.stderr
    found = {(one["contestant"], one["metric"]) for one in rows(tmp_path / "out")}
    assert found >= {(who, what) for who in ("evidence", "random map") for what in ("pointing", "sparseness")}
    assert list((tmp_path / "out" / "figures").glob("*.svg"))
    assert list((tmp_path / "out" / "records").glob("*.jsonl"))


def test_the_command_that_is_kept_gives_the_same_table(run, folder, tmp_path):
    extra = ("--limit", 2, "--steps", 5, "--most-words", 2, "--measured-masks", "--radius", 0.1)
    first = run("evaluate", "explanations", "--on", folder, *MAPS, *extra, "-o", "out")
    assert first.exit_code == 0, first.output
    kept = json.loads((tmp_path / "out" / "summary.json").read_text())["evaluations"][0]["command"]
    words = [word for word in shlex.split(kept) if not word.startswith("DERMAXAI_")]
    assert words[:3] == ["dermaxai", "evaluate", "explanations"]
    assert words[3:8] == ["--measured-masks", "--on", str(folder), "--limit", "2"]
    again = run(*words[1:], "-o", "again")
    assert again.exit_code == 0, again.output
    assert rows(tmp_path / "again") == rows(tmp_path / "out")


def test_queries_ask_for_the_diagnosis_where_all_have_one(run, manifest, folder, tmp_path):
    asked = ("-m", "grad_eclip", "--metric", "sparseness", "--question", "query", "--baseline", "none")
    for place, texts in ((manifest, "diagnosis"), (folder, "lesion")):
        done = run("evaluate", "explanations", "--on", place, *asked, "-o", texts)
        assert done.exit_code == 0, done.output
        kept = json.loads((tmp_path / texts / "summary.json").read_text())["evaluations"][0]
        assert kept["settings"]["texts"] == texts
        assert f"--text {texts}" in kept["command"]


def test_json_is_one_estimate_per_line(run, folder):
    done = run("evaluate", "explanations", "--on", folder, *MAPS, "-o", "out", "--json")
    assert done.exit_code == 0, done.output
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert {one["contestant"] for one in found} == {
        "evidence",
        "grad_eclip",
        "random map",
        "centred Gaussian",
    }
    assert all(isinstance(one["value"], float) and one["n"] == 3 for one in found)


def test_stopped_it_goes_on_with_the_same_command(run, folder, tmp_path, monkeypatch):
    genuine, measured = explanations.measure_photo, []

    def once(model, item, *rest):
        if len(measured) == 1:
            raise KeyboardInterrupt
        measured.append(item.id)
        return genuine(model, item, *rest)

    command = ("evaluate", "explanations", "--on", folder, *MAPS)
    assert run(*command, "-o", "whole").exit_code == 0
    monkeypatch.setattr(explanations, "measure_photo", once)
    stopped = run(*command, "-o", "out")
    assert stopped.exit_code == 130
    assert "The same command goes on from there." in stopped.stderr
    assert not (tmp_path / "out" / "summary.json").exists()
    monkeypatch.setattr(explanations, "measure_photo", genuine)
    done = run(*command, "-o", "out")
    assert done.exit_code == 0, done.output
    assert "1 of 3 photos are done already." in done.stderr
    for name in ("table.csv", "values.csv", "table.md", "comparisons.csv"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("explanations",), "No photos were named"),
        (("explanations", "--on", "nowhere"), "'nowhere' is no folder"),
        (("explanations", "--on", "nowhere", "--metric", "delition"), "Did you mean 'deletion'"),
        (("explanations", "--on", "nowhere", "-m", "evidense"), "Did you mean 'evidence'"),
        (("explanations", "--on", "nowhere", "--question", "words"), "Questions are word, query, concept"),
        (("explanations", "--on", "nowhere", "--removal", "scissors"), "'scissors' is not one of"),
        (("explanations", "--on", "nowhere", "--by", "colour"), "No property to group by is called 'colour'"),
        (("explanations", "--on", "nowhere", "--metric", "deletion,,"), "an empty one"),
        (("encoders", "--on", "nowhere", "--task", "zero"), "Tasks are zero_shot"),
        (("encoders", "--on", "nowhere", "--share", "half"), "A share is a number"),
        (("captions", "--on", "nowhere", "--lang", "de"), "Languages are en, ru and both"),
        (("captions", "--on", "nowhere", "--metric", "blue"), "Did you mean 'bleu'"),
    ],
)
def test_wrong_use_is_told_before_a_model_is_loaded(unloaded, words, told):
    done = unloaded("evaluate", *words)
    assert done.exit_code == 2
    assert told in " ".join(done.stderr.split())
    assert done.stdout == ""


def test_missing_weights_have_their_own_code(unloaded, folder):
    done = unloaded("evaluate", "explanations", "--on", folder, "--captioner", "nowhere")
    assert done.exit_code == 3


# ---- encoders and captions -------------------------------------------------------------------------


def test_encoders_do_every_task(run, manifest, tmp_path):
    words = ("--fewest", 2, "--train", manifest, "--share", "1", "-o", "out")
    done = run("evaluate", "encoders", "--on", manifest, *words)
    assert done.exit_code == 0, done.output
    assert "4 photos, 4 to learn from." in done.stderr
    conditions = {one["condition"] for one in rows(tmp_path / "out")}
    assert conditions == {
        "ham10000, zero-shot", "ham10000, concepts", "ham10000, retrieval, composed captions",
        "ham10000, linear probe, 100%",
    }  # fmt: skip
    assert list((tmp_path / "out" / "embeddings").glob("*/*.npy"))
    kept = json.loads((tmp_path / "out" / "summary.json").read_text())["evaluations"][0]["command"]
    assert f"--train {manifest}" in kept


def test_captions_stand_beside_baselines(run, manifest, tmp_path):
    asked = ("--lang", "en", "--metric", "bleu,length,diagnosis", "--no-compose")
    words = ("--train", manifest, *asked, "-o", "out")
    done = run("evaluate", "captions", "--on", manifest, *words)
    assert done.exit_code == 0, done.output
    contestants = {one["contestant"] for one in rows(tmp_path / "out")}
    assert "tiny captioner" in contestants
    assert "nearest neighbour" in contestants
    kept = json.loads((tmp_path / "out" / "summary.json").read_text())["evaluations"][0]["command"]
    assert f"--on {manifest}" in kept
    assert "--metric bleu,length,diagnosis" in kept
    assert "--no-compose" in kept


# ---- metrics ---------------------------------------------------------------------------------------


def test_every_metric_of_every_table_is_listed():
    listed = list(listed_metrics())
    names = {(one.family, one.option) for one in listed}
    tables = {"caption": CAPTION_METRICS, "clinical": CLINICAL_METRICS, "map": MAP_METRICS, "sanity": RULES}
    assert names >= {(family, name) for family, table in tables.items() for name in table}
    assert len({(one.family, one.scale.name) for one in listed}) == len(listed)
    assert all(one.about for one in listed)
    assert all(one.scale.better in ("higher", "lower", "neither") and one.scale.unit for one in listed)


def test_metrics_are_told(run):
    done = run("metrics", "map", "--json")
    found = {one["name"]: one for one in map(json.loads, done.stdout.splitlines())}
    assert set(found) == set(MAP_METRICS)
    assert found["deletion"]["better"] == "lower"
    assert found["max_sensitivity"]["high"] is None
    table = run("metrics")
    assert table.exit_code == 0
    assert "BLEU-4" in table.stdout
    assert "Balanced accuracy" in table.stdout


def test_unknown_families_are_wrong_use(run):
    assert run("metrics", "maps").exit_code == 2


# ---- progress --------------------------------------------------------------------------------------


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        return True


def test_a_method_is_a_bar_on_a_terminal_only(capsys, monkeypatch):
    def work():
        with watching.shown(), stage("convis"):
            assert list(steps("ab")) == ["a", "b"]

    work()
    assert capsys.readouterr().err == ""
    screen = Terminal()
    monkeypatch.setattr(watching.sys, "stderr", screen)
    monkeypatch.setattr(watching, "talk_console", lambda: Console(file=screen, force_terminal=True))
    work()
    assert re.search(r"convis.*100%", screen.getvalue())


def test_the_estimate_is_of_the_first_photo_that_was_worked_on(capsys, monkeypatch):
    clock = iter([0.0, 0.001, 0.002, 2.002, 3.0, 4.0])
    monkeypatch.setattr(watching.time, "monotonic", lambda: next(clock))
    with watching.Watch() as watch:
        for done in range(1, 6):
            watch("photos", done, 100)
    told = capsys.readouterr().err.splitlines()
    assert told == ["photos: 2 s for the first, so about 3 min for the other 97; the first is the slowest."]
