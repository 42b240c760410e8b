"""Sessions and readers over HTTP: who am I, sign in, sign out, and who may come in."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, cast

import anyio.to_thread
from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import Field, StringConstraints, model_validator

from dermaxai import __version__
from dermaxai.api import access
from dermaxai.api.access import admin_only, current_actor, server_of
from dermaxai.api.errors import refusals
from dermaxai.api.gate import check_token
from dermaxai.api.requests import client_place, cookie
from dermaxai.api.schemas import Given, Sent
from dermaxai.api.state import Actor, ServeOptions, ServerState
from dermaxai.errors import NotAllowed, NotFound, NotSignedIn
from dermaxai.i18n import LANGUAGES
from dermaxai.store import audit, readers
from dermaxai.store.readers import check_pseudonym
from dermaxai.store.tables import Reader, Role, Token

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

router = APIRouter(prefix="/api", tags=["access"])

TOKEN_DAYS = 90
Asking = Annotated[Actor, Depends(current_actor)]
Admin = Annotated[Actor, Depends(admin_only)]
Server = Annotated[ServerState, Depends(server_of)]
Pseudonym = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Named = Annotated[str, Path(min_length=1, max_length=64, description="Pseudonym of a reader.")]


class SignIn(Given):
    """Either a token, or, on this machine alone, a pseudonym."""

    token: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = None
    """As `dermaxai readers add` printed it."""
    pseudonym: Pseudonym | None = None
    """Under which feedback is kept, where no token is needed."""

    @model_validator(mode="after")
    def _one_of_both(self) -> SignIn:
        if (self.token is None) == (self.pseudonym is None):
            raise ValueError("a token or a pseudonym is expected, and not both")
        return self


class ServerLimits(Sent):
    """What is taken."""

    max_bytes: int
    """Of one photo's file."""
    max_pixels: int
    """Of one photo."""
    queue: int
    """Jobs that may wait."""


class SessionView(Sent):
    """Who is asking, and what this server is."""

    name: str
    """Pseudonym; 'local' for whoever has not chosen one."""
    role: Role
    named: bool
    """Whether feedback can be given: under a pseudonym."""
    by: str
    """'local', 'session' or 'token'."""
    csrf: str
    """To be sent as X-CSRF-Token with every change; '' where no session needs it."""
    store: str
    """Which store this is, for whoever has a pseudonym: two servers at one address are told apart by it."""
    open: bool
    """Whether other machines can reach this server, so that everybody needs a token."""
    blind: bool
    """Own reading first, then the machine's."""
    has_model: bool
    """Whether photos can be described, or cases only looked at."""
    models: list[str]
    worker: dict[str, Any]
    """State of the worker: 'none', 'starting', 'loading', 'ready' or 'failed', and why."""
    limits: ServerLimits
    keep_days: int
    """Cases older than this are deleted; 0 keeps them."""
    version: str
    languages: list[str]


class ReaderView(Sent):
    """Somebody under a pseudonym."""

    pseudonym: str
    role: Role
    created: datetime


class ReaderList(Sent):
    """All readers, by pseudonym."""

    readers: list[ReaderView]


class NewReader(Given):
    """Who shall be let in."""

    pseudonym: Pseudonym
    role: Role = "reader"
    days: int = Field(default=TOKEN_DAYS, ge=1, le=3650)
    """How long the token is valid."""


class TokenDays(Given):
    """For how long."""

    days: int = Field(default=TOKEN_DAYS, ge=1, le=3650)


class NewToken(Sent):
    """A token, told this once: only its hash is kept."""

    pseudonym: str
    role: Role
    token: str
    expires: datetime


class Revoked(Sent):
    """Tokens that were valid and are not any more."""

    tokens: int


@router.get("/session", responses=refusals())
def who_am_i(request: Request, actor: Asking, state: Server) -> SessionView:
    """Who is asking, with what a page needs to know about this server."""
    secret = cookie(request.scope, access.cookie_name(state.options)) or ""
    return _view(actor, state, secret if actor.by == "session" else "")


@router.post("/session", responses=refusals(403, 409))
async def sign_in(wanted: SignIn, request: Request, response: Response, state: Server) -> SessionView:
    """Open a session of this browser, by token; on this machine alone also by a pseudonym."""
    place = client_place(request.scope)
    if wanted.token is not None:
        await check_token(state, wanted.token, place, request.app.state.back_off)
    elif state.options.is_open:
        raise NotSignedIn("This server needs a token.", hint=access.SIGN_IN)
    old = cookie(request.scope, access.cookie_name(state.options))
    secret, actor = await anyio.to_thread.run_sync(_open, state, wanted, old)
    _set_cookie(response, state.options, secret)
    return await anyio.to_thread.run_sync(_view, actor, state, secret)


