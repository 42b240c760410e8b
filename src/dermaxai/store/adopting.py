"""Case folders that somebody put into the folder of cases become rows of the store."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import select

from dermaxai.cases import load_case
from dermaxai.errors import DataError, DermaXAIError
from dermaxai.store import audit
from dermaxai.store.indexing import STAMP, index_case, stamp_of
from dermaxai.store.names import CASE_ID
from dermaxai.store.tables import CaseRow, Event, now

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from dermaxai.store.opening import Store
    from dermaxai.types import Case

DRAWN = re.compile("[0-9a-f]{12}")
"""Ids that this program draws: a folder of one that was deleted is a leftover, not a new case."""
TOGETHER = 25
"""Cases in one transaction: others may write in between."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What the store remembers of a case folder."""

    id: str
    state: str
    stamp: str


@dataclass(frozen=True, slots=True)
class _Found:
    """A folder that is new or has changed."""

    id: str
    folder: str
    stamp: str
    case: Case


def adopt_folders(store: Store, actor: str = "system") -> list[tuple[str, str]]:
    """Make rows of new folders, follow those that changed, and mark those that are gone.

    A folder whose name can be no id gets one that is computed from the name. Cases that are being made are
    left to their worker. Returns name and reason of every folder that is skipped. Raises: StoreError.
    """
    known, deleted = _remembered(store)
    there, skipped = _look_around(store.folder)
    _mark_gone(store, [entry.id for folder, entry in known.items() if folder not in there], actor)
    news = [folder for folder, stamp in there.items() if _is_news(stamp, known.get(folder))]
    for start in range(0, len(news), TOGETHER):
        found = []
        for folder in news[start : start + TOGETHER]:
            try:
                found.append(_read(store.folder / folder, there[folder], known.get(folder), deleted))
            except DermaXAIError as error:
                skipped.append((folder, error.message))
        _enter(store, found, actor)
    return skipped


def _remembered(store: Store) -> tuple[dict[str, _Known], set[str]]:
    """The cases of the store by folder, and the ids of those that were deleted."""
    wanted = select(CaseRow.folder, CaseRow.id, CaseRow.state, CaseRow.facts)
    with store.read() as session:
        rows = session.execute(wanted).all()
        deleted = set(session.scalars(select(Event.subject).where(Event.action == "case.deleted")))
    return {row.folder: _Known(row.id, row.state, row.facts.get(STAMP, "")) for row in rows}, deleted


def _look_around(home: Path) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """The case folders with the stamps of their contents, oldest first; and what only looks like one."""
    found: list[tuple[float, str, str]] = []
    skipped = []
    with os.scandir(home) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if entry.name.startswith(".") or not os.path.isfile(os.path.join(entry.path, "case.json")):
                continue
            if entry.is_symlink():
                skipped.append((entry.name, "It is a link; move or copy the folder itself here."))
                continue
            changed = os.stat(os.path.join(entry.path, "case.json")).st_mtime
            found.append((changed, entry.name, stamp_of(Path(entry.path))))
    return {name: stamp for _, name, stamp in sorted(found)}, skipped


def _is_news(stamp: str, known: _Known | None) -> bool:
    if known is None or known.state == "gone":
        return True
    return known.state == "ready" and known.stamp != stamp


def _read(folder: Path, stamp: str, known: _Known | None, deleted: set[str]) -> _Found:
    """Raises: DataError."""
    if known is None and folder.name in deleted and DRAWN.fullmatch(folder.name):
        raise DataError("It was deleted; what lies there is a leftover. Remove the folder.")
    case_id = known.id if known else _id_for(folder.name)
    return _Found(case_id, folder.name, stamp, load_case(folder, photo=False))


def _id_for(name: str) -> str:
    """The name where it can be an id."""
    if CASE_ID.fullmatch(name):
        return name
    return hashlib.sha256(os.fsencode(name)).hexdigest()[:16]


def _enter(store: Store, found: Sequence[_Found], actor: str) -> None:
    if not found:
        return
    with store.write() as session:
        for entry in found:
            _enter_one(session, entry, actor)


def _enter_one(session: Session, found: _Found, actor: str) -> None:
    """What another program has done in the meantime is left as it is."""
    row = session.get(CaseRow, found.id)
    action = "case.changed" if row is not None and row.state == "ready" else "case.adopted"
    if row is None:
        made = now()
        row = CaseRow(
            id=found.id, folder=found.folder, created=made, changed=made, sha256="", name="",
            state="gone", revision=0, owner="", facts={},
        )  # fmt: skip
        session.add(row)
    if row.state not in ("ready", "gone") or (row.state == "ready" and row.facts.get(STAMP) == found.stamp):
        return
    row = index_case(session, found.id, found.case)
    row.facts = row.facts | {STAMP: found.stamp}
    audit.append(session, actor, action, found.id, revision=row.revision)


def _mark_gone(store: Store, ids: Sequence[str], actor: str) -> None:
    """What readers said of these cases is kept, and they come back with their folders."""
    if not ids:
        return
    with store.write() as session:
        for case_id in ids:
            row = session.get(CaseRow, case_id)
            if row is None or row.state != "ready" or (store.folder / row.folder / "case.json").is_file():
                continue
            row.state, row.changed = "gone", now()
            audit.append(session, actor, "case.lost", case_id, revision=row.revision)
