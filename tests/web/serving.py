"""Servers for the page: one in a thread whose worker is the test, and one as a process of its own."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path

import uvicorn

from dermaxai.api.app import create_app
from dermaxai.api.state import ServedModel, ServeOptions, ServerState
from dermaxai.cases import load_case, save_case
from dermaxai.jobs import queue
from dermaxai.store.adopting import adopt_folders
from dermaxai.store.cases import find_case, index_case
from dermaxai.store.opening import open_store
from dermaxai.store.shelf import Shelf
from dermaxai.viewer import case_to_page
from tests.sample_case import make_case, write_caption

PATIENCE = 60
VIEWS = {
    "#/": ".example-row img",
    "#/cases": ".case-row",
    "#/cases?text=nothing": ".emptiness",
    "#/case/first": ".viewer .thumb",
    "#/compare/first/second": "[data-part=right] .thumb",
    "#/case/none": ".emptiness",
    "#/readings": ".study-counts",
}
"""Each view of the page, and what is there when it has read what it shows."""
OTHER = "a large symmetric dark brown lesion with a regular border"


def write_samples(folder):
    """Two cases that differ in two words of their captions, as folders 'first' and 'second'."""
    first = make_case()
    caption = write_caption(OTHER, "en")
    maps = tuple(heat for heat in first.maps if heat.target.text not in ("asymmetric", "irregular"))
    second = replace(first, captions=(caption, *first.captions[1:]), maps=maps, scores=(), outside=None)
    save_case(first, folder / "first")
    save_case(second, folder / "second")
    return folder


def visit(page, address, view):
    """Go to one view and wait until it is drawn."""
    page.goto(f"{address}/{view}")
    page.locator(VIEWS[view]).last.wait_for()
    page.wait_for_load_state("networkidle")
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


@dataclass
class Hand:
    """A worker led by the test: it takes the next job and does what it is told."""

    state: ServerState
    job: object = None

    def take(self):
        with self.state.store.write() as session:
            self.job = queue.claim_next(session, "hand:1:1")
        return self.job

    def tell(self, *stages, more=False, note=""):
        """Each of `stages` is 'name state', or 'name state share'; `note` is of the one that runs."""
        rows = [
            {
                "name": name,
                "state": state,
                "share": float(*share) if share else None,
                "seconds": 0.4,
                "note": note if state == "running" else "",
            }
            for name, state, *share in map(str.split, stages)
        ]
        with self.state.store.write() as session:
            queue.tell(session, self.job.id, self.job.claim, rows, more=more)

    def show(self, case):
        """Part of the case is there."""
        page = json.dumps(case_to_page(case), ensure_ascii=False).encode()
        Shelf(self.state.store.folder).write_partial(self.job.case_id, page)

    def done(self, case=None, state="done", error=None):
        with self.state.store.write() as session:
            if case is not None:
                row = find_case(session, self.job.case_id)
                save_case(case, Shelf(self.state.store.folder).case_folder(row))
                index_case(session, self.job.case_id, case)
            queue.finish(session, self.job.id, self.job.claim, state, error=error)

    def case(self):
        with self.state.store.read() as session:
            row = find_case(session, self.job.case_id)
        return load_case(Shelf(self.state.store.folder).case_folder(row))


class ThreadServer:
    """The whole server in a thread; its worker is `hand`, the state of its model is `worker`."""

    def __init__(self, folder: Path, **options):
        self.socket = socket.create_server(("127.0.0.1", 0))
        port = self.socket.getsockname()[1]
        models = options.pop("models", (ServedModel("demo"),))
        known = ServeOptions(cases=folder, port=port, models=models, **options)
        self.worker = {"state": "ready" if models else "none", "model": "demo" if models else ""}
        self.state = ServerState(known, open_store(folder), worker=lambda: self.worker)
        adopt_folders(self.state.store)
        self.hand = Hand(self.state)
        self.address = f"http://127.0.0.1:{port}"
        config = uvicorn.Config(create_app(known, self.state), log_config=None, timeout_graceful_shutdown=1)
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.socket]}, daemon=True)
        self.thread.start()
        while not self.server.started:
            time.sleep(0.02)

    def stop(self):
        self.server.should_exit = True
        self.thread.join(PATIENCE)
        self.socket.close()
        self.state.store.close()


class Process:
    """`dermaxai serve` as a process of its own."""

    def __init__(self, folder: Path, *options: str):
        program = [sys.executable, "-c", "from dermaxai.cli import main; main()"]
        command = [*program, "serve", "--cases", str(folder), "--port", "0", *options]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "DERMAXAI_OFFLINE": "1"}
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment, text=True
        )
        self.address = next(line.strip().rstrip("/") for line in self.process.stdout if "http://" in line)

    def kill(self):
        self.process.kill()
        self.stop()

    def stop(self):
        self.process.terminate()
        self.process.wait(PATIENCE)
        self.process.stdout.close()
