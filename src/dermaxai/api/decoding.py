"""Photos are decoded in a process of their own, which knows nothing else and may take only so much.

Decoders are the part of a server that reads what strangers wrote. The child has no token, no database and
no file open; it is ended where it takes too long or too much memory, or where it falls, and the next photo
gets a new one. It is run as `python -m dermaxai.api.decoding` and speaks over its pipes: a line of JSON, then
bytes.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import asdict
from typing import IO, TYPE_CHECKING, Any, final

import numpy as np

from dermaxai import errors
from dermaxai.errors import ImageError, ImageTooLarge, ImageUnreadable, MissingExtra
from dermaxai.images import Limits, read_image
from dermaxai.types import SkinImage

if TYPE_CHECKING:
    from collections.abc import Mapping

WORK = 30
"""Seconds of a processor for one photo, where the system counts them; 100 million pixels take 2 to 6."""
SECONDS = 120.0
"""By the clock: on a busy machine a photo may wait for its processor."""
MEMORY = 3_000_000_000
"""Bytes beyond those of an idle child."""
KEPT = ("PATH", "SYSTEMROOT", "LD_LIBRARY_PATH", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "TMPDIR", "LANG")
"""Of the environment: what Python needs to start, and nothing that might be secret."""
SINGLE = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}


@final
class Decoders:
    """Children that wait for photos; as many as are asked at once."""

    def __init__(self, *, seconds: float = SECONDS, memory: int = MEMORY) -> None:
        self._seconds = seconds
        self._memory = memory
        self._idle: list[subprocess.Popen[bytes]] = []
        self._lock = threading.Lock()
        atexit.register(self.close)

    def read(self, data: bytes, limits: Limits) -> SkinImage:
        """A photo from the bytes of a file. Raises: ImageTooLarge, ImageUnreadable, MissingExtra."""
        child = self._idle_one()
        answer = self._ask(child, data, limits) if child else None
        # One that had waited may have been ended from outside; that is not the fault of this photo.
        answer = answer or self._ask(self._new_one(), data, limits)
        if answer is None:
            raise ImageUnreadable("The file brings its decoder down.", hint="Export the photo again.")
        return _photo(*answer)

    def close(self) -> None:
        """End all children that wait."""
        with self._lock:
            idle, self._idle = self._idle, []
        for child in idle:
            _end(child)

    def _ask(
        self, child: subprocess.Popen[bytes], data: bytes, limits: Limits
    ) -> tuple[dict[str, Any], bytearray] | None:
        """What the child answers; None where it falls. Raises: ImageUnreadable where it takes too long."""
        assert child.stdin is not None
        assert child.stdout is not None
        timer = threading.Timer(self._seconds, child.kill)
        timer.start()
        try:
            send(child.stdin, {"limits": asdict(limits)}, data)
            answer = receive(child.stdout)
        except (OSError, ValueError, EOFError):
            _end(child)
            if timer.is_alive() and child.returncode != -getattr(signal, "SIGXCPU", 0):
                return None
            raise ImageUnreadable(
                "The file is built so that reading it takes too long.", hint="Export the photo again."
            ) from None
        finally:
            timer.cancel()
        with self._lock:
            self._idle.append(child)
        return answer

    def _idle_one(self) -> subprocess.Popen[bytes] | None:
        with self._lock:
            return self._idle.pop() if self._idle else None

    def _new_one(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", __name__, str(self._memory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={name: os.environ[name] for name in KEPT if name in os.environ} | SINGLE,
        )


def _photo(told: Mapping[str, Any], pixels: bytearray) -> SkinImage:
    """What the child answered, as a photo or as its error."""
    if "error" in told:
        kind = getattr(errors, told["error"])
        raise kind(told["message"], hint=told["hint"])
    values = np.frombuffer(pixels, np.uint8).reshape(told["shape"])
    return SkinImage(values, told["sha256"], told["format"], tuple(told["removed"]), tuple(told["notes"]))


def _end(child: subprocess.Popen[bytes]) -> None:
    child.kill()
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            with suppress(OSError):
                pipe.close()
    child.wait()


def send(pipe: IO[bytes], told: Mapping[str, Any], data: bytes | memoryview) -> None:
    """A line of JSON with the number of bytes behind it, and the bytes."""
    pipe.write(json.dumps({**told, "bytes": len(data)}).encode() + b"\n")
    pipe.write(data)
    pipe.flush()


def receive(pipe: IO[bytes]) -> tuple[dict[str, Any], bytearray]:
    """What `send` sent. Raises: EOFError, ValueError."""
    told: dict[str, Any] = json.loads(pipe.readline() or b"null") or {}
    if "bytes" not in told:
        raise EOFError
    data = bytearray(told["bytes"])
    view, place = memoryview(data), 0
    while place < len(data):
        count = pipe.readinto(view[place:])  # type: ignore[attr-defined]
        if not count:
            raise EOFError
        place += count
    return told, data


def _limit(memory: int) -> None:
    """No more memory, no files, no core dump; on systems that know such limits."""
    try:
        import resource
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError), open("/proc/self/statm", "rb") as file:
        most = int(file.read().split()[0]) * resource.getpagesize() + memory
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _grant_time() -> None:
    """So many more seconds of a processor; then the system ends this process."""
    try:
        import resource
    except ImportError:
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    most = int(used.ru_utime + used.ru_stime) + WORK
    resource.setrlimit(resource.RLIMIT_CPU, (most, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def _answer(pipe: IO[bytes], told: Mapping[str, Any], data: bytes) -> None:
    try:
        image = read_image(data, limits=Limits(**told["limits"]))
    except (ImageError, MissingExtra) as error:
        fields = {"error": type(error).__name__, "message": error.message, "hint": error.hint}
        send(pipe, fields, b"")
        return
    except MemoryError:
        fields = {
            "error": ImageTooLarge.__name__,
            "message": "The file does not fit into memory.",
            "hint": "",
        }
        send(pipe, fields, b"")
        return
    pixels = np.ascontiguousarray(image.pixels)
    known = {name: getattr(image, name) for name in ("sha256", "format", "removed", "notes")}
    send(pipe, {**known, "shape": pixels.shape}, pixels.data.cast("B"))


def main(memory: int) -> None:
    """Read photos until nobody asks any more."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # A library that prints must not print into the answers.
    _limit(memory)
    with suppress(EOFError, BrokenPipeError, KeyboardInterrupt):
        while True:
            told, data = receive(sys.stdin.buffer)
            _grant_time()
            _answer(answers, told, bytes(data))
            del data


if __name__ == "__main__":
    main(int(sys.argv[1]))
