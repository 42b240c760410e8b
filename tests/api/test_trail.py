"""The audit trail over HTTP."""

import pytest

from tests.api.small_server import ask, bearer, token_of
from tests.api.whole_server import send_photo, talk, whole_server
from tests.store.tampering import tamper


@pytest.fixture
def app(tmp_path):
    return whole_server(tmp_path)


def test_events_newest_first_and_in_parts(app):
    browser = talk(app)
    send_photo(browser)
    events = browser.get("/api/audit").json()["events"]
    assert [event["action"] for event in events] == ["job.asked", "case.received"]
    assert events[1]["detail"]["width"] == 64
    assert "mole" not in str(events)
    assert [event["seq"] for event in browser.get("/api/audit?before=2&limit=5").json()["events"]] == [1]


def test_a_whole_trail_and_one_that_was_changed(app):
    browser = talk(app)
    send_photo(browser)
    told = browser.get("/api/audit/verify").json()
    assert (told["count"], told["intact"], told["faults"]) == (2, True, [])
    assert len(told["head"]) == 64
    tamper(app.state.server.store, "UPDATE chain SET hash = 'x'")
    told = browser.get("/api/audit/verify").json()
    assert (told["intact"], told["faults"][0]["kind"]) == (False, "end")


def test_readers_may_not_read_it(tmp_path):
    app = whole_server(tmp_path, host="0.0.0.0")
    reader = bearer(token_of(app))
    for path in ("/api/audit", "/api/audit/verify"):
        assert ask(app, "GET", path, reader).error == "NotAllowed"
