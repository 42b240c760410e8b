"""Cases over HTTP."""

import gzip
import json

import pytest

from dermaxai.api.schemas import CasePage
from dermaxai.store.deleting import delete_case
from dermaxai.store.tables import CaseRow, Job
from dermaxai.viewer import case_to_page
from tests.api.small_server import ask, bearer, token_of
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
from tests.sample_case import ENGLISH, make_case


@pytest.fixture
def app(tmp_path):
    return whole_server(tmp_path)


def test_a_case_is_what_the_viewer_reads(app):
    put_case(app)
    told = talk(app).get("/api/cases/one").json()
    assert (told["id"], told["state"], told["revision"], told["job"]) == ("one", "ready", 1, None)
    wanted = json.loads(json.dumps(case_to_page(make_case())))
    assert {key: told["page"][key] for key in wanted} == wanted


def test_the_described_page_is_the_page(app):
    put_case(app)
    page = talk(app).get("/api/cases/one").json()["page"]
    CasePage.model_validate(page)


def test_an_unchanged_case_is_not_sent_again(app):
    put_case(app)
    browser = talk(app)
    mark = browser.get("/api/cases/one").headers["ETag"]
    again = browser.get("/api/cases/one", headers={"If-None-Match": mark})
    assert (again.status_code, again.content) == (304, b"")
    weak = browser.get("/api/cases/one", headers={"If-None-Match": f'"other", W/{mark}'})
    assert weak.status_code == 304


def test_a_changed_case_has_another_mark(app):
    put_case(app)
    browser = talk(app)
    mark = browser.get("/api/cases/one").headers["ETag"]
    put_case(app, case=make_case(methods=("evidence",)))
    changed = browser.get("/api/cases/one", headers={"If-None-Match": mark})
    assert changed.status_code == 200
    assert changed.json()["revision"] == 2
    assert [one["name"] for one in changed.json()["page"]["methods"]] == ["evidence"]


def test_an_answer_is_packed_only_for_who_takes_that(app):
    put_case(app)
    plain = ask(app, "GET", "/api/cases/one")
    packed = ask(app, "GET", "/api/cases/one", ("Accept-Encoding", "gzip, br"))
    assert (plain.header("content-encoding"), packed.header("content-encoding")) == (None, "gzip")
    assert gzip.decompress(packed.body) == plain.body
    assert len(packed.body) < len(plain.body) / 2


def test_a_case_is_shown_while_it_is_made(app):
    browser = talk(app)
    case_id = send_photo(browser).json()["case"]
    told = browser.get(f"/api/cases/{case_id}").json()
    assert (told["state"], told["page"], told["job"]["state"]) == ("waiting", None, "waiting")
    job = begin_job(app, page=b'{"captions": []}')
    told = browser.get(f"/api/cases/{case_id}").json()
    assert (told["page"], told["job"]["content"]) == ({"captions": []}, 1)
    end_job(app, job)
    told = browser.get(f"/api/cases/{case_id}").json()
    assert (told["state"], told["job"]["state"]) == ("ready", "done")
    assert told["page"]["captions"][0]["text"] == ENGLISH


def test_a_question_under_way_is_told_with_the_case(app):
    put_case(app)
    browser = talk(app)
    before = browser.get("/api/cases/one")
    browser.post("/api/cases/one/query", json={"text": "a veil"})
    after = browser.get("/api/cases/one", headers={"If-None-Match": before.headers["ETag"]})
    assert (after.status_code, after.json()["job"]["kind"]) == (200, "query")


