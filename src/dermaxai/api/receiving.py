"""Photos come in: read at once, kept as pixels, queued for a worker; or refused, and nothing is left."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Annotated, Any, cast

from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends, File, Form, Header, UploadFile
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from dermaxai.api.asking import State, Who
from dermaxai.api.errors import refusals
from dermaxai.api.examples import ExampleNumber, example_photo
from dermaxai.api.schemas import Accepted
from dermaxai.api.state import Actor, ServerState
from dermaxai.api.uploads import read_upload
from dermaxai.errors import Conflict, NotSupported, QueueFull, UsageError
from dermaxai.explain import METHODS
from dermaxai.jobs.queue import JobRequest, ask, count_ahead, find_asked, job_view
from dermaxai.registry import check_name
from dermaxai.store.audit import append
from dermaxai.store.cases import add_waiting, find_case, new_case_id
from dermaxai.store.faults import telling_faults
from dermaxai.store.shelf import Shelf
from dermaxai.store.tables import Job
from dermaxai.types import Language, SkinImage

router = APIRouter(prefix="/api", tags=["cases"])

Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        description="Drawn by who asks; asked twice with the same key, it is done once.",
    ),
]
WORD_METHOD = "evidence"
EVERY = "all"
QUERIES = 8
"""Texts that may be asked about with the photo."""
LONGEST_QUERY = 300
"""Characters."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be done with a photo."""

    model: str
    methods: tuple[str, ...]
    lang: Language
    queries: tuple[str, ...]
    measure: bool = False

    def as_request(self) -> dict[str, Any]:
        """As a job of kind 'explain' keeps it."""
        return {
            "model": self.model,
            "methods": list(self.methods),
            "lang": self.lang,
            "queries": list(self.queries),
            "measure": self.measure,
        }


def wish(
    state: State,
    model: Annotated[
        str, Form(max_length=500, description="One of the served models; by default the first.")
    ] = "",
    methods: Annotated[
        list[str] | None,
        Form(
            description="Names of `/api/methods`, repeated or with commas, or 'all'; by default 'evidence'."
        ),
    ] = None,
    lang: Annotated[Language, Form(description="Language of the explained caption.")] = "en",
    queries: Annotated[list[str] | None, Form(description="Texts to look for in the photo.")] = None,
    *,
    measure: Annotated[
        bool, Form(description="Also say how far each map is better than random ones.")
    ] = False,
) -> Wish:
    """What was asked for, checked before a photo is read. Raises: NotSupported, UnknownName, UsageError."""
    return replace(check_wish(state, model, methods or [], lang, queries or []), measure=measure)


def check_wish(
    state: ServerState, model: str, methods: Iterable[str], lang: str, queries: Iterable[str]
) -> Wish:
    """The first model and 'evidence' where nothing is said. Raises: NotSupported, UnknownName, UsageError."""
    check_serving(state)
    served = [known.name for known in state.options.models]
    chosen = model or served[0]
    check_name("served model", chosen, served)
    names = tuple(dict.fromkeys(_listed(methods))) or (WORD_METHOD,)
    check_methods(names)
    return Wish(chosen, names, cast(Language, lang), _checked_texts(queries))


def check_serving(state: ServerState) -> None:
    """Raises: NotSupported where there is no model."""
    if not state.options.has_model:
        raise NotSupported(
            "This server shows cases only; no model is loaded.",
            hint="Start it without --no-model to describe photos.",
        )


def check_methods(names: Iterable[str]) -> None:
    """Raises: UnknownName."""
    for name in names:
        if name != EVERY:
            check_name("explanation method", name, METHODS)


def _listed(given: Iterable[str]) -> list[str]:
    return [name.strip() for entry in given for name in entry.split(",") if name.strip()]


def _checked_texts(given: Iterable[str]) -> tuple[str, ...]:
    texts = tuple(dict.fromkeys(text.strip() for text in given if text.strip()))
    if len(texts) > QUERIES:
        raise UsageError(
            f"At most {QUERIES} texts go with a photo, not {len(texts)}.", hint="Ask later for more."
        )
    if any(len(text) > LONGEST_QUERY for text in texts):
        raise UsageError(f"A text has at most {LONGEST_QUERY} characters.", hint="Shorten it.")
    return texts


