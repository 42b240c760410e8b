"""Clears away what a killed program left: half-written folders, lost photos, unfinished deletions."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import select

from dermaxai.store.condemning import finish_deletions
from dermaxai.store.forgetting import forget_deleted
from dermaxai.store.places import DERIVED, MAKING, TRASH, WAITING, put_back, remove_folder
from dermaxai.store.tables import CaseRow

if TYPE_CHECKING:
    from dermaxai.store.opening import Store

PATIENCE = 600
"""Seconds: what is younger may belong to a program that is still at work."""
SWAP_SECONDS = 0.1
"""Longer than the moment in which a case folder is replaced by its next version."""
FRESH = re.compile(r"\.(?P<name>.+)\.[0-9a-f]{8}(?P<old>\.old)?")
"""Folders beside a case folder while `dermaxai.cases` replaces it."""
CASE_FILES = {"case.json", "maps.npz", "image.png", "image.jpg", "timings.json", "report.html"}


def tidy(store: Store) -> None:
    """Nothing that a program at work still needs is touched. Raises: StoreError."""
    _finish_swaps(store.folder)
    _empty_trash(store)
    finish_deletions(store)
    for folder in (WAITING, DERIVED):
        _drop_orphans(store, store.folder / folder)
    _drop_unfinished(store)
    forget_deleted(store)


def _finish_swaps(home: Path) -> None:
    """A replaced case folder goes; it comes back where its follower never arrived."""
    for entry in _folders(home):
        match = FRESH.fullmatch(entry.name)
        if match is None or not _holds_a_case(entry):
            continue
        target = home / match["name"]
        if match["old"] and not target.exists():
            time.sleep(SWAP_SECONDS)
            if not target.exists():
                with suppress(FileNotFoundError):
                    os.rename(entry, target)
                continue
        if _is_old(entry):
            remove_folder(entry)


def _empty_trash(store: Store) -> None:
    """Under the write lock no deletion is under way: a row that is still there was never deleted."""
    if not any(_folders(store.folder / TRASH)):
        return
    with store.write() as session:
        for thrown in _folders(store.folder / TRASH):
            row = session.get(CaseRow, thrown.name.rpartition("-")[0])
            if row is None:
                remove_folder(thrown)
            else:
                put_back(store.folder, row.id, row.folder, thrown)


def _drop_orphans(store: Store, home: Path) -> None:
    """Folders of cases that have no row."""
    old = [folder for folder in _folders(home) if _is_old(folder)]
    if not old:
        return
    with store.read() as session:
        known: Collection[str] = set(session.scalars(select(CaseRow.id)))
    for folder in old:
        if folder.name not in known:
            remove_folder(folder)


def _drop_unfinished(store: Store) -> None:
    """Cases that a killed worker was making and that have no row any more: no worker may come to do it."""
    old = [folder for folder in _folders(store.folder / MAKING) if _is_old(folder)]
    if not old:
        return
    with store.read() as session:
        known: Collection[str] = set(session.scalars(select(CaseRow.id)))
    for folder in old:
        if folder.name.partition(".")[0] not in known:
            remove_folder(folder)


def _folders(home: Path) -> Iterator[Path]:
    """The folders directly below `home`, links left out."""
    with suppress(FileNotFoundError), os.scandir(home) as entries:
        yield from [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]


def _holds_a_case(folder: Path) -> bool:
    """Whether nothing lies there but files of a case: another program's folder is left alone."""
    with suppress(FileNotFoundError):
        return {name for name in os.listdir(folder) if not name.startswith(".")} <= CASE_FILES
    return False


def _is_old(folder: Path) -> bool:
    """Whether nobody has touched it for a while."""
    with suppress(FileNotFoundError):
        status = folder.stat()
        return time.time() - max(status.st_mtime, status.st_ctime) > PATIENCE
    return False
