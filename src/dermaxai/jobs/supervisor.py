"""The worker of a server: started as a child, started again when it dies, woken, asked how it stands."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import time
from contextlib import suppress
from threading import Event, Lock, Thread
from typing import IO, TYPE_CHECKING, Any, final

from dermaxai.jobs.options import Served, WorkerOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

log = logging.getLogger(__name__)

COMMAND = (sys.executable, "-P", "-m", "dermaxai.jobs.process")
"""Of the child; '-P': nothing in the folder at hand is taken for a module of ours."""
PAUSES = (0.5, 30.0)
"""Seconds until a worker that died is started again: at first, and at most; doubled in between."""
HEALTHY_SECONDS = 60.0
"""A worker that lived so long begins with the first pause again."""
STOP_SECONDS = 12.0
"""Until a worker that was told to stop is made to; more than the grace that it gives itself."""


@final
class Supervisor:
    """Keeps one worker alive. Nothing happens before `start`; without models nothing happens at all."""

    def __init__(self, options: Served, command: Sequence[str] = COMMAND) -> None:
        self.options = WorkerOptions.of_server(options)
        self.command = tuple(command)
        self._stopping = Event()
        self._lock = Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._state: dict[str, Any] = _state("starting" if self.options.models else "none")
        self._thread = Thread(target=self._keep_alive, name="supervisor", daemon=True)

    def start(self) -> None:
        """Start the worker; a second call does nothing."""
        if self.options.models and not self._thread.is_alive() and not self._stopping.is_set():
            self._thread.start()

    def wake(self) -> None:
        """Tell the worker that there may be a job; without one at the moment nothing is lost."""
        with self._lock, suppress(OSError, ValueError):
            pipe = self._child.stdin if self._child else None
            if pipe is not None:
                pipe.write(b"\n")

    def state(self) -> dict[str, Any]:
        """How it stands: state (none, starting, loading, ready, failed), model, error, message, hint."""
        return dict(self._state)

    @property
    def pid(self) -> int | None:
        """Of the worker; None while there is none."""
        child = self._child
        return child.pid if child is not None and child.poll() is None else None

    def stop(self) -> None:
        """Let the worker stop and give its job back; returns when it is gone."""
        self._stopping.set()
        child = self._child
        if child is not None:
            self._hang_up(child)
            _end(child)
        if self._thread.is_alive():
            self._thread.join()
        self._state = _state("none")

    # ---- inside -----------------------------------------------------------------------------

    def _keep_alive(self) -> None:
        pause = PAUSES[0]
        while not self._stopping.is_set():
            begun = time.monotonic()
            code = self._run_once()
            if self._stopping.is_set():
                return
            pause = PAUSES[0] if time.monotonic() - begun > HEALTHY_SECONDS else pause
            log.warning("the worker ended with code %s and is started again in %g s", code, pause)
            self._state = _state("starting", message="The worker ended and is started again.")
            self._stopping.wait(pause)
            pause = min(2 * pause, PAUSES[1])

    def _run_once(self) -> int | None:
        """One child from its start to its end; its exit code, None where it could not be started."""
        try:
            child = self._start_child()
        except OSError as error:
            log.error("no worker could be started: %s", error.strerror)
            return None
        if child.stdout is not None:
            self._listen(child.stdout)
        code = child.wait()
        self._hang_up(child)
        return code

    def _start_child(self) -> subprocess.Popen[bytes]:
        with self._lock:
            child = subprocess.Popen(
                self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, env=dict(os.environ)
            )
            self._child = child
            if self._stopping.is_set():
                child.kill()
            elif child.stdin is not None:
                with suppress(OSError):
                    child.stdin.write(self.options.to_line().encode() + b"\n")
                    # A worker that does not read may not hold the server up.
                    os.set_blocking(child.stdin.fileno(), False)
        return child

    def _hang_up(self, child: subprocess.Popen[bytes]) -> None:
        """A worker whose pipe has ended stops."""
        with self._lock, suppress(OSError):
            if child.stdin is not None:
                child.stdin.close()

    def _listen(self, stream: IO[bytes]) -> None:
        with stream:
            for line in stream:
                with suppress(ValueError):
                    told = json.loads(line)
                    if isinstance(told, dict) and "state" in told:
                        self._state = _state("starting") | told


def _state(name: str, message: str = "") -> dict[str, Any]:
    return {"state": name, "model": "", "error": "", "message": message, "hint": ""}


def _end(child: subprocess.Popen[bytes]) -> None:
    """Wait for a child that was told to stop; then insist."""
    for insist in (child.terminate, child.kill):
        try:
            child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            insist()
        else:
            return
    child.wait()
