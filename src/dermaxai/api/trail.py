"""The audit trail over HTTP: for admins, to read and to check."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from sqlalchemy import select

from dermaxai.api.access import admin_only
from dermaxai.api.asking import State
from dermaxai.api.errors import refusals
from dermaxai.api.schemas import Sent
from dermaxai.store.audit import verify
from dermaxai.store.tables import Event

router = APIRouter(prefix="/api/audit", tags=["audit"], dependencies=[Depends(admin_only)])


class EventView(Sent):
    """Who did what."""

    seq: int
    """1, 2, 3, … without a gap."""
    time: datetime
    actor: str
    """Pseudonym, 'local', 'worker' or 'system'."""
    action: str
    """Noun and verb: 'case.made', 'feedback.given', …"""
    subject: str
    """Id of what it was done to."""
    detail: dict[str, Any]
    """Numbers, names and hashes."""
    hash: str
    """Over everything above and the hash of the event before."""


class EventList(Sent):
    """A stretch of the trail, the newest first."""

    events: list[EventView]


class FaultView(Sent):
    """What is wrong at one event."""

    seq: int
    kind: Literal["changed", "missing", "moved", "end"]
    message: str


class VerifiedView(Sent):
    """What a walk through the whole trail found."""

    count: int
    head: str
    """Hash of the last event; written down elsewhere, it proves later that nothing was cut off."""
    intact: bool
    faults: list[FaultView]


@router.get("", responses=refusals(403), summary="The audit trail")
def show_trail(
    state: State,
    before: Annotated[
        int, Query(ge=0, le=2**53, description="Only events before this one; 0: the newest.")
    ] = 0,
    limit: Annotated[int, Query(ge=1, le=1000, description="How many.")] = 100,
) -> EventList:
    """Events, the newest first."""
    wanted = select(Event).order_by(Event.seq.desc()).limit(limit)
    with state.store.read() as session:
        found = session.scalars(wanted.where(Event.seq < before) if before else wanted).all()
        return EventList.model_validate({"events": [_row(event) for event in found]})


@router.get("/verify", responses=refusals(403), summary="Is the audit trail whole?")
def check_trail(state: State) -> VerifiedView:
    """Walks through every event, and finds any that was changed, removed or moved."""
    with state.store.read() as session:
        found = verify(session)
    faults = [{"seq": one.seq, "kind": one.kind, "message": one.message} for one in found.faults]
    return VerifiedView.model_validate(
        {"count": found.count, "head": found.head, "intact": found.intact, "faults": faults}
    )


def _row(event: Event) -> dict[str, Any]:
    names = ("seq", "time", "actor", "action", "subject", "hash")
    return {name: getattr(event, name) for name in names} | {"detail": json.loads(event.detail)}
