"""The same calls on PostgreSQL, which is asked in a thread."""

from dermaxai.store.tables import Job
from tests.api.whole_server import begin_job, end_job, put_case, rows_of, running, send_photo, whole_server
from tests.databases import postgres  # noqa: F401
from tests.sample_case import ENGLISH


def test_a_photo_from_its_upload_to_its_end(tmp_path, postgres):  # noqa: F811
    app = whole_server(tmp_path, url=postgres())
    put_case(app)
    with running(app) as browser:
        told = send_photo(browser, key="k").json()
        assert send_photo(browser, key="k").json() == told
        assert rows_of(app, Job) == 1
        end_job(app, begin_job(app))
        for path in (f"/api/cases/{told['case']}", "/api/cases/one"):
            first = browser.get(path)
            assert first.json()["page"]["captions"][0]["text"] == ENGLISH
            assert browser.get(path, headers={"If-None-Match": first.headers["ETag"]}).status_code == 304
        assert '"state":"done"' in browser.get(f"/api/jobs/{told['job']['id']}/events").text
        assert browser.get("/api/cases", params={"sort": "caption"}).json()["total"] == 2
        assert browser.delete("/api/cases/one").status_code == 204
        assert browser.get("/api/cases/one").json()["error"] == "NotFound"
        assert browser.get("/api/audit/verify").json()["intact"]
    app.state.server.store.close()
