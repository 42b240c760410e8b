"""`dermaxai study` as its user calls it, with the evaluations themselves on a tiny model."""

import csv
import json
import shlex

import pytest
from typer.testing import CliRunner

from dermaxai.cli import app
from tests.study.world import draw, hashes

RECIPE = """
[study]
name = "tried"
about = "Is Grad-CAM better than rollout?"
[[data]]
name = "drawn"
on = "{folder}/photos"
split = "all"
[[model]]
name = "{bundle}"
called = "tiny"
[[explanations]]
methods = ["grad_cam", "rollout"]
metrics = ["deletion", "insertion", "sparseness"]
questions = ["word", "query"]
texts = "lesion"
protocol = {{ steps = 2, random_maps = 2 }}
[[claim]]
name = "order"
ranking = ["grad_cam", "rollout"]
conditions = ["query"]
"""


@pytest.fixture(scope="module")
def recipe(tmp_path_factory, bundle):
    folder = tmp_path_factory.mktemp("study")
    (folder / "photos").mkdir()
    for place in range(4):
        draw(folder / "photos" / f"{place}.png", place)
    path = folder / "tried.toml"
    path.write_text(RECIPE.format(folder=folder, bundle=bundle), encoding="utf-8")
    return path


def call(*words):
    return CliRunner().invoke(app, ["study", *map(str, words)])


@pytest.fixture(scope="module")
def finished(recipe, tmp_path_factory):
    """The folder of a study, that of its published page, and what was printed."""
    folder = tmp_path_factory.mktemp("finished")
    done = call(recipe, "-o", folder / "out", "--jobs", 1, "--publish", folder / "docs")
    assert done.exit_code == 0, done.output
    return folder / "out", folder / "docs", done.stdout.splitlines()


def test_estimate_says_what_is_missing_and_writes_no_results(recipe, tmp_path):
    done = call(recipe, "-o", tmp_path / "out", "--jobs", 1, "--estimate")
    assert done.exit_code == 0, done.output
    assert "explanations/tiny/drawn: 4 photos, 2 in the cache, 2 missing at" in done.stdout
    assert "1 tasks, 2 photos to do: about" in done.stdout
    assert not (tmp_path / "out" / "results").exists()


def test_a_study_prints_its_claims_and_its_folder(finished):
    out, docs, lines = finished
    assert lines[0].startswith("order: The data ")
    assert any("better than the" in line for line in lines)
    assert lines[-1] == str(out / "results")
    (claim,) = json.loads((out / "results" / "claims.json").read_text(encoding="utf-8"))
    assert {cell["metric"] for cell in claim["cells"]} == {"deletion", "insertion"}
    assert {cell["condition"] for cell in claim["cells"]} == {"query"}
    assert (docs / "tried.md").is_file()


def test_a_second_run_finds_everything_and_writes_the_same(recipe, finished):
    out, _, _ = finished
    first = hashes(out / "results")
    again = call(recipe, "-o", out, "--jobs", 2)
    assert again.exit_code == 0, again.output
    assert "4 photos, 4 in the cache" in again.stderr
    assert hashes(out / "results") == first


def test_methods_state_every_setting(finished):
    out, _, _ = finished
    text = (out / "results" / "METHODS.md").read_text(encoding="utf-8")
    for said in (
        "Grad-CAM, variant 'reference' (Grad-CAM (arXiv:1610.02391)", "arXiv:2005.00928",
        "their tokens were dropped before the first block, in 2 equal shares", "random orders",
        "(query) where the photo matches a text", "4 photos in 4 clusters", "float32", "1 thread per process",
        "2,000 bootstrap resamples", "Holm", "torch", "`deletion`", "lower is better",
        "captioner tiny captioner",
    ):  # fmt: skip
        assert said in text, said
    bib = (out / "results" / "sources.bib").read_text(encoding="utf-8")
    assert "Selvaraju" in bib
    assert "holm1979" in bib


def test_the_command_of_a_number_gives_it_again(finished, tmp_path):
    """Run as it stands beside the number, with another folder for its results."""
    out, _, _ = finished
    told = rows_of(out / "results" / "commands.csv")
    (command,) = {row["command"] for row in told}
    words = shlex.split(command)[1:]
    done = CliRunner().invoke(app, [*words, "-o", str(tmp_path / "again")])
    assert done.exit_code == 0, done.output
    found = {
        (row["condition"], row["contestant"], row["metric"]): row["value"]
        for row in rows_of(tmp_path / "again" / "table.csv")
    }
    for row in told:
        value = found[row["condition"], row["contestant"], row["metric"]]
        assert float(value) == pytest.approx(float(row["value"]), rel=1e-4), row


def rows_of(path):
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def test_mistakes_are_told_without_a_traceback(recipe, tmp_path):
    done = call(recipe, "-o", tmp_path, "--set", "data.drawn.lmit=3", "--set", "explanations.0.metrics=['x']")
    assert done.exit_code == 2
    assert "tried.toml: 2 faults:" in done.stderr
    assert "Did you mean 'limit'?" in done.stderr
    assert "Traceback" not in done.output
    gone = call(recipe, "-o", tmp_path, "--set", "data.drawn.on=/nowhere")
    assert gone.exit_code == 2
    assert "'/nowhere' is no folder" in gone.stderr
