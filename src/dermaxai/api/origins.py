"""Which names this server answers to, and which pages may send it something.

A page of another site can make a browser send requests here. It cannot choose the `Host` header, so a name
that was turned to this address by DNS is refused; and it cannot take away `Origin` or `Sec-Fetch-Site`.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from typing import TYPE_CHECKING, final

from dermaxai.api.requests import header_values, one_header
from dermaxai.api.state import LOOPBACK, ServeOptions
from dermaxai.errors import NotAllowed

if TYPE_CHECKING:
    from starlette.types import Scope

HOST = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(?::([0-9]{1,5}))?")
WILDCARDS = ("0.0.0.0", "::", "")
SAFE = ("GET", "HEAD")
FORWARDED = (b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-real-ip", b"via")
PORTS = {"http": "80", "https": "443"}


@final
class Origins:
    """The names of one server, and the rules for who may send from where."""

    def __init__(self, options: ServeOptions) -> None:
        self._options = options
        self._any_address = options.host in WILDCARDS
        named = (*LOOPBACK, socket.gethostname() if self._any_address else options.host, *options.hosts)
        self._names = set(map(_bare_name, named))

    def check(self, scope: Scope) -> None:
        """Refuse foreign names, foreign pages, and requests through a proxy nobody told this server of.

        Raises: NotAllowed.
        """
        host = one_header(scope, b"host") or ""
        if not self.knows(host):
            raise NotAllowed(
                "This server is not known under the name it was asked by.",
                hint="Add the name: dermaxai serve --allow-host NAME.",
            )
        if not self._options.is_open and any(header_values(scope, name) for name in FORWARDED):
            raise NotAllowed(
                "This request came through a proxy, and this server only serves its own machine.",
                hint="Start it with --behind-proxy; then every reader needs a token.",
            )
        if not self.same_origin(scope, host):
            raise NotAllowed("This request was sent by a page of another site.", hint="Open the page itself.")

    def knows(self, host: str) -> bool:
        """Whether the value of a Host header, with or without a port, names this server."""
        found = HOST.fullmatch(host)
        if not found or int(found[2] or 0) > 65535:
            return False
        name = _bare_name(found[1])
        return name in self._names or (self._any_address and _is_address(name))

    def same_origin(self, scope: Scope, host: str) -> bool:
        """Whether a browser says that the request comes from this server's own page, or says nothing."""
        site = header_values(scope, b"sec-fetch-site")
        matters = scope["method"] not in SAFE or scope["path"].startswith("/api/")
        if matters and any(value.lower() not in ("same-origin", "none") for value in site):
            return False
        origins = header_values(scope, b"origin")
        if not origins:
            return True
        scheme = "https" if self._options.proxied or self._options.tls else scope.get("scheme", "http")
        return len(origins) == 1 and _origin(origins[0]) == _origin(f"{scheme}://{host}")


def _bare_name(name: str) -> str:
    """Lower case, without brackets; '::1' and '0:0:0:0:0:0:0:1' are one."""
    plain = name.strip().lower().removeprefix("[").removesuffix("]")
    try:
        return str(ipaddress.ip_address(plain))
    except ValueError:
        return plain


def _is_address(name: str) -> bool:
    """Nobody can turn an address to another machine, as one can a name."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _origin(text: str) -> tuple[str, str, str] | None:
    """Scheme, name, port; None for anything that is no plain origin, 'null' included."""
    scheme, separator, host = text.lower().partition("://")
    found = HOST.fullmatch(host)
    if not separator or scheme not in PORTS or not found:
        return None
    return scheme, _bare_name(found[1]), found[2] or PORTS[scheme]
