"""Real connections: slow headers, long headers, what the server tells of itself."""

import socket
import threading
import time

import pytest
import uvicorn

from dermaxai.api import connections
from dermaxai.api.connections import connection_settings
from dermaxai.api.state import ServeOptions
from tests.api.small_server import small_server


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    """Of a running server."""
    app = small_server(tmp_path_factory.mktemp("cases"), per_minute=0)
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_config=None, **connection_settings(app.state.server.options))
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield listening.getsockname()[1]
    server.should_exit = True
    thread.join(10)
    listening.close()


def said(port, sent, *, end=True):
    """What the server answers until it closes the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as line:
        line.sendall(sent)
        if end:
            line.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := line.recv(65536):
            answer += piece
        return answer


def test_a_request_is_answered_and_the_server_does_not_name_itself(port):
    answer = said(port, b"GET /api/who HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", end=False)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"\r\nserver:" not in answer.lower()
    assert b"uvicorn" not in answer.lower()


def test_headers_that_do_not_end_end_the_connection(port, monkeypatch):
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.2)
    with socket.create_connection(("127.0.0.1", port), timeout=20) as line:
        line.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
        assert line.recv(100) == b""


def test_each_letter_gives_no_more_time(port, monkeypatch):
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.3)
    with socket.create_connection(("127.0.0.1", port), timeout=20) as line:
        line.sendall(b"GET / HTTP/1.1\r\nX: ")
        with pytest.raises(OSError, match=r"."):
            send_letters(line)


def send_letters(line):
    """One by one, for as long as they are taken; a minute would be more than enough."""
    for _ in range(3000):
        line.sendall(b"a")
        time.sleep(0.02)


def test_silence_from_the_beginning_ends_too(port, monkeypatch):
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.2)
    with socket.create_connection(("127.0.0.1", port), timeout=20) as line:
        assert line.recv(100) == b""


def test_a_second_request_on_one_connection_is_waited_for_alike(port, monkeypatch):
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.3)
    with socket.create_connection(("127.0.0.1", port), timeout=20) as line:
        for _ in range(2):
            line.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            answer = line.recv(65536)
            while not answer.endswith(b"}"):
                answer += line.recv(65536)
        line.sendall(b"GET /healthz HTTP/1.1\r\n")
        assert line.recv(100) == b""


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
        b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
        b"POST /api/anything HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: x\r\n\r\nx",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n folded: x\r\nBad Name: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
def test_requests_that_are_none_are_refused(port, sent):
    answer = said(port, sent)
    assert answer.startswith((b"HTTP/1.1 4", b"HTTP/1.1 501")) or answer == b""


def test_a_websocket_is_not_opened(port):
    answer = said(
        port,
        b"GET /api/who HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        end=False,
    )
    assert not answer.startswith(b"HTTP/1.1 101")


def test_a_proxy_is_believed_only_where_one_was_announced():
    assert connection_settings(ServeOptions())["proxy_headers"] is False
    told = connection_settings(ServeOptions(proxied=True))
    assert told["proxy_headers"] is True
    assert told["forwarded_allow_ips"] == ["127.0.0.1", "::1"]


def test_certificate_and_key_are_passed_on(tmp_path):
    told = connection_settings(ServeOptions(tls=(tmp_path / "c.pem", tmp_path / "k.pem")))
    assert told["ssl_certfile"].endswith("c.pem")
    assert told["ssl_keyfile"].endswith("k.pem")
