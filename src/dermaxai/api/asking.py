"""What almost every route is given: the server, and who is asking; without a detour through a thread."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from dermaxai.api.access import current_actor, server_of
from dermaxai.api.state import Actor, ServerState


async def _server(request: Request) -> ServerState:
    return server_of(request)


async def _actor(request: Request) -> Actor:
    """Raises: NotSignedIn."""
    return current_actor(request)


State = Annotated[ServerState, Depends(_server)]
Who = Annotated[Actor, Depends(_actor)]
