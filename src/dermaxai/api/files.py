"""Files of a case: photo, thumbnail, raw maps, report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from fastapi import APIRouter, Query, Request, Response

from dermaxai.api.answers import send_file
from dermaxai.api.asking import State, Who
from dermaxai.api.cases import ready_case
from dermaxai.api.errors import refusals
from dermaxai.api.headers import report_headers
from dermaxai.api.limits import OwnPlaces, Places
from dermaxai.api.schemas import CaseId
from dermaxai.api.state import Actor, ServerState
from dermaxai.reading.blind import must_read_first
from dermaxai.reading.telling import readings_of
from dermaxai.store.audit import append
from dermaxai.store.cases import find_case
from dermaxai.store.faults import telling_faults
from dermaxai.store.shelf import Shelf
from dermaxai.types import Language

if TYPE_CHECKING:
    from pathlib import Path

    from dermaxai.types import Case

router = APIRouter(prefix="/api/cases/{case_id}", tags=["cases"])

InLanguage = Annotated[
    Language | None, Query(alias="lang", description="Language of the report; by default the caption's.")
]
MAKING = CapacityLimiter(2)
"""Reports that are made at once: each holds a whole photo."""
WAITING = 8
"""Reports of one person that wait for the one at hand; everybody has one of their own at hand."""
PATIENCE = 60.0
"""Seconds."""
NOBODY = 0
"""No reader has this id."""
_OWN = OwnPlaces(lambda: Places(1, waiting=WAITING, seconds=PATIENCE, what="reports are being made"))
JPEG, NPZ, HTML, PDF = "image/jpeg", "application/octet-stream", "text/html", "application/pdf"


def _sends(kind: str) -> dict[int | str, dict[str, object]]:
    return {200: {"content": {kind: {"schema": {"type": "string", "format": "binary"}}}}}


@router.get(
    "/photo",
    response_class=Response,
    responses={**_sends(JPEG), **refusals(404)},
    summary="The photo",
)
def show_photo(request: Request, case_id: CaseId, state: State, actor: Who) -> Response:
    """As JPEG without metadata, at most 1600 pixels wide or high; also before the case is made."""
    return _picture(request, case_id, state, "photo")


@router.get(
    "/thumb",
    response_class=Response,
    responses={**_sends(JPEG), **refusals(404)},
    summary="The photo, small",
)
def show_thumb(request: Request, case_id: CaseId, state: State, actor: Who) -> Response:
    """As JPEG without metadata, at most 320 pixels wide or high."""
    return _picture(request, case_id, state, "thumb")


def _picture(request: Request, case_id: str, state: ServerState, kind: str) -> Response:
    with state.store.read() as session:
        row = find_case(session, case_id)
    shelf = Shelf(state.store.folder)
    with telling_faults():
        path: Path = shelf.photo(row) if kind == "photo" else shelf.thumb(row)
    return send_file(request, path, f"{row.sha256[:16]}-{kind}", kind=JPEG)


@router.get(
    "/maps.npz",
    response_class=Response,
    responses={**_sends(NPZ), **refusals(403, 404, 409)},
    summary="Raw values of all maps",
)
def show_values(request: Request, case_id: CaseId, state: State, actor: Who) -> Response:
    """One float32 array per map, rows x columns of patches, signed, never rescaled; `/maps` says what each
    is of. numpy reads it with `allow_pickle=False`.
    """
    row = ready_case(state, actor, case_id)
    path = Shelf(state.store.folder).made_file(row, "maps.npz")
    return send_file(request, path, f"{row.id}-{row.revision}-maps", kind=NPZ, name=f"{row.id}.npz")


@router.get(
    "/report",
    response_class=Response,
    responses={**_sends(HTML), **refusals(403, 404, 409)},
    summary="The report, one HTML file",
)
async def show_report(
    case_id: CaseId,
    state: State,
    actor: Who,
    language: InLanguage = None,
    *,
    save: Annotated[bool, Query(description="To be saved rather than shown.")] = False,
) -> Response:
    """The live viewer with the case inside; it opens from disk and asks for nothing."""
    async with _OWN.place(actor.name):
        html, chosen = await run_sync(_html, state, actor, case_id, language, limiter=MAKING)
    headers = {"Cache-Control": "no-store", **report_headers(html)}
    if save:
        headers["Content-Disposition"] = f'attachment; filename="{case_id}.{chosen}.html"'
    return Response(html, media_type=f"{HTML}; charset=utf-8", headers=headers)


@router.get(
    "/report.pdf",
    response_class=Response,
    responses={**_sends(PDF), **refusals(403, 404, 409, 501)},
    summary="The report, to print",
)
async def show_pdf(case_id: CaseId, state: State, actor: Who, language: InLanguage = None) -> Response:
    """The same on paper; needs the extra 'pdf' where the server runs."""
    async with _OWN.place(actor.name):
        pdf, chosen = await run_sync(_pdf, state, actor, case_id, language, limiter=MAKING)
    name = f'attachment; filename="{case_id}.{chosen}.pdf"'
    return Response(pdf, media_type=PDF, headers={"Cache-Control": "no-store", "Content-Disposition": name})


def _html(
    state: ServerState, actor: Actor, case_id: str, language: Language | None
) -> tuple[bytes, Language]:
    from dermaxai.report import render_report

    case, chosen, readings = _for_report(state, actor, case_id, language, "html")
    return render_report(case, language=chosen, readings=readings).encode(), chosen


def _pdf(state: ServerState, actor: Actor, case_id: str, language: Language | None) -> tuple[bytes, Language]:
    from dermaxai.pdf import render_pdf

    case, chosen, readings = _for_report(state, actor, case_id, language, "pdf")
    return render_pdf(case, language=chosen, readings=readings), chosen


def _for_report(
    state: ServerState, actor: Actor, case_id: str, language: Language | None, kind: str
) -> tuple[Case, Language, list[dict[str, Any]]]:
    """The case, the language of its report, and the readings in it: all of them for an admin, else one's own.

    The audit trail hears of it.
    """
    row = ready_case(state, actor, case_id)
    case = Shelf(state.store.folder).load(row)
    chosen = language or case.caption.language
    with state.store.write() as session:
        append(session, actor.name, "report.made", case_id, revision=row.revision, lang=chosen, format=kind)
        leads = actor.is_admin and not must_read_first(actor, state.options.blind)
        asked = None if leads else actor.reader or NOBODY
        return case, chosen, readings_of(session, case_id, asked)
