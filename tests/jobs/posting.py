"""Photos and questions put into a queue, and looked at afterwards."""

import time
from collections import Counter
from uuid import uuid4

from sqlalchemy import select

from dermaxai.jobs.queue import JobRequest, ask, find_job
from dermaxai.store.audit import verify
from dermaxai.store.cases import add_waiting, new_case_id
from dermaxai.store.shelf import Shelf
from dermaxai.store.tables import CaseRow, Event, Job
from tests.sample_case import draw_photo

PATIENCE = 120
"""Seconds until a test gives up waiting; nothing is measured."""


def post_photo(store, owner="ann", photo=None, key=None, limit=1000, **request):
    """A photo as the server takes it in; its job."""
    image, case_id = photo or draw_photo(60, 80, (30.0, 40.0)), new_case_id()
    Shelf(store.folder).keep_upload(case_id, image)
    with store.write() as session:
        add_waiting(session, case_id, image, name="a private name.jpg", owner=owner)
        return ask(session, JobRequest("explain", case_id, owner, request, key), limit=limit)


def post_row(store, owner="ann"):
    """A photo without pixels, for tests of the queue alone."""
    image, case_id = draw_photo(16, 16, (8.0, 8.0)), uuid4().hex[:12]
    with store.write() as session:
        add_waiting(session, case_id, image, name="", owner=owner)
        return ask(session, JobRequest("explain", case_id, owner), limit=1000)


def ask_about(store, case_id, kind="query", request=None, owner="ann", limit=1000):
    """A question about a case; its job."""
    with store.write() as session:
        return ask(session, JobRequest(kind, case_id, owner, request or {"text": "mole"}), limit=limit)


def job_of(store, job):
    with store.read() as session:
        return find_job(session, job.id)


def case_row(store, case_id):
    with store.read() as session:
        return session.get(CaseRow, case_id)


def wait_for(store, job, fits=lambda job: job.state in ("done", "failed", "cancelled")):
    """The job as soon as it is as wanted."""
    end = time.monotonic() + PATIENCE
    while not fits(now := job_of(store, job)):
        assert time.monotonic() < end, (now.state, now.stages, now.error)
        time.sleep(0.02)
    return now


def events(store, *actions):
    """How often each action was done to each subject."""
    with store.read() as session:
        rows = session.execute(select(Event.action, Event.subject)).all()
        assert verify(session).intact
    return Counter(tuple(row) for row in rows if not actions or row.action in actions)


def states(store):
    with store.read() as session:
        return Counter(session.scalars(select(Job.state)))
