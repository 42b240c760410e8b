"""Bodies that are too long or too slow."""

import anyio
import pytest

from dermaxai.api import bodies
from tests.api.small_server import ask, ask_inside, bearer, small_server, token_of

MAX = 2_000_000


@pytest.fixture
def app(tmp_path):
    return small_server(tmp_path, max_bytes=MAX)


def test_what_fits_is_read_whole(app):
    assert ask(app, "POST", "/api/anything", body=[b"x" * 400_000, b"y" * 600_000]).json() == {
        "bytes": 1_000_000
    }
    assert ask(app, "POST", "/api/cases", body=b"x" * MAX).json() == {"bytes": MAX}


@pytest.mark.parametrize(("path", "limit"), [("/api/anything", bodies.SMALL), ("/api/cases", MAX + 100_000)])
def test_more_is_refused_announced_or_not(app, path, limit):
    announced = ask(app, "POST", path, ("Content-Length", str(limit + 1)), body=[None])
    assert (announced.status, announced.sent) == (413, []), "refused before anything was read"
    assert announced.header("connection") == "close"
    chunked = ask(app, "POST", path, ("Transfer-Encoding", "chunked"), body=[b"x" * 100_000] * 40)
    assert (chunked.status, chunked.error) == (413, "RequestTooLarge")
    assert sum(len(message["body"]) for message in chunked.sent) <= limit + 100_000
    lying = ask(app, "POST", path, ("Content-Length", "10"), body=[b"x" * 100_000] * 40)
    assert lying.status == 413


def test_a_body_that_an_app_takes_for_bad_is_too_large_all_the_same(app):
    kind = ("Content-Type", "application/json")
    answered = ask(app, "POST", "/api/session", kind, body=[b'{"token": "' + b"x" * 600_000] * 3)
    assert (answered.status, answered.error) == (413, "RequestTooLarge")


@pytest.mark.parametrize("length", ["-1", "1.5", "ten", "0x10", "٣", "", "1,1"])
def test_a_length_that_is_none_is_refused(app, length):
    sent = length.encode().decode("latin-1")
    assert ask(app, "POST", "/api/anything", ("Content-Length", sent)).status == 403


def test_two_lengths_are_refused(app):
    answered = ask(app, "POST", "/api/anything", ("Content-Length", "1"), ("Content-Length", "2"), body=b"x")
    assert answered.status == 403


def test_a_length_beside_pieces_is_refused_and_the_line_ends(app):
    answered = ask(
        app, "POST", "/api/anything", ("Content-Length", "1"), ("Transfer-Encoding", "chunked"), body=b"x"
    )
    assert (answered.status, answered.header("connection")) == (403, "close")


def test_a_huge_length_is_just_too_large(app):
    assert ask(app, "POST", "/api/anything", ("Content-Length", "9" * 4000)).status == 413


def test_a_body_that_does_not_come_is_not_waited_for(app, monkeypatch):
    monkeypatch.setattr(bodies, "SILENCE", 0.01)
    answered = ask(app, "POST", "/api/anything", body=[b"x", None])
    assert (answered.status, answered.error) == (408, "TooSlow")
    assert answered.header("connection") == "close"


def test_long_headers_and_addresses_are_refused(app):
    assert ask(app, "GET", "/api/who", ("X-Long", "x" * 40_000)).status == 413
    assert ask(app, "GET", "/api/who", *[("X-Many", "x" * 100)] * 400).status == 413
    assert ask(app, "GET", "/api/who?" + "x" * 5_000).status == 413
    assert ask(app, "GET", "/api/who?" + "x" * 3_000).status == 200


def test_nothing_is_read_of_who_may_not_be_here(tmp_path):
    app = small_server(tmp_path, host="0.0.0.0", max_bytes=MAX)
    answered = ask(app, "POST", "/api/cases", body=[None])
    assert (answered.status, answered.sent) == (401, [])
    cross = ask(
        app, "POST", "/api/cases", bearer(token_of(app)), ("Origin", "http://evil.example"), body=[None]
    )
    assert (cross.status, cross.sent) == (403, [])


def test_photos_wait_for_each_other(tmp_path, monkeypatch):
    monkeypatch.setattr(bodies, "LARGE_AT_ONCE", 0)
    monkeypatch.setattr(bodies, "PATIENCE", 0.01)
    app = small_server(tmp_path)
    assert ask(app, "POST", "/api/cases").status == 429
    assert ask(app, "POST", "/api/anything").status == 200


def test_slow_photos_of_one_reader_leave_room_for_others(tmp_path, monkeypatch):
    monkeypatch.setattr(bodies, "OWN_AT_ONCE", 1)
    monkeypatch.setattr(bodies, "PATIENCE", 0.05)
    app = small_server(tmp_path, host="0.0.0.0")
    one, other = bearer(token_of(app)), bearer(token_of(app, "reader-2"))

    async def run():
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: ask_inside(app, "POST", "/api/cases", one, body=[b"x", None]))
            await anyio.sleep(0.01)
            own = await ask_inside(app, "POST", "/api/cases", one)
            others = await ask_inside(app, "POST", "/api/cases", other)
            group.cancel_scope.cancel()
        return own.status, others.status

    assert anyio.run(run) == (429, 200)
