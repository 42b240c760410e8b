"""Sessions and readers over HTTP."""

import json

import pytest

from dermaxai.store.audit import verify
from dermaxai.store.readers import add_reader
from dermaxai.store.tables import Reader, now
from tests.api.small_server import ask, bearer, small_server, token_of

JSON = ("Content-Type", "application/json")


@pytest.fixture
def app(tmp_path):
    return small_server(tmp_path, host="0.0.0.0")


def post(app, path, wanted, *headers):
    return ask(app, "POST", path, JSON, *headers, body=json.dumps(wanted).encode())


def cookie_of(answered):
    first, *rest = answered.header("set-cookie").split("; ")
    return first, {part.split("=")[0].lower(): part.partition("=")[2] for part in rest}


def test_the_session_says_what_a_page_needs(app):
    told = ask(app, "GET", "/api/session", bearer(token_of(app, "reader-1"))).json()
    assert (told["name"], told["role"], told["named"], told["by"], told["csrf"]) == (
        "reader-1", "reader", True, "token", "",
    )  # fmt: skip
    assert told["open"]
    assert told["has_model"]
    assert not told["blind"]
    assert told["limits"] == {"max_bytes": 50_000_000, "max_pixels": 100_000_000, "queue": 64}
    assert told["languages"] == ["en", "ru"]
    assert told["worker"] == {"state": "none"}


def test_the_csrf_token_is_told_again(app):
    answered = post(app, "/api/session", {"token": token_of(app)})
    again = ask(app, "GET", "/api/session", ("Cookie", cookie_of(answered)[0]))
    assert again.json()["csrf"] == answered.json()["csrf"] != ""


def test_the_cookie_stays_out_of_scripts_and_other_sites(app):
    name, flags = cookie_of(post(app, "/api/session", {"token": token_of(app)}))
    assert name.startswith("dermaxai-8000=")
    assert flags["samesite"].lower() == "strict"
    assert "httponly" in flags
    assert flags["path"] == "/"
    assert "domain" not in flags
    assert "secure" not in flags, "without TLS the browser would not send it back"


@pytest.mark.parametrize("options", [{"proxied": True}, {"tls": ("cert.pem", "key.pem")}])
def test_with_tls_the_cookie_is_secure(tmp_path, options):
    app = small_server(tmp_path, host="0.0.0.0", **options)
    name, flags = cookie_of(post(app, "/api/session", {"token": token_of(app)}))
    assert name.startswith("__Host-dermaxai=")
    assert "secure" in flags
    assert "httponly" in flags


def test_each_sign_in_makes_a_new_secret_and_ends_the_old(app):
    token = token_of(app)
    first = post(app, "/api/session", {"token": token})
    cookie, csrf = ("Cookie", cookie_of(first)[0]), ("X-CSRF-Token", first.json()["csrf"])
    second = post(app, "/api/session", {"token": token}, cookie, csrf)
    assert cookie_of(second)[0] != cookie_of(first)[0]
    assert ask(app, "GET", "/api/session", cookie).status == 401


def test_signing_out_ends_the_session(app):
    answered = post(app, "/api/session", {"token": token_of(app)})
    cookie, csrf = ("Cookie", cookie_of(answered)[0]), ("X-CSRF-Token", answered.json()["csrf"])
    assert ask(app, "DELETE", "/api/session", cookie).status == 403
    out = ask(app, "DELETE", "/api/session", cookie, csrf)
    assert out.status == 204
    assert cookie_of(out)[1]["max-age"] == "0"
    assert ask(app, "GET", "/api/session", cookie).status == 401


