"""The jobs of the store: asked, taken by one worker at a time, told of, and ended exactly once.

```
ask ──▶ waiting ──claim_next──▶ running ──finish──▶ done | failed | cancelled
           ▲                       │
           └── give_back, release_lost ── a worker that stops or dies
```

Whoever takes a job draws a claim. Only with this claim can the job be told of or finished: what a worker
brings whose job was given to another is refused. Every function works in the session of its caller.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast
from uuid import uuid4

from sqlalchemy import exists, func, select, update

from dermaxai.errors import Conflict, DermaXAIError, NotFound, QueueFull
from dermaxai.jobs.lease import ATTEMPTS, is_lost
from dermaxai.jobs.order import Turn, line_up
from dermaxai.messages import said, with_said
from dermaxai.store.audit import append
from dermaxai.store.cases import find_case
from dermaxai.store.tables import CaseRow, Job, JobKind, JobState, now

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import CursorResult, Update
    from sqlalchemy.orm import Session

WORKER = "worker"
"""Who does what workers do, in the audit trail."""
PHOTO: JobKind = "explain"
"""The kind of job that makes a case of a photo; all others are questions about a case."""
REMEMBERED = 400
"""Latest jobs that are looked at for whose turn it is."""
LISTED = 200
"""Jobs that are listed at once."""
WORKER_LOST = {
    "error": "WorkerLost",
    "message": f"The worker ended {ATTEMPTS} times in the middle of this job, so it was given up.",
    "hint": "The log of the server says why; too little memory is the usual reason.",
}


@dataclass(frozen=True, slots=True)
class JobRequest:
    """What somebody wants done for a case."""

    kind: JobKind
    case_id: str
    owner: str
    """Pseudonym; turns go round between owners."""
    request: dict[str, Any] = field(default_factory=dict)
    key: str | None = None
    """Idempotency key: asked twice with the same key, it is the same job."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What a worker learns when it gives a sign of life."""

    held: bool
    """Whether the job is still its own."""
    cancel: bool = False
    """Whether somebody asked to stop."""


def ask(session: Session, wanted: JobRequest, *, limit: int) -> Job:
    """Put a job into the queue; one with a known key is found again.

    Raises: QueueFull where `limit` jobs wait, NotFound for an unknown case, Conflict for another's key.
    """
    known = find_asked(session, wanted.key, wanted.owner)
    if known is not None:
        return known
    find_case(session, wanted.case_id)
    check_room(session, limit - 1)
    job = Job(
        kind=wanted.kind,
        case_id=wanted.case_id,
        owner=wanted.owner,
        key=wanted.key,
        request=dict(wanted.request),
        stages=[],
        created=now(),
    )
    session.add(job)
    session.flush()
    append(session, wanted.owner, "job.asked", str(job.id), kind=job.kind, case=job.case_id)
    # Appending waits for whoever appends at the same time: only now is the count the last word.
    check_room(session, limit)
    return job


def check_room(session: Session, limit: int) -> None:
    """Raises: QueueFull where more than `limit` jobs wait."""
    count = session.scalar(select(func.count()).select_from(Job).where(Job.state == "waiting")) or 0
    if count > limit:
        raise QueueFull(
            f"{count} jobs are waiting, and no more are taken.", hint="Try again when some of them are done."
        )


def find_asked(session: Session, key: str | None, owner: str) -> Job | None:
    """The job that was asked for with an idempotency key. Raises: Conflict where it is somebody else's."""
    job = None if key is None else session.scalar(select(Job).where(Job.key == key))
    if job is not None and job.owner != owner:
        raise Conflict("This Idempotency-Key was used by somebody else.", hint="Draw a new one.")
    return job


def find_job(session: Session, job_id: int) -> Job:
    """Raises: NotFound."""
    job = session.get(Job, job_id, populate_existing=True)
    if job is None:
        raise NotFound(f"There is no job {job_id}.", hint="It may have been deleted with its case.")
    return job


def list_jobs(session: Session, state: JobState | str = "", limit: int = LISTED) -> list[Job]:
    """The newest jobs, newest first; those of one state if it is given."""
    chosen = select(Job).order_by(Job.id.desc()).limit(limit)
    return list(session.scalars(chosen.where(Job.state == state) if state else chosen))


