"""The next case to read, over HTTP."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Depends, Query

from dermaxai.api.access import signed_in
from dermaxai.api.asking import State
from dermaxai.api.errors import refusals
from dermaxai.api.schemas import Sent
from dermaxai.api.state import Actor
from dermaxai.reading.blind import check_search
from dermaxai.reading.unread import find_next
from dermaxai.store.cases import CaseSearch, Sort

router = APIRouter(prefix="/api", tags=["reading room"])


class NextCase(Sent):
    """How far a reader is, and where to go on."""

    case: str | None
    """Id of the next case that this reader has not read; null where there is no other."""
    read: int
    """Cases that this reader has read."""
    cases: int
    """Cases that can be read."""


@router.get("/next", responses=refusals(403), summary="The next case to read")
def show_next(
    state: State,
    actor: Annotated[Actor, Depends(signed_in)],
    after: Annotated[str, Query(max_length=64, description="Id of the case before it.")] = "",
    sort: Annotated[Sort, Query(description="By what the list is sorted.")] = "created",
    *,
    descending: Annotated[bool, Query(description="Largest or newest first.")] = True,
) -> NextCase:
    """In the order of the list behind `after`, and from the beginning again after the last; only own readings
    and answers are looked at.
    """
    blind = state.options.blind
    check_search(actor, blind, "", sort)
    order = CaseSearch(sort=sort, descending=descending)
    with state.store.read() as session:
        return NextCase(**asdict(find_next(session, actor, blind=blind, order=order, case_id=after)))
