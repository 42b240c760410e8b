"""Names and pages that this server answers to."""

import socket

import pytest

from dermaxai.api.origins import Origins
from dermaxai.api.state import ServeOptions
from tests.api.small_server import ask, small_server


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    return small_server(tmp_path_factory.mktemp("cases"), per_minute=0)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:8000", "localhost:9", "LOCALHOST", "[::1]:8000", "[0:0:0:0:0:0:0:1]"]
)
def test_loopback_names_are_known(app, host):
    assert ask(app, "GET", "/api/who", host=host).status == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example:8000",
        "evil.example:127.0.0.1",
        "localhost@evil.example",
        "localhost:8000@evil.example",
        "localhost/evil.example",
        "localhost, evil.example",
        "localhost\tevil",
        "192.168.0.5",
        "[::2]",
        "::1",
        "localhost:99999",
        "localhost:-1",
        "localhost:",
        "",
        None,
    ],
)
def test_other_names_are_refused_whatever_the_path(app, host):
    for path in ("/", "/healthz", "/api/who"):
        answered = ask(app, "GET", path, host=host)
        assert (answered.status, answered.error) == (403, "NotAllowed")


def test_two_hosts_are_refused(app):
    answered = ask(app, "GET", "/api/who", ("Host", "127.0.0.1"), host="evil.example")
    assert answered.status == 403


@pytest.mark.parametrize(
    ("told", "host", "known"),
    [
        ({"host": "0.0.0.0"}, "10.0.0.7:8000", True),
        ({"host": "0.0.0.0"}, "[fe80::1]:8000", True),
        ({"host": "0.0.0.0"}, "evil.example", False),
        ({"host": "0.0.0.0"}, "0.0.0.0.evil.example", False),
        ({"host": "0.0.0.0", "hosts": ("derm.example",)}, "derm.example", True),
        ({"host": "0.0.0.0", "hosts": ("derm.example",)}, "DERM.example:443", True),
        ({"host": "0.0.0.0", "hosts": ("derm.example",)}, "sub.derm.example", False),
        ({"host": "10.0.0.7"}, "10.0.0.7", True),
        ({"host": "10.0.0.7"}, "10.0.0.8", False),
        ({"host": "::1"}, "[::1]:8000", True),
    ],
)
def test_names_follow_the_options(told, host, known):
    assert Origins(ServeOptions(**told)).knows(host) is known


def test_a_server_for_all_addresses_answers_to_the_name_of_its_machine():
    name = socket.gethostname()
    assert Origins(ServeOptions(host="0.0.0.0")).knows(f"{name}:8000")


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "http://evil.example",
        "http://127.0.0.1",
        "http://127.0.0.1:8001",
        "http://localhost:8000",
        "https://127.0.0.1:8000",
        "http://127.0.0.1:8000.evil.example",
        "http://127.0.0.1:8000@evil.example",
        "file://",
        "chrome-extension://127.0.0.1:8000",
        "",
    ],
)
def test_a_page_of_another_origin_changes_nothing(app, origin):
    answered = ask(app, "POST", "/api/anything", ("Origin", origin))
    assert (answered.status, answered.error) == (403, "NotAllowed")


def test_the_own_page_may_and_a_program_may(app):
    assert ask(app, "POST", "/api/anything", ("ORIGIN", "http://127.0.0.1:8000")).status == 200
    assert ask(app, "POST", "/api/anything", ("Sec-Fetch-Site", "same-origin")).status == 200
    assert ask(app, "POST", "/api/anything").status == 200


def test_two_origins_are_not_one(app):
    own = ("Origin", "http://127.0.0.1:8000")
    assert ask(app, "POST", "/api/anything", own, ("Origin", "http://evil.example")).status == 403
    assert ask(app, "POST", "/api/anything", own, own).status == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site", "CROSS-SITE", "none, cross-site", "other"])
def test_what_the_browser_says_of_the_page_counts(app, site):
    assert ask(app, "POST", "/api/anything", ("Sec-Fetch-Site", site)).status == 403
    assert ask(app, "GET", "/api/who", ("Sec-Fetch-Site", site)).status == 403
    assert ask(app, "GET", "/", ("Sec-Fetch-Site", site)).status == 200, (
        "a link to the page may stand anywhere"
    )


def test_a_method_in_a_header_is_no_method(app):
    for name in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"):
        answered = ask(app, "GET", "/api/anything", (name, "POST"), ("Origin", "http://127.0.0.1:8000"))
        assert answered.status == 405


@pytest.mark.parametrize("name", ["X-Forwarded-For", "Forwarded", "Via", "X-Real-IP", "X-Forwarded-Host"])
def test_a_proxy_nobody_told_of_is_refused(app, name):
    answered = ask(app, "GET", "/api/who", (name, "203.0.113.9"))
    assert answered.status == 403
    assert "--behind-proxy" in answered.json()["hint"]


def test_no_answer_says_that_other_origins_may_read(app):
    answered = ask(app, "OPTIONS", "/api/anything", ("Access-Control-Request-Method", "POST"))
    assert answered.status == 405
    assert not any(name.startswith("access-control") for name, _ in answered.headers)


def test_behind_a_proxy_the_page_is_https(tmp_path):
    app = small_server(tmp_path, proxied=True, hosts=("derm.example",))
    for origin, status in (("https://derm.example", 401), ("http://derm.example", 403)):
        assert ask(app, "POST", "/api/anything", ("Origin", origin), host="derm.example").status == status
