"""A worker as a child of the server: `python -m dermaxai.jobs.process`.

The first line on stdin says what to do (`WorkerOptions`); every byte after it says that there may be a job;
its end says that the server is gone or stops. On stdout, one JSON object per line says how the worker stands:
state ('loading', 'ready', 'failed'), model, and where it failed error, message and hint. The log is stderr.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from threading import Event, Thread
from typing import IO, final

from dermaxai.jobs.models import Models
from dermaxai.jobs.options import WorkerOptions
from dermaxai.jobs.patience import State, insist
from dermaxai.jobs.worker import Worker
from dermaxai.store.opening import open_store

GRACE_SECONDS = 8.0
"""How long a worker whose server stops may take to let go of the job at hand."""


def make_worker(options: WorkerOptions, announce: Callable[[State], None], stopping: Event) -> Worker | None:
    """A worker on the store of `options`, as soon as that can be opened; None where it is stopped before."""
    # Read when torch is loaded. Threads that spin while they wait, its habit, make each other and the server
    # beside them wait: on two busy cores a photo took 0.2 to 17 s with it, 0.3 to 0.8 s without.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    models = Models(dict(options.models), dict(options.settings), announce)
    store = insist(lambda: open_store(options.cases, options.url), stopping, models.tell)
    return None if store is None else Worker(store, models, stopping)


def announcer(stream: IO[str]) -> Callable[[State], None]:
    """Writes states as lines; a reader that is gone is no reason to fail."""

    def announce(state: State) -> None:
        with suppress(OSError, ValueError):
            stream.write(json.dumps(state, ensure_ascii=False) + "\n")
            stream.flush()

    return announce


def log_to_stderr() -> None:
    """Times, levels and messages; names of files are in none of them."""
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s worker %(levelname)s %(message)s")
    logging.getLogger("dermaxai").setLevel(logging.INFO)


def main() -> None:
    """Work until stdin ends."""
    told, sys.stdout = sys.stdout, sys.stderr
    log_to_stderr()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # The server hears it too, and stops its worker itself.
    line = sys.stdin.readline()
    if line:
        Child(WorkerOptions.from_line(line), announcer(told)).run()


@final
class Child:
    """The worker of a server, and what ends it."""

    def __init__(self, options: WorkerOptions, announce: Callable[[State], None]) -> None:
        self.options = options
        self.announce = announce
        self._stopping = Event()
        self._worker: Worker | None = None

    def run(self) -> None:
        """Work until the server is gone or says stop."""
        Thread(target=self._listen, name="listening", daemon=True).start()
        signal.signal(signal.SIGTERM, lambda *_: Thread(target=self._leave, name="leaving").start())
        self._worker = make_worker(self.options, self.announce, self._stopping)
        if self._worker is not None:
            self._worker.run()

    def _listen(self) -> None:
        while sys.stdin.read(1):
            if self._worker is not None:
                self._worker.wake()
        self._leave()

    def _leave(self) -> None:
        """Stop the job at hand; where that takes too long, give it back and end all the same."""
        self._stopping.set()
        if self._worker is not None:
            self._worker.wake()
        over = Thread(target=self._leave_at_once, name="leaving at once", daemon=True)
        over.start()

    def _leave_at_once(self) -> None:
        time.sleep(GRACE_SECONDS)
        if self._worker is not None:
            self._worker.give_back()
        os._exit(0)


if __name__ == "__main__":
    main()
