"""Cases over HTTP: the list, one case, its maps, its deletion."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, Literal

from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends, Query, Request, Response
from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import aliased

from dermaxai.api.access import check_seen
from dermaxai.api.answers import Answer, make_answer, send
from dermaxai.api.asking import State, Who
from dermaxai.api.errors import refusals
from dermaxai.api.schemas import CaseId, CaseList, CaseView, MapList
from dermaxai.api.state import Actor, ServerState
from dermaxai.errors import Conflict, DataError, NotAllowed, NotFound
from dermaxai.jobs.queue import count_ahead, job_view
from dermaxai.reading.blind import check_search, must_read_first, read_cases
from dermaxai.reading.unread import is_unread
from dermaxai.store.cases import CaseSearch, Sort, case_summary, find_case, list_cases
from dermaxai.store.deleting import delete_case
from dermaxai.store.faults import telling_faults
from dermaxai.store.shelf import Shelf
from dermaxai.store.tables import CaseRow, CaseState, Job

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

router = APIRouter(prefix="/api/cases", tags=["cases"])

_ANY = aliased(Job)
_LAST_JOB = select(func.max(_ANY.id)).where(_ANY.case_id == CaseRow.id).correlate(CaseRow).scalar_subquery()
MARK = (
    select(
        CaseRow.state,
        CaseRow.created,
        CaseRow.changed,
        CaseRow.revision,
        Job.id.label("job"),
        Job.finished,
    )
    .outerjoin(Job, Job.id == _LAST_JOB)
    .where(CaseRow.id == bindparam("case_id"))
)
"""State and revision of a case, and its latest job, in one look."""
LATEST = 2**31 - 1
"""The databases count no further."""


def wanted_cases(
    text: Annotated[str, Query(max_length=200, description="Words of caption, concepts or name.")] = "",
    sort: Annotated[Sort, Query(description="By what it is sorted.")] = "created",
    *,
    descending: Annotated[bool, Query(description="Largest or newest first.")] = True,
    only: Annotated[CaseState | Literal[""], Query(alias="state", description="Only these.")] = "",
    limit: Annotated[int, Query(ge=1, le=500, description="How many.")] = 50,
    after: Annotated[int, Query(ge=0, le=LATEST, description="How many are left out before them.")] = 0,
) -> CaseSearch:
    """Which part of the list is asked for."""
    return CaseSearch(text, sort, descending, only, limit, after)


@router.get("", responses=refusals(403), summary="The list of cases")
def show_cases(
    state: State,
    actor: Who,
    wanted: Annotated[CaseSearch, Depends(wanted_cases)],
    *,
    unread: Annotated[bool, Query(description="Only those that you have not read.")] = False,
) -> CaseList:
    """Newest first, or by disagreement of the methods, by the worst map, by caption or by name.

    In blind mode the list of an unread case says nothing of what the model said, and is neither searched nor
    sorted by it. A case is read with a blind reading in blind mode, otherwise with an answer that counts;
    `unread` leaves out those that are not made.
    """
    blind = state.options.blind
    check_search(actor, blind, wanted.text, wanted.sort)
    with state.store.read() as session:
        only = is_unread(session, actor, blind) if unread else None
        found = list_cases(session, wanted, only)
        hides = must_read_first(actor, blind)
        seen = read_cases(session, actor) if hides else frozenset()
        rows = [_summary(row, hidden=hides and row.id not in seen) for row in found.rows]
    return CaseList.model_validate({"cases": rows, "total": found.total})


def _summary(row: CaseRow, *, hidden: bool) -> dict[str, Any]:
    return {**case_summary(row, blind=hidden), "hidden": hidden}


@router.get(
    "/{case_id}",
    response_model=CaseView,
    responses={304: {"description": "It is as it was."}, **refusals(403, 404)},
    summary="One case",
)
async def show_case(request: Request, case_id: CaseId, state: State, actor: Who) -> Response:
    """Captions, words, maps and scores, as the page reads them; while it is made, as far as it is.

    Send back the ETag as `If-None-Match`, and an unchanged case costs nothing.
    """
    # A look into a file that is open costs less than a thread; nobody who writes can hold it up.
    looks = state.store.is_sqlite
    known = (
        find_answer(state, actor, case_id) if looks else await run_sync(find_answer, state, actor, case_id)
    )
    if known is None:
        known = await run_sync(make_case_answer, state, case_id)
    return send(request, known)


def find_answer(state: ServerState, actor: Actor, case_id: str) -> Answer | None:
    """The answer about a case that was sent before, if it is still true.

    Raises: NotFound, ReadingFirst, StoreError.
    """
    with state.store.read() as session:
        if state.options.blind:
            find_case(session, case_id)
            check_seen(session, state, actor, case_id)
        version = _version(session, case_id)
    if version is None:
        state.answers.drop(case_id)
        return None
    return state.answers.find(case_id, version)


def make_case_answer(state: ServerState, case_id: str) -> Answer:
    """The answer about a case as it is now, kept where nothing is under way. Raises: NotFound, StoreError."""
    with state.store.read() as session:
        row, version = find_case(session, case_id), _version(session, case_id)
        job = session.scalar(select(Job).where(Job.case_id == case_id).order_by(Job.id.desc()).limit(1))
        told = job_view(job, _ahead(session, job)) if job else None
    answer = make_answer(_body(row, told, _page(state, row)))
    return answer if version is None else state.answers.keep(case_id, version, answer)


def _version(session: Session, case_id: str) -> tuple[object, ...] | None:
    """What an answer about a case depends on; None where there is none, or something is under way."""
    mark = session.execute(MARK, {"case_id": case_id}).one_or_none()
    if mark is None or mark.state != "ready" or (mark.job and mark.finished is None):
        return None
    return mark.created, mark.changed, mark.revision, mark.job


def _ahead(session: Session, job: Job) -> int:
    return count_ahead(session).get(job.id, 0) if job.state == "waiting" else 0


def _page(state: ServerState, row: CaseRow) -> bytes | None:
    """The page of a case, whole or as far as it is made; None before its first words."""
    shelf = Shelf(state.store.folder)
    with telling_faults():
        return shelf.page(row) if row.state == "ready" else shelf.read_partial(row.id)


def _body(row: CaseRow, job: dict[str, Any] | None, page: bytes | None) -> bytes:
    """The JSON of one case; the page is put in as it lies on disk."""
    head = {
        "id": row.id,
        "state": row.state,
        "revision": row.revision,
        "name": row.name,
        "created": row.created.isoformat(),
        "owner": row.owner,
        "language": row.language,
        "job": job,
    }
    return json.dumps(head, ensure_ascii=False)[:-1].encode() + b', "page": ' + (page or b"null") + b"}"


@router.get("/{case_id}/maps", responses=refusals(403, 404, 409), summary="What each map is of")
def show_maps(case_id: CaseId, state: State, actor: Who) -> MapList:
    """Method, question, place and layer of each map, in the order of the arrays in `maps.npz`."""
    row = ready_case(state, actor, case_id)
    try:
        document = json.loads(Shelf(state.store.folder).made_file(row, "case.json").read_bytes())
        return MapList.model_validate({"maps": document["maps"]})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"The case '{case_id}' is damaged.", hint="Make it again from its photo.") from error


@router.delete("/{case_id}", status_code=204, responses=refusals(403, 404, 409), summary="Delete a case")
def remove_case(case_id: CaseId, state: State, actor: Who) -> None:
    """Photo, captions, maps, readings, feedback and jobs are deleted for good; only the audit trail says that
    there was a case. Whoever brought the photo may do so, and an admin.
    """
    with state.store.read() as session:
        may_change(actor, find_case(session, case_id).owner)
    delete_case(state.store, case_id, actor=actor.name)
    state.answers.drop(case_id)


def may_change(actor: Actor, owner: str) -> None:
    """Raises: NotAllowed unless it is the actor's own, or the actor is an admin."""
    if not actor.is_admin and actor.name != owner:
        raise NotAllowed("This belongs to somebody else.", hint="Its owner or an admin may do that.")


def ready_case(state: ServerState, actor: Actor, case_id: str) -> CaseRow:
    """A case that is made, for who may see it. Raises: NotFound, ReadingFirst, Conflict where it is not."""
    with state.store.read() as session:
        row = find_case(session, case_id)
        if state.options.blind:
            check_seen(session, state, actor, case_id)
    return made(row)


def made(row: CaseRow) -> CaseRow:
    """The row itself. Raises: Conflict, NotFound unless the case is made."""
    if row.state == "waiting":
        raise Conflict(f"The case '{row.id}' is still being made.", hint="Wait for its job.")
    if row.state == "failed":
        raise NotFound(f"The case '{row.id}' was not made.", hint="Its job says why.")
    if row.state == "stopped":
        raise NotFound(f"The case '{row.id}' was not made: it was stopped.", hint="Describe the photo again.")
    if row.state == "gone":
        raise NotFound(f"The folder of case '{row.id}' is gone.", hint="Put it back, or delete the case.")
    return row
