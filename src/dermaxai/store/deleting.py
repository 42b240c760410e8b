"""Deleting a case: its rows, its files, and every trace of its text in the database file."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import select

from dermaxai.errors import NotFound, StoreFull
from dermaxai.store.cases import find_case
from dermaxai.store.condemning import condemn, drop_marks, drop_rows
from dermaxai.store.faults import telling_faults
from dermaxai.store.forgetting import forget_deleted
from dermaxai.store.places import DERIVED, put_back, remove_folder, throw_away
from dermaxai.store.readers import sweep_doors
from dermaxai.store.tables import CaseRow, now
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

    Tokens and visits that are over go too. Raises: StoreError.
    """
    ids = delete_older(store, timedelta(days=keep_days), actor="system") if keep_days > 0 else []
    with suppress(StoreFull), store.write() as session:
        sweep_doors(session)
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
    """On a full disk even deleting needs space: what can be made again makes it, or the case itself."""
    try:
        _delete_once(store, case_id, actor)
    except StoreFull:
        with telling_faults():
            remove_folder(store.folder / DERIVED)
        try:
            _delete_once(store, case_id, actor)
        except StoreFull:
            _delete_files_first(store, case_id, actor)
    drop_marks(store)


def _delete_once(store: Store, case_id: str, actor: str) -> None:
    """Files go first, to the trash, and come back if the database refuses."""
    thrown: tuple[str, Path] | None = None
    try:
        with store.write() as session:
            row = find_case(session, case_id)
            thrown = row.folder, throw_away(store.folder, row.id, row.folder)
            drop_rows(session, case_id, actor)
    except BaseException:
        if thrown:
            put_back(store.folder, case_id, *thrown)
        raise
    with telling_faults():
        remove_folder(thrown[1])


def _delete_files_first(store: Store, case_id: str, actor: str) -> None:
    """There is no way back from here: what is left to do is done later if need be."""
    with store.write() as session:
        condemn(store.folder, case_id, find_case(session, case_id).folder)
    try:
        with suppress(NotFound):  # Who opened the store in the meantime has finished it.
            _delete_once(store, case_id, actor)
    except StoreFull as error:
        raise StoreFull(
            "The files of the case are deleted, but there is no space left to delete what was said of it.",
            hint="Make space: the rest is deleted as soon as there is some, within an hour.",
        ) from error