@router.delete("/session", status_code=204, responses=refusals(403))
def sign_out(request: Request, response: Response, _actor: Asking, state: Server) -> None:
    """End the session of this browser."""
    name = access.cookie_name(state.options)
    secret = cookie(request.scope, name)
    if secret:
        with state.store.write() as session:
            readers.close_visit(session, secret)
    response.delete_cookie(
        name, path="/", secure=access.is_secure(state.options), httponly=True, samesite="strict"
    )


@router.get("/readers", responses=refusals(403))
def list_readers(_admin: Admin, state: Server) -> ReaderList:
    """All readers, without their tokens."""
    with state.store.read() as session:
        return ReaderList(readers=[_reader_view(reader) for reader in readers.list_readers(session)])


@router.post("/readers", status_code=201, responses=refusals(403, 409))
def add_reader(wanted: NewReader, admin: Admin, state: Server) -> NewToken:
    """A new reader and a first token."""
    with state.store.write() as session:
        reader = readers.add_reader(session, wanted.pseudonym, wanted.role, actor=admin.name)
        return _issue(session, reader, wanted.days, admin)


@router.post("/readers/{pseudonym}/tokens", status_code=201, responses=refusals(403, 404, 409))
def add_token(pseudonym: Named, wanted: TokenDays, admin: Admin, state: Server) -> NewToken:
    """Another token for a reader; those before stay valid."""
    with state.store.write() as session:
        return _issue(session, readers.find_reader(session, pseudonym), wanted.days, admin)


@router.delete("/readers/{pseudonym}", responses=refusals(403, 404, 409))
def shut_out(pseudonym: Named, admin: Admin, state: Server) -> Revoked:
    """Revoke all tokens of a reader and end all sessions; what the reader said stays."""
    with state.store.write() as session:
        reader = readers.find_reader(session, pseudonym)
        return Revoked(tokens=readers.revoke_tokens(session, reader, actor=admin.name))


def _open(state: ServerState, wanted: SignIn, old: str | None) -> tuple[str, Actor]:
    """A fresh secret with every sign-in: nobody can have planted it before. Raises: NotSignedIn."""
    with state.store.write() as session:
        if old:
            readers.close_visit(session, old)
        reader, token_id = _reader_of(session, wanted)
        secret = readers.open_visit(session, reader.id, token_id, hours=access.HOURS)
        audit.append(session, reader.pseudonym, "session.opened", reader.pseudonym, token=token_id)
        role = access.local_actor(state.options).role if token_id is None else cast(Role, reader.role)
        return secret, Actor(reader.pseudonym, role, reader.id, "session")


def _reader_of(session: Session, wanted: SignIn) -> tuple[Reader, int | None]:
    if wanted.token is not None:
        found = readers.reader_of_token(session, wanted.token)
        if found is None:
            raise NotSignedIn("This token is not valid, or not any more.", hint=access.SIGN_IN)
        return found[0], found[1].id
    name = check_pseudonym(wanted.pseudonym or "")
    try:
        reader = readers.find_reader(session, name)
    except NotFound:
        return readers.add_reader(session, name, "reader", actor="local"), None
    if readers.valid_tokens(session, reader):
        raise NotAllowed(
            f"'{reader.pseudonym}' has a token: nobody reads under this name without it.",
            hint="Sign in with the token, or choose another pseudonym.",
        )
    return reader, None


def _issue(session: Session, reader: Reader, days: int, admin: Actor) -> NewToken:
    secret = readers.issue_token(session, reader, days=days, actor=admin.name)
    found = readers.reader_of_token(session, secret)
    assert found is not None
    token: Token = found[1]
    role = cast(Role, reader.role)
    return NewToken(pseudonym=reader.pseudonym, role=role, token=secret, expires=token.expires)


def _reader_view(reader: Reader) -> ReaderView:
    return ReaderView(pseudonym=reader.pseudonym, role=cast(Role, reader.role), created=reader.created)


def _view(actor: Actor, state: ServerState, secret: str) -> SessionView:
    options = state.options
    return SessionView(
        name=actor.name,
        role=actor.role,
        named=actor.reader is not None,
        by=actor.by,
        csrf=access.csrf_token(secret) if secret else "",
        store=_name_of_store(state) if actor.reader is not None else "",
        open=options.is_open,
        blind=options.blind,
        has_model=options.has_model,
        models=[model.name for model in options.models],
        worker=state.worker(),
        limits=ServerLimits(max_bytes=options.max_bytes, max_pixels=options.max_pixels, queue=options.queue),
        keep_days=options.keep_days,
        version=__version__,
        languages=list(LANGUAGES),
    )


def _name_of_store(state: ServerState) -> str:
    with state.store.read() as session:
        return audit.origin(session)[:16]


def _set_cookie(response: Response, options: ServeOptions, secret: str) -> None:
    response.set_cookie(
        access.cookie_name(options),
        secret,
        max_age=access.HOURS * 3600,
        path="/",
        secure=access.is_secure(options),
        httponly=True,
        samesite="strict",
    )
