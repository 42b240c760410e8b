"""A photo that is here already, described anew as a case of its own."""

import numpy as np
import pytest

from dermaxai.api.state import ServedModel
from dermaxai.store.cases import find_case
from dermaxai.store.shelf import Shelf
from dermaxai.store.tables import CaseRow, Job
from tests.api.whole_server import (
    begin_job,
    end_job,
    left_in,
    put_case,
    rows_of,
    send_photo,
    talk,
    whole_server,
)
from tests.sample_case import make_case


@pytest.fixture
def app(tmp_path):
    made = whole_server(tmp_path, queue=3, models=(ServedModel("demo"), ServedModel("other")))
    put_case(made)
    return made


def again(app, case="one", key="", **body):
    headers = {"Idempotency-Key": key} if key else {}
    return talk(app).post(f"/api/cases/{case}/again", json=body, headers=headers)


def job_of(app, answered):
    with app.state.server.store.read() as session:
        return session.get(Job, answered.json()["job"]["id"])


def test_every_pixel_goes_to_the_other_model(app):
    answered = again(app, model="other", methods=["evidence", "rollout"])
    assert answered.status_code == 202
    case_id = answered.json()["case"]
    assert case_id != "one"
    assert job_of(app, answered).request == {
        "model": "other", "methods": ["evidence", "rollout"], "lang": "en", "queries": [], "measure": False,
    }  # fmt: skip
    photo = Shelf(app.state.server.store.folder).read_upload(case_id)
    original = make_case().image
    assert np.array_equal(photo.pixels, original.pixels)
    assert (photo.sha256, photo.removed) == (original.sha256, original.removed)
    with app.state.server.store.read() as session:
        first, second = find_case(session, "one"), find_case(session, case_id)
        assert (second.state, second.owner, second.sha256) == ("waiting", "local", first.sha256)
        assert first.state == "ready"
    assert app.state.woken == [1]


def test_the_first_model_and_the_language_of_the_case_are_the_default(app):
    assert job_of(app, again(app)).request["model"] == "demo"
    assert job_of(app, again(app, lang="ru")).request["lang"] == "ru"


def test_a_photo_that_could_not_be_described_is_tried_once_more(app):
    case_id = send_photo(talk(app)).json()["case"]
    end_job(app, begin_job(app), {"error": "NotSupported", "message": "No.", "hint": ""})
    answered = again(app, case_id)
    assert answered.status_code == 202
    with app.state.server.store.read() as session:
        assert find_case(session, answered.json()["case"]).name == "mole.jpg"


def test_asked_twice_with_one_key_it_is_one_case(app):
    first, second = (again(app, key="k", model="other").json() for _ in range(2))
    assert first == second
    assert left_in(app, ".waiting") == [first["case"]]


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({"model": "othr"}, "Did you mean 'other'?"),
        ({"methods": ["grad_clip"]}, "Did you mean 'grad_eclip'?"),
        ({"lang": "de"}, "lang"),
        ({"file": "one"}, "file"),
    ],
)
def test_what_is_asked_is_checked_first(app, body, word):
    answered = again(app, **body)
    assert answered.status_code == 422
    assert word in answered.json()["message"]
    assert rows_of(app, Job) == 0


def test_the_queue_has_an_end_and_nothing_is_left(app):
    answers = [again(app) for _ in range(4)]
    assert [answered.status_code for answered in answers] == [202, 202, 202, 429]
    assert len(left_in(app, ".waiting")) == 3
    assert rows_of(app, CaseRow) == 4


def test_a_case_that_is_not_there(app):
    assert again(app, "none").json()["error"] == "NotFound"


def test_blind_mode_comes_first(tmp_path):
    app = whole_server(tmp_path, blind=True)
    put_case(app)
    assert again(app).json()["error"] == "ReadingFirst"
    assert rows_of(app, Job) == 0


def test_nothing_is_described_without_a_model(tmp_path):
    app = whole_server(tmp_path, models=())
    put_case(app)
    assert again(app).json()["error"] == "NotSupported"
