"""Deleting a case: its rows, its files, and every trace of its text in the database file."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from dermaxai.errors import NotFound, StoreFull
from dermaxai.store import audit
from dermaxai.store.cases import find_case
from dermaxai.store.faults import telling_faults
from dermaxai.store.forgetting import forget_deleted, note_deleted
from dermaxai.store.places import DERIVED, put_back, remove_folder, throw_away
from dermaxai.store.tables import CaseRow, Feedback, Job, Reading, now
from dermaxai.store.tidying import tidy

if TYPE_CHECKING:
    from dermaxai.store.opening import Store


def delete_case(store: Store, case_id: str, *, actor: str) -> None:
    """Delete a case with everything that was said of it; only its id stays, in the audit trail.

    A job that is running for it finds its row gone, and what it brings is thrown away.
    Raises: NotFound, StoreError.
    """
    _delete(store, case_id, actor)
    forget_deleted(store)


def sweep(store: Store, keep_days: int) -> list[str]:
    """Delete the cases that are older than `keep_days` (0 keeps all) and tidy up; ids of what was deleted.

    Raises: StoreError.
    """
    ids = delete_older(store, timedelta(days=keep_days), actor="system") if keep_days > 0 else []
    tidy(store)
    return ids


def delete_older(store: Store, age: timedelta, *, actor: str) -> list[str]:
    """Delete the cases that came here longer than `age` ago; their ids. Raises: StoreError."""
    with store.read() as session:
        old = select(CaseRow.id).where(CaseRow.created < now() - age).order_by(CaseRow.created)
        ids = list(session.scalars(old))
    done = []
    for case_id in ids:
        with suppress(NotFound):  # Somebody else has deleted it in the meantime.
            _delete(store, case_id, actor)
            done.append(case_id)
    if done:
        forget_deleted(store)
    return done


def _delete(store: Store, case_id: str, actor: str) -> None:
    """On a full disk even deleting needs a little space: what can be made again makes it."""
    try:
        _delete_once(store, case_id, actor)
    except StoreFull:
        remove_folder(store.folder / DERIVED)
        _delete_once(store, case_id, actor)


def _delete_once(store: Store, case_id: str, actor: str) -> None:
    """Files go first, to the trash, and come back if the database refuses."""
    thrown: tuple[str, Path] | None = None
    try:
        with store.write() as session:
            row = find_case(session, case_id)
            thrown = row.folder, throw_away(store.folder, row.id, row.folder)
            counts = _counts(session, case_id)
            session.execute(delete(CaseRow).where(CaseRow.id == case_id))
            audit.append(session, actor, "case.deleted", case_id, **counts)
            note_deleted(session)
    except BaseException:
        if thrown:
            put_back(store.folder, case_id, *thrown)
        raise
    with telling_faults():
        remove_folder(thrown[1])


def _counts(session: Session, case_id: str) -> dict[str, int]:
    """How much goes with the case."""
    columns = {"readings": Reading.case_id, "feedback": Feedback.case_id, "jobs": Job.case_id}
    return {
        name: session.scalar(select(func.count()).where(column == case_id)) or 0
        for name, column in columns.items()
    }
