"""The reading room over HTTP: answers, blind readings, agreement, export.

A reader sees their own answers and readings only; an admin sees everybody's. In blind mode nothing here tells
what the machine said before the reader's own reading.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends
from fastapi.responses import StreamingResponse
from pydantic import Field

from dermaxai.api.access import admin_only, check_seen, current_actor, server_of, signed_in
from dermaxai.api.cases import made
from dermaxai.api.errors import refusals
from dermaxai.api.schemas import CaseId, Given, Sent
from dermaxai.api.state import Actor, ServerState
from dermaxai.reading import blind
from dermaxai.reading.export import export
from dermaxai.reading.forms import Format, What
from dermaxai.reading.judging import Judgement, feedback_json, give_feedback, own_feedback
from dermaxai.reading.looking import hash_caption, read_page
from dermaxai.reading.regions import POINTS, REGIONS, Kind
from dermaxai.reading.summary import summarise_study
from dermaxai.reading.telling import blind_readings_of, readings_of
from dermaxai.reading.typed import COMMENT, DIAGNOSIS, FINDINGS
from dermaxai.store.audit import append
from dermaxai.store.cases import find_case
from dermaxai.store.shelf import Shelf
from dermaxai.store.tables import Answer

router = APIRouter(prefix="/api", tags=["reading room"])

Server = Annotated[ServerState, Depends(server_of)]
Anyone = Annotated[Actor, Depends(current_actor)]
Named = Annotated[Actor, Depends(signed_in)]
Admin = Annotated[Actor, Depends(admin_only)]
MEDIA = {"csv": "text/csv; charset=utf-8", "json": "application/json"}


class RegionGiven(Given):
    """A place in the photo, in photo pixels."""

    kind: Kind
    points: list[tuple[float, float]] = Field(min_length=1, max_length=POINTS, fail_fast=True)
    """x to the right, y down: one for a point, two corners for a box, three or more for a polygon."""
    radius: float = 0.0
    """Of the brush."""


class FeedbackGiven(Given):
    """What a reader says of a word and its map."""

    answer: Answer
    caption: str = Field(max_length=20_000)
    """The caption that was looked at, word for word: an answer to another one is refused."""
    word: int | None = Field(default=None, ge=0, le=100_000)
    """Index in the caption's words; null speaks of the caption as a whole."""
    method: str = Field(default="", max_length=64)
    """Whose map was shown; empty for none."""
    regions: list[RegionGiven] = Field(default_factory=list, max_length=REGIONS, fail_fast=True)
    """Where the reader sees what the word says."""
    comment: str = Field(default="", max_length=4 * COMMENT)


class FeedbackView(Sent):
    """An answer that counts."""

    id: int
    word: int | None
    text: str
    """The word itself."""
    answer: Answer
    method: str
    regions: list[dict[str, Any]]
    comment: str
    revision: int
    """Of the case that was looked at."""
    current: bool
    """Whether the caption is still the one that was looked at."""
    created: str


class FeedbackList(Sent):
    """Answers to one case."""

    answers: list[FeedbackView]
    """Of whoever asks, the newest per word."""
    everyone: list[dict[str, Any]] | None = None
    """Of all readers, with pseudonyms; for an admin."""


class ReadingGiven(Given):
    """What a reader sees in the photo, before the machine's caption is shown."""

    findings: str = Field(max_length=4 * FINDINGS)
    diagnosis: str = Field(default="", max_length=4 * DIAGNOSIS)
    """Under test."""
    confidence: int | None = Field(default=None, ge=1, le=5)
    """1, a guess, to 5, certain."""
    seconds: float | None = Field(default=None, ge=0)
    """Between opening the photo and the answer."""


class ReadingView(Sent):
    """A reading that was given; it cannot be changed."""

    findings: str
    diagnosis: str
    confidence: int | None
    seconds: float | None
    created: str


class ReadingState(Sent):
    """Whether this reader has to read the photo first, and what they said."""

    needed: bool
    """The machine's caption and maps are hidden until a reading is given."""
    reading: ReadingView | None = None
    everyone: list[dict[str, Any]] | None = None
    """Of all readers, with pseudonyms; for an admin."""


