"""Jobs over HTTP: how far they are, as it happens, and an end to them."""

from __future__ import annotations

from collections.abc import Set
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import StreamingResponse

from dermaxai.api.access import check_seen
from dermaxai.api.asking import State, Who
from dermaxai.api.cases import may_change
from dermaxai.api.errors import refusals
from dermaxai.api.events import ALIVE_SECONDS, Watch
from dermaxai.api.limits import too_fast
from dermaxai.api.schemas import JobId, JobList, JobView
from dermaxai.api.state import ServerState
from dermaxai.jobs.queue import cancel_job, count_ahead, find_job, job_view, list_jobs
from dermaxai.reading.blind import veil_jobs
from dermaxai.store.tables import Job, JobState

router = APIRouter(prefix="/api/jobs", tags=["jobs"])

STREAM = "text/event-stream"
STREAMS = 100
"""That one person may listen to at once; a browser opens six."""
EVENTS = {
    "description": "Events 'progress', each with a job as JSON; the stream ends with the job.",
    "content": {
        STREAM: {
            "schema": {"type": "string"},
            "example": 'event: progress\ndata: {"id":17,"state":"running", …}\nid: 1-9f03c2aa\n\n',
        }
    },
}


@router.get("", responses=refusals(), summary="The jobs")
def show_jobs(
    state: State,
    actor: Who,
    only: Annotated[JobState | Literal[""], Query(alias="state", description="Only these.")] = "",
    limit: Annotated[int, Query(ge=1, le=200, description="How many.")] = 50,
) -> JobList:
    """The newest first, with how many are ahead of those that wait."""
    with state.store.read() as session:
        jobs = list_jobs(session, only)[:limit]
        ahead = count_ahead(session) if any(job.state == "waiting" for job in jobs) else {}
        views = [job_view(job, ahead.get(job.id, 0)) for job in jobs]
        return JobList.model_validate({"jobs": veil_jobs(session, actor, state.options.blind, views)})


@router.get("/{job_id}", responses=refusals(404), summary="One job")
def show_job(job_id: JobId, state: State, actor: Who) -> JobView:
    """Its stages with their seconds, and how many jobs are ahead of it."""
    with state.store.read() as session:
        job = find_job(session, job_id)
        ahead = count_ahead(session).get(job.id, 0) if job.state == "waiting" else 0
        (view,) = veil_jobs(session, actor, state.options.blind, [job_view(job, ahead)])
        return JobView.model_validate(view)


def known_job(job_id: JobId, state: State, actor: Who) -> int:
    """The id of a job that there is, of a case that may be seen. Raises: NotFound, ReadingFirst."""
    with state.store.read() as session:
        job = find_job(session, job_id)
        check_seen(session, state, actor, job.case_id)
        return job.id


@router.get(
    "/{job_id}/events",
    response_class=StreamingResponse,
    responses={200: EVENTS, **refusals(404)},
    summary="One job, as it happens",
)
async def follow_job(
    request: Request,
    job_id: Annotated[int, Depends(known_job)],
    actor: Who,
    seen: Annotated[
        str, Header(alias="Last-Event-ID", max_length=64, description="Mark of the last event that came.")
    ] = "",
) -> Response:
    """A stream of events: the job as it is, then every change of its state, its stages or its content.

    When `content` rises, there is more of the case to fetch. After a break the browser sends
    `Last-Event-ID` by itself, and what it has seen is not told again.
    """
    watch: Watch = request.app.state.watch
    if watch.count(actor.name) >= STREAMS:
        raise too_fast("Too many streams of events are open.", ALIVE_SECONDS)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(watch.follow(job_id, seen, who=actor.name), media_type=STREAM, headers=headers)


@router.delete("/{job_id}", responses=refusals(403, 404, 409), summary="Cancel a job")
def stop_job(job_id: JobId, state: State, actor: Who) -> JobView:
    """One that waits ends at once; one that runs is stopped in the middle, within about a second. Whoever
    asked for it may do so, and an admin.
    """
    with state.store.write() as session:
        may_change(actor, find_job(session, job_id).owner)
        view = job_view(cancel_job(session, job_id, actor=actor.name))
        return JobView.model_validate(veil_jobs(session, actor, state.options.blind, [view])[0])


def look_at_jobs(state: ServerState, wanted: Set[int]) -> dict[int, dict[str, Any]]:
    """The views of some jobs, in one look at the table."""
    with state.store.read() as session:
        jobs = [job for job_id in wanted if (job := session.get(Job, job_id)) is not None]
        ahead = count_ahead(session) if any(job.state == "waiting" for job in jobs) else {}
        return {job.id: job_view(job, ahead.get(job.id, 0)) for job in jobs}