def test_an_admin_lets_readers_in_and_shuts_them_out(app):
    admin = bearer(token_of(app, "lead", "admin"))
    made = post(app, "/api/readers", {"pseudonym": "читатель-3", "days": 5}, admin)
    assert made.status == 201
    token = bearer(made.json()["token"])
    assert ask(app, "GET", "/api/session", token).json()["name"] == "читатель-3"
    listed = ask(app, "GET", "/api/readers", admin)
    assert [reader["pseudonym"] for reader in listed.json()["readers"]] == ["lead", "читатель-3"]
    assert made.json()["token"] not in listed.body.decode()
    more = post(app, "/api/readers/читатель-3/tokens", {"days": 1}, admin)
    assert more.status == 201
    assert more.json()["token"] != made.json()["token"]
    assert ask(app, "DELETE", "/api/readers/читатель-3", admin).json() == {"tokens": 2}
    assert ask(app, "GET", "/api/session", token).status == 401
    with app.state.server.store.read() as session:
        assert not verify(session).faults


@pytest.mark.parametrize("name", ["", "a" * 65, "a@b.de", "a/b", "a\x00b", " a", "local", "a\u202eb"])
def test_names_that_are_no_pseudonyms_are_refused(app, name):
    admin = bearer(token_of(app, "lead", "admin"))
    assert post(app, "/api/readers", {"pseudonym": name}, admin).status == 422


def test_a_taken_name_is_a_conflict_and_an_unknown_one_is_not_found(app):
    admin = bearer(token_of(app, "lead", "admin"))
    assert post(app, "/api/readers", {"pseudonym": "lead"}, admin).error == "Conflict"
    assert post(app, "/api/readers/nobody/tokens", {}, admin).error == "NotFound"
    assert ask(app, "DELETE", "/api/readers/nobody", admin).error == "NotFound"


def test_another_spelling_is_the_same_reader(tmp_path):
    here = small_server(tmp_path)
    named = post(here, "/api/session", {"pseudonym": "Reader-1"}).json()
    for spelt in ("reader-1", "READER\u20111", "\uff32eader_1"):
        again = post(here, "/api/session", {"pseudonym": spelt}).json()
        assert (again["name"], again["store"]) == ("Reader-1", named["store"])
    admin = bearer(token_of(here, "lead", "admin"))
    listed = ask(here, "GET", "/api/readers", admin).json()["readers"]
    assert [reader["pseudonym"] for reader in listed] == ["Reader-1", "lead"]
    token = post(here, "/api/readers/READER 1/tokens", {}, admin).json()
    assert token["pseudonym"] == "Reader-1"
    refused = post(here, "/api/session", {"pseudonym": "reader-1"})
    assert (refused.error, "'Reader-1' has a token" in refused.json()["message"]) == ("NotAllowed", True)


def test_a_spelling_that_may_be_several_readers_is_a_conflict(tmp_path):
    here = small_server(tmp_path)
    with here.state.server.store.write() as session:
        add_reader(session, "Reader-1", "reader", actor="local")
        session.add(Reader(pseudonym="reader-1", role="reader", created=now(), folded="reader-1#2"))
    refused = post(here, "/api/session", {"pseudonym": "READER-1"})
    assert refused.error == "Conflict"
    assert refused.json()["message"] == "'READER-1' may be any of 'Reader-1', 'reader-1'."
    assert post(here, "/api/session", {"pseudonym": "reader-1"}).json()["name"] == "reader-1"


def test_the_session_names_the_store_to_who_has_a_pseudonym(tmp_path):
    one, other = small_server(tmp_path / "one"), small_server(tmp_path / "other")
    assert ask(one, "GET", "/api/session").json()["store"] == ""
    stores = {post(app, "/api/session", {"pseudonym": "anna"}).json()["store"] for app in (one, other)}
    assert [len(store) for store in stores] == [16, 16]


def test_a_reader_may_not(app):
    reader = bearer(token_of(app))
    assert ask(app, "GET", "/api/readers", reader).status == 403
    assert post(app, "/api/readers", {"pseudonym": "x", "role": "admin"}, reader).status == 403
    assert post(app, "/api/readers/reader-1/tokens", {}, reader).status == 403
    assert ask(app, "DELETE", "/api/readers/reader-1", reader).status == 403
