import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from dermaxai.captioner import load_captioner
from dermaxai.training.journal import read_journal
from dermaxai.training.loop import Training
from dermaxai.training.team import AcceleratedTeam
from tests.training.small import job

HOME = Path(__file__).parent.parent.parent


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def start(rank, port, folder, accumulate):
    world = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.training.worker", str(folder), str(accumulate)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(command, cwd=HOME, env={**os.environ, **world, **place}, **pipes)


def losses(folder):
    return [one["loss"] for one in read_journal(folder / "log.jsonl")]


@pytest.mark.slow
@pytest.mark.parametrize("accumulate", [1, 2])
def test_two_processes_equal_one(tmp_path, accumulate):
    """Data parallel over gloo: losses, gradients and weights of one process, with noise, without dropout."""
    port = free_port()
    workers = [start(rank, port, tmp_path / "two", accumulate) for rank in (0, 1)]
    team = AcceleratedTeam("cpu")
    Training(job(team, noise=0.1, shift=0.1), tmp_path / "one", team).run()
    for worker in workers:
        output, _ = worker.communicate(timeout=300)
        assert worker.returncode == 0, output
    assert json.loads((tmp_path / "two" / "run.json").read_text())["processes"] == 2
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), abs=1e-5)
    one, two = (load_captioner(tmp_path / name / "captioner").state_dict() for name in ("one", "two"))
    for name, value in one.items():
        assert (value - two[name]).abs().max() < 1e-5, name


@pytest.mark.slow
def test_killed_at_random_moments_and_resumed():
    """The benchmark with few kills; `python -m benchmarks.kill_training` does twenty."""
    command = [sys.executable, "-m", "benchmarks.kill_training", "--kills", "3", "--steps", "15"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=HOME, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["equal"] is True


def test_a_single_process_is_a_team():
    team = AcceleratedTeam("cpu")
    assert (team.rank, team.world, team.leads) == (0, 1, True)
    assert team.total([1.0, 2.5]) == [1.0, 2.5]
