"""Jobs over HTTP."""

import json

import pytest

from tests.api.small_server import ask, bearer, token_of
from tests.api.whole_server import (
    begin_job,
    end_job,
    photo,
    put_case,
    running,
    send_photo,
    talk,
    whole_server,
)


@pytest.fixture
def app(tmp_path):
    return whole_server(tmp_path)


def told_in(text):
    """The events of a stream: mark and job."""
    blocks = [
        dict(line.split(": ", 1) for line in block.splitlines())
        for block in text.split("\n\n")
        if "data" in block
    ]
    assert all(block["event"] == "progress" for block in blocks)
    return [(block["id"], json.loads(block["data"])) for block in blocks]


def test_jobs_are_listed_newest_first(app):
    browser = talk(app)
    ids = [send_photo(browser, photo(side)).json()["job"]["id"] for side in (40, 50, 60)]
    told = browser.get("/api/jobs").json()["jobs"]
    assert [job["id"] for job in told] == ids[::-1]
    assert [job["ahead"] for job in told] == [2, 1, 0]
    assert [job["id"] for job in browser.get("/api/jobs?limit=1").json()["jobs"]] == ids[-1:]
    begin_job(app)
    assert [job["id"] for job in browser.get("/api/jobs?state=running").json()["jobs"]] == ids[:1]
    assert browser.get("/api/jobs?state=lost").status_code == 422


def test_one_job(app):
    browser = talk(app)
    job = send_photo(browser).json()["job"]
    assert browser.get(f"/api/jobs/{job['id']}").json() == job


def test_a_job_that_waits_is_cancelled_at_once(app):
    browser = talk(app)
    told = send_photo(browser).json()
    stopped = browser.delete(f"/api/jobs/{told['job']['id']}")
    assert (stopped.status_code, stopped.json()["state"]) == (200, "cancelled")
    assert browser.get(f"/api/cases/{told['case']}").json()["state"] == "stopped"
    assert [one["id"] for one in browser.get("/api/cases?state=stopped").json()["cases"]] == [told["case"]]
    refused = browser.get(f"/api/cases/{told['case']}/report").json()
    assert (refused["error"], "stopped" in refused["message"]) == ("NotFound", True)


def test_a_job_that_ended_cannot_be_cancelled(app):
    browser = talk(app)
    job = send_photo(browser).json()["job"]
    end_job(app, begin_job(app))
    assert browser.delete(f"/api/jobs/{job['id']}").json()["error"] == "Conflict"


def test_jobs_of_others_are_left_alone(tmp_path):
    app = whole_server(tmp_path, host="0.0.0.0")
    put_case(app)
    owner, other = bearer(token_of(app, "reader-1")), bearer(token_of(app, "reader-2"))
    body = ("Content-Type", "application/json")
    job = ask(app, "POST", "/api/cases/one/concepts", owner, body, body=b"{}").json()["job"]
    refused = ask(app, "DELETE", f"/api/jobs/{job['id']}", other)
    assert (refused.status, refused.error) == (403, "NotAllowed")
    assert ask(app, "DELETE", f"/api/jobs/{job['id']}", owner).json()["state"] == "cancelled"


def test_events_of_a_job_that_ended_end_at_once(app):
    with running(app) as browser:
        job = send_photo(browser).json()["job"]
        end_job(app, begin_job(app))
        answered = browser.get(f"/api/jobs/{job['id']}/events")
        assert answered.headers["content-type"].startswith("text/event-stream")
        assert answered.headers["cache-control"] == "no-store"
        ((mark, told),) = told_in(answered.text)
        assert told["state"] == "done"
        again = browser.get(f"/api/jobs/{job['id']}/events", headers={"Last-Event-ID": mark})
        assert told_in(again.text) == []


def test_events_of_no_job(app):
    answered = talk(app).get("/api/jobs/7/events")
    assert (answered.status_code, answered.json()["error"]) == (404, "NotFound")


def test_one_person_opens_only_so_many_streams(app, monkeypatch):
    case = send_photo(talk(app)).json()
    monkeypatch.setattr("dermaxai.api.jobs.STREAMS", 0)
    answered = talk(app).get(f"/api/jobs/{case['job']['id']}/events")
    assert (answered.status_code, answered.json()["error"]) == (429, "TooFast")
