"""How connections are held: for how long, how many, and how much may come before a request is whole."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from dermaxai.api.bodies import MOST_HEADERS

if TYPE_CHECKING:
    from dermaxai.api.state import ServeOptions

HEAD_SECONDS = 10.0
"""Within which the first line and the headers of a request must have come."""
IDLE_SECONDS = 15
"""For which a connection without a request is kept."""
UNREAD_SECONDS = 60.0
"""Between two looks at what waits to be sent; where nothing has gone in between, the connection ends."""
SLOWEST = 16_000
"""Bytes that must go between two looks."""
MOST_CONNECTIONS = 1000
FREE_PIECES = 1000
"""Of a body in pieces (chunks), however small."""
SMALL_PIECE = 256
"""Bytes that the pieces of a body must have on average, beyond those that are free."""


def connection_settings(options: ServeOptions) -> dict[str, Any]:
    """What `uvicorn.Config` is told, besides the application, host and port.

    The address of who asks is believed from a proxy on this machine alone, and only where one was announced.
    """
    settings: dict[str, Any] = {
        "http": PatientProtocol,
        "ws": "none",
        "access_log": False,
        "server_header": False,
        "proxy_headers": options.proxied,
        "forwarded_allow_ips": ["127.0.0.1", "::1"] if options.proxied else [],
        "timeout_keep_alive": IDLE_SECONDS,
        "limit_concurrency": MOST_CONNECTIONS,
        "h11_max_incomplete_event_size": MOST_HEADERS,
    }
    if options.tls:
        certificate, key = options.tls
        settings |= {"ssl_certfile": str(certificate), "ssl_keyfile": str(key)}
    return settings


@final
class PatientProtocol(H11Protocol):
    """HTTP/1.1 that ends a connection whose request does not get whole, or whose answer nobody reads."""

    _head: asyncio.TimerHandle | None = None
    _look: asyncio.TimerHandle | None = None
    _unsent = 0
    """Bytes that waited to be sent at the last look; 0 where all had been sent since."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """From the first moment on, the headers are waited for."""
        self.conn = NoCrumbs(h11.SERVER, MOST_HEADERS)
        super().connection_made(transport)
        self._wait_for_head()
        self._look = self.loop.call_later(UNREAD_SECONDS, self._look_at_writing)

    def data_received(self, data: bytes) -> None:
        """Not every piece gives more time: all of them have to come in the same seconds."""
        super().data_received(data)
        answered = self.cycle is None or self.cycle.response_complete
        if answered and self.conn.their_state is h11.IDLE:
            self._wait_for_head()
        else:
            self._stop_waiting()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        self._stop_waiting()
        if self._look is not None:
            self._look.cancel()
        super().connection_lost(exc)

    def resume_writing(self) -> None:
        """What waited has gone."""
        super().resume_writing()
        self._unsent = 0

    def send_400_response(self, msg: str) -> None:
        """Say that this is no HTTP; where the answer to it has been given already, only end."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            super().send_400_response(msg)
        else:
            self.transport.close()

    def _look_at_writing(self) -> None:
        unsent = self.transport.get_write_buffer_size()
        if unsent and self._unsent and unsent > self._unsent - SLOWEST:
            self.transport.abort()
            return
        self._unsent = unsent
        self._look = self.loop.call_later(UNREAD_SECONDS, self._look_at_writing)

    def _wait_for_head(self) -> None:
        if self._head is None:
            self._head = self.loop.call_later(HEAD_SECONDS, self._give_up)

    def _stop_waiting(self) -> None:
        if self._head is not None:
            self._head.cancel()
            self._head = None

    def _give_up(self) -> None:
        self._head = None
        if not self.transport.is_closing():
            self.transport.close()


@final
class NoCrumbs(h11.Connection):
    """HTTP/1.1 that refuses bodies in crumbs: a piece of one byte costs as much as one of many thousands."""

    _pieces = _bytes = 0

    def next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        """As h11 reads it. Raises: h11.RemoteProtocolError for crumbs too."""
        event = super().next_event()
        if isinstance(event, h11.Request):
            self._pieces = self._bytes = 0
        elif isinstance(event, h11.Data):
            self._pieces += event.chunk_start
            counted = self._pieces - FREE_PIECES
            self._bytes += len(event.data) if counted > 0 else 0
            # The last piece may have come in part.
            if self._bytes < SMALL_PIECE * (counted - 1):
                raise h11.RemoteProtocolError("The body comes in too many small pieces.")
        return event
