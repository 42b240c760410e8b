"""Answers that are asked for again and again: made once, packed once, sent with a mark."""

from __future__ import annotations

import gzip
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import final

from fastapi import Request, Response
from fastapi.responses import FileResponse

JSON = "application/json"
WORTH_PACKING = 1024
"""Bytes below which packing gains nothing."""
KEPT_BYTES = 96_000_000
"""What the shelf may hold: several hundred cases."""
ASK_AGAIN = {"Cache-Control": "private, no-cache", "Vary": "Accept-Encoding, Authorization, Cookie"}
"""A browser keeps what it got and asks whether it is still true."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The body of an answer, plain and packed, and the mark of its content."""

    body: bytes
    packed: bytes
    mark: str

    @property
    def size(self) -> int:
        """Bytes in memory."""
        return len(self.body) + len(self.packed)


def make_answer(body: bytes) -> Answer:
    """Pack and mark a body once."""
    packed = gzip.compress(body, 6, mtime=0) if len(body) >= WORTH_PACKING else b""
    return Answer(body, packed, f'"{hashlib.sha256(body).hexdigest()[:24]}"')


@final
class Shelf:
    """The last answer about each thing, as many as fit into `limit` bytes; used from several threads."""

    def __init__(self, limit: int = KEPT_BYTES) -> None:
        self._limit = limit
        self._held = 0
        self._answers: OrderedDict[str, tuple[Hashable, Answer]] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, name: str, version: Hashable) -> Answer | None:
        """The answer about `name` in this version, which then counts as the one used last."""
        with self._lock:
            held, answer = self._answers.get(name, (None, None))
            if answer is None or held != version:
                return None
            self._answers.move_to_end(name)
            return answer

    def keep(self, name: str, version: Hashable, answer: Answer) -> Answer:
        """Put an answer in the place of an earlier one; those used longest ago go where there is no room."""
        with self._lock:
            self._take_out(name)
            self._answers[name] = version, answer
            self._held += answer.size
            while self._held > self._limit and len(self._answers) > 1:
                self._take_out(next(iter(self._answers)))
            return answer

    def drop(self, name: str) -> None:
        """Forget what was answered about `name`."""
        with self._lock:
            self._take_out(name)

    def _take_out(self, name: str) -> None:
        _, gone = self._answers.pop(name, (None, None))
        self._held -= gone.size if gone else 0


def send(request: Request, answer: Answer, *, kind: str = JSON) -> Response:
    """The answer, packed where that is taken; nothing where whoever asks has it already."""
    headers = {**ASK_AGAIN, "ETag": answer.mark}
    if is_known(request, answer.mark):
        return Response(status_code=304, headers=headers)
    if answer.packed and "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
        return Response(answer.packed, media_type=kind, headers=headers)
    return Response(answer.body, media_type=kind, headers=headers)


def send_file(request: Request, path: Path, mark: str, *, kind: str, name: str = "") -> Response:
    """A file under the mark of its content; `name`: under which it is saved rather than shown."""
    headers = {**ASK_AGAIN, "ETag": f'"{mark}"'}
    if is_known(request, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    return FileResponse(path, media_type=kind, headers=headers, filename=name or None)


def is_known(request: Request, mark: str) -> bool:
    """Whether who asks holds the content with this mark."""
    told = request.headers.get("if-none-match", "")
    return mark in [one.strip().removeprefix("W/") for one in told.split(",")] or told.strip() == "*"
