"""The application: every route, one shape of errors, everything that protects it.

```
request ── protect: log, headers, gate, limits ── route ── store, queue, tables
                                                    └──── DermaXAIError ── errors: one shape, one status
```
"""

from __future__ import annotations

import functools
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI

from dermaxai.api import (
    again,
    cases,
    documents,
    examples,
    files,
    health,
    jobs,
    page,
    questions,
    readers,
    reading,
    receiving,
    tables,
    trail,
    unread,
)
from dermaxai.api.bodies import FORM_LIMITS
from dermaxai.api.errors import answer_errors
from dermaxai.api.events import Watch
from dermaxai.api.safety import protect
from dermaxai.api.state import ServeOptions, ServerState
from dermaxai.api.upkeep import looked_after
from dermaxai.store.opening import open_store

ROOMS = (
    cases, receiving, again, files, questions, reading, unread, jobs, examples, tables, readers, trail,
    health, documents, page,
)  # fmt: skip
"""Each has a `router`; the order is that of the description."""
SILENT: dict[str, Any] = {
    "telemetry": {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}
}
"""Newer versions of the framework can send what was asked and what failed elsewhere, told by the environment
alone; older ones do not know the word."""


def create_app(options: ServeOptions, state: ServerState | None = None) -> FastAPI:
    """The server of one folder of cases. Raises: StoreError where the store cannot be opened.

    `state`: where the caller has opened the store and started a worker.
    """
    app = FastAPI(
        title="DermaXAI",
        version=version("dermaxai"),
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        lifespan=looked_after,
        redirect_slashes=False,
        **SILENT,
        form_limits=FORM_LIMITS,
    )
    app.state.server = state or ServerState(options, open_store(options.cases, options.url))
    app.state.watch = Watch(functools.partial(jobs.look_at_jobs, app.state.server))
    for room in ROOMS:
        app.include_router(room.router)
    app.openapi = functools.partial(documents.describe, app)  # type: ignore[method-assign]
    answer_errors(app)
    protect(app, options)
    return app
