"""A real server under load: from its start to a page, from a photo to its first words, many at once.

    python -m benchmarks.serve [--photos 40] [--posting 16] [--reading 50] [--seconds 10] [--model demo]

`dermaxai serve` is started on an empty folder. Measured are the time to a usable page, to a model that is
loaded, from a photo to its caption and to its first map; then `--posting` readers post all photos at once,
each under a pseudonym: nothing may be lost or doubled, turns go round between them, memory stays bounded;
then `--reading` connections read the cases, first without a pause, then two cases a second each. The clients
run on the same machine and take their share of it.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import multiprocessing
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

import numpy as np
from PIL import Image

from dermaxai.client import Client, JobView
from dermaxai.phantom import draw_phantom, sample_plans

PATIENCE = 600
METHODS = ("evidence", "grad_eclip", "grad_cam")


def photos_of(count: int) -> list[bytes]:
    """Drawn photos, as JPEG; no two alike."""
    files = []
    for number, plan in enumerate(sample_plans(count, seed=11)):
        buffer = io.BytesIO()
        Image.fromarray(draw_phantom(plan, seed=number).image.pixels).save(buffer, "JPEG", quality=90)
        files.append(buffer.getvalue())
    return files


class Server:
    """`dermaxai serve` with its worker."""

    def __init__(self, folder: Path, *options: str) -> None:
        command = [
            sys.executable,
            "-m",
            "dermaxai.cli",
            "serve",
            "--cases",
            str(folder),
            "--port",
            "0",
            *options,
        ]
        self.log = (folder.parent / f"{folder.name}.log").open("wb")
        self.begun = time.perf_counter()
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log, text=True)
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().strip().rstrip("/")

    def since(self) -> float:
        return time.perf_counter() - self.begun

    def get(self, path: str) -> bytes:
        with urllib.request.urlopen(f"{self.address}{path}") as answer:
            return bytes(answer.read())

    def wait_for_model(self) -> float:
        while json.loads(self.get("/api/state"))["worker"]["state"] != "ready":
            time.sleep(0.05)
        return self.since()

    def memory(self) -> dict[str, float]:
        """Resident megabytes of server and worker."""
        found = {"server": _resident(self.process.pid)}
        for child in _children(self.process.pid):
            found["worker"] = max(found.get("worker", 0.0), _resident(child))
        return found

    def stop(self) -> float:
        begun = time.perf_counter()
        self.process.terminate()
        self.process.wait(PATIENCE)
        self.log.close()
        return time.perf_counter() - begun


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            found += map(int, task.read_text().split())
    return found


def _resident(pid: int) -> float:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
    return 0.0


@contextmanager
def watched(server: Server) -> Iterator[dict[str, float]]:
    """The most memory that was taken meanwhile."""
    most: dict[str, float] = {}
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.1):
            for name, size in server.memory().items():
                most[name] = max(most.get(name, 0.0), size)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield most
    finally:
        over.set()
        thread.join()


def first_words(server: Server, photo: bytes) -> dict[str, float]:
    """Seconds from sending a photo to its caption, its first map, and its end."""
    seen: dict[str, float] = {}
    with Client(server.address) as client:
        begun = time.perf_counter()

        def hear(job: JobView) -> None:
            done = [stage["name"] for stage in job.stages if stage["state"] == "done"]
            for name, stage in (("first caption", "caption"), ("first map", METHODS[0])):
                if stage in done:
                    seen.setdefault(name, time.perf_counter() - begun)

        client.describe(photo, methods=METHODS, on_progress=hear)
        seen["whole case, three methods"] = time.perf_counter() - begun
    return seen


def post_at_once(server: Server, photos: list[bytes], posting: int) -> dict[str, object]:
    """Every reader posts its share as fast as it can; what became of them."""
    accepted: list[tuple[str, str, float]] = []
    gate = threading.Barrier(posting)

    def post(reader: int) -> None:
        with Client(server.address) as client:
            client.sign_in(f"reader-{reader}")
            gate.wait()
            for photo in photos[reader::posting]:
                begun = time.perf_counter()
                told = client._to.ask(
                    "/api/cases", data={"methods": list(METHODS)}, files={"file": ("a.jpg", photo)}
                )
                accepted.append((f"reader-{reader}", told["case"], time.perf_counter() - begun))

    begun = time.perf_counter()
    with watched(server) as most:
        threads = [threading.Thread(target=post, args=(reader,)) for reader in range(posting)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        taken = time.perf_counter() - begun
        while (state := json.loads(server.get("/api/state")))["waiting"] + state["running"]:
            time.sleep(0.2)
    whole = time.perf_counter() - begun
    listed = json.loads(server.get("/api/cases?limit=500"))["cases"]
    made = [row["id"] for row in listed if row["state"] == "ready"]
    ids = [case for _, case, _ in accepted]
    return {
        "photos sent": len(photos),
        "accepted": len(ids),
        "accepted twice": len(ids) - len(set(ids)),
        "made": len(set(made) & set(ids)),
        "turns out of order": _unfairness(server, {case: owner for owner, case, _ in accepted}),
        "seconds until all were accepted": round(taken, 2),
        "accepting one, median": round(statistics.median(spent for *_, spent in accepted), 3),
        "accepting one, slowest": round(max(spent for *_, spent in accepted), 3),
        "seconds until all were made": round(whole, 1),
        "cases a second": round(len(ids) / whole, 2),
        **{f"{name}, MB at most": round(size) for name, size in most.items()},
    }


def _unfairness(server: Server, owners: dict[str, str]) -> int:
    """By how many cases one reader was ever served ahead of another that still waited."""
    jobs = [job for job in json.loads(server.get("/api/jobs?limit=200"))["jobs"] if job["case"] in owners]
    begun = sorted(jobs, key=lambda job: datetime.fromisoformat(job["started"]))
    wanted = Counter(owners.values())
    served: Counter[str] = Counter()
    worst = 0
    for job in begun:
        served[owners[job["case"]]] += 1
        waiting = [served[owner] for owner in wanted if served[owner] < wanted[owner]]
        worst = max(worst, max(served.values()) - min(waiting, default=max(served.values())))
    return max(0, worst - 1)


def first_reading(server: Server) -> dict[str, float]:
    """Milliseconds of the very first look at each case, one after the other: its page is made then."""
    times = []
    for row in json.loads(server.get("/api/cases?limit=500&state=ready"))["cases"]:
        begun = time.perf_counter()
        server.get(f"/api/cases/{row['id']}")
        times.append((time.perf_counter() - begun) * 1000)
    return {"median, ms": round(statistics.median(times), 1), "slowest, ms": round(max(times), 1)}


def read_cases(server: Server, reading: int, seconds: float, pause: float) -> dict[str, float]:
    """Milliseconds per case, over all connections, as a process of its own saw them."""
    ids = [row["id"] for row in json.loads(server.get("/api/cases?limit=500&state=ready"))["cases"]]
    ours, theirs = multiprocessing.Pipe()
    asked = (server.address.rpartition(":")[2], ids, reading, seconds, pause)
    reader = multiprocessing.get_context("spawn").Process(target=_read_all, args=(theirs, *asked))
    with watched(server) as most:
        reader.start()
        times = np.array(ours.recv())
        reader.join()
    shares = {f"p{share}, ms": float(np.percentile(times, share)) * 1000 for share in (50, 95, 99)}
    figures = {"cases a second": len(times) / seconds, **shares, "slowest, ms": float(times.max()) * 1000}
    return {name: round(value, 1) for name, value in (figures | {"server, MB": most["server"]}).items()}


def _read_all(pipe, port: str, ids: list[str], reading: int, seconds: float, pause: float) -> None:
    async def connections() -> list[list[float]]:
        return await asyncio.gather(
            *(_read_on(int(port), ids, number, seconds, pause) for number in range(reading))
        )

    pipe.send([spent for times in asyncio.run(connections()) for spent in times])


async def _read_on(port: int, ids: list[str], number: int, seconds: float, pause: float) -> list[float]:
    """One connection that is kept open; answers are read to their last byte."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    times: list[float] = []
    await asyncio.sleep(pause * number / 50)
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        case = ids[(number + len(times)) % len(ids)]
        begun = time.perf_counter()
        request = f"GET /api/cases/{case} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept-Encoding: gzip\r\n\r\n"
        writer.write(request.encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        size = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(int(size.split(b":")[1]))
        spent = time.perf_counter() - begun
        times.append(spent)
        await asyncio.sleep(max(0.0, pause - spent))
    writer.close()
    return times


def measure(arguments: argparse.Namespace, home: Path) -> dict[str, object]:
    photos = photos_of(arguments.photos + 1)
    figures: dict[str, object] = {}
    bare = Server(home / "bare", "--no-model")
    bare.get("/")
    figures["usable page without a model, s"] = round(bare.since(), 2)
    figures["stopped, without a model, s"] = round(bare.stop(), 2)
    server = Server(home / "cases", "--model", arguments.model, "--queue", "1000")
    server.get("/")
    figures["usable page, a model loading behind it, s"] = round(server.since(), 2)
    figures["model loaded, s"] = round(server.wait_for_model(), 2)
    first_words(server, photos[-1])
    figures |= {name: round(value, 2) for name, value in first_words(server, photos[-1]).items()}
    figures["posting at once"] = post_at_once(server, photos[:-1], arguments.posting)
    figures["first reading of a case"] = first_reading(server)
    figures["reading without a pause"] = read_cases(server, arguments.reading, arguments.seconds, 0.0)
    figures["reading two a second each"] = read_cases(server, arguments.reading, arguments.seconds, 0.5)
    figures["stopped, s"] = round(server.stop(), 2)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=40)
    parser.add_argument("--posting", type=int, default=16)
    parser.add_argument("--reading", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--model", default="demo")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        before = os.getloadavg()[0]
        figures = measure(arguments, Path(home))
    cores = len(os.sched_getaffinity(0))
    print(f"{platform.machine()}, {cores} cores, load before {before:.1f}, after {os.getloadavg()[0]:.1f}")
    for name, value in figures.items():
        if isinstance(value, dict):
            print(name)
            for inner, number in value.items():
                print(f"  {inner:32} {number}")
        else:
            print(f"{name:44} {value}")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
