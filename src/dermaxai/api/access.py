"""Who is asking, and what they may do: the dependencies of the routes."""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, cast

from fastapi import Request

from dermaxai.api.state import Actor, ServeOptions, ServerState
from dermaxai.errors import NotAllowed, NotSignedIn, ReadingFirst
from dermaxai.store.readers import reader_of_token, visit_of
from dermaxai.store.tables import Reader, Role, Token, now

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

SIGN_IN = "Whoever runs this server makes tokens: dermaxai readers add NAME."
HOURS = 12
"""How long a browser stays signed in."""


def server_of(request: Request) -> ServerState:
    """What this server knows: a dependency of every route that needs the store."""
    state: ServerState = request.app.state.server
    return state


def current_actor(request: Request) -> Actor:
    """Who is asking, as the gate in front of the routes found out. Raises: NotSignedIn."""
    actor = request.scope.get("state", {}).get("actor")
    if not isinstance(actor, Actor):
        raise NotSignedIn("This needs a token that is valid.", hint=SIGN_IN)
    return actor


def signed_in(request: Request) -> Actor:
    """Who is asking, under a pseudonym: `reader` of the result is never None. Raises: NotSignedIn."""
    actor = current_actor(request)
    if actor.reader is None:
        raise NotSignedIn("This needs a pseudonym.", hint="Choose one on the page, or: POST /api/session.")
    return actor


def admin_only(request: Request) -> Actor:
    """Who is asking, with the role admin. Raises: NotSignedIn, NotAllowed for a reader."""
    actor = current_actor(request)
    if not actor.is_admin:
        raise NotAllowed("Only an admin may do this.", hint="Ask whoever runs this server.")
    return actor


def check_seen(session: Session, state: ServerState, actor: Actor, case_id: str) -> None:
    """In blind mode: nothing of the machine's before the reader's own reading. Raises: ReadingFirst."""
    from dermaxai.reading.blind import may_see

    if not may_see(session, actor, case_id, state.options.blind):
        raise ReadingFirst(
            "This server is in blind mode: your own reading comes first.",
            hint="Write down what you see; then caption and maps are shown.",
        )


def local_actor(options: ServeOptions) -> Actor:
    """Whoever sits at this machine: an admin, or in blind mode a reader without a pseudonym."""
    return Actor("local", "reader" if options.blind else "admin")


def actor_of_token(state: ServerState, token: str) -> Actor | None:
    """Whose token it is; None for an unknown, expired or revoked one. Raises: StoreError."""
    with state.store.read() as session:
        found = reader_of_token(session, token)
        if found is None:
            return None
        reader, _ = found
        return Actor(reader.pseudonym, cast(Role, reader.role), reader.id, "token")


def actor_of_visit(state: ServerState, secret: str) -> Actor | None:
    """Whose browser session it is; None where it ended, or its token did. Raises: StoreError.

    A session without a token was opened on this machine alone, and is worth nothing once others can reach
    the server.
    """
    with state.store.read() as session:
        visit = visit_of(session, secret)
        reader = session.get(Reader, visit.reader_id) if visit and visit.reader_id else None
        if visit is None or reader is None:
            return None
        if visit.token_id is None:
            if state.options.is_open:
                return None
            return Actor(reader.pseudonym, local_actor(state.options).role, reader.id, "session")
        token = session.get(Token, visit.token_id)
        if token is None or token.revoked is not None or token.expires <= now():
            return None
        return Actor(reader.pseudonym, cast(Role, reader.role), reader.id, "session")


def is_secure(options: ServeOptions) -> bool:
    """Whether browsers reach this server by TLS."""
    return bool(options.tls or options.proxied)


def cookie_name(options: ServeOptions) -> str:
    """With TLS no other host can set it; without, the port keeps two servers on one machine apart."""
    return "__Host-dermaxai" if is_secure(options) else f"dermaxai-{options.port}"


def csrf_token(secret: str) -> str:
    """What a page must send beside the cookie `secret`, and only a page of this server can know."""
    return hmac.new(secret.encode(), b"dermaxai csrf", hashlib.sha256).hexdigest()


def same_text(one: str, other: str) -> bool:
    """Compared in a time that does not tell where they differ."""
    return hmac.compare_digest(one.encode(), other.encode())
