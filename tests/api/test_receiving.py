"""Photos over HTTP: taken once, or refused with nothing left behind."""

import pytest
from sqlalchemy import select

from dermaxai.api import receiving
from dermaxai.errors import StoreFull
from dermaxai.store.audit import verify
from dermaxai.store.shelf import Shelf
from dermaxai.store.tables import CaseRow, Event, Job
from tests.api.whole_server import left_in, photo, rows_of, send_photo, talk, whole_server


@pytest.fixture
def app(tmp_path):
    return whole_server(tmp_path, queue=2)


def nothing_left(app):
    return rows_of(app, CaseRow) == rows_of(app, Job) == 0 and left_in(app, ".waiting") == []


def test_a_photo_becomes_a_case_that_waits_and_a_job(app):
    answered = send_photo(talk(app), methods="evidence,grad_eclip", lang="ru", queries=["a veil", " "])
    assert answered.status_code == 202
    told = answered.json()
    assert (told["job"]["state"], told["job"]["kind"], told["job"]["case"]) == (
        "waiting",
        "explain",
        told["case"],
    )
    state = app.state.server
    with state.store.read() as session:
        row, job = session.get(CaseRow, told["case"]), session.get(Job, told["job"]["id"])
        actions = list(session.scalars(select(Event.action).order_by(Event.seq)))
        assert verify(session).intact
    assert (row.state, row.name, row.owner, row.width) == ("waiting", "mole.jpg", "local", 64)
    assert job.request == {
        "model": "demo", "methods": ["evidence", "grad_eclip"], "lang": "ru", "queries": ["a veil"],
        "measure": False,
    }  # fmt: skip
    assert actions == ["case.received", "job.asked"]
    assert Shelf(state.store.folder).read_upload(row.id).pixels.shape == (64, 64, 3)
    assert app.state.woken == [1]


def test_the_same_key_is_the_same_job(app):
    browser = talk(app)
    first, again = send_photo(browser, key="k").json(), send_photo(browser, key="k").json()
    assert first == again
    assert rows_of(app, Job) == 1
    assert left_in(app, ".waiting") == [first["case"]]


def test_a_key_belongs_to_one_photo(app):
    browser = talk(app)
    send_photo(browser, key="k")
    other = send_photo(browser, photo(80), key="k")
    assert (other.status_code, other.json()["error"]) == (409, "Conflict")
    assert rows_of(app, CaseRow) == 1


def test_a_key_belongs_to_one_wish(app):
    browser = talk(app)
    send_photo(browser, key="k", methods="evidence")
    other = send_photo(browser, key="k", methods="legrad")
    assert (other.status_code, other.json()["error"]) == (409, "Conflict")
    assert rows_of(app, Job) == 1


def test_a_full_queue_refuses_before_the_photo_is_read(app, monkeypatch):
    browser = talk(app)
    for key in "ab":
        assert send_photo(browser, key=key).status_code == 202

    async def never(*_):
        raise AssertionError("read all the same")

    monkeypatch.setattr(receiving, "read_upload", never)
    full = send_photo(browser, key="c")
    assert (full.status_code, full.json()["error"]) == (429, "QueueFull")
    assert int(full.headers["Retry-After"]) > 0
    assert len(left_in(app, ".waiting")) == rows_of(app, CaseRow) == 2


def test_a_queue_that_fills_up_meanwhile_leaves_nothing(app, monkeypatch):
    browser = talk(app)
    for key in "ab":
        send_photo(browser, key=key)
    monkeypatch.setattr(receiving, "expect_room", lambda *_: None)
    assert send_photo(browser).status_code == 429
    assert len(left_in(app, ".waiting")) == rows_of(app, CaseRow) == rows_of(app, Job) == 2


@pytest.mark.parametrize("content", [b"", b"GIF89a", photo()[:200], photo(8)])
def test_what_is_no_photo_leaves_nothing(app, content):
    answered = talk(app).post("/api/cases", files={"file": ("a.jpg", content)})
    assert answered.status_code in (413, 422)
    assert answered.json()["error"].startswith("Image")
    assert nothing_left(app)


def test_a_full_disk_leaves_nothing(app, monkeypatch):
    def full(*_args, **_more):
        raise StoreFull("There is no space left.", hint="Make room.")

    monkeypatch.setattr(receiving, "append", full)
    answered = send_photo(talk(app))
    assert (answered.status_code, answered.json()["error"]) == (507, "StoreFull")
    assert nothing_left(app)
    assert app.state.woken == []


@pytest.mark.parametrize(
    ("form", "error", "word"),
    [
        ({"model": "dmeo"}, "UnknownName", "Did you mean 'demo'?"),
        ({"methods": "grad_clip"}, "UnknownName", "Did you mean 'grad_eclip'?"),
        ({"lang": "fr"}, "UsageError", "lang"),
        ({"queries": ["x" * 301]}, "UsageError", "300"),
        ({"queries": [str(number) for number in range(9)]}, "UsageError", "8"),
    ],
)
def test_a_wish_is_checked_before_the_photo_is_kept(app, form, error, word):
    answered = send_photo(talk(app), **form)
    assert (answered.status_code, answered.json()["error"]) == (422, error)
    assert word in answered.json()["message"]
    assert nothing_left(app)


def test_without_a_model_no_photo_is_taken(tmp_path):
    app = whole_server(tmp_path, models=())
    for answered in (send_photo(talk(app)), talk(app).post("/api/examples/1")):
        assert (answered.status_code, answered.json()["error"]) == (422, "NotSupported")
        assert "--no-model" in answered.json()["hint"]
    assert nothing_left(app)


def test_a_request_without_a_file_is_refused(app):
    answered = talk(app).post("/api/cases", data={"lang": "en"})
    assert (answered.status_code, answered.json()["error"]) == (422, "UsageError")
    assert "file" in answered.json()["message"]
