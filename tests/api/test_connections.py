"""Real connections: slow headers, long headers, what the server tells of itself."""

import asyncio
import socket
import threading
import time
from unittest.mock import Mock

import pytest
import uvicorn
from fastapi import Response
from uvicorn.server import ServerState

from dermaxai.api import connections
from dermaxai.api.connections import PatientProtocol, connection_settings
from dermaxai.api.state import ServeOptions
from tests.api.small_server import small_server

LARGE = 3_000_000
"""Bytes, more than lies in the buffers between two sockets that were told to be small."""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Of uvicorn, running."""
    app = small_server(tmp_path_factory.mktemp("cases"), per_minute=0)
    app.add_api_route("/api/large", lambda: Response(b"x" * LARGE))
    listening = socket.create_server(("127.0.0.1", 0))
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    config = uvicorn.Config(app, log_config=None, **connection_settings(app.state.server.options))
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    server.port = listening.getsockname()[1]
    yield server
    server.should_exit = True
    thread.join(10)
    listening.close()


@pytest.fixture
def port(server):
    """Of a running server."""
    return server.port


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


def test_an_answer_that_nobody_reads_does_not_hold_its_connection(server, monkeypatch):
    monkeypatch.setattr(connections, "UNREAD_SECONDS", 0.1)
    with socket.socket() as line:
        line.settimeout(20)
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        line.connect(("127.0.0.1", server.port))
        line.sendall(b"GET /api/large HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert line.recv(10).startswith(b"HTTP/1.1 ")
        end = time.monotonic() + 20
        while server.server_state.connections and time.monotonic() < end:
            time.sleep(0.05)
        assert not server.server_state.connections


class Line(asyncio.Transport):
    """A connection and its loop, both led by the test."""

    def __init__(self, server):
        super().__init__()
        self.unsent, self.looks, self.ended = 0, [], False
        self.protocol = PatientProtocol(server.config, ServerState(), {}, self)
        self.protocol.connection_made(self)

    def call_later(self, seconds, look):
        self.looks += [look] if seconds == connections.UNREAD_SECONDS else []
        return Mock(asyncio.TimerHandle)

    def look(self, unsent):
        self.unsent = unsent
        self.looks.pop()()

    def get_write_buffer_size(self):
        return self.unsent

    def get_extra_info(self, name, default=None):
        return default

    def abort(self):
        self.ended = True


def test_what_goes_on_being_sent_is_waited_for(server):
    line = Line(server)
    for unsent in (100_000, 80_000, 60_000, 0, 500, 0, 500):
        line.look(unsent)
    assert not line.ended
    line.protocol.pause_writing()
    line.protocol.resume_writing()
    line.look(70_000)
    assert not line.ended
    line.look(60_000)
    assert line.ended
    assert not line.looks


def test_nonsense_after_an_answer_ends_the_connection_quietly(port, caplog):
    """The answer is given before the body has come; then the body breaks the rules."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as line:
        line.sendall(b"POST /api/broken HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert line.recv(65536).startswith(b"HTTP/1.1 405 ")
        line.sendall(b"nonsense\r\n")
        while line.recv(65536):
            pass
    assert not [record for record in caplog.records if record.exc_info]


def in_pieces(size, count):
    """A request whose body comes as `count` chunks of `size` bytes."""
    piece = b"%x\r\n%b\r\n" % (size, b"x" * size)
    head = b"POST /api/anything HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    return head + b"Transfer-Encoding: chunked\r\n\r\n" + piece * count + b"0\r\n\r\n"


@pytest.mark.parametrize("size", [1, 100])
def test_a_body_in_crumbs_is_refused(port, size):
    """Each piece costs as much as a large one: a megabyte of single bytes would hold the server for long."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as line:
        line.sendall(in_pieces(size, 1200).removesuffix(b"0\r\n\r\n"))
        assert line.recv(65536).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(("size", "count"), [(1, 900), (300, 3000), (60_000, 16)])
def test_a_body_in_pieces_is_taken(port, size, count):
    assert said(port, in_pieces(size, count)).endswith(b'{"bytes":%d}' % (size * count))


def test_pieces_that_are_free_are_not_counted_against_those_after_them(port):
    start, more = in_pieces(1, 1000), in_pieces(300, 100)
    body = start.removesuffix(b"0\r\n\r\n") + more.partition(b"\r\n\r\n")[2]
    assert said(port, body).endswith(b'{"bytes":31000}')


def test_crumbs_of_one_request_are_not_counted_against_the_next(port):
    first = in_pieces(1, 900).replace(b"Connection: close\r\n", b"")
    assert said(port, first + in_pieces(1, 900)).count(b'{"bytes":900}') == 2


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
