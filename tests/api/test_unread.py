"""What a reader has still to read, over HTTP, on both databases."""

import json

import pytest

from tests.api.small_server import ask, bearer, token_of
from tests.api.whole_server import put_case, whole_server
from tests.databases import database, postgres  # noqa: F401
from tests.sample_case import ENGLISH

ANSWER = {"answer": "agree", "caption": ENGLISH, "word": 2, "method": "grad_eclip"}
READING = {"findings": "a dark spot"}


class Room:
    """A server with three cases and two readers."""

    def __init__(self, place, **options):
        self.app = whole_server(place.folder, url=place.url, **options)
        for name in ("one", "two", "three"):
            put_case(self.app, name)
        self.tokens = {name: token_of(self.app, name) for name in ("r1", "r2")}

    def get(self, who, path):
        return ask(self.app, "GET", path, *([bearer(self.tokens[who])] if who else []))

    def post(self, who, path, body):
        told = [bearer(self.tokens[who]), ("content-type", "application/json")]
        assert ask(self.app, "POST", path, *told, body=json.dumps(body).encode()).status == 201

    def unread(self, who, more=""):
        told = self.get(who, f"/api/cases?unread=true{more}").json()
        assert told["total"] >= len(told["cases"])
        return [case["id"] for case in told["cases"]]


@pytest.fixture
def room(database):  # noqa: F811
    opened = Room(database)
    yield opened
    opened.app.state.server.store.close()


@pytest.fixture
def blind(database):  # noqa: F811
    opened = Room(database, blind=True)
    yield opened
    opened.app.state.server.store.close()


def test_the_list_without_what_is_read(room):
    assert room.unread("r1") == ["three", "two", "one"]
    room.post("r1", "/api/cases/two/feedback", ANSWER)
    assert room.unread("r1") == ["three", "one"]
    assert room.unread("r1", "&descending=false&limit=1&after=1") == ["three"]
    assert room.unread("r1", "&text=zebra") == []
    assert room.unread("r2") == ["three", "two", "one"]
    assert len(room.get("r1", "/api/cases").json()["cases"]) == 3
    assert len(room.get("r1", "/api/cases?unread=false").json()["cases"]) == 3


def test_the_next_case_and_how_many_are_read(room):
    assert room.get("r1", "/api/next").json() == {"case": "three", "read": 0, "cases": 3}
    room.post("r1", "/api/cases/three/feedback", ANSWER)
    assert room.get("r1", "/api/next?after=three").json() == {"case": "two", "read": 1, "cases": 3}
    assert room.get("r1", "/api/next?after=one").json()["case"] == "two"
    assert room.get("r1", "/api/next?after=two&descending=false").json()["case"] == "one"
    for name in ("one", "two"):
        room.post("r1", f"/api/cases/{name}/feedback", ANSWER)
    assert room.get("r1", "/api/next?after=two").json() == {"case": None, "read": 3, "cases": 3}


def test_the_next_case_is_for_somebody(room):
    assert room.get("", "/api/next").error == "NotSignedIn"
    assert room.get("r1", "/api/next?sort=nothing").status == 422


def test_blind_readers_go_by_their_own_readings(blind):
    blind.post("r1", "/api/cases/three/reading", READING)
    blind.post("r1", "/api/cases/three/feedback", ANSWER)
    assert blind.unread("r1") == ["two", "one"]
    assert blind.unread("r2") == ["three", "two", "one"]
    assert blind.get("r1", "/api/next?after=three").json() == {"case": "two", "read": 1, "cases": 3}


def test_the_order_of_what_is_unread_tells_blind_readers_nothing(blind):
    for sort in ("caption", "disagreement", "faithfulness"):
        assert blind.get("r1", f"/api/next?sort={sort}").error == "NotAllowed"
        assert blind.get("r1", f"/api/cases?unread=true&sort={sort}").error == "NotAllowed"
    assert blind.get("r1", "/api/cases?unread=true&text=brown").error == "NotAllowed"
    cases = blind.get("r1", "/api/cases?unread=true").json()["cases"]
    assert all(case["hidden"] and case["caption"] is None for case in cases)
