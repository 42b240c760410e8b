"""HEAD: what GET would say of its answer, without the answer; monitors and proxies ask so."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

COSTLY = re.compile(r"/api/export/.*|.*/(?:events|report|report\.pdf)")
"""What is made, written down or goes on for long when it is asked for: nobody does that for a head."""
FOUND = ("route", "path_params", "endpoint")
"""What the router leaves in the scope, for the log."""


@final
class Heads:
    """Asks the routes with GET, and sends no body."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers."""
        if scope["type"] != "http" or scope["method"] != "HEAD" or COSTLY.fullmatch(scope["path"]):
            await self._app(scope, receive, send)
            return
        asked = {**scope, "method": "GET"}

        async def send_head(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        try:
            await self._app(asked, receive, send_head)
        finally:
            scope.update({name: asked[name] for name in FOUND if name in asked})
