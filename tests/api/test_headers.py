"""Headers of every answer."""

import re

import pytest

from dermaxai.api.headers import report_headers
from tests.api.small_server import ask, bearer, small_server, token_of


@pytest.fixture
def app(tmp_path):
    return small_server(tmp_path, per_minute=2)


def answers(app):
    yield ask(app, "GET", "/")
    yield ask(app, "GET", "/api/who")
    yield ask(app, "GET", "/nothing")
    yield ask(app, "POST", "/")
    yield ask(app, "GET", "/", host="evil.example")
    yield ask(app, "GET", "/api/who", bearer("wrong"))
    yield ask(app, "GET", "/api/broken")
    yield ask(app, "POST", "/api/anything", body=b"x" * 1_000_001)
    yield ask(app, "POST", "/api/anything")
    yield ask(app, "HEAD", "/")


def test_every_answer_has_them(app):
    seen = set()
    for answered in answers(app):
        seen.add(answered.status)
        policy = answered.header("content-security-policy")
        assert policy.startswith("default-src 'none'; ")
        assert "unsafe" not in policy
        assert "http" not in policy
        assert "*" not in policy
        assert "frame-ancestors 'none'" in policy
        assert "base-uri 'none'" in policy
        assert answered.header("x-content-type-options") == "nosniff"
        assert answered.header("referrer-policy") == "no-referrer"
        assert answered.header("cross-origin-opener-policy") == "same-origin"
        assert answered.header("cross-origin-resource-policy") == "same-origin"
        assert "camera=()" in answered.header("permissions-policy")
        assert re.fullmatch("[0-9a-f]{12}", answered.header("x-request-id"))
        assert answered.header("server") is None
        assert answered.header("x-powered-by") is None
        assert answered.header("cache-control")
    assert seen == {200, 401, 403, 404, 405, 413, 429, 500}


def test_nothing_of_the_api_is_kept_by_others(app):
    answered = ask(app, "GET", "/api/who")
    assert answered.header("cache-control") == "no-store"
    assert "Cookie" in answered.header("vary")


def test_a_mark_lets_the_browser_ask_again(app):
    @app.get("/api/marked")
    def marked():
        from fastapi import Response

        return Response(headers={"ETag": '"1"'})

    assert ask(app, "GET", "/api/marked").header("cache-control") == "private, no-cache"


def test_tls_is_remembered_only_for_a_name_of_its_own(tmp_path):
    for options, told in (
        ({}, False),
        ({"tls": ("c", "k")}, False),
        ({"host": "0.0.0.0"}, False),
        ({"host": "0.0.0.0", "tls": ("c", "k")}, True),
        ({"proxied": True}, True),
    ):
        answered = ask(small_server(tmp_path, **options), "GET", "/")
        assert bool(answered.header("strict-transport-security")) is told, options


def test_a_report_brings_its_own_policy_into_a_sandbox():
    html = b'<meta http-equiv="Content-Security-Policy" content="script-src &#39;sha256-abc=&#39;">'
    policy = report_headers(html)["Content-Security-Policy"]
    assert policy.startswith("script-src 'sha256-abc='; ")
    assert "sandbox allow-scripts" in policy
    assert "allow-same-origin" not in policy
    assert report_headers(b"<html>")["Content-Security-Policy"].startswith("default-src 'none'; ")


def test_the_policy_of_a_real_report_is_found():
    from dermaxai.report import render_report
    from tests.sample_case import make_case

    policy = report_headers(render_report(make_case()).encode())["Content-Security-Policy"]
    assert policy.count("'sha256-") >= 2


def test_no_token_stands_in_an_answer(app):
    token = token_of(app, "lead", "admin")
    answered = ask(app, "GET", "/api/session", bearer(token))
    assert token not in str(answered.headers) + answered.body.decode()
