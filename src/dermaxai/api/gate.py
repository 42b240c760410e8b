"""Stands before every route: finds out who is asking, and lets nobody past who may not be here."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, final

import anyio
import anyio.to_thread

from dermaxai.api.access import (
    SIGN_IN,
    actor_of_token,
    actor_of_visit,
    cookie_name,
    csrf_token,
    local_actor,
    same_text,
)
from dermaxai.api.errors import answer_problem
from dermaxai.api.limits import READS_PER_CHANGE, BackOff, Pace
from dermaxai.api.origins import SAFE, Origins
from dermaxai.api.requests import bearer_token, client_place, cookie, one_header
from dermaxai.errors import DermaXAIError, NotAllowed, NotFound, NotSignedIn

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from dermaxai.api.state import Actor, ServeOptions, ServerState

OPEN = re.compile(r"/|/healthz|/version|/web/(?:[0-9A-Za-z]+/)?[A-Za-z0-9_][A-Za-z0-9._-]*")
"""What anybody may read: the page without a case, and whether the server is well."""
ODD = re.compile(rb"%2f|%5c|%00|\\|//|/\.{1,2}(?:/|$)|%2e", re.IGNORECASE)
"""No address of this server is written like this; those that are try to leave their folder."""
REFUSAL_SECONDS = 0.1
"""A wrong token is answered after this time, whatever is wrong with it."""


@final
class Gate:
    """Host and origin, then who is asking, then the pace, then CSRF; the actor is left in the scope."""

    def __init__(self, app: ASGIApp, options: ServeOptions, back_off: BackOff) -> None:
        self._app = app
        self._options = options
        self._origins = Origins(options)
        self._pace = Pace(options.per_minute)
        self._back_off = back_off

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers, or refuses; anything but HTTP gets no answer."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        try:
            actor = await self._admit(scope)
        except DermaXAIError as error:
            answer = answer_problem(error)
            await answer(scope, receive, send)
            return
        scope.setdefault("state", {})["actor"] = actor
        await self._app(scope, receive, send)

    async def _admit(self, scope: Scope) -> Actor | None:
        """Who is asking; None for what anybody may read. Raises: AccessError, TooFast, NotFound."""
        self._origins.check(scope)
        if ODD.search(scope.get("raw_path") or scope["path"].encode()):
            raise NotFound("There is nothing at this address.", hint="/docs describes every call.")
        actor = await self._who(scope)
        self._count(scope, actor)
        if actor is None and not _is_open_to_all(scope):
            raise NotSignedIn("This needs a token that is valid.", hint=SIGN_IN)
        return actor

    async def _who(self, scope: Scope) -> Actor | None:
        """By bearer token, else by session cookie, else whoever sits at this machine."""
        token = bearer_token(scope)
        state: ServerState = scope["app"].state.server
        if token is not None:
            return await check_token(state, token, client_place(scope), self._back_off)
        secret = cookie(scope, cookie_name(self._options))
        if secret:
            actor = await anyio.to_thread.run_sync(actor_of_visit, state, secret)
            if actor is not None:
                _check_csrf(scope, secret)
                return actor
        return None if self._options.is_open else local_actor(self._options)

    def _count(self, scope: Scope, actor: Actor | None) -> None:
        """Raises: TooFast. Reading on one's own machine, and the page itself, are not counted."""
        reads = scope["method"] in SAFE
        if reads and (not self._options.is_open or OPEN.fullmatch(scope["path"])):
            return
        known = actor is not None and actor.reader is not None
        place = f"reader {actor.reader}" if actor and known else client_place(scope)
        self._pace.spend(place, 1 / READS_PER_CHANGE if reads else 1.0)


async def check_token(state: ServerState, token: str, place: str, back_off: BackOff) -> Actor:
    """Whose token it is. Unknown, expired and revoked ones get one answer, after one time.

    Raises: NotSignedIn, TooFast after too many wrong ones from `place`.
    """
    back_off.check(place)
    answered = anyio.current_time() + REFUSAL_SECONDS
    actor = await anyio.to_thread.run_sync(actor_of_token, state, token)
    if actor is not None:
        back_off.forget(place)
        return actor
    back_off.count_wrong(place)
    await anyio.sleep_until(answered)
    raise NotSignedIn("This token is not valid, or not any more.", hint=SIGN_IN)


def _is_open_to_all(scope: Scope) -> bool:
    if scope["method"] in SAFE:
        return OPEN.fullmatch(scope["path"]) is not None
    return bool(scope["method"] == "POST" and scope["path"] == "/api/session")


def _check_csrf(scope: Scope, secret: str) -> None:
    """A browser adds the cookie by itself, to whatever any page makes it send. Raises: NotAllowed."""
    if scope["method"] in SAFE:
        return
    if not same_text(one_header(scope, b"x-csrf-token") or "", csrf_token(secret)):
        raise NotAllowed(
            "The header X-CSRF-Token of this session is missing or wrong.", hint="Load the page again."
        )
