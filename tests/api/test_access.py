"""Who is asking, and what they may do."""

import pytest
from sqlalchemy import select

from dermaxai.api.state import ServeOptions
from dermaxai.store.readers import find_reader, revoke_tokens
from dermaxai.store.tables import Token, now
from tests.api.small_server import ask, bearer, small_server, token_of

OPEN = {"host": "0.0.0.0"}
JSON = ("Content-Type", "application/json")


def sign_in(app, **wanted):
    import json

    answered = ask(app, "POST", "/api/session", JSON, body=json.dumps(wanted).encode())
    assert answered.status == 200, answered.body
    return ("Cookie", answered.header("set-cookie").split(";")[0]), ("X-CSRF-Token", answered.json()["csrf"])


def end_token(app, **changes):
    with app.state.server.store.write() as session:
        for token in session.scalars(select(Token)):
            for name, value in changes.items():
                setattr(token, name, value)


@pytest.fixture
def local(tmp_path):
    return small_server(tmp_path)


@pytest.fixture
def shared(tmp_path):
    return small_server(tmp_path, **OPEN)


def test_on_the_own_machine_everything_is_allowed(local):
    assert ask(local, "GET", "/api/who").json() == {
        "name": "local", "role": "admin", "reader": None, "by": "local",
    }  # fmt: skip
    assert ask(local, "GET", "/api/admin").status == 200


def test_on_the_own_machine_a_pseudonym_is_chosen(local):
    assert ask(local, "GET", "/api/named").error == "NotSignedIn"
    cookie, _ = sign_in(local, pseudonym="reader-1")
    who = ask(local, "GET", "/api/who", cookie).json()
    assert (who["name"], who["role"], who["by"]) == ("reader-1", "admin", "session")
    assert ask(local, "GET", "/api/named", cookie).json() == {"reader": who["reader"]}
    again, _ = sign_in(local, pseudonym="reader-1")
    assert ask(local, "GET", "/api/who", again).json()["reader"] == who["reader"]


def test_in_blind_mode_nobody_is_admin_without_an_admins_token(tmp_path):
    app = small_server(tmp_path, blind=True)
    token = token_of(app, "lead", "admin")
    assert ask(app, "GET", "/api/who").json()["role"] == "reader"
    cookie, _ = sign_in(app, pseudonym="reader-1")
    assert ask(app, "GET", "/api/admin", cookie).status == 403
    assert ask(app, "GET", "/api/cases/abc", cookie).error == "ReadingFirst"
    assert ask(app, "GET", "/api/admin", bearer(token)).status == 200
    cookie, _ = sign_in(app, token=token)
    assert ask(app, "GET", "/api/admin", cookie).status == 200
    assert ask(app, "GET", "/api/cases/abc", cookie).status == 200


@pytest.mark.parametrize("blind", [False, True])
def test_a_pseudonym_with_a_token_is_nobody_elses(tmp_path, blind):
    app = small_server(tmp_path, blind=blind)
    sign_in(app, pseudonym="r1")
    token = token_of(app, "r2")
    refused = ask(app, "POST", "/api/session", JSON, body=b'{"pseudonym": "r2"}')
    assert (refused.status, refused.error) == (403, "NotAllowed")
    mine, _ = sign_in(app, token=token)
    assert ask(app, "GET", "/api/who", mine).json()["name"] == "r2"
    end_token(app, revoked=now())
    sign_in(app, pseudonym="r2")


@pytest.mark.parametrize(
    "options", [OPEN, {"proxied": True}, {"hosts": ("derm.example",)}, {"host": "192.168.0.5"}, {"host": ""}]
)
def test_whatever_others_can_reach_needs_a_token(options):
    assert ServeOptions(**options).is_open


def test_without_a_token_only_the_page_and_the_state_are_served(shared):
    for path in ("/", "/healthz", "/version", "/web/viewer.js", "/web/0123456789ab/viewer.js"):
        assert ask(shared, "GET", path).status == 200, path
        assert ask(shared, "HEAD", path).status == 200, path
    paths = (
        "/api/who",
        "/api/session",
        "/api/cases/abc",
        "/docs",
        "/openapi.json",
        "/nothing",
        "/web/",
        "/WEB/x.js",
    )
    for path in paths:
        assert ask(shared, "GET", path).error == "NotSignedIn", path
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
        assert ask(shared, method, "/").error == "NotSignedIn", method


