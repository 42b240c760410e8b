"""The commands of a case make the case again, bit for bit."""

import shlex

import numpy as np
import pytest
from typer.main import get_command
from typer.testing import CliRunner

import dermaxai
import dermaxai.commands.options as options
from dermaxai.cases import load_case
from dermaxai.cli import app
from dermaxai.phantom import draw_phantom, sample_plans
from dermaxai.provenance import AND, with_command

pytestmark = pytest.mark.usefixtures("plain_environment")
FAST = ("--steps", "4", "--random", "4")


@pytest.fixture
def run(model, monkeypatch, tmp_path):
    """Of the command line, with the tiny model in memory; 4 says that a check failed."""
    monkeypatch.setattr(options.Choice, "load", lambda choice: model)
    monkeypatch.chdir(tmp_path)

    def run_one(*words):
        done = CliRunner().invoke(app, [str(word) for word in words])
        assert done.exit_code in (0, 4), (words, done.output)

    return run_one


def asked(run, photo, tmp_path):
    """A case with questions of every kind, one of them asked twice."""
    run("explain", photo, "-m", "evidence,grad_eclip", "--query", "dark mole", "-o", tmp_path / "first")
    (folder,) = (tmp_path / "first").iterdir()
    word = max((word.text for word in load_case(folder).caption.words), key=len)
    for words in (
        ("contrast", folder, "--word", word, "--against", "pale"),
        ("measure", folder, *FAST),
        ("contrast", folder, "--word", word, "--against", "pale mole"),
        ("query", folder, "--kind", "diagnosis", "--against", "nevus", "--", "-3 mm"),
        ("sanity", folder, "-m", "grad_eclip"),
        ("extend", folder, "-m", "rollout"),
        ("measure", folder, *FAST),
        ("sanity", folder),
    ):
        run(*words)
    return folder


def repeated(run, case, photo, tmp_path):
    """The case that its own commands make."""
    folder = None
    for line in case.made_by.command.split(AND):
        _, *words = [word for word in shlex.split(line) if not word.startswith("DERMAXAI_")]
        places = {"PHOTO": photo, "CASE": folder}
        run(*(places.get(word, word) for word in words), *(["-o", "second"] if "PHOTO" in words else []))
        (folder,) = (tmp_path / "second").iterdir()
    return load_case(folder)


def kind_of(heat):
    return heat.method, heat.target, heat.placement, heat.scalar, heat.layer, heat.variant


def test_its_commands_make_a_case_again(run, photos, tmp_path):
    case = load_case(asked(run, photos[0], tmp_path))
    again = repeated(run, case, photos[0], tmp_path)
    for one, other in zip(case.maps, again.maps, strict=True):
        assert np.array_equal(one.values, other.values)
        assert kind_of(one) == kind_of(other)
    for part in ("captions", "evidence", "scores", "concepts", "warnings", "made_by"):
        assert repr(getattr(again, part)) == repr(getattr(case, part)), f"{part}; NaN is nobody's equal"
    verbs = [line.split("dermaxai ")[1].split()[0] for line in case.made_by.command.split(AND)]
    assert verbs == [
        "explain", "contrast", "measure", "contrast", "query", "sanity", "extend", "measure", "sanity",
    ]  # fmt: skip


def test_the_same_again_is_told_once(model, photos):
    case = model.explain(photos[0])
    once = with_command(case, "dermaxai concepts CASE", [], model.encoder)
    assert with_command(once, "dermaxai concepts CASE", [], model.encoder).made_by == once.made_by
    assert once.made_by.command.endswith(" && dermaxai concepts CASE")


@pytest.mark.parametrize("penalty", [None, 0.2])
def test_the_search_for_concepts_is_understood(penalty):
    model = dermaxai.load("demo")
    case = model.explain(draw_phantom(sample_plans(1, seed=31)[0], seed=0).image)
    case = model.concepts(case, penalty=penalty)
    _, verb, *words = shlex.split(case.made_by.command.split(AND)[-1])
    asked = get_command(app).commands[verb].make_context(verb, words)
    assert (str(asked.params["case"]), asked.params["penalty"]) == ("CASE", penalty)
