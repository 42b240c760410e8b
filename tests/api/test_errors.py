"""Errors as answers."""

import json

import pytest

from dermaxai import errors
from dermaxai.api.errors import EXAMPLES, STATUS, answer_problem, refusals, status_of
from tests.api.whole_server import talk, whole_server

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type)]


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("NotSignedIn", 401), ("NotAllowed", 403), ("ReadingFirst", 403), ("NotFound", 404),
        ("Conflict", 409), ("ImageTooLarge", 413), ("RequestTooLarge", 413), ("ImageUnreadable", 422),
        ("UnknownName", 422), ("NotSupported", 422), ("SettingError", 422), ("QueueFull", 429),
        ("TooFast", 429), ("StoreFull", 507), ("StoreReadOnly", 503), ("StoreUnreachable", 503),
        ("StoreOutdated", 503), ("WeightsMissing", 503), ("MissingExtra", 501), ("DataError", 500),
        ("ShapeError", 500),
    ],
)  # fmt: skip
def test_statuses(kind, status):
    assert status_of(getattr(errors, kind)("No.")) == status


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_has_a_status_that_is_described(kind):
    status = status_of(kind("No."))
    assert status in STATUS.values()
    assert status in EXAMPLES or status == 500


def test_an_answer_says_what_to_do():
    answer = answer_problem(errors.QueueFull("64 jobs wait.", hint="Try later."))
    assert (answer.status_code, answer.headers["Retry-After"], answer.headers["Cache-Control"]) == (
        429, "5", "no-store",
    )  # fmt: skip
    assert answer.body == b'{"error":"QueueFull","message":"64 jobs wait.","hint":"Try later.","said":{}}'


def test_places_of_the_machine_are_left_out():
    answer = answer_problem(
        errors.DataError("'/srv/cases/one' is damaged in /srv/cases."), without="/srv/cases"
    )
    assert b"/srv" not in answer.body
    assert b"'one' is damaged in the folder of cases." in answer.body


def test_refusals_are_described_with_an_example():
    told = refusals(404)
    assert {401, 403, 404, 422, 429, 503} <= set(told)
    assert 409 not in told
    assert told[404]["content"]["application/json"]["example"]["error"] == "NotFound"


def test_an_answer_says_it_in_russian_too():
    known = answer_problem(errors.NotFound("There is no job 7.", hint="Nobody has ever said this."))
    assert json.loads(known.body)["said"] == {"ru": {"message": "Задания 7 нет."}}
    example = refusals(409)[409]["content"]["application/json"]["example"]
    assert example["said"]["ru"] == {
        "message": "Случай «7f3a91c2» ещё создаётся.",
        "hint": "Дождитесь конца его задания.",
    }


@pytest.mark.parametrize(
    ("address", "russian"),
    [
        ("/api/jobs?limit=x", "limit: ожидается целое число."),
        ("/api/jobs?limit=0", "limit: ожидается не меньше 1."),
        ("/api/jobs?limit=999", "limit: ожидается не больше 200."),
        (f"/api/cases?text={'a' * 999}", "text: не больше "),
    ],
)
def test_a_request_that_is_not_as_described_is_told_in_russian_too(tmp_path, address, russian):
    told = talk(whole_server(tmp_path)).get(address).json()
    assert told["said"]["ru"]["message"].startswith(russian)
    assert told["said"]["ru"]["hint"] == "Все запросы описаны на странице /docs."
