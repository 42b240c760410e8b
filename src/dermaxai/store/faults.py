"""What a database or a disk says when it fails, as errors of this program."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from dermaxai.errors import StoreError, StoreFull, StoreReadOnly, StoreUnreachable

FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)


@contextmanager
def telling_faults() -> Iterator[None]:
    """Inside, a full disk, a read-only place, a lost, locked or damaged database is a `StoreError`.

    Raises: StoreFull, StoreReadOnly, StoreUnreachable, StoreError. Any other error passes unchanged.
    """
    try:
        yield
    except (IntegrityError, ProgrammingError) as error:
        if getattr(error.orig, "sqlstate", None) != "42501":
            raise
        raise _read_only() from error
    except PoolTimeout as error:
        raise _busy() from error
    except DBAPIError as error:
        raise _of_database(error.orig) from error
    except sqlite3.OperationalError as error:
        raise _of_database(error) from error
    except OSError as error:
        told = fault_of_disk(error)
        if told is None:
            raise
        raise told from error


def fault_of_disk(error: OSError) -> StoreError | None:
    """The same for one error of a file; None where the disk is not at fault."""
    if error.errno in FULL_DISK:
        return _full()
    return _read_only(error.filename) if error.errno in READ_ONLY else None


def _of_database(error: BaseException | None) -> StoreError:
    if isinstance(error, sqlite3.Error):
        return _of_sqlite(error)
    return _of_postgres(error)


def _of_sqlite(error: sqlite3.Error) -> StoreError:
    """By the primary result code, which the lowest byte holds."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return _full()
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
        return _read_only()
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return _busy()
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return StoreError(
            f"The database of the store is damaged: {error}.",
            hint="Stop the server and put a backup in its place; docs/store.md says how.",
        )
    if code == sqlite3.SQLITE_IOERR:
        return StoreUnreachable(f"The database cannot be read or written: {error}.", hint="Check the disk.")
    return StoreUnreachable(f"The database cannot be used: {error}.", hint="Check the place and its rights.")


def _of_postgres(error: BaseException | None) -> StoreError:
    """By SQLSTATE; a server that does not answer gives none."""
    state = getattr(error, "sqlstate", None) or ""
    if state in ("53100", "53000"):
        return _full()
    if state in ("25006", "42501"):
        return _read_only()
    if state in ("55P03", "57014", "40P01", "40001"):
        return _busy()
    reason = str(error).strip().splitlines()[0] if str(error).strip() else "no answer"
    return StoreUnreachable(
        f"The database does not answer: {reason}",
        hint="Check that PostgreSQL runs, and the address and name given with --store.",
    )


def _full() -> StoreFull:
    return StoreFull(
        "There is no space left where the cases are kept; nothing was changed.",
        hint="Make space, or delete old cases: dermaxai delete --older-than 30d.",
    )


def _read_only(place: object = None) -> StoreReadOnly:
    named = f"'{place}'" if place else "The folder of cases or its database"
    return StoreReadOnly(
        f"{named} cannot be written; nothing was changed.",
        hint="Change its rights, or use a folder that may be written (--cases).",
    )


def _busy() -> StoreUnreachable:
    return StoreUnreachable(
        "The database is held by another program for too long; nothing was changed.",
        hint="Try again in a moment.",
    )
