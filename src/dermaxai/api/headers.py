"""Headers of every answer: nothing from outside, nothing inline, nothing kept by caches in between."""

from __future__ import annotations

import html as markup
import re
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from dermaxai.api.state import ServeOptions

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; font-src 'none'; object-src 'none'; frame-src 'none'; frame-ancestors 'none'; "
    "base-uri 'none'; form-action 'self'"
)
SANDBOX = "frame-ancestors 'none'; sandbox allow-scripts allow-downloads allow-modals"
"""A report runs its script without an origin: it can read nothing of this server."""

ALWAYS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": (
        "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), magnetometer=(), "
        "microphone=(), midi=(), payment=(), usb=()"
    ),
}
MONTHS_OF_TLS = "max-age=15552000"
META = re.compile(rb'<meta http-equiv="Content-Security-Policy" content="([^"]*)">')


def report_headers(html: bytes) -> dict[str, str]:
    """Headers for a report that is shown as a page: its own policy with hashes, and a sandbox around it.

    A report without a policy of its own may do nothing at all.
    """
    found = META.search(html[:4096])
    own = markup.unescape(found[1].decode()) if found else "default-src 'none'"
    return {"Content-Security-Policy": f"{own}; {SANDBOX}"}


@final
class SecurityHeaders:
    """Adds to each answer what it does not say itself; an answer may be stricter, and is left so."""

    def __init__(self, app: ASGIApp, options: ServeOptions) -> None:
        self._app = app
        told = dict(ALWAYS)
        # A browser keeps this per name, and 'localhost' belongs to other programs too.
        if options.is_open and (options.tls or options.proxied):
            told["strict-transport-security"] = MONTHS_OF_TLS
        self._told = [(name.encode(), value.encode()) for name, value in told.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers, with more headers."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = self._complete(scope, list(message.get("headers", ())))
            await send(message)

        await self._app(scope, receive, send_with_headers)

    def _complete(self, scope: Scope, headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        present = {name.lower() for name, _ in headers}
        headers += [(name, value) for name, value in self._told if name not in present]
        if b"cache-control" not in present:
            # With an ETag the browser may keep it for itself and asks each time; otherwise nobody keeps it.
            kept = b"private, no-cache" if b"etag" in present else b"no-store"
            headers.append((b"cache-control", kept))
        if scope["path"].startswith("/api/") and b"vary" not in present:
            headers.append((b"vary", b"Cookie, Authorization"))
        return headers
