"""The tables of the store; times are UTC, everything that is not a number or a name is JSON.

```
readers ─┬─ tokens                       who may come in, and until when
         └─ sessions                     a browser that has come in
cases ───┬─ maps                         what the list of cases is searched and sorted by
         ├─ readings ── readers          what a reader saw before the machine's caption
         ├─ feedback ── readers          what a reader says of a word and its map
         └─ jobs                         what is still to be done for a case, and what was done
events, chain                            who did what, each entry with the hash of the one before it
```
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Literal, final

from sqlalchemy import (
    JSON,
    BigInteger,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Text,
    TypeDecorator,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from dermaxai.store.names import fold_pseudonym

CaseState = Literal["waiting", "ready", "failed", "stopped", "gone"]
"""'stopped': somebody cancelled the job before there was a case. 'gone': the case folder is no longer there;
what readers said of it is kept."""
JobState = Literal["waiting", "running", "done", "failed", "cancelled"]
JobKind = Literal["explain", "methods", "query", "contrast", "concepts", "measure", "sanity"]
Role = Literal["reader", "admin"]
Answer = Literal["agree", "wrong_place", "wrong_word"]

NEVER_TWICE = {"sqlite_autoincrement": True}
"""A number is not given again when its row is deleted: the audit trail goes on speaking of the old one."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def now() -> datetime:
    """The present moment, UTC, whole microseconds."""
    return datetime.now(UTC)


def as_microseconds(time: datetime) -> int:
    """Whole microseconds since 1970; a time without zone is refused. Raises: ValueError."""
    if time.tzinfo is None:
        raise ValueError("a time without zone cannot be stored")
    return (time - EPOCH) // timedelta(microseconds=1)


@final
class Moment(TypeDecorator[datetime]):
    """A time as whole microseconds since 1970: the same in every database, exact in a hash."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """Microseconds; a time without zone is refused. Raises: ValueError."""
        return None if value is None else as_microseconds(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        """The time, in UTC."""
        return None if value is None else EPOCH + timedelta(microseconds=value)


class Base(DeclarativeBase):
    """All tables; the names of constraints are the same everywhere, so that migrations can name them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {datetime: Moment, dict[str, Any]: JSON, list[Any]: JSON}  # noqa: RUF012


def _fold(context: Any) -> str:  # noqa: ANN401 - of a statement that is executed
    return fold_pseudonym(context.get_current_parameters()["pseudonym"])


class Reader(Base):
    """Somebody under a pseudonym; a name that identifies a person has no place here."""

    __tablename__ = "readers"
    __table_args__ = (NEVER_TWICE,)

    id: Mapped[int] = mapped_column(primary_key=True)
    pseudonym: Mapped[str] = mapped_column(String(64), unique=True)
    """As it was first written."""
    folded: Mapped[str] = mapped_column(Text, unique=True, default=_fold)
    """What all spellings of it have in common; followed by '#' and a number for a reader from the time when
    each spelling was a reader of its own."""
    role: Mapped[str] = mapped_column(String(16))
    created: Mapped[datetime]


class Token(Base):
    """A key that lets one reader in; only its hash is kept."""

    __tablename__ = "tokens"
    __table_args__ = (NEVER_TWICE,)

    id: Mapped[int] = mapped_column(primary_key=True)
    reader_id: Mapped[int] = mapped_column(ForeignKey("readers.id", ondelete="CASCADE"), index=True)
    hash: Mapped[str] = mapped_column(String(64), unique=True)
    """sha256 of the token; a token is 32 random bytes, so that no slow hash is needed."""
    created: Mapped[datetime]
    expires: Mapped[datetime]
    revoked: Mapped[datetime | None]


class Visit(Base):
    """A browser that has come in."""

    __tablename__ = "sessions"

    id: Mapped[int] = mapped_column(primary_key=True)
    hash: Mapped[str] = mapped_column(String(64), unique=True)
    reader_id: Mapped[int | None] = mapped_column(ForeignKey("readers.id", ondelete="CASCADE"), index=True)
    token_id: Mapped[int | None] = mapped_column(ForeignKey("tokens.id", ondelete="CASCADE"))
    created: Mapped[datetime]
    expires: Mapped[datetime]


