"""How large and how slow the body of a request may be, counted while it arrives."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, final

import anyio

from dermaxai.api.errors import answer_problem, answer_refusal
from dermaxai.api.limits import OwnPlaces, Places
from dermaxai.api.requests import client_place, header_values
from dermaxai.errors import DermaXAIError, NotAllowed, RequestTooLarge, TooFast

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from dermaxai.api.state import ServeOptions

SMALL = 1_000_000
"""Bytes of a JSON body: the marked regions of a reader fit many times."""
AROUND_A_PHOTO = 100_000
"""Bytes of a form beside its photo."""
FORM_LIMITS: Any = {"max_files": 1, "max_fields": 32, "max_part_size": 20_000}
"""For `FastAPI(form_limits=…)`: one photo, few fields, each of them short."""
MOST_HEADERS = 32_000
LONGEST_TARGET = 4_000
"""Bytes of all headers, and of path and query."""
SILENCE = 20.0
"""Seconds that may pass without another piece of the body."""
LONGEST = 300.0
"""Seconds until the whole body must be there."""
LARGE_AT_ONCE = 8
OWN_AT_ONCE = 3
"""Photos of one person that arrive at once, where others can reach the server: some places stay free."""
PATIENCE = 60.0


@final
class BodyLimits:
    """Counts the bytes of each body; one that is too long or too slow is cut off and refused."""

    def __init__(self, app: ASGIApp, options: ServeOptions) -> None:
        self._app = app
        self._photo = options.max_bytes + AROUND_A_PHOTO
        self._large = _places(LARGE_AT_ONCE)
        own = OWN_AT_ONCE if options.is_open else LARGE_AT_ONCE
        self._own = OwnPlaces(lambda: _places(own))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers, or refuses what is announced as too long."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            limit, announced = self._limit(scope), _announced(scope)
            if announced is not None and announced > limit:
                raise RequestTooLarge(
                    f"{announced} bytes were announced; at most {limit} are taken.", hint="Send less."
                )
            _check_head(scope)
        except DermaXAIError as error:
            await _refuse(error, scope, receive, send)
            return
        counted = _Counted(self._app, limit)
        if limit == SMALL:
            await counted(scope, receive, send)
            return
        try:
            async with self._own.place(_whose(scope)), self._large.place():
                await counted(scope, receive, send)
        except TooFast as error:
            await _refuse(error, scope, receive, send)

    def _limit(self, scope: Scope) -> int:
        is_photo = scope["method"] == "POST" and scope["path"] == "/api/cases"
        return self._photo if is_photo else SMALL


def _places(count: int) -> Places:
    return Places(count, waiting=256, seconds=PATIENCE, what="photos are arriving")


def _whose(scope: Scope) -> str:
    """Who sends it, as the gate found out."""
    actor = scope.get("state", {}).get("actor")
    return f"reader {actor.reader}" if actor and actor.reader is not None else client_place(scope)


@final
class _Counted:
    """One request whose body is counted; what the routes make of a body that was cut off is not sent."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers, unless the body is cut off before the answer begins."""
        count, started, fault = 0, False, ""
        deadline = anyio.current_time() + LONGEST
        complete = False

        async def receive_counted() -> Message:
            nonlocal count, fault, complete
            if complete:
                return await receive()
            left = min(SILENCE, deadline - anyio.current_time())
            with anyio.move_on_after(left) as patience:
                message = await receive()
            if patience.cancelled_caught:
                fault = "slow"
                raise _CutOff
            count += len(message.get("body", b""))
            if count > self._limit:
                fault = "large"
                raise _CutOff
            complete = not message.get("more_body", False)
            return message

        async def send_unless_cut(message: Message) -> None:
            nonlocal started
            if not fault or started:
                started = started or message["type"] == "http.response.start"
                await send(message)

        with contextlib.suppress(_CutOff):
            await self._app(scope, receive_counted, send_unless_cut)
        if fault and not started:
            await self._refuse(fault, scope, receive, send)

    async def _refuse(self, fault: str, scope: Scope, receive: Receive, send: Send) -> None:
        if fault == "large":
            error = RequestTooLarge(
                f"More than {self._limit} bytes came; at most that many are taken.", hint="Send less."
            )
            await _refuse(error, scope, receive, send)
            return
        answer = answer_refusal(408, "TooSlow", "The request did not arrive in time.", "Send it again.")
        answer.headers["connection"] = "close"
        await answer(scope, receive, send)


@final
class _CutOff(Exception):
    """The body is not read any further."""


def _announced(scope: Scope) -> int | None:
    """The length that the request says it has.

    Raises: NotAllowed for two lengths, none that is one, or one beside pieces: a proxy in front might believe
    the length, and take what follows for another request.
    """
    lengths = header_values(scope, b"content-length")
    if not lengths:
        return None
    if header_values(scope, b"transfer-encoding"):
        raise NotAllowed("The request announces a length and comes in pieces; one of both is expected.")
    if len(set(lengths)) > 1 or not lengths[0].isascii() or not lengths[0].isdigit():
        raise NotAllowed("The request announces no length that can be believed.")
    return int(lengths[0][:20])


def _check_head(scope: Scope) -> None:
    """Raises: RequestTooLarge for headers or an address longer than any use of them."""
    target = len(scope.get("raw_path") or b"") + len(scope.get("query_string", b""))
    headers = sum(len(name) + len(value) for name, value in scope["headers"])
    if target > LONGEST_TARGET or headers > MOST_HEADERS:
        raise RequestTooLarge("The address or the headers of the request are too long.")


async def _refuse(error: DermaXAIError, scope: Scope, receive: Receive, send: Send) -> None:
    """Whatever is still on its way is not waited for: the connection ends."""
    answer = answer_problem(error)
    answer.headers["connection"] = "close"
    await answer(scope, receive, send)
