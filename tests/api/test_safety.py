"""The whole application: who may call what, and nothing of whoever is in the photo goes anywhere."""

import io
import json
import logging
import re
import zipfile
from urllib.parse import quote

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tests.api.hostile_files import dicom, small_photo
from tests.api.small_server import ask, bearer, token_of
from tests.api.whole_server import begin_job, end_job, talk, whole_server

FOR_ALL = {
    ("get", "/healthz"),
    ("get", "/version"),
    ("post", "/api/session"),
}
FOR_ADMINS = {
    ("get", "/api/readers"),
    ("post", "/api/readers"),
    ("post", "/api/readers/{pseudonym}/tokens"),
    ("delete", "/api/readers/{pseudonym}"),
    ("get", "/api/audit"),
    ("get", "/api/audit/verify"),
    ("get", "/api/export/{what}"),
    ("get", "/api/agreement"),
}
VALUES = {
    "case_id": "7f3a91c2b604",
    "pseudonym": "x",
    "what": "feedback",
    "job_id": "1",
    "number": "1",
    "kind": "thumb",
}
JSON = ("Content-Type", "application/json")


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    return whole_server(tmp_path_factory.mktemp("cases"), host="0.0.0.0", per_minute=0)


def calls(app):
    document = app.openapi()
    for path, methods in document["paths"].items():
        for method in methods:
            filled = re.sub(r"{(\w+)}", lambda found: VALUES[found[1]], path)
            yield (method, path), (method.upper(), filled)


def body_of(method):
    return (JSON, {"body": b"{}"}) if method == "POST" else (None, {})


def statuses(app, *headers):
    found = {}
    for call, (method, path) in calls(app):
        kind, body = body_of(method)
        told = [*headers, kind] if kind else headers
        found[call] = ask(app, method, path, *told, **body).status
    return found


def test_without_a_token_nothing_is_told(shared):
    found = statuses(shared)
    assert len(found) > 35
    assert {call for call, status in found.items() if status != 401} == FOR_ALL


def test_a_reader_may_not_do_what_admins_do(shared):
    found = statuses(shared, bearer(token_of(shared, "reader-1")))
    assert {call for call, status in found.items() if status == 403} == FOR_ADMINS
    assert 401 not in found.values()


def test_an_admin_may(shared):
    found = statuses(shared, bearer(token_of(shared, "lead", "admin")))
    assert not {401, 403} & set(found.values())


def test_the_api_has_no_route_that_its_description_hides(shared):
    told = {path for _, path in (call for call, _ in calls(shared))}
    found = {answer for answer in paths_of(shared.routes) if answer.startswith("/api")}
    assert found == {path for path in told if path.startswith("/api")}


def paths_of(routes):
    for route in routes:
        inner = getattr(route, "original_router", None)
        yield from paths_of(inner.routes) if inner is not None else [route.path]


OF_THE_NAME = ("Ivanova",)
"""The name of the file is in the database as it is, and again as words that are searched."""
SECRETS = [
    *OF_THE_NAME, "Иванова", "Lesnaya-Street-12", "xmp-secret-4711", "comment-secret-4712",
    "text-secret-4713", "serial-secret-4714", "artist-secret-4715", "description-4716", "Doe^Jane",
    "P-123456", "Clinic of Someplace",
]  # fmt: skip
NAME = "Ivanova_Мария_1975-05-03"
SHOWN = ("/api/cases", "/api/cases/{case_id}")
"""Where the name of the file is shown: the list, and the case itself."""


def camera_jpeg():
    picture, buffer = small_photo(), io.BytesIO()
    exif = Image.Exif()
    exif[0x013B], exif[0x010E], exif[0xA431] = "artist-secret-4715", "description-4716", "serial-secret-4714"
    street = b"ASCII\0\0\0Lesnaya-Street-12"
    exif.get_ifd(0x8825).update({2: (55.0, 45.0, 21.0), 4: (37.0, 37.0, 2.0), 0x1B: street})
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a:b>xmp-secret-4711</a:b></x:xmpmeta>'
    picture.save(buffer, "JPEG", exif=exif, xmp=xmp, comment=b"comment-secret-4712")
    return buffer.getvalue()


def texted_png():
    info, buffer = PngInfo(), io.BytesIO()
    info.add_text("Author", "text-secret-4713")
    info.add_itxt("Title", "Иванова", zip=True)
    small_photo().save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("make", "ending"),
    [(camera_jpeg, "jpg"), (texted_png, "png"), (dicom, "dcm")],
    ids=["jpeg", "png", "dicom"],
)
def test_nothing_of_the_person_goes_anywhere(tmp_path, caplog, make, ending):
    caplog.set_level(logging.DEBUG, "dermaxai")
    original, app = make(), whole_server(tmp_path, per_minute=0)
    assert any(secret.encode() in original for secret in SECRETS) or ending == "png"
    answers = walk(app, original, f"/home/Ivanova/{NAME}.{ending}")
    name = f"{NAME}.{ending}".encode()
    places = {**answers, **{path.name: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}}
    for place, content in places.items():
        kept = place.startswith("dermaxai.sqlite")
        assert name in content or place not in SHOWN, place
        told = place + unpacked(content.replace(name, b"") if place in SHOWN else content)
        secrets = [secret for secret in SECRETS if not (kept and secret in OF_THE_NAME)]
        assert not [secret for secret in secrets if secret.casefold() in told.casefold()], place
        assert ending != "jpg" or original[-200:-100] not in content, place
    assert not [secret for secret in (*SECRETS, NAME) if secret in caplog.text]


def walk(app, original, name):
    """Upload, let the case be made, ask for it in every way; answers by path."""
    browser = talk(app)
    signed = browser.post("/api/session", json={"pseudonym": "reader-1"}).json()
    browser.headers["X-CSRF-Token"] = signed["csrf"]
    sent = browser.post("/api/cases", files={"file": (name, original, "image/jpeg")})
    assert sent.status_code == 202, sent.text
    case_id = sent.json()["case"]
    asked = {"upload": sent.content, "waiting photo": browser.get(f"/api/cases/{case_id}/photo").content}
    end_job(app, begin_job(app))
    for (method, path), (_, filled) in calls(app):
        if method == "get":
            place = filled.replace(VALUES["case_id"], case_id)
            asked[path] = browser.get(place).content
            if "report" in path:
                asked[f"{path} ru"] = browser.get(f"{place}?lang=ru").content
    for what in ("feedback", "readings", "events"):
        for kind in ("csv", "json"):
            asked[f"{what} {kind}"] = browser.get(f"/api/export/{quote(what)}?format={kind}").content
    assert len(asked) > 30
    return asked


def unpacked(content):
    """As text, with what lies packed in archives, and with what pictures say of themselves."""
    told = content.decode("utf-8", "replace") + content.decode("latin-1")
    if content[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            told += "".join(archive.read(name).decode("latin-1") for name in archive.namelist())
    if content[:3] == b"\xff\xd8\xff" or content[:4] == b"\x89PNG":
        with Image.open(io.BytesIO(content)) as picture:
            picture.load()
            assert not picture.getexif()
            told += json.dumps({key: str(value) for key, value in picture.info.items()})
    if content[:1] in (b"{", b"[") and b"\\u" in content:
        told += json.dumps(json.loads(content), ensure_ascii=False)
    return told