class CaseRow(Base):
    """What is searched and sorted; the case itself is a folder of `dermaxai.cases`."""

    __tablename__ = "cases"
    __table_args__ = (Index(None, "created"), Index(None, "disagreement"), Index(None, "faithfulness"))

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    """Letters, digits, '-' and '_'."""
    folder: Mapped[str] = mapped_column(Text)
    """Name of the case folder below the folder of cases."""
    sha256: Mapped[str] = mapped_column(String(64), index=True)
    """Of the photo's file as received."""
    name: Mapped[str] = mapped_column(Text, default="")
    """Of the file as received; stays on this machine: in no log, export, report or event."""
    state: Mapped[str] = mapped_column(String(16), default="waiting")
    revision: Mapped[int] = mapped_column(default=0)
    """Raised with every change of the case."""
    created: Mapped[datetime]
    changed: Mapped[datetime]
    owner: Mapped[str] = mapped_column(String(64), default="")
    """Pseudonym of who brought the photo."""
    language: Mapped[str] = mapped_column(String(8), default="en")
    caption: Mapped[str] = mapped_column(Text, default="")
    encoder: Mapped[str] = mapped_column(String(200), default="")
    captioner: Mapped[str] = mapped_column(String(200), default="")
    width: Mapped[int] = mapped_column(default=0)
    height: Mapped[int] = mapped_column(default=0)
    maps: Mapped[int] = mapped_column(default=0)
    """How many maps it has."""
    disagreement: Mapped[float | None]
    """1 - mean rank correlation of the methods' maps over the case's questions, 0 to 2."""
    faithfulness: Mapped[float | None]
    """Of the worst judged map: how far it is better than the mean random map, in the metric's unit."""
    unfaithful: Mapped[int] = mapped_column(default=0)
    """Maps that are not better than random ones."""
    outside: Mapped[bool] = mapped_column(default=False)
    """The photo is outside what the model knows."""
    facts: Mapped[dict[str, Any]]
    """Small things the list shows: methods, concepts, removed fields, notes."""
    words: Mapped[str] = mapped_column(Text, default="")
    """Captions, concepts and name, case-folded: what a search looks through."""


class MapRow(Base):
    """One map of a case, without its values."""

    __tablename__ = "maps"
    __table_args__ = (Index(None, "case_id", "position", unique=True),)

    id: Mapped[int] = mapped_column(primary_key=True)
    case_id: Mapped[str] = mapped_column(ForeignKey("cases.id", ondelete="CASCADE"))
    position: Mapped[int]
    """In `Case.maps`."""
    method: Mapped[str] = mapped_column(String(64), index=True)
    variant: Mapped[str] = mapped_column(String(64), default="")
    kind: Mapped[str] = mapped_column(String(16))
    text: Mapped[str] = mapped_column(Text)
    word: Mapped[int | None]
    against: Mapped[str | None] = mapped_column(Text)
    peak: Mapped[float | None]
    region: Mapped[str] = mapped_column(String(32), default="")
    share: Mapped[float | None]
    deletion: Mapped[float | None]
    insertion: Mapped[float | None]
    verdict: Mapped[str] = mapped_column(String(16), default="")


class Reading(Base):
    """What a reader saw alone, before caption and maps were shown."""

    __tablename__ = "readings"
    __table_args__ = (Index(None, "case_id", "reader_id", unique=True), NEVER_TWICE)

    id: Mapped[int] = mapped_column(primary_key=True)
    case_id: Mapped[str] = mapped_column(ForeignKey("cases.id", ondelete="CASCADE"))
    reader_id: Mapped[int] = mapped_column(ForeignKey("readers.id"), index=True)
    findings: Mapped[str] = mapped_column(Text)
    diagnosis: Mapped[str] = mapped_column(Text, default="")
    confidence: Mapped[int | None]
    """1, a guess, to 5, certain."""
    seconds: Mapped[float | None]
    """Between opening the case and the answer, as the page measured it."""
    created: Mapped[datetime]


