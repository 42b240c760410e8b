"""One line per request, with nothing in it that tells of a person or a photo."""

from __future__ import annotations

import hashlib
import logging
import re
import secrets
import sys
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, final

from dermaxai.api.errors import answer_refusal
from dermaxai.api.requests import client_address

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOG = logging.getLogger("dermaxai.requests")
METHODS = ("GET", "HEAD", "POST", "DELETE", "PUT", "PATCH", "OPTIONS", "TRACE")
DRAWN_ID = re.compile("[0-9a-f]{12}")
"""Ids that were drawn; a case that was found under another name may be called after a person."""
DAY = 86_400.0
NEAREST = 8


def log_to_stderr() -> None:
    """Let the lines go to stderr, each with its time in UTC."""
    handler = logging.StreamHandler(sys.stderr)
    form = logging.Formatter("%(asctime)s.%(msecs)03dZ %(message)s", "%Y-%m-%dT%H:%M:%S")
    form.converter = time.gmtime
    handler.setFormatter(form)
    LOG.handlers[:] = [handler]
    LOG.setLevel(logging.INFO)
    LOG.propagate = False


@final
class RequestLog:
    """Writes method, route, status, milliseconds and a number of the request; catches what nobody foresaw."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._salt = secrets.token_bytes(16)
        self._salted = time.monotonic()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers, and writes the line."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        number, begun, status = secrets.token_hex(6), time.perf_counter(), 0

        async def send_with_number(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = int(message["status"])
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", number.encode())]
            await send(message)

        try:
            await self._app(scope, receive, send_with_number)
        except Exception as error:
            LOG.error("request %s failed: %s", number, _places(error))
            if status:
                raise _Broken(f"request {number}") from None
            mistake = answer_refusal(
                500, "InternalError", "This server made a mistake.", f"Its log says more: request {number}."
            )
            await mistake(scope, receive, send_with_number)
        finally:
            self._write(scope, status, (time.perf_counter() - begun) * 1000, number)

    def _write(self, scope: Scope, status: int, milliseconds: float, number: str) -> None:
        method = scope["method"] if scope["method"] in METHODS else "OTHER"
        LOG.info(
            "%s %s %s %.1f ms request=%s place=%s%s",
            *(
                method,
                _route(scope),
                status or "gone",
                milliseconds,
                number,
                self._place(scope),
                _case(scope),
            ),
        )

    def _place(self, scope: Scope) -> str:
        """The same for one address over one day, and for nobody else's log."""
        if time.monotonic() - self._salted > DAY:
            self._salt, self._salted = secrets.token_bytes(16), time.monotonic()
        return hashlib.sha256(self._salt + client_address(scope).encode()).hexdigest()[:8]


@final
class _Broken(Exception):
    """An answer that broke off; what broke it was written to the log."""


def _route(scope: Scope) -> str:
    """As the route is declared, never as it was asked for."""
    return str(getattr(scope.get("route"), "path", "-"))


def _case(scope: Scope) -> str:
    case_id = str(scope.get("path_params", {}).get("case_id", ""))
    if not case_id:
        return ""
    if not DRAWN_ID.fullmatch(case_id):
        case_id = hashlib.sha256(case_id.encode()).hexdigest()
    return f" case={case_id[:8]}"


def _places(error: BaseException) -> str:
    """Kind of error and where it arose; its own text may quote what was sent."""
    frames = traceback.extract_tb(error.__traceback__)[-NEAREST:]
    where = " < ".join(
        f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in reversed(frames)
    )
    return f"{type(error).__name__} at {where}"
