"""Questions about a case that is made."""

import pytest

from dermaxai.api.questions import FINDERS
from dermaxai.explain import METHODS
from dermaxai.explain.base import AbstractMethod
from dermaxai.questions import QUERY_METHOD, WORD_METHOD
from dermaxai.store.tables import Job
from tests.api.whole_server import put_case, rows_of, send_photo, talk, whole_server

ASKED = [
    (
        "query",
        {"text": " a veil "},
        {"text": "a veil", "kind": "query", "against": None, "method": QUERY_METHOD},
    ),
    (
        "query",
        {"text": "dark", "kind": "word", "against": "pale"},
        {"text": "dark", "kind": "word", "against": "pale", "method": WORD_METHOD},
    ),
    (
        "contrast",
        {"word": "dark", "against": "pale"},
        {"word": "dark", "against": "pale", "method": WORD_METHOD},
    ),
    ("concepts", {}, {"method": "splice"}),
    ("measure", {"metrics": ["road"]}, {"metrics": ["road"]}),
    ("sanity", {}, {"methods": []}),
    ("methods", {"methods": ["rollout", "all"]}, {"methods": ["rollout", "all"]}),
]


@pytest.fixture
def app(tmp_path):
    made = whole_server(tmp_path, queue=3)
    put_case(made)
    return made


def ask(app, kind, body, key="", case="one"):
    headers = {"Idempotency-Key": key} if key else {}
    return talk(app).post(f"/api/cases/{case}/{kind}", json=body, headers=headers)


@pytest.mark.parametrize(("kind", "body", "request_"), ASKED)
def test_a_question_is_a_job(app, kind, body, request_):
    answered = ask(app, kind, body)
    assert answered.status_code == 202
    told = answered.json()
    assert (told["case"], told["job"]["kind"], told["job"]["state"]) == ("one", kind, "waiting")
    with app.state.server.store.read() as session:
        assert session.get(Job, told["job"]["id"]).request == request_
    assert app.state.woken == [1]


@pytest.mark.parametrize(
    ("kind", "body", "word"),
    [
        ("query", {"text": "a", "method": "grad_clip"}, "Did you mean 'grad_eclip'?"),
        ("concepts", {"method": "rollout"}, "splice"),
        ("measure", {"metrics": ["deletoin"]}, "Did you mean 'deletion'?"),
        ("sanity", {"methods": ["nothing"]}, "Known: evidence"),
        ("methods", {"methods": []}, "methods"),
        ("contrast", {"word": "dark"}, "against"),
    ],
)
def test_names_are_checked_before_a_job_is_made(app, kind, body, word):
    answered = ask(app, kind, body)
    assert answered.status_code == 422
    assert word in answered.json()["message"]
    assert rows_of(app, Job) == 0


def test_asked_twice_with_one_key_it_is_one_job(app):
    first, again = (ask(app, "query", {"text": "a veil"}, key="k").json() for _ in range(2))
    assert first["job"]["id"] == again["job"]["id"]
    other = ask(app, "query", {"text": "a ruler"}, key="k")
    assert (other.status_code, other.json()["error"]) == (409, "Conflict")


def test_the_queue_has_an_end(app):
    answers = [ask(app, "concepts", {}) for _ in range(4)]
    assert [answered.status_code for answered in answers] == [202, 202, 202, 429]


def test_a_case_that_is_being_made_cannot_be_asked(app):
    case_id = send_photo(talk(app)).json()["case"]
    answered = ask(app, "concepts", {}, case=case_id)
    assert (answered.status_code, answered.json()["error"]) == (409, "Conflict")


def test_nothing_is_asked_without_a_model(tmp_path):
    app = whole_server(tmp_path, models=())
    put_case(app)
    for kind, body, _ in ASKED:
        assert ask(app, kind, body).json()["error"] == "NotSupported"


def test_blind_mode_comes_before_questions(tmp_path):
    app = whole_server(tmp_path, blind=True)
    put_case(app)
    assert ask(app, "concepts", {}).json()["error"] == "ReadingFirst"
    assert rows_of(app, Job) == 0


def test_who_finds_concepts():
    finders = [name for name in METHODS if METHODS.load(name).find is not AbstractMethod.find]
    assert list(FINDERS) == finders


@pytest.mark.parametrize("text", ["a\x00b", "two\nlines", "\x7f"])
def test_a_text_is_one_line_that_can_be_seen(app, text):
    answered = ask(app, "query", {"text": text})
    assert (answered.status_code, answered.json()["error"]) == (422, "UsageError")
    assert rows_of(app, Job) == 0


def test_unknown_fields_are_one_fault_however_many(app):
    answered = ask(app, "query", {"text": "x", **{f"k{number}": 1 for number in range(5000)}})
    told = answered.json()["message"]
    assert answered.status_code == 422
    assert "5000 unknown" in told
    assert "more" not in told
    assert len(told) < 300
