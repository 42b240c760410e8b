"""Five hundred files that are no photos, through the whole application: refused, and nothing left behind."""

import json
import logging
import tempfile
from pathlib import Path

import anyio
import pytest
from sqlalchemy import func, select

from dermaxai.api.app import create_app
from dermaxai.api.state import ServeOptions
from dermaxai.errors import ImageError
from dermaxai.images import read_image
from dermaxai.store.tables import CaseRow, Job
from tests.api.hostile_files import NAMES, bombs, mutations, small_photo, sound_photos, strangers, two_kinds
from tests.api.hostile_files import saved as write
from tests.api.small_server import ask_inside

BORDER = b"x7Kq2vL9pZ"
MANY_HEADERS = b"\r\n" + b"A: b\r\n" * 9000 + b"\r\n"
MUTATIONS = 420
GROWTH = 250_000_000
"""Bytes by which the server may grow over all of them."""


@pytest.fixture
def app(tmp_path, monkeypatch):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    monkeypatch.setenv("TMPDIR", str(scratch))
    return create_app(ServeOptions(cases=tmp_path / "cases", per_minute=0, queue=10_000))


def form(data, name=b"photo.png", kind=b"image/png"):
    head = b'Content-Disposition: form-data; name="file"; filename="' + name + b'"\r\nContent-Type: ' + kind
    return b"--" + BORDER + b"\r\n" + head + b"\r\n\r\n" + data + b"\r\n--" + BORDER + b"--\r\n"


async def upload(app, data, name=b"photo.png"):
    kind = ("Content-Type", f"multipart/form-data; boundary={BORDER.decode()}")
    body = form(data, name)
    pieces = [body[place : place + 65_536] for place in range(0, len(body), 65_536)]
    return await ask_inside(app, "POST", "/api/cases", kind, body=pieces)


def files_of(app):
    """Every file below the folder of cases but the database."""
    home = app.state.server.options.cases
    found = (path.relative_to(home) for path in home.rglob("*") if path.is_file())
    return {path.as_posix() for path in found if not path.name.startswith("dermaxai.sqlite")}


def rows_of(app):
    with app.state.server.store.read() as session:
        return [session.scalar(select(func.count()).select_from(table)) for table in (CaseRow, Job)]