@router.post(
    "/cases",
    status_code=202,
    responses=refusals(403, 409, 413, 507),
    summary="Describe a photo",
)
async def receive_photo(
    file: Annotated[UploadFile, File(description="JPEG, PNG, TIFF, WebP, BMP or DICOM.")],
    wanted: Annotated[Wish, Depends(wish)],
    state: State,
    actor: Who,
    key: Key = None,
) -> Accepted:
    """The photo is read at once: what identifies a person is left behind, only pixels are kept. A worker then
    describes and explains it; follow the job with `GET /api/jobs/{job_id}/events`.
    """
    await run_sync(expect_room, state, actor, key)
    image, name = await read_upload(file, state.options)
    return await run_sync(functools.partial(take_in, state, actor, image, name, wanted, key=key))


@router.post(
    "/examples/{number}",
    status_code=202,
    responses=refusals(403, 404, 409, 507),
    tags=["examples"],
    summary="Describe a drawn photo",
)
def receive_example(
    number: ExampleNumber, wanted: Annotated[Wish, Depends(wish)], state: State, actor: Who, key: Key = None
) -> Accepted:
    """As if the drawn photo had been sent."""
    image, name = example_photo(number)
    return take_in(state, actor, image, name, wanted, key=key)


def expect_room(state: ServerState, actor: Actor, key: str | None) -> None:
    """Refuse before the photo is read where it would be refused afterwards. Raises: QueueFull, Conflict."""
    with state.store.read() as session:
        if find_asked(session, own_key(actor, key), actor.name) is not None:
            return
        waiting = session.scalar(select(func.count()).select_from(Job).where(Job.state == "waiting")) or 0
    if waiting >= state.options.queue:
        raise QueueFull(
            f"{waiting} jobs are waiting, and no more are taken.",
            hint="Try again when some of them are done.",
        )


def take_in(
    state: ServerState, actor: Actor, image: SkinImage, name: str, wanted: Wish, *, key: str | None = None
) -> Accepted:
    """Row, job and event in one transaction, after the pixels; if anything fails, nothing is left behind.

    Raises: QueueFull, Conflict for a key that was used for another photo, StoreError.
    """
    case_id, shelf = new_case_id(), Shelf(state.store.folder)
    taken = False
    try:
        with telling_faults():
            shelf.keep_upload(case_id, image)
        with state.store.write() as session:
            job = _asked_before(session, actor, image, wanted, key)
            if job is None:
                job = _enter(session, state, actor, (case_id, image, name), wanted.as_request(), key)
            accepted = accept(session, job)
        taken = accepted.case == case_id
    finally:
        if not taken:
            shelf.drop_upload(case_id)
    if taken:
        state.wake()
    return accepted


def _asked_before(
    session: Session, actor: Actor, image: SkinImage, wanted: Wish, key: str | None
) -> Job | None:
    """The job of an earlier request with this key. Raises: Conflict where that was for something else."""
    job = find_asked(session, own_key(actor, key), actor.name)
    if job is None:
        return None
    if find_case(session, job.case_id).sha256 != image.sha256:
        raise Conflict("This Idempotency-Key was used for another photo.", hint="Draw a new one.")
    if (job.kind, job.request) != ("explain", wanted.as_request()):
        raise Conflict("This Idempotency-Key was used for another wish.", hint="Draw a new one.")
    return job


def _enter(
    session: Session,
    state: ServerState,
    actor: Actor,
    photo: tuple[str, SkinImage, str],
    request: dict[str, Any],
    key: str | None,
) -> Job:
    case_id, image, name = photo
    add_waiting(session, case_id, image, name=name, owner=actor.name)
    height, width = image.pixels.shape[:2]
    append(
        session,
        actor.name,
        "case.received",
        case_id,
        sha256=image.sha256,
        format=image.format,
        width=width,
        height=height,
        removed=len(image.removed),
    )
    asked = JobRequest("explain", case_id, actor.name, request, own_key(actor, key))
    return ask(session, asked, limit=state.options.queue)


def accept(session: Session, job: Job) -> Accepted:
    """What is answered when a job was taken."""
    ahead = count_ahead(session).get(job.id, 0) if job.state == "waiting" else 0
    return Accepted.model_validate({"job": job_view(job, ahead), "case": job.case_id})


def own_key(actor: Actor, key: str | None) -> str | None:
    """The key as the table keeps it: two people may draw the same one."""
    return hashlib.sha256(f"{actor.name}\n{key}".encode()).hexdigest() if key is not None else None
