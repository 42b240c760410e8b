"""`dermaxai measure`, `dermaxai sanity`, and the marks beside maps."""

import dataclasses
import json
import re

import pytest
from typer.testing import CliRunner

import dermaxai.commands.options as options
from dermaxai.cases import load_case
from dermaxai.cli import app
from dermaxai.i18n import catalogue
from dermaxai.measure import sanity as checks
from dermaxai.measure.case_scores import with_checks
from dermaxai.scores import map_names

pytestmark = pytest.mark.usefixtures("plain_environment")
FAST = ("--steps", "4", "--random", "4")
POINT = re.compile(r"\d\.\d")
"""A number that is not written as Russian does."""


@pytest.fixture
def run(model, monkeypatch, tmp_path):
    monkeypatch.setattr(options.Choice, "load", lambda choice: model)
    monkeypatch.chdir(tmp_path)
    return lambda *words: CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def folder(model, photos, tmp_path):
    case = model.explain(photos[0], methods=["evidence", "grad_eclip"], queries=["dark mole"])
    return case.save(tmp_path / "case")


def test_measuring_writes_the_case_and_its_report(run, folder):
    done = run("measure", folder, *FAST)
    assert done.exit_code == 0, done.output
    case = load_case(folder)
    judged = [
        name for name, heat in zip(map_names(case.maps), case.maps, strict=True) if heat.method != "spread"
    ]
    assert {score.of for score in case.scores} == set(judged)
    assert f"measure CASE --metric deletion --metric insertion {' '.join(FAST)}" in case.made_by.command
    lines = done.stdout.splitlines()
    assert sum("Deletion" in line for line in lines) == len(judged)
    score = case.score("grad_eclip", "dark mole", "insertion")
    (row,) = (line for line in lines if "dark mole" in line and "Grad-ECLIP" in line and "Insertion" in line)
    value, low, high = (
        catalogue("en").number(number, 3) for number in (score.value, score.baseline_low, score.baseline_high)
    )
    assert value in row
    assert f"{low} – {high}" in row
    assert row.rstrip()[-1] in "✓✗?"
    assert any("97.5 %" in line for line in lines)
    assert (folder / "report.html").stat().st_size > 10_000


def test_as_json(run, folder):
    done = run(
        "measure", folder, *FAST, "--metric", "deletion,max_sensitivity", "--removal", "blur", "--json"
    )
    assert done.exit_code == 0, done.output
    (document,) = map(json.loads, done.stdout.splitlines())
    kinds = {(one["metric"], one["verdict"] != "", one["baseline"] is None) for one in document["scores"]}
    assert kinds == {("deletion", True, False), ("max_sensitivity", False, True)}
    assert all("removal=blur, steps=4" in one["protocol"] for one in document["scores"])
    assert document["case"] == str(folder)
    assert any("consensus" in warning for warning in document["warnings"])


def test_a_single_metric_in_russian(run, folder):
    done = run("measure", folder, *FAST, "--metric", "insertion", "--lang", "ru")
    assert "Вставка" in done.stdout
    assert "Удаление" not in done.stdout
    assert "случайных карт" in done.stdout
    assert not POINT.search(done.stdout)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--metric", "delation"), "deletion"),
        (("--metric", ""), "no name"),
        (("--metric", "deletion,energy"), "an outlined lesion"),
        (("--steps", "1"), "steps"),
        (("--removal", "holes"), "removal"),
    ],
)
def test_wrong_use(run, folder, words, said):
    done = run("measure", folder, *words)
    assert done.exit_code == 2
    assert said in done.stderr
    assert load_case(folder).scores == ()


def test_explain_measures_only_when_asked(run, photos):
    done = run("explain", photos[0], "--measure", "--json")
    assert done.exit_code == 0, done.output
    assert {one["metric"] for one in json.loads(done.stdout)["scores"]} == {"deletion", "insertion"}
    told = run("explain", photos[0], "--measure")
    assert any(line.rstrip().endswith(("✓", "✗", "?")) for line in told.stdout.splitlines())
    assert "97.5 %" in told.stdout
    plain = run("explain", photos[0])
    assert "97.5 %" not in plain.stdout
    assert "✓" not in plain.stdout