def cancel_job(session: Session, job_id: int, *, actor: str) -> Job:
    """End a job that waits; ask the worker of one that runs to stop in the middle of it.

    A job that is cancelled already stays so. Raises: NotFound; Conflict for one that is done or failed.
    """
    job = session.get(Job, job_id, populate_existing=True, with_for_update=True)
    if job is None:
        raise NotFound(f"There is no job {job_id}.", hint="It may have been deleted with its case.")
    if job.state in ("done", "failed"):
        raise Conflict(f"Job {job_id} has ended already.", hint="Delete its case to be rid of what it made.")
    if job.state == "cancelled" or job.cancel:
        return job
    job.cancel = True
    append(session, actor, "job.cancelled", str(job.id), kind=job.kind, case=job.case_id, state=job.state)
    if job.state == "waiting":
        _end(session, job, "cancelled")
    return job


def claim_next(session: Session, worker: str) -> Job | None:
    """Give the next job in the fair order to `worker`, a name of `lease.own_name`; None where none can begin.

    Of a case only one job runs at a time.
    """
    waiting, running = _standing(session)
    free = [turn for turn in waiting if turn.case_id not in {busy.case_id for busy in running}]
    if not free:
        return None
    for turn in line_up(free, _past(session)):
        if _take(session, turn, worker):
            return find_job(session, turn.id)
    return None


def beat(session: Session, job_id: int, claim: str) -> Heard:
    """A sign of life."""
    return _note(session, job_id, claim, heartbeat=now())


def tell(
    session: Session, job_id: int, claim: str, stages: Sequence[dict[str, Any]], *, more: bool = False
) -> Heard:
    """How far a job is. `more`: there is more of the case to show; also a sign of life."""
    raised = {"content": Job.content + 1} if more else {}
    return _note(session, job_id, claim, heartbeat=now(), stages=[dict(stage) for stage in stages], **raised)


def finish(
    session: Session,
    job_id: int,
    claim: str,
    state: JobState = "done",
    *,
    error: dict[str, Any] | None = None,
    detail: dict[str, Any] | None = None,
) -> Job:
    """End a job in the state 'done', 'failed' or 'cancelled', and say so in the audit trail.

    `error`: as `error_view` makes it. `detail`: more for the audit trail, numbers, names and hashes only.
    Raises: Conflict where the job is no longer the worker's; then nothing it made may be kept.
    """
    if not _note(session, job_id, claim, heartbeat=now()).held:
        raise Conflict(f"Job {job_id} was given to another worker.", hint="What this one made is discarded.")
    job = find_job(session, job_id)
    _end(session, job, state, error)
    if state != "cancelled":
        made = {"done": ("case.made", "case.changed"), "failed": ("case.failed", "job.failed")}[state]
        action = made[0 if job.kind == PHOTO else 1]
        named = {"error": error["error"]} if error else {}
        told = {"job": job.id, "kind": job.kind, "attempts": job.attempts, **named, **(detail or {})}
        append(session, WORKER, action, job.case_id, **told)
    return job


def give_back(session: Session, job_id: int, claim: str) -> bool:
    """Let a job wait again because its worker stops; this is no failed attempt. False: it was not its own."""
    back = {"state": "waiting", "claim": None, "worker": "", "heartbeat": None}
    return _change(session, job_id, claim, attempts=Job.attempts - 1, **back)


def release_lost(session: Session) -> list[Job]:
    """Take jobs from workers that are dead or silent: back into the queue, or ended where nothing else helps.

    A job that was to be stopped is cancelled; one whose worker died `ATTEMPTS` times has failed.
    """
    running = session.scalars(select(Job).where(Job.state == "running")).all()
    moment = now()
    lost = [seen for seen in running if is_lost(seen.worker, seen.heartbeat, moment)]
    return [job for seen in lost if (job := _release(session, seen.id, seen.claim or "")) is not None]


def count_ahead(session: Session) -> dict[int, int]:
    """For every job that waits: how many jobs run or will run before it, if one worker takes them."""
    waiting, running = _standing(session)
    order = line_up(waiting, _past(session)) if waiting else ()
    return {turn.id: len(running) + place for place, turn in enumerate(order)}


def job_view(job: Job, ahead: int = 0) -> dict[str, Any]:
    """A job as the API sends it; times are ISO 8601, UTC."""
    moments = {"created": job.created, "started": job.started, "finished": job.finished}
    return {
        "id": job.id,
        "case": job.case_id,
        "kind": job.kind,
        "state": job.state,
        "stages": [{**stage, "said": said(note=stage.get("note", ""))} for stage in job.stages],
        "content": job.content,
        "ahead": ahead if job.state == "waiting" else 0,
        "cancel": job.cancel,
        "error": with_said(job.error),
        **{name: moment.isoformat() if moment else None for name, moment in moments.items()},
    }