@pytest.mark.parametrize(
    "raw",
    [
        "/web/..%2fapi%2fwho", "/web/%2e%2e/api/who", "/web/../api/who", "/web/./viewer.js", "//api/who",
        "/web/..\\api\\who", "/web/%5c..%5capi", "/web/a%00.js", "/web/..", "/api/cases/..%2F..%2Fetc",
        "/api/cases/%2E%2E", "/web//viewer.js",
    ],
)  # fmt: skip
def test_addresses_that_try_to_leave_are_no_addresses(local, shared, raw):
    from urllib.parse import unquote

    for app in (local, shared):
        answered = ask(app, "GET", unquote(raw).replace("?", ""), raw_path=raw.encode())
        assert answered.status in (401, 404)
        assert answered.error in ("NotFound", "NotSignedIn")


def test_a_token_says_who_is_asking(shared):
    token = token_of(shared, "reader-1")
    who = ask(shared, "GET", "/api/who", bearer(token)).json()
    assert (who["name"], who["role"], who["by"]) == ("reader-1", "reader", "token")
    assert ask(shared, "GET", "/api/who", ("AUTHORIZATION", f"bearer   {token} ")).status == 200
    assert ask(shared, "GET", "/api/admin", bearer(token)).error == "NotAllowed"
    assert ask(shared, "GET", "/api/admin", bearer(token_of(shared, "lead", "admin"))).status == 200


def test_a_token_in_the_address_is_no_token(shared):
    token = token_of(shared)
    for query in (f"token={token}", f"access_token={token}", f"authorization=Bearer%20{token}"):
        assert ask(shared, "GET", f"/api/who?{query}").status == 401


def test_another_scheme_or_a_bare_token_is_no_token(shared):
    token = token_of(shared)
    for value in (
        token,
        f"Basic {token}",
        f"Token {token}",
        "Bearer",
        "Bearer ",
        f"Bearer {token} x",
        "",
        "\xff",
    ):
        assert ask(shared, "GET", "/api/who", ("Authorization", value)).status in (401, 429), value


def test_two_authorizations_are_refused(shared):
    token = token_of(shared)
    assert ask(shared, "GET", "/api/who", bearer(token), bearer("x")).status == 403
    assert ask(shared, "GET", "/api/who", bearer(token), bearer(token)).status == 403


def test_a_wrong_token_is_refused_even_where_none_is_needed(local):
    assert ask(local, "GET", "/api/who", bearer("wrong")).error == "NotSignedIn"


def test_unknown_expired_and_revoked_tokens_get_the_same_answer(tmp_path, monkeypatch):
    naps = []
    monkeypatch.setattr("dermaxai.api.gate.anyio.sleep_until", lambda moment: _note(naps))
    answers = []
    for index, fault in enumerate(({}, {"expires": now()}, {"revoked": now()})):
        app = small_server(tmp_path / str(index), **OPEN)
        token = token_of(app)
        end_token(app, **fault)
        answers.append(ask(app, "GET", "/api/who", bearer(token if fault else "x" * len(token))))
    assert {answer.status for answer in answers} == {401}
    assert len({answer.body for answer in answers}) == 1
    assert answers[0].header("www-authenticate") == "Bearer"
    assert len(naps) == 3, "each waits until the same time has passed"


async def _note(naps):
    naps.append(True)


def test_guessing_gets_slower(shared, monkeypatch):
    monkeypatch.setattr("dermaxai.api.gate.REFUSAL_SECONDS", 0.0)
    token = token_of(shared)
    answers = [ask(shared, "GET", "/api/who", bearer(f"guess{index}")) for index in range(7)]
    assert [answer.status for answer in answers[:5]] == [401] * 5
    assert answers[-1].status == 429
    assert int(answers[-1].header("retry-after")) >= 1
    assert ask(shared, "GET", "/api/who", bearer(token)).status == 429, "nor is the right one tried now"
    other = ask(shared, "GET", "/api/who", bearer(token), client=("203.0.113.9", 1))
    assert other.status == 200, "another place does not wait"
    wrong = b'{"token": "wrong"}'
    assert ask(shared, "POST", "/api/session", JSON, body=wrong).status == 429


