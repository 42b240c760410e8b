"""The server process: says when it is there, and ends its streams when it is told to stop."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, final

import uvicorn

from dermaxai.api.connections import connection_settings

if TYPE_CHECKING:
    from socket import socket

    from fastapi import FastAPI

    from dermaxai.api.state import ServeOptions

LAST_SECONDS = 1
"""What answers on their way get when the server stops."""


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
        await super().startup(sockets)
        if self.started:
            self._ready()

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        """End the streams, then everything else."""
        self._app.state.watch.close()
        await super().shutdown(sockets)
