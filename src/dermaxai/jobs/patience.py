"""A store that fails is tried again and again, in growing pauses; what waits for it is not lost."""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Event
from typing import Any, TypeVar

from dermaxai.errors import StoreError
from dermaxai.jobs.queue import error_view

log = logging.getLogger(__name__)
Done = TypeVar("Done")
State = dict[str, Any]
"""state ('starting', 'loading', 'ready', 'failed'), model, and where it failed: error, message, hint."""

PAUSES = (0.5, 30.0)
"""Seconds until a store is tried again: at first, and at most; doubled in between."""


def insist(do: Callable[[], Done], stopping: Event, announce: Callable[[State | None], None]) -> Done | None:
    """What `do` gives, as soon as the store lets it; None where the worker was stopped before.

    `announce` hears of the failure, and None when it is over.
    """
    pause, failed = PAUSES[0], False
    while True:
        try:
            done = do()
        except StoreError as error:
            log.warning("the store failed, next try in %g s: %s", pause, error)
            announce({"state": "failed", "model": "", **error_view(error)})
            failed = True
            if stopping.wait(pause):
                return None
            pause = min(2 * pause, PAUSES[1])
        else:
            if failed:
                announce(None)
            return done
