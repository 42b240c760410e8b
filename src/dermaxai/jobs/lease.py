"""Who has a job, and whether that worker still lives."""

from __future__ import annotations

import os
import socket
import sys
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

BEAT_SECONDS = 5.0
"""Between two signs of life of a worker."""
LEASE = timedelta(seconds=60)
"""Without a sign of life for so long, a worker of another machine counts as dead."""
ATTEMPTS = 3
"""A job whose worker died so often is not tried again: perhaps the job is what kills it."""


@cache
def machine() -> str:
    """Where a process number means the same process: the machine's name, its boot, its process space."""
    parts = [socket.gethostname().replace(":", "-")[:64]]
    if sys.platform == "linux":
        boot = _read_line("/proc/sys/kernel/random/boot_id")[:8]
        space = os.readlink("/proc/self/ns/pid") if os.path.exists("/proc/self/ns/pid") else ""
        parts += [boot, "".join(sign for sign in space if sign.isdigit())]
    return "/".join(filter(None, parts))


def own_name() -> str:
    """The process at hand as 'machine:pid:start'."""
    return f"{machine()}:{os.getpid()}:{started_at(os.getpid()) or ''}"


def started_at(pid: int) -> str | None:
    """When a process began, in the system's unit; '' where the system does not tell, None if it is dead."""
    if sys.platform == "linux":
        # Behind the name in brackets: state is the first field, the time of the start the twentieth.
        fields = _read_line(f"/proc/{pid}/stat").rpartition(")")[2].split()
        return None if not fields or fields[0] in "ZX" else fields[19]
    if sys.platform == "win32":
        return ""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    return ""


def is_lost(worker: str, heartbeat: datetime | None, at: datetime) -> bool:
    """Whether a worker has left its job: dead on this machine, or silent for longer than a lease."""
    host, _, process = worker.partition(":")
    pid, _, start = process.partition(":")
    if host == machine() and pid.isdigit() and started_at(int(pid)) != start:
        return True
    return heartbeat is None or at - heartbeat > LEASE


def _read_line(place: str) -> str:
    try:
        return Path(place).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
