"""HEAD: the head of what GET answers."""

import pytest

from tests.api.whole_server import put_case, rows_of, talk, whole_server


@pytest.fixture
def app(tmp_path):
    made = whole_server(tmp_path)
    put_case(made)
    return made


@pytest.mark.parametrize(
    "path", ["/", "/healthz", "/version", "/docs", "/web/app.js", "/api/cases", "/api/cases/one/photo"]
)
def test_a_head_says_what_get_says_without_the_body(app, path):
    browser = talk(app)
    head, whole = browser.head(path), browser.get(path)
    assert (head.status_code, head.content) == (200, b"")
    for name in ("content-type", "content-length", "etag", "content-security-policy"):
        assert head.headers.get(name) == whole.headers.get(name)


@pytest.mark.parametrize("path", ["report", "report.pdf"])
def test_nothing_is_made_for_a_head(app, path):
    from dermaxai.store.tables import Event

    before = rows_of(app, Event)
    assert talk(app).head(f"/api/cases/one/{path}").status_code == 405
    assert rows_of(app, Event) == before


def test_what_is_not_there_has_no_head(app):
    assert talk(app).head("/api/cases/other").status_code == 404
