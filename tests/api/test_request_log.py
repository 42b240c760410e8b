"""The log tells what was asked for and how it went, and nothing of a person or a photo."""

import io
import logging
import re

import pytest

from dermaxai.api import request_log
from tests.api.small_server import ask, bearer, small_server, token_of

LINE = re.compile(
    r"[A-Z]+ \S+ (\d{3}|gone) \d+\.\d ms request=[0-9a-f]{12} place=[0-9a-f]{8}( case=[0-9a-f]{8})?"
)


@pytest.fixture
def app(tmp_path):
    return small_server(tmp_path)


@pytest.fixture
def lines(caplog):
    caplog.set_level(logging.INFO, "dermaxai.requests")
    return lambda: [record.getMessage() for record in caplog.records if record.name == "dermaxai.requests"]


def test_one_line_per_request_with_the_route_as_declared(app, lines):
    ask(app, "GET", "/api/cases/7f3a91c2b604?text=Ivanov")
    ask(app, "POST", "/api/nothing/Ivanov")
    ask(app, "BREW\nX", "/api/who", host="evil.example")
    found = lines()
    assert all(LINE.fullmatch(line) for line in found), found
    assert [line.split(" ")[:3] for line in found] == [
        ["GET", "/api/cases/{case_id}", "200"], ["POST", "-", "404"], ["OTHER", "-", "403"],
    ]  # fmt: skip
    assert found[0].endswith("case=7f3a91c2")


def test_a_case_found_under_a_name_is_not_named(app, lines):
    ask(app, "GET", "/api/cases/Ivanov_Ivan_1970")
    (line,) = lines()
    assert "Ivan" not in line
    assert re.search("case=[0-9a-f]{8}$", line)


def test_nothing_that_was_sent_stands_in_the_log(app, lines):
    token = token_of(app, "Ivanov")
    ask(
        app, "GET", "/api/who?token=Ivanov", bearer(token), ("Cookie", "a=Ivanov"), ("X-Request-Id", "Ivanov")
    )
    ask(app, "POST", "/api/session", ("Content-Type", "application/json"), body=b'{"token": "Ivanov"}')
    ask(app, "GET", "/api/broken")
    text = "\n".join(lines())
    assert "RuntimeError at small_server.py" in text
    for secret in ("Ivanov", token, "127.0.0.1", "/work", "site-packages"):
        assert secret not in text


def test_a_place_is_the_same_for_a_day_and_then_another(app, lines, monkeypatch):
    ask(app, "GET", "/")
    ask(app, "GET", "/")
    ask(app, "GET", "/", client=("203.0.113.9", 1))
    monkeypatch.setattr(request_log, "DAY", -1.0)
    ask(app, "GET", "/")
    first, second, other, tomorrow = (re.search("place=([0-9a-f]{8})", line)[1] for line in lines())
    assert first == second
    assert len({first, other, tomorrow}) == 3


def test_the_number_of_the_request_is_in_its_answer(app, lines):
    answered = ask(app, "GET", "/api/broken")
    assert answered.status == 500
    assert answered.header("x-request-id") in answered.json()["hint"]
    assert all(answered.header("x-request-id") in line for line in lines())


def test_the_lines_go_to_stderr_with_their_time(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    log = logging.getLogger("dermaxai.requests")
    kept = log.handlers[:], log.level, log.propagate
    try:
        request_log.log_to_stderr()
        log.info("a line")
    finally:
        log.handlers[:], log.level, log.propagate = kept
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z a line\n", stream.getvalue())


def test_an_answer_that_breaks_off_says_no_more_than_that(app, lines):
    from fastapi.responses import StreamingResponse

    def pieces():
        yield b"x"
        raise RuntimeError("Ivanov")

    app.add_api_route("/api/pieces", lambda: StreamingResponse(pieces()))
    with pytest.raises(Exception, match=r"request [0-9a-f]{12}"):
        ask(app, "GET", "/api/pieces")
    assert "Ivanov" not in "\n".join(lines())