def memory():
    """Bytes that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def is_readable(data):
    try:
        return bool(read_image(data).sha256)
    except ImageError:
        return False


async def check(app, told, data, before):
    """202 for what can be read; otherwise 4xx in the one shape, and everything as `before`."""
    answered = await upload(app, data)
    if answered.status == 202:
        assert is_readable(data), told
        before[:] = files_of(app), rows_of(app)
        return answered.status
    assert 400 <= answered.status < 500, (told, answered.status, answered.body[:300])
    assert set(answered.json()) == {"error", "message", "hint", "said"}, told
    assert answered.error.startswith("Image"), (told, answered.body)
    assert not is_readable(data), told
    assert [files_of(app), rows_of(app)] == before, told
    return answered.status


def check_all(app, files):
    before = [files_of(app), rows_of(app)]

    async def run():
        return {told: await check(app, told, data, before) for told, data in files}

    return anyio.run(run)


@pytest.mark.slow
def test_five_hundred_hostile_files(app, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    sound = check_all(app, sound_photos().items())
    assert set(sound.values()) == {202}
    before = memory()
    crafted = check_all(app, [*bombs().items(), *strangers().items(), *two_kinds().items()])
    damaged = check_all(app, mutations(MUTATIONS))
    grown = memory() - before
    assert grown < GROWTH
    assert len(crafted) + len(damaged) + len(NAMES) >= 500
    assert {crafted[told] for told in two_kinds()} == {202}
    assert {crafted[told] for told in strangers()} == {422}
    assert not {crafted[told] for told in bombs()} & {202} - {crafted["dicom frames"]}
    assert 100 < sum(status == 422 for status in damaged.values()) < MUTATIONS
    assert list((tmp_path / "scratch").iterdir()) == []
    assert "Traceback" not in caplog.text
    assert "photo.png" not in caplog.text


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_odd_names_are_only_names(app, tmp_path, name):
    raw = name.encode("utf-8", "surrogatepass").replace(b"\r\n", b"%0D%0A").replace(b'"', b"%22")
    outside = {path for path in tmp_path.rglob("*") if "cases" not in path.parts}
    answered = anyio.run(upload, app, write(small_photo(), "PNG"), raw)
    if refused := {NAMES[9]: 422}.get(name):
        assert answered.status == refused
        assert rows_of(app) == [0, 0]
        return
    assert answered.status == 202, answered.body
    case_id = answered.json()["case"]
    with app.state.server.store.read() as session:
        shown = session.get(CaseRow, case_id).name
    assert 1 <= len(shown) <= 120
    assert shown.isprintable()
    assert not set(shown) & set("/\\\0\u202e")
    assert {path for path in tmp_path.rglob("*") if "cases" not in path.parts} == outside
    assert all(case_id in path for path in files_of(app)), "the folder is called by the id"


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data", form(b"x")),
        ("multipart/form-data; boundary=", form(b"x")),
        ("multipart/form-data; boundary=other", form(b"x")),
        ("multipart/form-data; boundary=x7Kq2vL9pZ", form(b"x")[:-20]),
        ("multipart/form-data; boundary=x7Kq2vL9pZ", b""),
        ("multipart/form-data; boundary=x7Kq2vL9pZ", b"--x7Kq2vL9pZ--\r\n"),
        ("multipart/form-data; boundary=x7Kq2vL9pZ", form(b"x").replace(b'name="file"; ', b"")),
        ("multipart/form-data; boundary=x7Kq2vL9pZ", form(b"x").replace(b"file", b"photo")),
        ("multipart/form-data; boundary=x7Kq2vL9pZ", form(b"x").replace(b"; filename=", b"; name=")),
        ("multipart/form-data; boundary=x7Kq2vL9pZ", form(b"x")[:-4] + b"\r\n" + form(b"y")),
        ("multipart/form-data; boundary=x7Kq2vL9pZ", b'--x7Kq2vL9pZ\r\nA: b\r\n' * 40 + form(b"x")),
        ("multipart/form-data; boundary=x7Kq2vL9pZ", form(b"x").replace(b"\r\n\r\n", MANY_HEADERS)),
        ("multipart/form-data; charset=utf-7; boundary=x7Kq2vL9pZ", form(b"x")),
        ("multipart/form-data; boundary=" + "x" * 500, form(b"x")),
        ("application/json", json.dumps({"file": "x"}).encode()),
        ("application/x-www-form-urlencoded", b"file=x"),
        ("image/png", b"\x89PNG\r\n\x1a\n"),
        ("", form(b"x")),
    ],
    ids=range(18),
)  # fmt: skip
def test_odd_forms_are_refused(app, kind, body):
    answered = anyio.run(lambda: ask_inside(app, "POST", "/api/cases", ("Content-Type", kind), body=body))
    assert 400 <= answered.status < 500, answered.body
    assert set(answered.json()) == {"error", "message", "hint", "said"}
    assert files_of(app) == set()
    assert rows_of(app) == [0, 0]


@pytest.mark.parametrize("count", [(40, 10), (1, 30_000)])
def test_many_or_long_fields_are_refused(app, count):
    fields, length = count
    part = b'--x7Kq2vL9pZ\r\nContent-Disposition: form-data; name="queries"\r\n\r\n' + b"x" * length + b"\r\n"
    kind = ("Content-Type", "multipart/form-data; boundary=x7Kq2vL9pZ")
    body = part * fields + form(write(small_photo(), "PNG"))
    answered = anyio.run(lambda: ask_inside(app, "POST", "/api/cases", kind, body=body))
    assert answered.status == 422
    assert rows_of(app) == [0, 0]


def test_a_photo_over_the_limit_of_bytes_is_refused(tmp_path):
    app = create_app(ServeOptions(cases=tmp_path, per_minute=0, max_bytes=5_000))
    answered = anyio.run(upload, app, write(small_photo(), "BMP"))
    assert (answered.status, answered.error) == (413, "ImageTooLarge")
    assert files_of(app) == set()
