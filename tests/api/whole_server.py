"""The whole application on a folder of its own; cases and a worker without a model."""

import dataclasses
import io
from contextlib import contextmanager

from PIL import Image
from starlette.testclient import TestClient

from dermaxai.api.app import create_app
from dermaxai.api.state import ServeOptions, ServerState
from dermaxai.cases import save_case
from dermaxai.jobs.queue import claim_next, finish, tell
from dermaxai.store.cases import adopt_folders, find_case, index_case
from dermaxai.store.opening import open_store
from dermaxai.store.shelf import Shelf
from tests.sample_case import make_case

HOME = "http://127.0.0.1:8000"


def whole_server(folder, **options):
    """An app whose store is open; it wakes nobody, and counts how often it would have."""
    told = ServeOptions(cases=folder, **options)
    state = ServerState(told, open_store(folder, told.url))
    state.wake = lambda: woken.append(1)
    woken = []
    app = create_app(told, state)
    app.state.woken = woken
    return app


def talk(app):
    """A browser on the same machine; errors nobody foresaw come as the answer that a user gets."""
    return TestClient(app, base_url=HOME, raise_server_exceptions=False)


@contextmanager
def running(app):
    """The same with everything that runs beside the requests."""
    with talk(app) as browser:
        yield browser


def put_case(app, name="one", case=None):
    """A case folder that was made elsewhere."""
    state = app.state.server
    save_case(case or make_case(), state.store.folder / name)
    assert adopt_folders(state.store) == []
    return name


def photo(side=64, kind="JPEG", colour=(180, 120, 100)):
    """The bytes of a file."""
    buffer = io.BytesIO()
    Image.new("RGB", (side, side), colour).save(buffer, kind)
    return buffer.getvalue()


def send_photo(browser, content=None, key=None, **form):
    headers = {"Idempotency-Key": key} if key else {}
    files = {"file": ("mole.jpg", content or photo(), "image/jpeg")}
    return browser.post("/api/cases", files=files, data=form, headers=headers)


def begin_job(app, page=None):
    """What a worker does first: takes the next job, and shows a part of the case."""
    state = app.state.server
    with state.store.write() as session:
        job = claim_next(session, "here:1:1")
        if page is not None:
            Shelf(state.store.folder).write_partial(job.case_id, page)
            stages = [{"name": "caption", "state": "done", "seconds": 0.1, "note": ""}]
            tell(session, job.id, job.claim, stages, more=True)
        return job


def end_job(app, job, error=None):
    """What a worker does last: the case is there, whole."""
    state = app.state.server
    with state.store.write() as session:
        row = find_case(session, job.case_id)
        if error is None:
            image = Shelf(state.store.folder).read_upload(row.id) if row.state == "waiting" else None
            case = make_case()
            case = dataclasses.replace(case, image=image) if image else case
            save_case(case, state.store.folder / row.folder)
            index_case(session, row.id, case)
        finish(session, job.id, job.claim, "failed" if error else "done", error=error)


def rows_of(app, table):
    """How many rows there are."""
    from sqlalchemy import func, select

    with app.state.server.store.read() as session:
        return session.scalar(select(func.count()).select_from(table))


def left_in(app, place):
    """Names in a hidden folder of the store."""
    home = app.state.server.store.folder / place
    return sorted(entry.name for entry in home.iterdir()) if home.is_dir() else []
