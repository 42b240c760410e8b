"""Makes deleted text disappear from the files of an SQLite database.

A deleted row is overwritten (`secure_delete`), but a row that once moved from page to page can leave copies
of itself behind, and the log holds what was written lately. So the file is written anew, and the log emptied.
That this is still to be done stands in the database itself, for whoever opens it after a power cut.
"""

from __future__ import annotations

import time
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

from dermaxai.errors import StoreError
from dermaxai.store.alone import copies_of, file_of
from dermaxai.store.faults import telling_faults

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy.orm import Session

    from dermaxai.store.opening import Store

OWED = 1
"""`user_version` of a database that still has to forget."""
ATTEMPTS, PAUSE = 20, 0.1
"""How often, and after how many seconds, the log is emptied again while somebody reads it."""


def note_deleted(session: Session) -> None:
    """In the transaction that deletes: the files still have to forget."""
    connection = session.connection()
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(f"PRAGMA user_version={OWED}")


def forget_deleted(store: Store) -> None:
    """No file of the database holds a deleted text any more; nothing is done where nothing was deleted.

    On a full disk, or while others hold the database, it is left for the next time. PostgreSQL forgets in its
    own time (docs/store.md).
    """
    if not store.is_sqlite:
        return
    with suppress(StoreError), telling_faults(), closing(store.engine.raw_connection()) as connection:
        cursor: Any = connection.cursor()
        if cursor.execute("PRAGMA user_version").fetchone()[0] == OWED:
            _drop_copies(file_of(cursor.connection))
            cursor.execute("PRAGMA temp_store=MEMORY")
            cursor.execute("VACUUM")
            cursor.execute("PRAGMA user_version=0")
            _empty_log(cursor)


def _drop_copies(file: Path) -> None:
    """A copy from before an upgrade holds what has been deleted now."""
    for copy in copies_of(file):
        copy.unlink(missing_ok=True)


def _empty_log(cursor: Any) -> None:  # noqa: ANN401 - of the driver
    (usual,) = cursor.execute("PRAGMA busy_timeout").fetchone()
    cursor.execute("PRAGMA busy_timeout=0")  # Otherwise each attempt would wait as long as a writer may.
    try:
        emptied = any(_try_to_empty(cursor) for _ in range(ATTEMPTS))
    finally:
        cursor.execute(f"PRAGMA busy_timeout={usual}")
    if not emptied:
        cursor.execute(f"PRAGMA user_version={OWED}")


def _try_to_empty(cursor: Any) -> bool:  # noqa: ANN401 - of the driver
    busy, _pages, _moved = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if busy:
        time.sleep(PAUSE)
    return not busy
