"""A study ends in the same files however often it was stopped and by however many processes it was done."""

import csv
import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from dermaxai.errors import SettingError, UnknownName, UsageError
from dermaxai.study.recipe import read_study
from dermaxai.study.running import Way, estimate_study, evaluate_study, run_study
from dermaxai.study.writing import publish
from tests.study.fakes import DELAY, LOG, WORK
from tests.study.world import draw, hashes, write_world

HOME = Path(__file__).parents[2]
PHOTOS = 6
DONE = 3 * PHOTOS
"""Photos of all tasks that can be used: two sets in one task each, the first in another."""


@pytest.fixture(scope="module")
def world(tmp_path_factory, bundle):
    return write_world(tmp_path_factory.mktemp("world"), bundle, PHOTOS)


@pytest.fixture
def log(tmp_path, monkeypatch):
    """Photos that were worked on, in all processes."""
    path = tmp_path / "worked.log"
    monkeypatch.setenv(LOG, str(path))

    def counts():
        return Counter(path.read_text(encoding="utf-8").split("\n")[:-1]) if path.exists() else Counter()

    return counts


@pytest.fixture(scope="module")
def whole(world, tmp_path_factory):
    """The results of a study that nobody stopped."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(LOG, str(folder / "worked.log"))
        return run(world, folder / "out")


def run(world, out, *changes, **way):
    return run_study(read_study(world, changes, work=WORK), Way(out, work=WORK, **way))


def evaluated(world, out, *changes, **way):
    """Without writing, which takes longest."""
    return evaluate_study(read_study(world, changes, work=WORK), Way(out, work=WORK, **way))


def estimated(world, out, *changes, **way):
    return estimate_study(read_study(world, changes, work=WORK), Way(out, work=WORK, **way))


def test_the_results_are_whole(world, whole):
    assert {
        "METHODS.md", "claims.md", "claims.json", "commands.csv", "sources.bib", "study.json",
        "claims/order.svg", "claims/order.png", "table.csv", "summary.json",
    } <= set(hashes(whole.folder))  # fmt: skip


def test_a_second_run_computes_nothing_and_changes_nothing(world, whole, tmp_path, log):
    evaluated(world, tmp_path / "out")
    first = log()
    assert sum(first.values()) == DONE + 2  # the captions' first photos are tried before, and not kept
    written = run(world, tmp_path / "out")
    assert log() == first
    assert hashes(written.folder) == hashes(whole.folder)


@pytest.mark.slow
def test_processes_change_nothing(world, whole, tmp_path, log):
    written = run(world, tmp_path / "out", jobs=2)
    assert hashes(written.folder) == hashes(whole.folder)
    assert sum(log().values()) == DONE + 2
    assert not list((tmp_path / "out" / "cache").glob("*.new"))


@pytest.mark.slow
@pytest.mark.parametrize(("jobs", "sign"), [(1, signal.SIGKILL), (2, signal.SIGKILL), (2, signal.SIGINT)])
def test_stopped_anywhere_and_finished(world, whole, tmp_path, log, monkeypatch, jobs, sign):
    """Only what was missing is computed, and the files are those of an undisturbed run."""
    monkeypatch.setenv(DELAY, "0.05")
    command = [sys.executable, "-m", "tests.study.world", str(world), str(tmp_path / "out"), str(jobs)]
    process = subprocess.Popen(command, cwd=HOME, stderr=subprocess.DEVNULL, start_new_session=True)
    wait_for(lambda: sum(log().values()) >= random.Random(jobs).randint(3, 8), process)
    process.send_signal(sign)
    process.wait()
    wait_for(lambda: not running_in(process.pid), None)
    before = sum(log().values())
    assert before < DONE
    assert not (tmp_path / "out" / "results").exists()
    monkeypatch.setenv(DELAY, "0")
    written = run(world, tmp_path / "out")
    assert hashes(written.folder) == hashes(whole.folder)
    # Each stop may cost the one photo that a process was working on, and tried ones of captions.
    assert sum(log().values()) <= DONE + 2 + 2 + jobs


def wait_for(condition, process):
    for _ in range(1200):
        if condition():
            return
        assert process is None or process.poll() is None, "the study ended before it was stopped"
        time.sleep(0.05)
    raise AssertionError("waited in vain")


def running_in(session):
    """Processes of a session that are alive."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == session and fields[0] != "Z":
                found.append(int(entry.name))
    return found