def error_view(error: Exception) -> dict[str, Any]:
    """An error as a job keeps it; one that nobody foresaw is called 'InternalError' and tells no details."""
    if isinstance(error, DermaXAIError):
        return {"error": type(error).__name__, "message": error.message, "hint": error.hint}
    return {
        "error": "InternalError",
        "message": "Something went wrong that should not have.",
        "hint": "The log of the server says what; please report it.",
    }


# ---- inside ---------------------------------------------------------------------------------


def _standing(session: Session) -> tuple[list[Turn], list[Turn]]:
    """The jobs that wait and those that run, as they are at one moment."""
    rows = session.execute(
        select(Job.id, Job.owner, Job.case_id, Job.kind, Job.state).where(
            Job.state.in_(("waiting", "running"))
        )
    ).all()
    waiting, running = (
        [Turn(row.id, row.owner, row.case_id, row.kind == PHOTO) for row in rows if row.state == state]
        for state in ("waiting", "running")
    )
    return waiting, running


def _past(session: Session) -> list[Turn]:
    """The latest jobs that have begun, the newest last."""
    rows = session.execute(
        select(Job.id, Job.owner, Job.case_id, Job.kind, Job.started)
        .where(Job.started.is_not(None))
        .order_by(Job.id.desc())
        .limit(REMEMBERED)
    ).all()
    begun = sorted(rows, key=lambda row: (row.started, row.id))
    return [Turn(row.id, row.owner, row.case_id, row.kind == PHOTO) for row in begun]


def _take(session: Session, turn: Turn, worker: str) -> bool:
    """Make one job `worker`'s, unless another worker was faster or another job of its case runs by now."""
    lock = select(CaseRow.id).where(CaseRow.id == turn.case_id).with_for_update(skip_locked=True)
    if session.scalar(lock) is None:
        return False
    other = select(Job.id).where(Job.case_id == turn.case_id, Job.state == "running")
    if session.scalar(select(exists(other))):
        return False
    moment = now()
    taken = {"state": "running", "claim": uuid4().hex, "worker": worker, "heartbeat": moment}
    free = update(Job).where(Job.id == turn.id, Job.state == "waiting")
    return _changed(session, free.values(**taken, attempts=Job.attempts + 1, started=moment, stages=[]))


def _release(session: Session, job_id: int, claim: str) -> Job | None:
    """Take one job from its worker; None where another worker did so in the meantime."""
    held = select(Job).where(Job.id == job_id, Job.claim == claim, Job.state == "running")
    job = session.scalar(held.with_for_update(skip_locked=True).execution_options(populate_existing=True))
    if job is None:
        return None
    if job.cancel:
        return finish(session, job_id, claim, "cancelled")
    if job.attempts >= ATTEMPTS:
        return finish(session, job_id, claim, "failed", error=dict(WORKER_LOST))
    _change(session, job_id, claim, state="waiting", claim=None, worker="", heartbeat=None)
    return find_job(session, job_id)


def _note(session: Session, job_id: int, claim: str, **values: Any) -> Heard:  # noqa: ANN401 - columns
    if not _change(session, job_id, claim, **values):
        return Heard(held=False)
    return Heard(held=True, cancel=bool(session.scalar(select(Job.cancel).where(Job.id == job_id))))


def _change(session: Session, job_id: int, held_by: str, **values: Any) -> bool:  # noqa: ANN401 - columns
    """Change a job that runs under the claim `held_by`; False where it no longer does."""
    under = (Job.id == job_id, Job.claim == held_by, Job.state == "running")
    return _changed(session, update(Job).where(*under).values(**values))


def _changed(session: Session, change: Update) -> bool:
    """Whether a change found its row; what the session holds of the row is read anew when it is needed."""
    done = session.execute(change.execution_options(synchronize_session=False))
    return bool(cast("CursorResult[Any]", done).rowcount)


def _end(session: Session, job: Job, state: JobState, error: dict[str, Any] | None = None) -> None:
    """The one place where a job ends; a photo that was not described leaves its case failed or stopped."""
    job.state, job.error, job.finished = state, error, now()
    job.claim = job.heartbeat = None
    job.stages = [{**stage, "state": state} if stage["state"] == "running" else stage for stage in job.stages]
    session.flush()
    if job.kind == PHOTO and state != "done":
        row = find_case(session, job.case_id)
        row.state, row.changed = "stopped" if state == "cancelled" else "failed", now()
