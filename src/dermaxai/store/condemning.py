"""Deleting on a full disk: the files of a case go first, since only they make room for deleting its rows.

A folder that is renamed to `.deleting-<case id>.<kind>` needs no space, and says for good that the case is to
go: who opens the store next deletes the rows that are still there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from dermaxai.errors import StoreFull
from dermaxai.store import audit
from dermaxai.store.faults import telling_faults
from dermaxai.store.forgetting import note_deleted
from dermaxai.store.places import places_of, remove_folder
from dermaxai.store.tables import CaseRow, Feedback, Job, Reading

if TYPE_CHECKING:
    from dermaxai.store.opening import Store

CONDEMNED = re.compile(r"\.deleting-(?P<id>[A-Za-z0-9_-]{1,64})\.(case|waiting|derived)", re.ASCII)


def drop_rows(session: Session, case_id: str, actor: str, **detail: bool) -> None:
    """Delete the row of a case and all that belongs to it, and say so in the audit trail."""
    counts = _counts(session, case_id)
    session.execute(delete(CaseRow).where(CaseRow.id == case_id))
    audit.append(session, actor, "case.deleted", case_id, **counts, **detail)
    note_deleted(session)


def condemn(home: Path, case_id: str, folder: str) -> None:
    """Delete every file of a case; empty folders stay as marks. Raises: OSError."""
    for kind, place in places_of(home, case_id, folder).items():
        if os.path.lexists(place):
            marked = home / f".deleting-{case_id}.{kind}"
            remove_folder(marked)
            os.rename(place, marked)
            _empty(marked)


def finish_deletions(store: Store) -> None:
    """Delete the rows of cases that are marked, then the marks; on a full disk both stay."""
    for case_id in {_condemned(folder) for folder in _marks(store.folder)}:
        with suppress(StoreFull), store.write() as session:
            if session.get(CaseRow, case_id) is not None:
                drop_rows(session, case_id, "system", resumed=True)
    drop_marks(store)


def drop_marks(store: Store) -> None:
    """Remove the marks of cases that have no row any more. Raises: StoreError."""
    marks = list(_marks(store.folder))
    if not marks:
        return
    with store.read() as session:
        known = set(session.scalars(select(CaseRow.id).where(CaseRow.id.in_(map(_condemned, marks)))))
    with telling_faults():
        for mark in marks:
            if _condemned(mark) not in known:
                remove_folder(mark)
            else:
                _empty(mark)


def _marks(home: Path) -> Iterator[Path]:
    with suppress(FileNotFoundError), os.scandir(home) as entries:
        yield from [Path(entry.path) for entry in entries if CONDEMNED.fullmatch(entry.name)]


def _condemned(mark: Path) -> str:
    match = CONDEMNED.fullmatch(mark.name)
    return match["id"] if match else ""


def _empty(folder: Path) -> None:
    """A link has nothing of its own to delete; what somebody else deletes at the same time may be gone."""
    if folder.is_symlink():
        return
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in list(entries):
            if entry.is_dir(follow_symlinks=False):
                remove_folder(Path(entry.path))
            else:
                Path(entry.path).unlink(missing_ok=True)


def _counts(session: Session, case_id: str) -> dict[str, int]:
    """How much goes with the case."""
    columns = {"readings": Reading.case_id, "feedback": Feedback.case_id, "jobs": Job.case_id}
    return {
        name: session.scalar(select(func.count()).where(column == case_id)) or 0
        for name, column in columns.items()
    }
