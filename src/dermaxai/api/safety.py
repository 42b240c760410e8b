"""What stands between the network and the routes: one call puts it in place.

A request passes, in this order: the headers of its answer, the log, the gate (name of the server, origin, who
is asking, pace, CSRF), and the limits of its body. Nothing of a body is read before the gate has opened.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dermaxai.api.bodies import BodyLimits
from dermaxai.api.gate import Gate
from dermaxai.api.headers import SecurityHeaders
from dermaxai.api.heads import Heads
from dermaxai.api.limits import BackOff
from dermaxai.api.request_log import RequestLog
from dermaxai.api.uploads import keep_in_memory

if TYPE_CHECKING:
    from fastapi import FastAPI

    from dermaxai.api.state import ServeOptions


def protect(app: FastAPI, options: ServeOptions) -> None:
    """Host check, origin and CSRF, sign-in, limits of size and pace, security headers, request log.

    `app.state.server` must be set before the first request. Call it last, so that nothing lies outside.
    """
    back_off = BackOff()
    app.state.back_off = back_off
    keep_in_memory(options.max_bytes)
    app.add_middleware(BodyLimits, options=options)
    app.add_middleware(Heads)
    app.add_middleware(Gate, options=options, back_off=back_off)
    app.add_middleware(RequestLog)
    app.add_middleware(SecurityHeaders, options=options)