@router.get("/cases/{case_id}/feedback", responses=refusals(403, 404))
def read_feedback(case_id: CaseId, server: Server, actor: Anyone) -> FeedbackList:
    """Own answers to a case; for an admin those of everybody."""
    with server.store.read() as session:
        row = find_case(session, case_id)
        check_seen(session, server, actor, case_id)
        sha256 = hash_caption(row.caption)
        mine = own_feedback(session, actor, case_id) if actor.reader is not None else []
        answers = [FeedbackView(**feedback_json(entry, sha256)) for entry in mine]
        everyone = readings_of(session, case_id) if _leads(server, actor) else None
    return FeedbackList(answers=answers, everyone=everyone)


@router.post("/cases/{case_id}/feedback", status_code=201, responses=refusals(403, 404, 409, 507))
def send_feedback(case_id: CaseId, given: FeedbackGiven, server: Server, actor: Named) -> FeedbackView:
    """Answer for one word, or for the caption as a whole; earlier answers stay, the newest counts."""
    regions = [entry.model_dump() for entry in given.regions]
    judgement = Judgement(
        given.answer, given.caption, given.word, given.method, regions=regions, comment=given.comment
    )
    with server.store.write() as session:
        row = find_case(session, case_id)
        check_seen(session, server, actor, case_id)
        looked = read_page(Shelf(server.store.folder).page(made(row)))
        feedback = give_feedback(session, actor, row, looked, judgement)
        return FeedbackView(**feedback_json(feedback, looked.caption_sha256))


@router.get("/cases/{case_id}/reading", responses=refusals(404))
def read_reading(case_id: CaseId, server: Server, actor: Anyone) -> ReadingState:
    """Own blind reading of a photo, and whether it is still needed; for an admin those of everybody."""
    with server.store.read() as session:
        find_case(session, case_id)
        mine = blind.own_reading(session, actor, case_id) if actor.reader is not None else None
        needed = not blind.may_see(session, actor, case_id, server.options.blind)
        everyone = blind_readings_of(session, case_id) if _leads(server, actor) else None
    reading = ReadingView(**blind.reading_json(mine)) if mine is not None else None
    return ReadingState(needed=needed, reading=reading, everyone=everyone)


@router.post("/cases/{case_id}/reading", status_code=201, responses=refusals(404, 409, 507))
def send_reading(case_id: CaseId, given: ReadingGiven, server: Server, actor: Named) -> ReadingView:
    """Own reading of a photo, once and for all; then the machine's caption and maps are shown."""
    said = blind.OwnReading(given.findings, given.diagnosis, given.confidence, given.seconds)
    with server.store.write() as session:
        reading = blind.give_reading(session, actor, case_id, said, blind=server.options.blind)
        return ReadingView(**blind.reading_json(reading))


@router.get("/agreement", responses=refusals(403))
def read_agreement(server: Server, _actor: Admin) -> dict[str, Any]:
    """How far readers agree with each other, and with each method's maps; for an admin.

    Fleiss' kappa of answers, Dice of regions, share of each map's energy inside regions, with 95 % intervals
    over resampled cases; null where a number is not defined.
    """
    with server.store.read() as session:
        return summarise_study(session, Shelf(server.store.folder)).as_json()


@router.get("/export/{what}", response_class=StreamingResponse, responses=refusals(403, 507))
def send_export(
    what: What,
    server: Server,
    actor: Admin,
    format: Format = "csv",
    bom: Literal["no", "yes"] = "no",
) -> StreamingResponse:
    """All answers, blind readings, cases or events as one table; for an admin.

    `bom`: a mark that spreadsheets need to read Cyrillic letters in CSV.
    """
    with server.store.write() as session:
        append(session, actor.name, "export.made", what, format=format)
    headers = {
        "Content-Disposition": f'attachment; filename="dermaxai_{what}.{format}"',
        "Cache-Control": "no-store",
    }
    return StreamingResponse(_pieces(server, what, format, bom == "yes"), 200, headers, MEDIA[format])


def _pieces(server: ServerState, what: What, form: Format, bom: bool) -> Iterator[bytes]:
    with server.store.read() as session:
        for piece in export(session, Shelf(server.store.folder), what, form, bom=bom):
            yield piece.encode()


def _leads(server: ServerState, actor: Actor) -> bool:
    """Whether somebody may see what others said: an admin, and in blind mode none that reads along."""
    return actor.is_admin and not blind.must_read_first(actor, server.options.blind)
