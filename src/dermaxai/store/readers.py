"""Readers under pseudonyms, their tokens, and the browsers that have come in."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import unicodedata
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import get_args

from sqlalchemy import delete, or_, select
from sqlalchemy.orm import Session

from dermaxai.errors import Conflict, NotFound, UsageError
from dermaxai.store import audit
from dermaxai.store.names import fold_pseudonym
from dermaxai.store.tables import Reader, Role, Token, Visit, now

SECRET_BYTES = 32
LONGEST = 64
RESERVED = ("local", "worker", "system")
"""Names by which the audit trail calls what is no reader."""


def check_pseudonym(text: str) -> str:
    """The pseudonym in its one spelling (NFC).

    Raises: UsageError for what identifies a person (an e-mail address), cannot be read (control characters),
    is empty or too long, or is a name of the program's own.

    >>> check_pseudonym("reader 3")
    'reader 3'
    """
    name = unicodedata.normalize("NFC", text)
    fault = _fault_of(name) or _fault_of(unicodedata.normalize("NFKC", name))
    if fault:
        raise UsageError(
            f"A pseudonym {fault}.", hint=f"1 to {LONGEST} letters, digits and signs, for example 'reader-3'."
        )
    return name


def _fault_of(name: str) -> str:
    if not 1 <= len(name) <= LONGEST:
        return f"has 1 to {LONGEST} characters, not {len(name)}"
    if "@" in name:
        return "is no e-mail address"
    if any(sign in name for sign in "/\\?#%"):
        return "has none of the signs / \\ ? # %"
    if not name.isprintable():
        return "has no control characters"
    if not name.strip("."):
        return "does not consist of dots alone"
    if name != name.strip():
        return "does not begin or end with a space"
    reserved = fold_pseudonym(name) in RESERVED
    return f"cannot be '{name}', a name of the program's own" if reserved else ""


def add_reader(session: Session, pseudonym: str, role: Role, *, actor: str) -> Reader:
    """A new reader. Raises: UsageError, Conflict where another spelling of the pseudonym is taken."""
    name = check_pseudonym(pseudonym)
    if role not in get_args(Role):
        raise UsageError(f"There is no role '{role}'.", hint="Roles are reader and admin.")
    for taken in _readers_like(session, name):
        told = "" if taken.pseudonym == name else f": '{name}' differs only in spelling"
        raise Conflict(
            f"There is a reader '{taken.pseudonym}' already{told}.", hint="Choose another pseudonym."
        )
    reader = Reader(pseudonym=name, role=role, created=now())
    session.add(reader)
    session.flush()
    audit.append(session, actor, "reader.added", name, role=role)
    return reader


def list_readers(session: Session) -> list[Reader]:
    """All readers, by pseudonym."""
    return list(session.scalars(select(Reader).order_by(Reader.pseudonym)))


def find_reader(session: Session, pseudonym: str) -> Reader:
    """The reader of a pseudonym, however it is spelt.

    Raises: NotFound; Conflict where an earlier version of this program took several spellings of it for
    several readers, and this is none of them.
    """
    name = unicodedata.normalize("NFC", pseudonym)
    found = _readers_like(session, name)
    exact = [reader for reader in found if reader.pseudonym == name]
    if not found:
        raise NotFound(f"There is no reader '{name}'.", hint="dermaxai readers list shows all.")
    if len(found) > 1 and not exact:
        spelt = ", ".join(f"'{reader.pseudonym}'" for reader in found)
        raise Conflict(f"'{name}' may be any of {spelt}.", hint="Write one of them exactly.")
    return (exact or found)[0]


def alike(readers: Iterable[Reader]) -> list[list[str]]:
    """Pseudonyms that differ only in spelling and are several readers all the same: perhaps one person twice.

    They come from versions of this program that took each spelling for a reader of its own.
    """
    groups: dict[str, list[str]] = {}
    for reader in readers:
        groups.setdefault(fold_pseudonym(reader.pseudonym), []).append(reader.pseudonym)
    return [sorted(group) for _, group in sorted(groups.items()) if len(group) > 1]


def _readers_like(session: Session, name: str) -> list[Reader]:
    """Those whose pseudonym is another spelling of `name`, or the same; the oldest first."""
    folded = fold_pseudonym(name)
    same = or_(Reader.folded == folded, Reader.folded.startswith(f"{folded}#", autoescape=True))
    found = session.scalars(select(Reader).where(same).order_by(Reader.id))
    return [reader for reader in found if fold_pseudonym(reader.pseudonym) == folded]


def issue_token(session: Session, reader: Reader, *, days: int, actor: str) -> str:
    """A new token of 32 random bytes; told once, only its sha256 is kept. Raises: UsageError."""
    if not 1 <= days <= 3650:
        raise UsageError(f"A token is valid for 1 to 3650 days, not {days}.")
    secret, made = secrets.token_urlsafe(SECRET_BYTES), now()
    token = Token(
        reader_id=reader.id, hash=_digest(secret), created=made, expires=made + timedelta(days=days)
    )
    session.add(token)
    session.flush()
    audit.append(session, actor, "token.issued", reader.pseudonym, token=token.id, days=days)
    return secret


def valid_tokens(session: Session, reader: Reader) -> list[Token]:
    """The tokens that let a reader in at this moment."""
    made = now()
    found = session.scalars(select(Token).where(Token.reader_id == reader.id).order_by(Token.id))
    return [token for token in found if _is_valid(token, made)]


def revoke_tokens(session: Session, reader: Reader, *, actor: str) -> int:
    """Shut every door of a reader: tokens and open visits; how many tokens were still valid."""
    made = now()
    open_ = list(session.scalars(select(Token).where(Token.reader_id == reader.id, Token.revoked.is_(None))))
    for token in open_:
        token.revoked = made
    session.execute(delete(Visit).where(Visit.reader_id == reader.id))
    audit.append(session, actor, "token.revoked", reader.pseudonym, tokens=[token.id for token in open_])
    return sum(token.expires > made for token in open_)


def reader_of_token(session: Session, token: str) -> tuple[Reader, Token] | None:
    """Whose token it is; None for one that is unknown, expired or revoked."""
    digest = _digest(token)
    found = session.scalar(select(Token).where(Token.hash == digest))
    if found is None or not hmac.compare_digest(found.hash, digest) or not _is_valid(found):
        return None
    reader = session.get(Reader, found.reader_id)
    return None if reader is None else (reader, found)


def open_visit(session: Session, reader_id: int | None, token_id: int | None, *, hours: float) -> str:
    """The secret of a new visit, for a cookie; visits that are over are forgotten."""
    made = now()
    session.execute(delete(Visit).where(Visit.expires <= made))
    secret = secrets.token_urlsafe(SECRET_BYTES)
    expires = made + timedelta(hours=hours)
    session.add(
        Visit(hash=_digest(secret), reader_id=reader_id, token_id=token_id, created=made, expires=expires)
    )
    session.flush()
    return secret


def visit_of(session: Session, secret: str) -> Visit | None:
    """The visit with this secret; None where it is over, or its token is no longer valid."""
    digest = _digest(secret)
    found = session.scalar(select(Visit).where(Visit.hash == digest))
    if found is None or not hmac.compare_digest(found.hash, digest) or found.expires <= now():
        return None
    if found.token_id is not None:
        token = session.get(Token, found.token_id)
        if token is None or not _is_valid(token):
            return None
    return found


def sweep_doors(session: Session) -> None:
    """Forget visits that are over and tokens that let nobody in; the audit trail keeps their events."""
    made = now()
    session.execute(delete(Visit).where(Visit.expires <= made))
    session.execute(delete(Token).where(or_(Token.expires <= made, Token.revoked.is_not(None))))


def close_visit(session: Session, secret: str) -> None:
    """Forget a visit; nothing happens where there is none."""
    session.execute(delete(Visit).where(Visit.hash == _digest(secret)))


def _is_valid(token: Token, at: datetime | None = None) -> bool:
    return token.revoked is None and token.expires > (at or now())


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