class Feedback(Base):
    """What a reader says of one word and its map; nothing is overwritten, the newest per word counts."""

    __tablename__ = "feedback"
    __table_args__ = (Index(None, "case_id", "reader_id", "word"), NEVER_TWICE)

    id: Mapped[int] = mapped_column(primary_key=True)
    case_id: Mapped[str] = mapped_column(ForeignKey("cases.id", ondelete="CASCADE"))
    reader_id: Mapped[int] = mapped_column(ForeignKey("readers.id"), index=True)
    revision: Mapped[int]
    """Of the case that was looked at."""
    caption_sha256: Mapped[str] = mapped_column(String(64))
    """Of the caption that was looked at: an answer to other words is not counted."""
    word: Mapped[int | None]
    """Index in the caption's words; None speaks of the caption as a whole."""
    text: Mapped[str] = mapped_column(Text, default="")
    """The word itself."""
    method: Mapped[str] = mapped_column(String(64), default="")
    """Whose map was shown; '' for none."""
    answer: Mapped[str] = mapped_column(String(16))
    regions: Mapped[list[Any]]
    """As `dermaxai.reading.regions` writes them, in photo pixels."""
    comment: Mapped[str] = mapped_column(Text, default="")
    created: Mapped[datetime]


class Job(Base):
    """Something to be done by a worker; every job ends exactly once."""

    __tablename__ = "jobs"
    __table_args__ = (Index(None, "state", "id"), NEVER_TWICE)

    id: Mapped[int] = mapped_column(primary_key=True)
    """Order of arrival."""
    kind: Mapped[str] = mapped_column(String(16))
    case_id: Mapped[str] = mapped_column(ForeignKey("cases.id", ondelete="CASCADE"), index=True)
    owner: Mapped[str] = mapped_column(String(64))
    """Whose job it is; turns go round between owners."""
    key: Mapped[str | None] = mapped_column(String(128), unique=True)
    """Idempotency key of the request: asked twice, done once."""
    request: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(String(16), default="waiting")
    stages: Mapped[list[Any]]
    """One object per stage, in order: name, state, seconds, note."""
    content: Mapped[int] = mapped_column(default=0)
    """Raised whenever there is more of the case to show."""
    cancel: Mapped[bool] = mapped_column(default=False)
    """Somebody asked to stop."""
    claim: Mapped[str | None] = mapped_column(String(32))
    """Drawn by the worker that has the job; only who knows it may finish the job."""
    worker: Mapped[str] = mapped_column(String(128), default="")
    """'host:pid:start' of that worker."""
    heartbeat: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(default=0)
    error: Mapped[dict[str, Any] | None]
    """error, message, hint, as the API sends them."""
    created: Mapped[datetime]
    started: Mapped[datetime | None]
    finished: Mapped[datetime | None]


class Event(Base):
    """Who did what; never changed, never deleted."""

    __tablename__ = "events"

    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """1, 2, 3, … without a gap."""
    time: Mapped[datetime]
    actor: Mapped[str] = mapped_column(String(64))
    """Pseudonym, 'local', 'worker' or 'system'."""
    action: Mapped[str] = mapped_column(String(64), index=True)
    """Noun and verb: 'case.made', 'feedback.given', …"""
    subject: Mapped[str] = mapped_column(String(128), index=True)
    """Id of what it was done to."""
    detail: Mapped[str] = mapped_column(Text)
    """Canonical JSON; numbers, names and hashes, never text of a photo, caption or comment."""
    previous: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64), unique=True)


class Chain(Base):
    """The end of the chain of events, in one row: what appending locks, and a cut-off tail would miss."""

    __tablename__ = "chain"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    seq: Mapped[int]
    hash: Mapped[str] = mapped_column(String(64))