def test_marks_follow_the_verdicts(run, model, folder):
    from dermaxai.commands.tables import trust_of

    case = model.measure(load_case(folder))
    marks = {"yes": "✓", "no": "✗", "undecided": "?"}
    name = map_names(case.maps)[0]
    for verdict, mark in marks.items():
        scores = [dataclasses.replace(one, verdict=verdict) for one in case.scores if one.of == name]
        judged = dataclasses.replace(case, scores=tuple(scores))
        assert trust_of(judged, judged.maps[0]) == mark
        assert trust_of(judged, judged.maps[1]) == ""
        half = dataclasses.replace(case, scores=tuple(scores[:1]))
        assert trust_of(half, half.maps[0]) == ""


# ---- sanity -------------------------------------------------------------------------------------


def check(name, method="evidence", verdict="passed", value=0.1):
    rule = checks.RULES[name]
    numbers = value, value - 0.05, value + 0.05, rule.limit
    return checks.Check(name, method, *numbers, verdict, rule.unit, 5, rule.about)


def test_sanity_of_a_case_is_kept_in_it(run, folder):
    done = run("sanity", folder, "--json")
    assert done.exit_code in (0, 4), done.output
    (document,) = map(json.loads, done.stdout.splitlines())
    assert [one["check"] for one in document["checks"]] == [*list(checks.RULES)[:4] * 2, "blank_words"][:9]
    failed = [one for one in document["checks"] if one["verdict"] == "failed"]
    assert done.exit_code == (4 if failed else 0)
    kept = load_case(folder).scores
    assert [score.metric for score in kept] == [f"sanity_{one['check']}" for one in document["checks"]]
    assert kept == with_checks(load_case(folder), []).scores


def test_slow_methods_are_checked_when_named(run, model, folder, monkeypatch):
    from dermaxai.measure import case_scores

    monkeypatch.setattr(case_scores, "SLOW", ("grad_eclip",))
    plain = run("sanity", folder)
    assert "Not checked, since it takes minutes: grad_eclip." in plain.stderr
    assert "Grad-ECLIP" not in plain.stdout
    assert "Word evidence: Random weights (1 / 4)" in plain.stderr
    for name in ("all", "grad_eclip"):
        asked = run("sanity", folder, "-m", name)
        assert "Not checked" not in asked.stderr
        assert "Grad-ECLIP" in asked.stdout
    monkeypatch.setattr(case_scores, "SLOW", ("evidence", "grad_eclip"))
    assert case_scores.left_out(load_case(folder)) == []


def test_maps_of_another_encoder_are_refused(run, model, folder):
    case = load_case(folder)
    other = dataclasses.replace(case.made_by, encoder_sha256="0" * 64)
    dataclasses.replace(case, made_by=other).save(folder)
    for command in ("measure", "sanity"):
        done = run(command, folder)
        assert done.exit_code == 2
        assert "made by the encoder" in done.stderr


@pytest.mark.parametrize(("verdict", "code"), [("passed", 0), ("undecided", 0), ("failed", 4)])
def test_the_exit_code_says_whether_a_check_failed(run, folder, model, monkeypatch, verdict, code):
    found = [check("random_weights"), check("mirrored_photo", verdict=verdict, value=0.2)]
    monkeypatch.setattr(type(model), "sanity", lambda self, case, methods=(), tell=None: found)
    done = run("sanity", folder)
    assert done.exit_code == code
    told = "The mirrored photo gives another map" in done.stdout
    assert told == (verdict == "failed")
    assert "below 0.2" in done.stdout
    assert "above 0.5" in done.stdout
    russian = run("sanity", folder, "--lang", "ru").stdout
    assert "Случайные веса" in russian
    assert "ниже 0,2" in russian
    assert not POINT.search(russian)
    assert ("Отражённое фото даёт" in russian) == (verdict == "failed")
    assert load_case(folder).scores[0].verdict == "yes"


def test_methods_that_are_not_there(run, folder):
    done = run("sanity", folder, "-m", "legrad")
    assert done.exit_code == 2
    assert "no map of 'legrad'" in done.stderr


def test_numbers_that_are_not_defined_are_null(run, folder, model, monkeypatch):
    nothing = dataclasses.replace(check("blank_photo"), value=float("nan"), low=float("nan"), n=0)
    monkeypatch.setattr(type(model), "sanity", lambda self, case, methods=(), tell=None: [nothing])
    done = run("sanity", folder, "--json")
    (document,) = map(json.loads, done.stdout.splitlines())
    assert document["checks"][0]["value"] is document["checks"][0]["low"] is None
    assert run("sanity", folder).exit_code == 0
