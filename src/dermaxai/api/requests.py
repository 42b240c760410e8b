"""What a request says, read strictly: a header that must stand once stands once."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from dermaxai.errors import NotAllowed

if TYPE_CHECKING:
    from starlette.types import Scope


def header_values(scope: Scope, name: bytes) -> list[str]:
    """Every value of a header, in order; `name` in lower case."""
    return [value.decode("latin-1").strip() for key, value in scope["headers"] if key.lower() == name]


def one_header(scope: Scope, name: bytes) -> str | None:
    """The value of a header that may stand once. Raises: NotAllowed where it stands twice."""
    values = header_values(scope, name)
    if len(values) > 1:
        raise NotAllowed(f"The header {name.decode()} came {len(values)} times; once is expected.")
    return values[0] if values else None


def bearer_token(scope: Scope) -> str | None:
    """The token of the Authorization header; '' for another scheme, None without the header.

    Raises: NotAllowed where the header stands twice.
    """
    value = one_header(scope, b"authorization")
    if value is None:
        return None
    scheme, _, token = value.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def cookie(scope: Scope, name: str) -> str | None:
    """The value of one cookie; None where it is missing or there are two of that name."""
    found: list[str] = []
    for value in header_values(scope, b"cookie"):
        for part in value.split(";"):
            key, separator, content = part.strip().partition("=")
            if separator and key == name:
                found.append(content)
    return found[0] if len(found) == 1 and found[0] else None


def client_address(scope: Scope) -> str:
    """Address of who is asking, as the connection or the trusted proxy tells it."""
    client = scope.get("client")
    return str(client[0]) if client else "unknown"


def client_place(scope: Scope) -> str:
    """The address, or of an IPv6 address the network that one customer has to choose from."""
    address = client_address(scope)
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return address
    if known.version == 4:
        return str(known)
    return str(ipaddress.ip_network(f"{known}/64", strict=False).network_address)
