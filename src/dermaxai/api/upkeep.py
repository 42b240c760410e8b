"""What a running server does by itself: draws the examples, takes in folders, deletes what is too old."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from anyio.to_thread import run_sync

from dermaxai.api.examples import prepare_examples
from dermaxai.errors import DermaXAIError
from dermaxai.store.cases import adopt_folders
from dermaxai.store.deleting import sweep
from dermaxai.store.names import mark_of

if TYPE_CHECKING:
    from fastapi import FastAPI

    from dermaxai.api.state import ServerState

LOG = logging.getLogger("dermaxai.api")
HOUR = 3600.0


@asynccontextmanager
async def looked_after(app: FastAPI) -> AsyncIterator[None]:
    """While the server runs: folders are taken in and old cases deleted, at once and every hour."""
    if app.state.server.options.has_model:
        # A server that ends does not wait for a drawing.
        threading.Thread(target=prepare_examples, name="examples", daemon=True).start()
    keeper = asyncio.get_running_loop().create_task(_keep(app.state.server))
    try:
        yield
    finally:
        app.state.watch.close()
        keeper.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await keeper


async def _keep(state: ServerState) -> None:
    while True:
        await run_sync(look_after, state, abandon_on_cancel=True)
        await asyncio.sleep(HOUR)


def look_after(state: ServerState) -> None:
    """Take in folders that have no row, delete cases older than `keep_days`; faults go to the log."""
    try:
        for name, why in adopt_folders(state.store):
            LOG.warning("not taken in: folder %s: %s", mark_of(name), _without_name(why, name))
        gone = sweep(state.store, state.options.keep_days)
        for case_id in gone:
            state.answers.drop(case_id)
        if gone:
            LOG.info("deleted by age: %d", len(gone))
    except DermaXAIError as error:
        LOG.warning("upkeep: %s", error)
    except Exception:  # The page works without it, and the log says what was wrong.
        LOG.exception("upkeep failed")


def _without_name(why: str, folder: str) -> str:
    """A reason for the log: a folder may be called after a person, and what it holds may tell of one."""
    return why.replace(f"{os.sep}{folder}", f"{os.sep}{mark_of(folder)}").partition(", found ")[0]
