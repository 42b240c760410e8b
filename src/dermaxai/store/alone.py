"""A database that one program has to itself while its tables change; an SQLite file is copied before."""

from __future__ import annotations

import os
import random
import sqlite3
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, text

from dermaxai.errors import StoreError, StoreUnreachable
from dermaxai.store.files import FRESH, keep_names

if TYPE_CHECKING:
    from collections.abc import Iterable

WRITES = "dermaxai_writes"
"""Option of connections that hold the write lock."""
LOCK = 0x6465726D
"""Number of the advisory lock under which one program at a time changes the tables of PostgreSQL."""
PATIENCE = 5.0
"""Seconds for which others may hold an SQLite file: two programs that start at once wait for each other."""
PAUSE = 0.1
"""Seconds, about, between two attempts."""
COPIES = "r[0-9][0-9][0-9]"
"""What stands behind the name of a database in the name of its copy: the revision that it is of."""


@contextmanager
def alone_with_new_file(engine: Engine) -> Iterator[Connection]:
    """A transaction with the write lock, for a file that has no tables yet."""
    with engine.execution_options(**{WRITES: True}).begin() as connection:
        yield connection


@contextmanager
def alone_on_server(engine: Engine) -> Iterator[Connection]:
    """A transaction on PostgreSQL in which no other program changes tables."""
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        yield connection


@contextmanager
def alone_with_file(engine: Engine, known: str) -> Iterator[Connection]:
    """A transaction on an SQLite file that no other program has open; the file as it was lies beside it.

    Where the tables are no longer of the revision `known`, others may use the file: they have changed it.

    Keys between tables are looked at once, at the end: making a table anew would otherwise delete what
    belongs to its rows. Raises: StoreUnreachable where the file is open elsewhere; StoreFull where there is
    no room for the copy; StoreError for a key that leads nowhere.
    """
    end = time.monotonic() + PATIENCE
    while True:
        engine.dispose()
        with engine.connect() as connection:
            connection.detach()
            raw = _raw(connection)
            if _version(raw) != known:
                with _writing(connection):
                    yield connection
                return
            if _put_log_away(raw):
                with _changing(connection):
                    yield connection
                return
        if time.monotonic() > end:
            raise StoreUnreachable(
                "The database is of an earlier version, and another program uses it; nothing was changed.",
                hint="Stop every server and worker of this folder, earlier versions too, and start again.",
            )
        time.sleep(PAUSE * random.uniform(0.5, 1.5))


def copies_of(file: Path) -> Iterable[Path]:
    """What earlier versions of the program left of a database when its tables were changed."""
    return sorted(file.parent.glob(f"{_plain(file.name)}.{COPIES}"))


def is_held(error: sqlite3.OperationalError) -> bool:
    """Whether an SQLite file could not be used because another program holds it."""
    return error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def file_of(connection: sqlite3.Connection) -> Path:
    """Where a database lies."""
    return Path(next(row[2] for row in connection.execute("PRAGMA database_list") if row[1] == "main"))


def _raw(connection: Connection) -> sqlite3.Connection:
    driver = connection.connection.dbapi_connection
    assert isinstance(driver, sqlite3.Connection)
    return driver


def _version(raw: sqlite3.Connection) -> str:
    return str(raw.execute("SELECT version_num FROM alembic_version").fetchone()[0])


def _put_log_away(raw: sqlite3.Connection) -> bool:
    """Only who has the file alone can do that; the log comes back with the next connection."""
    (usual,) = raw.execute("PRAGMA busy_timeout").fetchone()
    raw.execute("PRAGMA busy_timeout=0")
    try:
        return bool(raw.execute("PRAGMA journal_mode=DELETE").fetchone()[0] == "delete")
    except sqlite3.OperationalError as error:
        if is_held(error):
            return False
        raise
    finally:
        raw.execute(f"PRAGMA busy_timeout={usual}")


def _writing(connection: Connection) -> AbstractContextManager[object]:
    return connection.execution_options(**{WRITES: True}).begin()


@contextmanager
def _changing(connection: Connection) -> Iterator[None]:
    raw = _raw(connection)
    raw.execute("PRAGMA foreign_keys=OFF")
    with _writing(connection):
        _copy_aside(raw)
        yield
        _check_keys(raw)


def _copy_aside(raw: sqlite3.Connection) -> None:
    """`dermaxai.sqlite.r001`, whole or not at all; goes with the next deletion of a case."""
    file = file_of(raw)
    (found,) = raw.execute("SELECT version_num FROM alembic_version").fetchone()
    fresh = file.with_name(f"{FRESH}{file.name}")
    try:
        fresh.unlink(missing_ok=True)
        fresh.touch(0o600, exist_ok=False)
        # A connection that writes cannot be copied from; another one still sees what was before.
        with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(fresh)) as copy:
            source.backup(copy)
        os.chmod(fresh, file.stat().st_mode & 0o777)
        os.replace(fresh, file.with_name(f"{file.name}.{found}"))
    finally:
        fresh.unlink(missing_ok=True)
    keep_names(file.parent)


def _check_keys(raw: sqlite3.Connection) -> None:
    lost = raw.execute("PRAGMA foreign_key_check").fetchone()
    if lost is not None:
        raise StoreError(
            f"Row {lost[1]} of the table '{lost[0]}' belongs to nothing; nothing was changed.",
            hint="Put a backup in the place of the database; docs/store.md says how.",
        )


def _plain(name: str) -> str:
    """A name in which `glob` finds no patterns."""
    return "".join(f"[{sign}]" if sign in "*?[" else sign for sign in name)