def test_one_network_is_one_place(shared, monkeypatch):
    monkeypatch.setattr("dermaxai.api.gate.REFUSAL_SECONDS", 0.0)
    for index in range(7):
        answered = ask(shared, "GET", "/api/who", bearer("x"), client=(f"2001:db8:0:7::{index}", 1))
    assert answered.status == 429
    assert ask(shared, "GET", "/api/who", bearer("x"), client=("2001:db8:0:8::1", 1)).status == 401


def test_a_session_by_token(shared):
    token = token_of(shared, "reader-1")
    cookie, csrf = sign_in(shared, token=token)
    who = ask(shared, "GET", "/api/who", cookie).json()
    assert (who["name"], who["role"], who["by"]) == ("reader-1", "reader", "session")
    assert token not in cookie[1]
    assert ask(shared, "POST", "/api/anything", cookie, csrf).status == 200


def test_a_session_ends_with_its_token(shared):
    cookie, _ = sign_in(shared, token=token_of(shared, "reader-1"))
    with shared.state.server.store.write() as session:
        revoke_tokens(session, find_reader(session, "reader-1"), actor="local")
    assert ask(shared, "GET", "/api/who", cookie).status == 401
    cookie, _ = sign_in(shared, token=token_of(shared, "reader-2"))
    end_token(shared, expires=now())
    assert ask(shared, "GET", "/api/who", cookie).status == 401


def test_a_session_without_token_is_worth_nothing_once_others_can_come(tmp_path):
    cookie, _ = sign_in(small_server(tmp_path), pseudonym="reader-1")
    assert ask(small_server(tmp_path, **OPEN), "GET", "/api/who", cookie).status == 401


def test_a_pseudonym_alone_opens_no_shared_server(shared):
    answered = ask(shared, "POST", "/api/session", JSON, body=b'{"pseudonym": "reader-1"}')
    assert answered.error == "NotSignedIn"
    assert answered.header("set-cookie") is None


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"[]", b'{"token": "a", "pseudonym": "b"}', b'{"token": ""}', b'{"role": "admin"}', b"{"],
)
def test_odd_sign_ins_are_refused(local, body):
    assert ask(local, "POST", "/api/session", JSON, body=body).status == 422


def test_a_form_cannot_sign_in(local):
    body = b'{"pseudonym": "x"}'
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        assert ask(local, "POST", "/api/session", ("Content-Type", kind), body=body).status == 422


def test_a_session_needs_its_csrf_token_for_changes(local):
    cookie, csrf = sign_in(local, pseudonym="reader-1")
    _, other = sign_in(local, pseudonym="reader-2")
    assert ask(local, "POST", "/api/anything", cookie, csrf).status == 200
    assert ask(local, "GET", "/api/who", cookie).status == 200
    wrong = [(), (other,), (("X-CSRF-Token", ""),), (csrf, other), (("X-CSRF-Token", csrf[1][:-1]),)]
    for headers in wrong:
        for method in ("POST", "DELETE", "PUT", "PATCH"):
            assert ask(local, method, "/api/anything", cookie, *headers).error == "NotAllowed"
    assert ask(local, "POST", f"/api/anything?csrf={csrf[1]}", cookie).status == 403
    assert ask(local, "POST", "/api/anything", cookie, ("X-CSRF-Token", "\xe9")).status == 403


def test_a_bearer_needs_no_csrf_token_and_wins_over_the_cookie(shared):
    cookie, _ = sign_in(shared, token=token_of(shared, "reader-1"))
    token = token_of(shared, "reader-2")
    assert ask(shared, "POST", "/api/anything", cookie, bearer(token)).status == 200
    assert ask(shared, "GET", "/api/who", cookie, bearer(token)).json()["name"] == "reader-2"
    assert ask(shared, "POST", "/api/anything", cookie, bearer("wrong")).status == 401
    origin = ("Origin", "http://evil.example")
    assert ask(shared, "POST", "/api/anything", bearer(token), origin).status == 403


def test_two_cookies_of_one_name_are_none(shared):
    (_, value), _ = sign_in(shared, token=token_of(shared))
    assert ask(shared, "GET", "/api/who", ("Cookie", f"a=b; {value}")).status == 200
    assert ask(shared, "GET", "/api/who", ("Cookie", f"{value}; {value}")).status == 401
    assert ask(shared, "GET", "/api/who", ("Cookie", value), ("Cookie", value)).status == 401
    assert ask(shared, "GET", "/api/who", ("Cookie", f"{value}x")).status == 401
