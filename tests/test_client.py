"""The client, against a server that really listens; a thread does what the worker would."""

import threading
from contextlib import contextmanager

import httpx2
import numpy as np
import pytest

from dermaxai.client import CaseSummary, Client
from dermaxai.client.views import error_of
from dermaxai.errors import (
    Conflict,
    DermaXAIError,
    ImageUnreadable,
    NotFound,
    NotSignedIn,
    NotSupported,
    QueueFull,
    StoreUnreachable,
    UnknownName,
)
from dermaxai.store.tables import Job
from tests.api.running_server import listening
from tests.api.small_server import token_of
from tests.api.whole_server import begin_job, end_job, photo, put_case, rows_of, whole_server
from tests.sample_case import ENGLISH, RUSSIAN, make_case

PROBLEM = {"error": "QueueFull", "message": "64 jobs are waiting.", "hint": "Try later."}


@pytest.fixture
def app(tmp_path):
    return whole_server(tmp_path)


@contextmanager
def working(app, error=None):
    """A worker that makes every case alike, as soon as there is a job."""
    stop = threading.Event()

    def work():
        while not stop.wait(0.01):
            job = begin_job(app)
            if job is not None:
                end_job(app, job, error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(60)


def test_a_photo_is_described(app, tmp_path):
    (tmp_path / "mole.jpg").write_bytes(photo())
    heard = []
    with listening(app) as address, working(app), Client(address) as server:
        case = server.describe(tmp_path / "mole.jpg", methods=["evidence"], on_progress=heard.append)
        assert case.state == "ready"
        assert case.name == "mole.jpg"
        assert (case.caption, case.captions["ru"]) == (ENGLISH, RUSSIAN)
        assert case.words == ENGLISH.split()
        assert heard[-1].state == "done"
        assert server.describe(photo(70), methods="evidence", lang="ru").id != case.id


def test_a_photo_that_is_there_is_described_again(app):
    put_case(app)
    with listening(app) as address, working(app), Client(address) as server:
        case = server.again("one", methods="rollout", lang="ru")
        assert (case.state, case.id != "one") == ("ready", True)
        assert server.job(1).case == case.id
        with pytest.raises(UnknownName, match="Did you mean 'demo'"):
            server.again(case, model="dem")


def test_questions_come_back_as_the_case(app):
    put_case(app)
    with listening(app) as address, working(app), Client(address) as server:
        case = server.case("one")
        asked = [
            server.query(case, "a veil"),
            server.contrast(case, "dark", "pale"),
            server.concepts(case),
            server.measure(case, ["road"]),
            server.sanity(case),
            server.explain(case, "rollout"),
        ]
    assert [one.revision for one in asked] == [2, 3, 4, 5, 6, 7]


def test_maps_are_the_case_s_own(app):
    put_case(app)
    with listening(app) as address, Client(address) as server:
        found = server.maps("one")
    wanted = make_case().maps
    assert len(found) == len(wanted)
    for ours, theirs in zip(found, wanted, strict=True):
        assert np.array_equal(ours.values, theirs.values)
        assert (ours.method, ours.target, ours.placement) == (theirs.method, theirs.target, theirs.placement)
        assert (ours.scalar, ours.layer, ours.variant) == (theirs.scalar, theirs.layer, theirs.variant)


def test_the_list_goes_on_to_its_end(app, monkeypatch):
    monkeypatch.setattr("dermaxai.client.PAGE", 2)
    for name in ("one", "two", "three"):
        put_case(app, name)
    with listening(app) as address, Client(address) as server:
        found = list(server.cases(sort="created", descending=False))
        assert [case.id for case in found] == ["one", "two", "three"]
        assert isinstance(found[0], CaseSummary)
        assert found[0].caption == ENGLISH
        assert list(server.cases("zebra")) == []
        server.delete(found[0])
        assert [case.id for case in server.cases()] == ["three", "two"]


def test_what_is_not_read_is_gone_through_whole_while_it_is_read(app, monkeypatch):
    monkeypatch.setattr("dermaxai.client.PAGE", 2)
    for number in range(5):
        put_case(app, f"case-{number}")
    with listening(app) as address, Client(address, token_of(app)) as server:
        seen = []
        for case in server.cases(unread=True):
            server.feedback(case, "agree", word=2)
            seen.append(case.id)
        assert seen == [f"case-{number}" for number in reversed(range(5))]
        assert list(server.cases(unread=True)) == []


def test_a_report_is_saved(app, tmp_path):
    put_case(app)
    with listening(app) as address, Client(address) as server:
        path = server.report("one", tmp_path / "report.html", lang="ru")
    assert 'lang="ru"' in path.read_text(encoding="utf-8")[:400]


def test_feedback_under_a_pseudonym(app):
    put_case(app)
    with listening(app) as address, Client(address) as server:
        with pytest.raises(NotSignedIn):
            server.feedback("one", "agree")
        server.sign_in("reader-1")
        box = {"kind": "box", "points": [[10, 20], [110, 70]]}
        told = server.feedback("one", "wrong_place", word=1, regions=[box], comment="more to the left")
    assert (told["answer"], told["word"], told["text"]) == ("wrong_place", 1, "large")


def test_refusals_are_the_errors_of_the_command_line(app):
    with listening(app) as address, Client(address) as server:
        with pytest.raises(NotFound, match="There is no case 'nowhere'") as caught:
            server.case("nowhere")
        assert caught.value.hint
        with pytest.raises(ImageUnreadable):
            server.describe(b"GIF89a")
        with pytest.raises(UnknownName, match="Did you mean 'grad_eclip'"):
            server.describe(photo(), methods="grad_clip")


def test_what_stopped_a_job_is_raised(app):
    error = {"error": "NotSupported", "message": "No captioner.", "hint": "Give one."}
    refused = pytest.raises(NotSupported, match="No captioner")
    with listening(app) as address, working(app, error), Client(address) as server, refused:
        server.describe(photo())


def test_a_job_that_is_cancelled(app):
    put_case(app)
    with listening(app) as address, Client(address) as server:
        job = server.job(server._to.ask("/api/cases/one/concepts", json={})["job"]["id"])
        assert server.cancel(job).state == "cancelled"
        with pytest.raises(Conflict, match="cancelled"):
            server.wait(job)


def test_a_token_lets_in(tmp_path):
    app = whole_server(tmp_path, host="0.0.0.0", hosts=("127.0.0.1",))
    put_case(app)
    token = token_of(app)
    with listening(app) as address:
        with Client(address) as server, pytest.raises(NotSignedIn):
            server.case("one")
        with Client(address, token) as server:
            assert server.case("one").caption == ENGLISH


def test_no_server():
    with Client("http://127.0.0.1:9") as server, pytest.raises(StoreUnreachable, match="does not answer"):
        server.case("one")


def test_a_server_of_another_kind():
    elsewhere = httpx2.MockTransport(lambda _: httpx2.Response(502, text="<html>"))
    with Client(transport=elsewhere) as server, pytest.raises(DermaXAIError, match="502"):
        server.case("one")


def test_a_connection_that_breaks_is_tried_once_more_with_the_same_key():
    keys = []

    def answer(request):
        keys.append(request.headers["Idempotency-Key"])
        if len(keys) == 1:
            raise httpx2.ReadError("broken")
        return httpx2.Response(429, json=PROBLEM)

    with Client(transport=httpx2.MockTransport(answer)) as server, pytest.raises(QueueFull):
        server.concepts("one")
    assert len(keys) == 2
    assert len(set(keys)) == 1


def test_a_stream_that_breaks_is_taken_up_again(monkeypatch):
    monkeypatch.setattr("dermaxai.client.PAUSE", 0)
    job = '{"id": 1, "case": "one", "kind": "query", "state": "%s", "stages": [], "content": 0}'
    states = iter(["waiting", "running", "done"])

    def answer(_request):
        text = f"retry: 1\n\nevent: progress\ndata: {job % next(states)}\n\n"
        return httpx2.Response(200, text=text, headers={"Content-Type": "text/event-stream"})

    heard = []
    with Client(transport=httpx2.MockTransport(answer)) as server:
        assert server.wait(1, heard.append).state == "done"
    assert [one.state for one in heard] == ["waiting", "running", "done"]


def test_photos_go_to_the_server_and_nowhere_else(app, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    put_case(app)
    with listening(app) as address, Client(address) as server:
        assert server.case("one").caption == ENGLISH


def test_asked_twice_by_a_broken_connection_it_is_one_job(app, monkeypatch):
    put_case(app)
    with listening(app) as address, Client(address) as server:
        real, lost = server._to._http.request, []

        def answer_is_lost(*args, **more):
            answered = real(*args, **more)
            if not lost:
                lost.append(1)
                raise httpx2.ReadError("broken")
            return answered

        monkeypatch.setattr(server._to._http, "request", answer_is_lost)
        server._to.ask("/api/cases/one/concepts", json={})
    assert rows_of(app, Job) == 1


@pytest.mark.parametrize("name", ["annotations", "__name__", "Nothing", "InternalError"])
def test_an_error_that_is_none_of_ours(name):
    assert type(error_of({"error": name, "message": "No."})) is DermaXAIError


def test_no_model_is_loaded(heavy_after):
    assert heavy_after("from dermaxai.client import Client; Client()") == []