def test_studies_that_share_a_cache_share_photos(world, tmp_path, log):
    cache = tmp_path / "cache"
    changes = ("captions=[]", "data.first.limit=4")
    evaluated(world, tmp_path / "one", *changes, cache=cache)
    small = log()
    assert sum(small.values()) == 4 + PHOTOS
    evaluated(world, tmp_path / "two", "captions=[]", cache=cache)
    assert sum(log().values()) == 2 * PHOTOS
    assert set(log().values()) == {1}


def test_another_plan_is_another_key(world, tmp_path, log):
    cache = tmp_path / "cache"
    evaluated(world, tmp_path / "one", "captions=[]", cache=cache)
    evaluated(world, tmp_path / "two", "captions=[]", "study.seed=5", cache=cache)
    assert sum(log().values()) == 4 * PHOTOS


def test_a_changed_photo_is_done_again(tmp_path, bundle, log):
    world = write_world(tmp_path, bundle, 3)
    evaluated(world, tmp_path / "out", "captions=[]")
    draw(tmp_path / "first" / "01.png", 12345)
    evaluated(world, tmp_path / "out", "captions=[]")
    counts = log()
    assert sum(counts.values()) == 2 * 3 + 1
    assert counts["first/01"] == 2


def test_only_some_tasks(world, tmp_path, log):
    evaluated(world, tmp_path / "out", only=("second",))
    assert {name.partition("/")[0] for name in log()} == {"second"}
    with pytest.raises(UnknownName, match="Did you mean 'second'"):
        evaluated(world, tmp_path / "out", only=("secnd",))


def test_the_estimate_counts_what_is_there_and_what_is_missing(world, tmp_path, log, monkeypatch):
    monkeypatch.setenv(DELAY, "0.05")
    first = estimated(world, tmp_path / "out")
    assert [(task.photos, task.missing) for task in first.tasks] == [(6, 6), (6, 4), (7, 5)]
    assert 0.04 < first.tasks[1].pace < 1
    assert first.seconds > 0.05 * 4
    assert "photos to do: about" in first.lines()[-1]
    assert not (tmp_path / "out" / "results").exists()
    evaluated(world, tmp_path / "out")
    after = estimated(world, tmp_path / "out")
    assert [task.missing for task in after.tasks] == [0, 0, 1], "the broken photo is tried each time"


def test_photos_that_fail_are_told(whole):
    methods = (whole.folder / "METHODS.md").read_text(encoding="utf-8")
    assert "maps/tiny/second: 1 photos failed." in methods


def test_every_number_has_its_command(whole):
    rows = list(csv.DictReader((whole.folder / "commands.csv").read_text(encoding="utf-8").splitlines()))
    assert len(rows) == 9
    assert all(row["command"].startswith("dermaxai evaluate ") for row in rows)
    claims = json.loads((whole.folder / "claims.json").read_text(encoding="utf-8"))
    values = {(row["task"], row["contestant"]): float(row["value"]) for row in rows}
    (first, _) = claims[0]["cells"]
    for one in first["standings"]:
        assert values["maps/tiny/first", one["contestant"]] == pytest.approx(one["value"], rel=1e-5)


def test_nothing_of_the_machine_is_in_the_words(world, whole):
    for name in ("METHODS.md", "claims.md"):
        assert str(world.parent) not in (whole.folder / name).read_text(encoding="utf-8")


def test_one_study_at_a_time_on_a_cache(world, tmp_path, log):
    import fcntl

    (tmp_path / "out" / "cache").mkdir(parents=True)
    with (tmp_path / "out" / "cache" / ".lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(UsageError, match="Another study is working"):
            run(world, tmp_path / "out")


def test_claims_about_what_is_not_evaluated_are_found_before_anything_is_computed(world, tmp_path, log):
    changes = (
        "claim.order.ranking=['grad_cam', 'c']",
        "claim.order.conditions=['wrd']",
        "claim.order.metrics=['x']",
    )
    with pytest.raises(SettingError, match="3 faults") as told:
        run(world, tmp_path / "out", *changes)
    assert "No question of its plans is called 'wrd'. Did you mean 'word'?" in str(told.value)
    assert not log()


def test_publishing_copies_claims_and_methods(world, whole, tmp_path):
    place = tmp_path / "docs"
    page = publish(read_study(world, work=WORK), whole.folder, place).read_text(encoding="utf-8")
    assert "![Estimates and 95 % intervals](tried/order.svg)" in page
    assert (place / "tried" / "order.svg").is_file()
    assert "## Methods" in page
    assert sorted(hashes(place)) == ["tried.md", "tried/order.svg"]