def test_the_list_is_sorted_searched_and_cut(app):
    for name in ("one", "two", "three"):
        put_case(app, name)
    browser = talk(app)
    listed = browser.get("/api/cases", params={"limit": 2, "sort": "created", "descending": False}).json()
    assert ([row["id"] for row in listed["cases"]], listed["total"]) == (["one", "two"], 3)
    rest = browser.get("/api/cases", params={"limit": 2, "after": 2, "descending": False}).json()
    assert [row["id"] for row in rest["cases"]] == ["three"]
    assert browser.get("/api/cases", params={"text": "asymmetric dark"}).json()["total"] == 3
    assert browser.get("/api/cases", params={"text": "zebra"}).json() == {"cases": [], "total": 0}
    assert browser.get("/api/cases", params={"sort": "colour"}).status_code == 422


def test_what_each_map_is_of(app):
    put_case(app)
    maps = talk(app).get("/api/cases/one/maps").json()["maps"]
    wanted = make_case().maps
    assert [(one["method"], one["target"]["text"]) for one in maps] == [
        (heat.method, heat.target.text) for heat in wanted
    ]
    assert maps[0]["placement"]["width"] == 400


def test_a_damaged_case_is_an_error_of_the_same_shape(app):
    put_case(app)
    (app.state.server.store.folder / "one" / "case.json").write_text("{")
    answered = talk(app).get("/api/cases/one/maps")
    assert (answered.status_code, answered.json()["error"]) == (500, "DataError")
    assert str(app.state.server.store.folder) not in answered.text


def test_what_is_not_there(app):
    for path in ("", "/maps", "/maps.npz", "/photo", "/thumb", "/report", "/report.pdf"):
        answered = talk(app).get(f"/api/cases/nowhere{path}")
        assert (answered.status_code, answered.json()["error"]) == (404, "NotFound"), path


@pytest.mark.parametrize("name", ["a.b", "x" * 65, "%20", "é"])
def test_a_name_that_can_be_no_case(app, name):
    assert talk(app).get(f"/api/cases/{name}").status_code in (404, 422)


def test_delete_is_delete(app):
    browser = talk(app)
    case_id = send_photo(browser).json()["case"]
    end_job(app, begin_job(app))
    browser.get(f"/api/cases/{case_id}/thumb")
    assert browser.delete(f"/api/cases/{case_id}").status_code == 204
    assert browser.get(f"/api/cases/{case_id}").status_code == 404
    assert rows_of(app, CaseRow) == rows_of(app, Job) == 0
    assert left_in(app, ".waiting") == left_in(app, ".derived") == []
    assert not (app.state.server.store.folder / case_id).exists()


def test_a_new_case_under_an_old_name_is_not_mixed_up(app):
    """Its revision and its lack of jobs are the same."""
    put_case(app)
    browser = talk(app)
    assert len(browser.get("/api/cases/one").json()["page"]["methods"]) == 2
    delete_case(app.state.server.store, "one", actor="local")
    put_case(app, case=make_case(methods=("evidence",)))
    told = browser.get("/api/cases/one").json()
    assert (told["revision"], len(told["page"]["methods"])) == (1, 1)


def test_only_owner_and_admin_delete(tmp_path):
    app = whole_server(tmp_path, host="0.0.0.0")
    put_case(app)
    reader, admin = bearer(token_of(app, "reader-1")), bearer(token_of(app, "chief", "admin"))
    refused = ask(app, "DELETE", "/api/cases/one", reader)
    assert (refused.status, refused.error) == (403, "NotAllowed")
    assert ask(app, "DELETE", "/api/cases/one", admin).status == 204


def test_blind_mode_hides_what_the_model_said(tmp_path):
    app = whole_server(tmp_path, blind=True)
    put_case(app)
    browser = talk(app)
    (row,) = browser.get("/api/cases").json()["cases"]
    assert (row["hidden"], row["caption"], row["id"]) == (True, None, "one")
    for path in ("", "/maps", "/maps.npz", "/report"):
        answered = browser.get(f"/api/cases/one{path}")
        assert (answered.status_code, answered.json()["error"]) == (403, "ReadingFirst"), path
    assert browser.get("/api/cases/one/photo").status_code == 200
    assert browser.get("/api/cases", params={"text": "dark"}).status_code == 403
