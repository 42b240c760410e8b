"""Workers and servers that are killed (SIGKILL) at bad moments: every job ends once, and nothing is left."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from dermaxai.cases import load_case
from dermaxai.jobs.lease import machine
from dermaxai.jobs.supervisor import Supervisor
from tests.jobs.child import STEPS
from tests.jobs.posting import case_row, events, job_of, post_photo, wait_for

CHILD = str(Path(__file__).with_name("child.py"))


def options_of(store, url=""):
    model = SimpleNamespace(name="none", options=())
    return SimpleNamespace(cases=store.folder, url=url, models=(model,), settings=())


@pytest.fixture
def supervise():
    """Starts workers, and stops them when the test is over."""
    started = []

    def start(options, *how):
        supervisor = Supervisor(options, [sys.executable, CHILD, *how])
        started.append(supervisor)
        supervisor.start()
        return supervisor

    yield start
    for supervisor in started:
        supervisor.stop()


def at_hand(job):
    """Whether a worker has shown something of the job's case."""
    return job.state == "running" and job.content > 0


def worker_of(job):
    return int(job.worker.removeprefix(f"{machine()}:").split(":")[0])


def check_whole(store, jobs):
    """Each photo became one case, of its own pixels, indexed once; nothing else lies about."""
    made = events(store, "case.made")
    for job in jobs:
        row = case_row(store, job.case_id)
        assert (row.state, row.revision) == ("ready", 1)
        assert made["case.made", job.case_id] == 1
        assert load_case(store.folder / row.folder).image.sha256 == row.sha256
    assert not list((store.folder / ".waiting").glob("*"))
    assert not list((store.folder / ".making").glob("*"))


def test_a_worker_that_is_killed_in_the_middle_is_started_again_and_ends_the_job(store, database, supervise):
    job = post_photo(store)
    supervisor = supervise(options_of(store, database.url), "hang")
    before = wait_for(store, job, at_hand)
    os.kill(worker_of(before), signal.SIGKILL)
    after = wait_for(store, job)
    assert (after.state, after.attempts) == ("done", 2)
    assert supervisor.state()["state"] == "ready"
    supervisor.stop()
    check_whole(store, [job])


def test_a_server_that_is_killed_takes_its_worker_with_it_and_nothing_else(sqlite_store, supervise):
    store = sqlite_store
    jobs = [post_photo(store, owner) for owner in "aab"]
    told = vars(options_of(store)) | {"cases": str(store.folder), "models": []}
    server = start_owner(told)
    worker = int(server.stdout.readline())
    running = wait_for(store, jobs[0], at_hand)
    assert worker_of(running) == worker
    for victim in (server.pid, worker):
        os.kill(victim, signal.SIGKILL)
    server.wait()
    server.stdout.close()
    server.stdin.close()
    supervisor = supervise(options_of(store), "plain")
    ended = [wait_for(store, job) for job in jobs]
    assert [(job.state, job.attempts) for job in ended] == [("done", 2), ("done", 1), ("done", 1)]
    supervisor.stop()
    check_whole(store, jobs)


def start_owner(told):
    command = [sys.executable, CHILD, "owner", "hang"]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    server.stdin.write(json.dumps(told) + "\n")
    server.stdin.flush()
    return server


@pytest.mark.parametrize("step", STEPS)
def test_a_kill_between_any_two_steps_of_keeping_a_case(sqlite_store, supervise, tmp_path, step):
    mark = tmp_path / "killed"
    job = post_photo(sqlite_store)
    supervisor = supervise(options_of(sqlite_store), step, str(mark))
    assert wait_for(sqlite_store, job).state == "done"
    after = post_photo(sqlite_store)
    wait_for(sqlite_store, after)
    assert mark.exists()
    supervisor.stop()
    check_whole(sqlite_store, [job_of(sqlite_store, one) for one in (job, after)])


def test_a_worker_whose_server_stops_gives_its_job_back(sqlite_store, supervise, monkeypatch):
    job = post_photo(sqlite_store)
    supervisor = supervise(options_of(sqlite_store), "hang")
    wait_for(sqlite_store, job, at_hand)
    supervisor.stop()
    assert supervisor.pid is None
    left = job_of(sqlite_store, job)
    assert (left.state, left.attempts, left.claim) == ("waiting", 0, None)
