"""Files of a case over HTTP."""

import io
import shutil

import numpy as np
import pytest
from PIL import Image
from sqlalchemy import select

from dermaxai.api.limits import OwnPlaces, Places
from dermaxai.store.tables import Event
from tests.api.whole_server import put_case, send_photo, talk, whole_server
from tests.sample_case import make_case


@pytest.fixture
def app(tmp_path):
    made = whole_server(tmp_path)
    put_case(made)
    return made


@pytest.mark.parametrize(("kind", "longest"), [("photo", 400), ("thumb", 320)])
def test_pictures_carry_no_metadata(app, kind, longest):
    answered = talk(app).get(f"/api/cases/one/{kind}")
    assert answered.headers["content-type"] == "image/jpeg"
    with Image.open(io.BytesIO(answered.content)) as picture:
        assert max(picture.size) == longest
        assert not picture.getexif()
        assert set(picture.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}


def test_a_picture_is_sent_once(app):
    browser = talk(app)
    mark = browser.get("/api/cases/one/thumb").headers["ETag"]
    assert browser.get("/api/cases/one/thumb", headers={"If-None-Match": mark}).status_code == 304


def test_a_photo_is_shown_before_it_is_described(app):
    browser = talk(app)
    case_id = send_photo(browser).json()["case"]
    with Image.open(io.BytesIO(browser.get(f"/api/cases/{case_id}/photo").content)) as picture:
        assert picture.size == (64, 64)
    assert browser.get(f"/api/cases/{case_id}/report").status_code == 409


def test_raw_maps_are_the_case_s_own(app):
    answered = talk(app).get("/api/cases/one/maps.npz")
    assert 'filename="one.npz"' in answered.headers["content-disposition"]
    with np.load(io.BytesIO(answered.content), allow_pickle=False) as arrays:
        for index, heat in enumerate(make_case().maps):
            assert np.array_equal(arrays[f"{index:04d}"], heat.values)


@pytest.mark.parametrize("asked", ["", "/maps", "/maps.npz", "/photo", "/thumb", "/report", "/report.pdf"])
def test_a_case_whose_files_are_gone_says_so(app, asked):
    """Somebody removed the folder while the server runs."""
    shutil.rmtree(app.state.server.store.folder / "one")
    answered = talk(app).get(f"/api/cases/one{asked}")
    assert (answered.status_code, answered.json()["error"]) == (404, "NotFound")


@pytest.mark.parametrize(("asked", "language"), [("", "en"), ("?lang=ru", "ru")])
def test_the_report_is_shown_and_written_down(app, asked, language):
    answered = talk(app).get(f"/api/cases/one/report{asked}")
    assert answered.status_code == 200
    assert f'lang="{language}"' in answered.text[:400]
    assert "sandbox" in answered.headers["content-security-policy"]
    with app.state.server.store.read() as session:
        event = session.scalars(select(Event).order_by(Event.seq.desc()).limit(1)).one()
    assert (event.action, event.subject, event.actor) == ("report.made", "one", "local")


def test_a_report_can_be_saved(app):
    answered = talk(app).get("/api/cases/one/report?lang=ru&save=true")
    assert answered.headers["content-disposition"] == 'attachment; filename="one.ru.html"'


def test_the_report_on_paper(app, monkeypatch):
    monkeypatch.setattr("dermaxai.pdf.render_pdf", lambda case, **more: b"%PDF-" + more["language"].encode())
    answered = talk(app).get("/api/cases/one/report.pdf?lang=ru")
    assert (answered.content, answered.headers["content-type"]) == (b"%PDF-ru", "application/pdf")


def test_a_language_that_is_none(app):
    answered = talk(app).get("/api/cases/one/report?lang=fr")
    assert (answered.status_code, answered.json()["error"]) == (422, "UsageError")


def test_many_reports_of_one_person_are_refused_and_others_get_theirs(app, monkeypatch):
    from dermaxai.api import files

    monkeypatch.setattr(files, "_OWN", OwnPlaces(lambda: Places(1, waiting=0, seconds=60, what="reports")))
    answered = talk(app).get("/api/cases/one/report")
    assert (answered.status_code, answered.json()["error"]) == (429, "TooFast")
    assert int(answered.headers["Retry-After"]) > 0
