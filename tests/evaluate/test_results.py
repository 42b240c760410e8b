import dataclasses
import hashlib
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dermaxai.data.samples import Sample
from dermaxai.errors import DataError, UnknownName, UsageError
from dermaxai.evaluate.gathering import gather_noted
from dermaxai.evaluate.items import Evaluation
from dermaxai.evaluate.pages import PageOptions
from dermaxai.evaluate.records import Records, failures, work_through
from dermaxai.evaluate.results import read_results, write_results
from dermaxai.images import read_image
from dermaxai.measure.columns import mean_column
from dermaxai.measure.scale import Scale
from tests.evaluate.made import make_evaluation
from tests.evaluate.small_set import draw_items

ROOT = Path(__file__).parents[2]


def hashes(folder):
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results") / "here"
    evaluation = make_evaluation(40)
    return folder, evaluation, write_results([evaluation], folder, by=["sex"], seed=4)


def test_everything_is_there_and_known_by_its_hash(written):
    folder, _, results = written
    names = {path.name for path in folder.iterdir()}
    assert names == {
        "summary.json", "values.csv", "table.csv", "baselines.csv", "comparisons.csv", "gaps.csv", "table.md",
        "comparisons.md", "table.tex", "figures", "cases",
    }  # fmt: skip
    found = hashes(folder)
    del found["summary.json"]
    assert json.loads((folder / "summary.json").read_text("utf-8"))["files"] == found
    assert {path.as_posix() for path in results.files} == set(found)


def test_the_summary_tells_what_numbers_depend_on(written):
    folder, evaluation, _ = written
    document = json.loads((folder / "summary.json").read_text("utf-8"))
    assert (document["seed"], document["by"], document["few"]) == (4, ["sex"], 30)
    (told,) = document["evaluations"]
    assert told["command"] == evaluation.command
    assert told["settings"] == dict(evaluation.settings)
    assert told["notes"] == ["A note."]
    assert (told["photos"], told["conditions"]) == (40, ["word"])
    assert told["baselines"] == ["random map", "centred gaussian"]
    assert told["metrics"]["deletion"] == {
        "title": "Deletion",
        "better": "lower",
        "unit": "share",
        "range": "0 to 1",
        "source": "Petsiuk et al. 2018",
    }
    lesions = {item.cluster for item in evaluation.items if item.cluster}
    assert told["clusters"] == len(lesions) + 8
    assert {
        "evaluation": "explanations",
        "condition": "word",
        "metric": "deletion",
        "contestant": "grad_eclip",
    } in (document["best"])


def test_what_was_written_is_read_back(written):
    folder, evaluation, results = written
    back = read_results(folder)
    assert len(back.table) == len(results.summary.cells)
    for row, cell in zip(back.table, results.summary.cells, strict=True):
        assert (row["contestant"], row["metric"], row["group"]) == (
            cell.contestant,
            cell.scale.name,
            cell.group,
        )
        assert (row["value"], row["low"], row["n"]) == (
            cell.estimate.value,
            cell.estimate.low,
            cell.estimate.n,
        )
        assert (row["few"], row["baseline"]) == (cell.few, cell.is_baseline)
    assert [row["p"] for row in back.comparisons] == [one.difference.p for one in results.summary.comparisons]
    mine = [
        row["value"] for row in back.values if (row["contestant"], row["metric"]) == ("grad_cam", "deletion")
    ]
    assert mine == evaluation.columns[0].parts[:, 0].tolist()
    assert back.document["evaluations"][0]["name"] == "explanations"
    assert any(math.isnan(row["over_baseline"]) for row in back.table if row["baseline"])


AGAIN = """
import sys
from pathlib import Path
from dermaxai.evaluate.results import write_results
from tests.evaluate.made import make_evaluation
write_results([make_evaluation(40)], Path(sys.argv[1]), by=["sex"], seed=4)
"""


def test_another_process_writes_the_same_bytes(written, tmp_path):
    folder, _, _ = written
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "PYTHONHASHSEED": "7",
        "TZ": "Asia/Tokyo",
        "LANG": "C",
    }
    subprocess.run(
        [sys.executable, "-c", AGAIN, str(tmp_path / "again")], check=True, cwd=ROOT, env=environment
    )
    assert hashes(tmp_path / "again") == hashes(folder)


