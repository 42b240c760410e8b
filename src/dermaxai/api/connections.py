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
MOST_CONNECTIONS = 1000


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
    """HTTP/1.1 that ends a connection whose request does not get whole: headers sent one letter a minute."""

    _head: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """From the first moment on, the headers are waited for."""
        super().connection_made(transport)
        self._wait_for_head()

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
        super().connection_lost(exc)

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
