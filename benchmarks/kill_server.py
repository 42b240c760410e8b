"""Does every job end exactly once, whatever is killed when?

    python -m benchmarks.kill_server [--rounds 10] [--jobs 50] [--kills 6] [--model M] [--postgresql]

Each round starts `dermaxai serve` on an empty folder and posts photos, each again and again under its own
Idempotency-Key until it is accepted. Meanwhile the server, its worker, or both are killed (SIGKILL), half of
the time while a job runs, and the server is started again. In the end every photo must have one job, every
job must have ended, every case must have been made once, be whole and be indexed as it is, the audit trail
must be intact, and nothing half-done may lie about.

Without `--model` a tiny one is made, that of the tests. With `--postgresql` the store is a PostgreSQL server
of our own, an empty database each round.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Thread
from uuid import uuid4

import numpy as np
from PIL import Image
from sqlalchemy import func, select

from dermaxai.cases import load_case
from dermaxai.errors import StoreError
from dermaxai.store.audit import verify
from dermaxai.store.opening import open_store
from dermaxai.store.tables import CaseRow, Event, Job

ENDED = ("done", "failed", "cancelled")
PATIENCE = 600.0
"""Seconds until a round counts as hanging."""
METHODS = "evidence,grad_cam"


@dataclass(frozen=True, slots=True)
class Round:
    """What a round of kills left."""

    jobs: int
    done: int
    failed: int
    """Ended as failed: the worker was killed three times while at the same job."""
    twice: int
    """Cases that were made more than once, or jobs with a second end in the audit trail."""
    lost: int
    """Photos without a job, jobs without an end, cases that cannot be read or are not those of the index."""
    left: int
    """Waiting photos of cases that are made, and folders that somebody was writing."""
    events: int
    intact: bool
    killed: dict[str, int]
    hit: int
    """Kills in the middle of a job."""
    seconds: float

    @property
    def good(self) -> bool:
        ended = self.done + self.failed == self.jobs
        return ended and not (self.twice or self.lost or self.left) and self.intact


def photo_of(number: int) -> bytes:
    """A small photo that no other has."""
    draw = np.random.default_rng(number)
    y, x = np.mgrid[0:96, 0:128]
    inside = np.hypot(y - 48, x - 64) < draw.uniform(15, 35)
    pixels = np.where(inside[..., None], (90, 60, 50), (220, 180, 160)) + draw.normal(0, 4, (96, 128, 3))
    buffer = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


class Server:
    """`dermaxai serve` on a port of its own, started again after every kill."""

    def __init__(self, folder: Path, model: str, url: str, log: Path) -> None:
        with socket.socket() as door:
            door.bind(("127.0.0.1", 0))
            self.port = door.getsockname()[1]
        self.command = [
            sys.executable, "-m", "dermaxai.cli", "serve", "--cases", str(folder), "--port", str(self.port),
            "--model", model, "--device", "cpu", "--threads", "1", "--queue", "1000",
        ]  # fmt: skip
        self.command += ["--store", url] if url else []
        self.log = log.open("ab")
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self.command, stdout=self.log, stderr=self.log)

    def worker(self) -> int | None:
        """The worker's process."""
        for task in Path(f"/proc/{self.process.pid}/task").glob("*/children"):
            try:
                children = task.read_text().split()
            except OSError:
                continue
            if children:
                return int(children[0])
        return None

    def kill(self, what: str) -> None:
        worker = self.worker()
        if what in ("worker", "both") and worker is not None:
            kill(worker)
        if what in ("server", "both"):
            kill(self.process.pid)
            self.process.wait()
            self.start()

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(60)
        self.log.close()


def kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def post(port: int, number: int, deadline: float) -> None:
    """Send a photo until it is accepted."""
    key, mark = uuid4().hex, uuid4().hex
    body = b"".join(
        [
            f"--{mark}\r\nContent-Disposition: form-data; name=methods\r\n\r\n{METHODS}\r\n".encode(),
            f"--{mark}\r\nContent-Disposition: form-data; name=file; filename=photo.png\r\n".encode(),
            b"Content-Type: image/png\r\n\r\n" + photo_of(number) + f"\r\n--{mark}--\r\n".encode(),
        ]
    )
    headers = {"Content-Type": f"multipart/form-data; boundary={mark}", "Idempotency-Key": key}
    while time.monotonic() < deadline:
        request = urllib.request.Request(f"http://127.0.0.1:{port}/api/cases", body, headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                json.load(answer)
            return
        except urllib.error.HTTPError as error:
            if error.code not in (429, 503):
                raise SystemExit(f"the server answered {error.code}: {error.read()[:300]!r}") from None
        except (OSError, ValueError):
            pass  # Not there at the moment.
        time.sleep(0.2)


def post_all(port: int, count: int, deadline: float) -> None:
    for number in range(count):
        post(port, number, deadline)


def torment(server: Server, store, draw: random.Random, kills: int, total: int) -> tuple[Counter, int]:
    """Kill at random moments, half of the time in the middle of a job; what was killed, and how often so."""
    killed, hit = Counter(), 0
    for number in range(kills):
        if wait_for(server, store, total, lambda running, number=number: number % 2 == 0 or running):
            break
        time.sleep(draw.uniform(0.0, 0.25) if number % 2 else draw.uniform(0.5, 8.0))
        what = draw.choice(["server", "worker", "both"])
        hit += bool(count_jobs(store).get("running"))
        server.kill(what)
        killed[what] += 1
    return killed, hit


def count_jobs(store) -> dict[str, int]:
    with store.read() as session:
        return dict(session.execute(select(Job.state, func.count()).group_by(Job.state)).all())


def wait_for(server: Server, store, total: int, found) -> bool:
    """Wait until all jobs have ended (True) or `found` says that something is so (False)."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            raise SystemExit("the server ended by itself; its log says why")
        try:
            counts = count_jobs(store)
        except StoreError:
            counts = {}
        if sum(counts.get(state, 0) for state in ENDED) >= total:
            return True
        if found(counts.get("running", 0)):
            return False
        time.sleep(0.01)
    return True


def look(folder: Path, store, jobs: int) -> dict[str, int | bool]:
    """What is there in the end."""
    with store.read() as session:
        rows = {row.id: row for row in session.scalars(select(CaseRow))}
        states = Counter(session.scalars(select(Job.state)))
        job_cases = list(session.scalars(select(Job.case_id)))
        ends = Counter(
            session.scalars(select(Event.subject).where(Event.action.in_(("case.made", "case.failed"))))
        )
        verified = verify(session)
    lost = abs(jobs - len(job_cases)) + sum(states[state] for state in ("waiting", "running"))
    for row in rows.values():
        if row.state == "ready":
            case = load_case(folder / row.folder)
            lost += case.image.sha256 != row.sha256 or len(case.maps) != row.maps or row.revision != 1
    waiting = {place.name for place in (folder / ".waiting").glob("*") if place.is_dir()}
    left = sum(name in rows and rows[name].state == "ready" for name in waiting)
    left += sum(1 for _ in (folder / ".making").glob("*"))
    return {
        "done": states["done"],
        "failed": states["failed"],
        "twice": sum(number > 1 for number in ends.values()) + len(job_cases) - len(set(job_cases)),
        "lost": lost,
        "left": left,
        "events": verified.count,
        "intact": verified.intact,
    }


def run_round(folder: Path, model: str, url: str, arguments: argparse.Namespace, seed: int) -> Round:
    begun, draw, cases = time.monotonic(), random.Random(seed), folder / "cases"
    server = Server(cases, model, url, folder / "log.txt")
    store = open_store(cases, url)
    deadline = begun + PATIENCE
    poster = Thread(target=post_all, args=(server.port, arguments.jobs, deadline))
    poster.start()
    killed, hit = torment(server, store, draw, arguments.kills, arguments.jobs)
    poster.join()
    wait_for(server, store, arguments.jobs, lambda _: False)
    server.stop()
    tidy_up(store, cases)
    found = look(cases, store, arguments.jobs)
    store.close()
    seconds = round(time.monotonic() - begun, 1)
    return Round(jobs=arguments.jobs, killed=dict(killed), hit=hit, seconds=seconds, **found)


def tidy_up(store, cases: Path) -> None:
    """What the next worker does first."""
    from dermaxai.jobs.keeping import tidy
    from dermaxai.store.shelf import Shelf

    tidy(store, Shelf(cases))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=50)
    parser.add_argument("--kills", type=int, default=6)
    parser.add_argument("--model", default="", help="a name or folder; by default the tiny one of the tests")
    parser.add_argument("--store", default="", help="URL of an empty database; then only one round")
    parser.add_argument("--postgresql", action="store_true", help="on a server that is started for this")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="also write the figures there")
    arguments = parser.parse_args()
    print(
        "round  jobs  done failed twice  lost  left events  chain  killed server, worker, both  in job secs",
        flush=True,
    )
    rounds = []
    with tempfile.TemporaryDirectory(dir=arguments.folder) as home, databases(arguments) as new_database:
        model = arguments.model or make_model(Path(home))
        for number in range(1 if arguments.store else arguments.rounds):
            folder = Path(home) / f"round-{number}"
            folder.mkdir()
            rounds.append(run_round(folder, model, new_database(), arguments, arguments.seed + number))
            show(number, rounds[-1])
    print(f"{sum(entry.good for entry in rounds)} of {len(rounds)} rounds: every job ended exactly once")
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(entry) for entry in rounds], indent=1) + "\n")
    if not all(entry.good for entry in rounds):
        raise SystemExit(1)


@contextmanager
def databases(arguments: argparse.Namespace) -> Iterator[Callable[[], str]]:
    """Gives the address of an empty database each time it is called; '' is a file in the folder of cases."""
    if not arguments.postgresql:
        yield lambda: arguments.store
        return
    from tests.databases import find_programs, make_database, start_server, stop_server, wait_for

    programs = find_programs()
    if programs is None:
        raise SystemExit("there is no PostgreSQL (initdb) on this machine")
    with tempfile.TemporaryDirectory(prefix="pg", dir="/tmp") as home:
        server = start_server(programs, Path(home))
        try:
            wait_for(Path(home))
            yield lambda: make_database(Path(home))
        finally:
            stop_server(server)


def make_model(folder: Path) -> str:
    from tests.tiny_model import write_bundle

    return str(write_bundle(folder / "model"))


def show(number: int, entry: Round) -> None:
    killed = ", ".join(str(entry.killed.get(what, 0)) for what in ("server", "worker", "both"))
    chain = "intact" if entry.intact else "BROKEN"
    numbers = (entry.jobs, entry.done, entry.failed, entry.twice, entry.lost, entry.left)
    told = "".join(f"{value:6}" for value in numbers)
    print(
        f"{number:5}{told} {entry.events:6} {chain:>6}  {killed:>27}  {entry.hit:6} {entry.seconds:4.0f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
