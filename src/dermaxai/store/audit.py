"""The audit trail: who did what, when, each entry with the hash of the one before it.

The trail proves that nothing in its middle was changed, removed, added or moved, and that its end is the end
that the store remembers. Whoever can write the database can still cut the end off and write a shorter one;
only a hash that was written down elsewhere (`verify`, its `head`) tells that.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, final

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from dermaxai.errors import StoreError
from dermaxai.store.tables import Chain, Event, as_microseconds, now

START = "0" * 64
"""What the first event has as the hash before it."""
LONGEST = 200
"""Characters of a name in the detail of an event: long enough for names, too short for texts."""

FaultKind = Literal["changed", "missing", "moved", "end"]


@final
@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong at one event."""

    seq: int
    kind: FaultKind
    """Changed since it was written; missing; not in its place; not the end that the store remembers."""
    message: str


@final
@dataclass(frozen=True, slots=True)
class Verified:
    """What a walk through the trail found."""

    count: int
    """Events that are there."""
    head: str
    """Hash of the last event; of an empty trail 64 zeros."""
    faults: tuple[Fault, ...] = ()

    @property
    def intact(self) -> bool:
        """Whether every event is as and where it was written."""
        return not self.faults


def append(session: Session, actor: str, action: str, subject: str, **detail: Any) -> Event:  # noqa: ANN401
    """Write one event at the end of the trail, in the transaction of `session` (`Store.write`).

    `detail` holds numbers, names and hashes, never text of a photo, caption or comment.
    Raises: ValueError for a detail that is none of these; StoreError where the trail has no end.
    """
    end = session.execute(select(Chain.seq, Chain.hash).with_for_update()).one_or_none()
    if end is None:
        raise StoreError("The end of the audit trail is missing.", hint="dermaxai audit verify tells more.")
    event = Event(
        seq=end.seq + 1,
        time=now(),
        actor=_short(actor, 64),
        action=_short(action, 64),
        subject=_short(subject, 128),
        detail=_canonical({name: _plain(value) for name, value in detail.items() if value is not None}),
        previous=end.hash,
    )
    event.hash = hash_event(event)
    session.add(event)
    session.execute(update(Chain).values(seq=event.seq, hash=event.hash))
    return event


def hash_event(event: Event) -> str:
    """sha256 of everything that an event says, its place and the hash before it included."""
    told = {
        "seq": event.seq,
        "time": as_microseconds(event.time),
        "actor": event.actor,
        "action": event.action,
        "subject": event.subject,
        "detail": event.detail,
        "previous": event.previous,
    }
    return hashlib.sha256(_canonical(told).encode()).hexdigest()


def verify(session: Session) -> Verified:
    """Walk through the whole trail and name every fault; memory does not grow with its length."""
    faults: list[Fault] = []
    count, seq, head = 0, 0, START
    for event in session.scalars(select(Event).order_by(Event.seq).execution_options(yield_per=1000)):
        faults += _faults_of(event, seq, head)
        count, seq, head = count + 1, event.seq, event.hash
        session.expunge(event)
    end = session.execute(select(Chain.seq, Chain.hash)).one_or_none()
    faults += _faults_of_end(seq, head, end)
    return Verified(count, head, tuple(faults))


def find_head(session: Session, head: str) -> int | None:
    """Number of the event with this hash, 0 for the beginning; None where the trail has none."""
    if head.strip() == START:
        return 0
    return session.scalar(select(Event.seq).where(Event.hash == head.strip().lower()))


def origin(session: Session) -> str:
    """Hash of the first event, which no other store has; of an empty trail 64 zeros."""
    return session.scalar(select(Event.hash).where(Event.seq == 1)) or START


def list_events(session: Session, *, subject: str = "", last: int = 50) -> list[Event]:
    """The newest events, of one subject if it is named; oldest of them first."""
    wanted = select(Event).order_by(Event.seq.desc()).limit(last)
    if subject:
        wanted = wanted.where(Event.subject == subject)
    return list(session.scalars(wanted))[::-1]


def _faults_of(event: Event, seq: int, head: str) -> Iterator[Fault]:
    """What is wrong with the event that follows number `seq` with the hash `head`."""
    if event.seq != seq + 1:
        lost = f"event {seq + 1} is" if event.seq == seq + 2 else f"events {seq + 1} to {event.seq - 1} are"
        yield Fault(seq + 1, "missing", f"{lost} missing")
    elif event.previous != head:
        told = f"event {event.seq} does not follow what stands before it: one of them was changed or moved"
        yield Fault(event.seq, "moved", told)
    if event.hash != hash_event(event):
        yield Fault(event.seq, "changed", f"event {event.seq} is not as it was written")


def _faults_of_end(seq: int, head: str, end: Any) -> Iterator[Fault]:  # noqa: ANN401 - a row or None
    if end is None:
        yield Fault(seq, "end", "the end of the trail, which the store remembers, is missing")
    elif end.seq > seq:
        lost = f"event {end.seq} is" if end.seq == seq + 1 else f"events {seq + 1} to {end.seq} are"
        yield Fault(seq + 1, "missing", f"{lost} missing at the end")
    elif (end.seq, end.hash) != (seq, head):
        yield Fault(seq, "end", f"the trail ends with event {seq}, the store remembers another end")


def _canonical(document: dict[str, Any]) -> str:
    """The one way to write a JSON object."""
    return json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _plain(value: Any) -> Any:  # noqa: ANN401 - whatever a caller tells
    """A number, a name, or a list of them. Raises: ValueError."""
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, str):
        return _short(value, LONGEST)
    if isinstance(value, bool | int | float):
        return value
    raise ValueError(f"an event holds numbers, names and hashes, not {type(value).__name__}")


def _short(text: str, longest: int) -> str:
    """Raises: ValueError for what is too long to be a name, or holds control characters."""
    if len(text) > longest or not text.isprintable():
        raise ValueError(f"an event holds names of at most {longest} printable characters")
    return text