def test_what_an_earlier_call_wrote_is_removed_and_nothing_else(tmp_path):
    write_results([make_evaluation(8, ("grad_cam",))], tmp_path)
    (tmp_path / "mine.txt").write_text("mine")
    (tmp_path / "figures" / "mine.pdf").write_text("mine")
    write_results([make_evaluation(8, ("grad_cam",))], tmp_path, pages=None, figures=False)
    fresh = tmp_path / "fresh"
    write_results([make_evaluation(8, ("grad_cam",))], fresh, pages=None, figures=False)
    left = hashes(tmp_path)
    assert {name for name in left if name.startswith("fresh/")} == {f"fresh/{name}" for name in hashes(fresh)}
    others = {name for name in left if not name.startswith("fresh/")}
    assert others == set(hashes(fresh)) | {"mine.txt", "figures/mine.pdf"}
    assert not {"cases", "figures"} & {path.name for path in fresh.iterdir()}


def test_files_of_others_are_not_removed_by_a_changed_summary(tmp_path):
    (tmp_path / "results").mkdir()
    (tmp_path / "precious.txt").write_text("precious")
    names = {"../precious.txt": "", str(tmp_path / "precious.txt"): ""}
    (tmp_path / "results" / "summary.json").write_text(json.dumps({"files": names}))
    write_results([make_evaluation(8, ("grad_cam",))], tmp_path / "results", pages=None, figures=False)
    assert (tmp_path / "precious.txt").read_text() == "precious"


def test_several_evaluations_in_one_folder(tmp_path):
    one, other = make_evaluation(8, ("a",)), make_evaluation(8, ("a",), kind="captions", seed=1)
    results = write_results([one, other], tmp_path, pages=None, figures=False)
    assert results.summary.evaluations == ("explanations", "captions")
    assert {row["evaluation"] for row in read_results(tmp_path).table} == {"explanations", "captions"}


def test_what_cannot_be_written(tmp_path):
    with pytest.raises(UsageError, match="Nothing was measured"):
        write_results([dataclasses.replace(make_evaluation(4), columns=())], tmp_path / "x")
    with pytest.raises(UnknownName):
        write_results([make_evaluation(4)], tmp_path / "x", by=["colour"])
    assert not (tmp_path / "x").exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        write_results([make_evaluation(4)], tmp_path / "file" / "x")


def test_what_cannot_be_read(tmp_path):
    with pytest.raises(DataError, match="no whole results"):
        read_results(tmp_path)
    (tmp_path / "summary.json").write_text("[]")
    with pytest.raises(DataError, match="no whole results"):
        read_results(tmp_path)
    (tmp_path / "summary.json").write_text('{"format": 99}')
    with pytest.raises(DataError, match="format 99; 1 is read"):
        read_results(tmp_path)


def test_from_a_folder_of_photos_to_results(tmp_path):
    """Gathered, measured, recorded, interrupted, measured again, written: the way of every evaluation."""
    draw_items(tmp_path / "set", 4)
    (tmp_path / "set" / "broken.jpg").write_bytes(b"no photo")
    gathered = gather_noted([str(tmp_path / "set")])
    assert sum(item.mask is not None for item in gathered.items) == 4
    light, area = Scale("light", "Light", "higher", "share"), Scale("dark", "Dark pixels", "lower", "share")
    asked = []

    def work(item):
        asked.append(item.id)
        pixels = read_image(item.path).pixels / 255
        return {"light": pixels.mean(), "dark": (pixels < 0.4).mean()}

    def evaluate():
        with Records.open(tmp_path / "records", {"metric": "light", "version": "1"}) as records:
            documents = work_through(gathered.items, records, work)
        told = [
            (item.id, one) for item, one in zip(gathered.items, documents, strict=True) if "error" not in one
        ]
        columns = tuple(
            mean_column("photo", "as it is", scale, [(row, one[scale.name]) for row, one in told])
            for scale in (light, area)
        )
        notes = (*gathered.notes, *failures(gathered.items, documents))
        return Evaluation("encoders", columns, gathered.items, {"what": "light"}, "none", notes)

    options = PageOptions(photos=True)
    first = write_results([evaluate()], tmp_path / "one", by=["dataset"], pages=options, figures=False)
    second = write_results([evaluate()], tmp_path / "two", by=["dataset"], pages=options, figures=False)
    assert hashes(tmp_path / "one") == hashes(tmp_path / "two")
    assert asked.count("set/photo_0") == 1
    assert asked.count("set/broken") == 2, "what failed is tried again"
    assert first.summary == second.summary
    assert [cell.estimate.n for cell in first.summary.cells] == [4, 4, 4, 4]
    notes = read_results(tmp_path / "one").document["evaluations"][0]["notes"]
    assert any("1 of 5 photos could not be used; the first, set/broken" in note for note in notes)
    assert len(list((tmp_path / "one" / "cases" / "photos").glob("*.jpg"))) == 4
    assert isinstance(gathered.items[0].sample, Sample)
