"""The worker by itself, and the command that adds methods."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dermaxai.cases import load_case
from dermaxai.cli import app
from dermaxai.commands.options import Choice
from dermaxai.commands.working import options_of
from dermaxai.store.opening import open_store
from tests.jobs.posting import job_of, post_photo, wait_for

pytestmark = pytest.mark.usefixtures("plain_environment")


def test_a_worker_says_how_it_stands_does_its_jobs_and_stops_when_told(bundle, tmp_path):
    store = open_store(tmp_path / "cases")
    job = post_photo(store, methods=["evidence"])
    command = [sys.executable, "-m", "dermaxai.cli", "worker", "--cases", str(store.folder)]
    command += ["--model", str(bundle), "--device", "cpu", "--threads", "1"]
    worker = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    ended = wait_for(store, job)
    worker.send_signal(signal.SIGTERM)
    out, log = worker.communicate(timeout=120)
    assert worker.returncode == 0
    assert (ended.state, job_of(store, job).attempts) == ("done", 1)
    assert [json.loads(line)["state"] for line in out.splitlines()] == ["loading", "ready"]
    assert f"job {job.id}, explain: done" in log
    assert "a private name" not in log
    store.close()


def test_options_of_the_command_are_those_of_the_worker():
    choice = Choice("here", source="weights", device="cpu", seed=0, threads=2, offline=True)
    options = options_of(choice, Path("cases"), "postgresql:///x")
    assert (options.cases, options.url) == ("cases", "postgresql:///x")
    assert options.models == (("here", {"source": "weights"}),)
    assert dict(options.settings) == {"device": "cpu", "seed": "0", "threads": "2", "offline": "True"}
    assert options_of(Choice(), Path("cases"), "").models == (("demo", {}),)


def test_extending_a_case_adds_the_maps_of_more_methods(model, bundle, photos, tmp_path):
    home = tmp_path / "case"
    model.explain(photos[0], ["evidence"]).save(home)
    asked = [
        "extend",
        str(home),
        "-m",
        "grad_cam,rollout",
        "--model",
        str(bundle),
        "--device",
        "cpu",
        "--json",
    ]
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 0, done.output
    assert {heat.method for heat in load_case(home).maps} >= {"evidence", "grad_cam", "rollout"}
    wrong = CliRunner().invoke(app, ["extend", str(home), "-m", "grad_can", "--model", str(bundle)])
    assert wrong.exit_code == 2
    assert "grad_cam" in wrong.output
