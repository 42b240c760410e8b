"""Reads a folder of several files while others may replace it: all files are of one version."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from dermaxai.errors import DataError, NotFound

TRIES = 5
PAUSE = 0.02
"""Seconds; longer than the moment between the two steps in which a folder is replaced."""

_Read = TypeVar("_Read")


def read_steadily(folder: Path, read: Callable[[], _Read]) -> _Read:
    """What `read` makes of the folder, read again where it was replaced meanwhile.

    Raises: NotFound, DataError where the folder is missing or damaged, and not because of a change.
    """
    for attempt in range(1, TRIES + 1):
        before = _version(folder)
        try:
            found = read()
        except (DataError, NotFound):
            if attempt == TRIES or (before is not None and _version(folder) == before):
                raise
            if before is None:
                time.sleep(PAUSE)
                if _version(folder) is None:
                    raise
        else:
            if attempt == TRIES or _version(folder) == before:
                return found
    raise AssertionError("the last attempt returns or raises")


def _version(folder: Path) -> tuple[int, int, int] | None:
    """Another folder in the same place has another; None where there is none."""
    try:
        status = folder.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino, status.st_mtime_ns
