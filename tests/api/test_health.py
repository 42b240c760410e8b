"""Whether the server is well."""

import pytest

from dermaxai.errors import StoreUnreachable
from tests.api.whole_server import put_case, send_photo, talk, whole_server

FAILED = {
    "state": "failed",
    "model": "demo",
    "error": "WeightsMissing",
    "message": "No weights in '/srv'.",
    "hint": "dermaxai fetch",
}


@pytest.fixture
def app(tmp_path):
    return whole_server(tmp_path)


def test_it_is_well(app):
    told = talk(app).get("/healthz").json()
    assert (told["status"], told["store"], told["worker"]["state"]) == ("ok", "ok", "none")


def test_a_worker_that_failed_is_told_in_full_only_to_who_is_signed_in(app):
    app.state.server.worker = lambda: FAILED
    browser = talk(app)
    health = browser.get("/healthz")
    assert (health.status_code, health.json()["worker"]["state"]) == (200, "failed")
    assert "/srv" not in health.text
    said = {"ru": {"message": "Нет весов в «/srv»."}}
    assert browser.get("/api/state").json()["worker"] == FAILED | {"said": said}


def test_a_store_that_does_not_answer(app, monkeypatch):
    def broken():
        raise StoreUnreachable("The database does not answer.")

    monkeypatch.setattr(app.state.server.store, "read", broken)
    health = talk(app).get("/healthz")
    assert (health.status_code, health.json()["status"], health.json()["store"]) == (
        503,
        "failing",
        "failing",
    )


def test_counts(app):
    put_case(app)
    browser = talk(app)
    send_photo(browser)
    told = browser.get("/api/state").json()
    assert (told["cases"], told["waiting"], told["running"], told["models"]) == (2, 1, 0, ["demo"])


def test_the_version_comes_with_the_notice(app):
    told = talk(app).get("/version").json()
    assert told["notice"]["en"] == "Research tool, not a medical device"
    assert told["version"].count(".") == 2
