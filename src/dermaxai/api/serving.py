"""The server process: says when it is there, and ends its streams when it is told to stop."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, final

import uvicorn

from dermaxai.api.connections import MOST_CONNECTIONS, connection_settings

if TYPE_CHECKING:
    from socket import socket

    from fastapi import FastAPI

    from dermaxai.api.state import ServeOptions

OPEN_FILES = 4 * MOST_CONNECTIONS
"""More than connections that are answered: those beyond are told so, and files can still be read."""
LAST_SECONDS = 1
"""What answers on their way get when the server stops."""


def allow_connections() -> None:
    """Ask the system for as many open files as connections may come, where it gives them only when asked."""
    try:
        import resource
    except ImportError:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


@final
class PageServer(uvicorn.Server):
    """uvicorn for one application; streams of events end at once when it stops."""

    def __init__(self, app: FastAPI, options: ServeOptions, ready: Callable[[], None]) -> None:
        """`ready`: called once, when requests are answered."""
        self._app = app
        self._ready = ready
        super().__init__(
            uvicorn.Config(
                app,
                host=options.host,
                port=options.port,
                log_config=None,
                lifespan="on",
                timeout_graceful_shutdown=LAST_SECONDS,
                **connection_settings(options),
            )
        )

    async def startup(self, sockets: list[socket] | None = None) -> None:
        """Begin to answer, then say so."""
        allow_connections()
        await super().startup(sockets)
        if self.started:
            self._ready()

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        """End the streams, then everything else."""
        self._app.state.watch.close()
        await super().shutdown(sockets)
