"""Opens the store: a database by its URL, and the folder of cases."""

from __future__ import annotations

import errno
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, final

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError
from sqlalchemy.orm import Session
from sqlalchemy.pool import QueuePool

from dermaxai.errors import MissingExtra, SettingError, StoreUnreachable
from dermaxai.store.alone import WRITES, is_held
from dermaxai.store.faults import telling_faults
from dermaxai.store.migrating import bring_up_to_date, check_still, check_version
from dermaxai.store.tidying import tidy

FILE = "dermaxai.sqlite"
"""The database inside the folder of cases, where no URL is given."""

WAIT = 15
"""Seconds that a writer waits for another."""
HELD = 0.05
"""Seconds between two looks whether another program has let go of the file."""
CONNECT = 5
"""Seconds until a server that does not answer counts as lost."""


@final
class Store:
    """Cases, readers, feedback, jobs and events: one database and one folder."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine = engine
        self.folder = folder
        self._writing = engine.execution_options(**{WRITES: True})
        self._reading = engine
        if engine.dialect.name == "postgresql":
            self._reading = engine.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )

    @property
    def is_sqlite(self) -> bool:
        """Whether the database is one file."""
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session that only reads, and sees one moment of the store. Raises: StoreError."""
        with telling_faults(), Session(self._reading, expire_on_commit=False, info=self._info()) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A session that holds the write lock from its beginning and commits at its end, or not at all.

        One writer at a time, in both databases: what it reads stays true until it ends.
        Raises: StoreError.
        """
        with (
            telling_faults(),
            Session(self._writing, expire_on_commit=False, info=self._info()) as session,
            session.begin(),
        ):
            connection = session.connection()
            if not self.is_sqlite:
                connection.execute(text("SELECT seq FROM chain FOR UPDATE"))
            check_still(connection)
            yield session

    def _info(self) -> dict[str, Any]:
        return {"folder": self.folder}

    def close(self) -> None:
        """Let go of every connection."""
        self.engine.dispose()


def open_store(folder: Path | str, url: str = "", *, readonly: bool = False) -> Store:
    """The store of a folder of cases; both are made where they are missing, and brought up to date.

    With `readonly` nothing is made and nothing changed, and a store of an older version is refused.

    Raises: StoreError and its kinds; SettingError for a URL of another kind of database; MissingExtra for
    PostgreSQL without psycopg.
    """
    home = Path(folder)
    with telling_faults():
        if not readonly:
            home.mkdir(parents=True, exist_ok=True)
        store = Store(_engine_for(_address(home, url), readonly=readonly), home)
        try:
            _prepare(store, readonly=readonly)
        except BaseException:
            store.close()
            raise
    return store


def _prepare(store: Store, *, readonly: bool) -> None:
    if readonly:
        check_version(store.engine)
    else:
        bring_up_to_date(store.engine)
        tidy(store)


def _address(home: Path, url: str) -> URL:
    """The URL of the database with its driver. Raises: SettingError, MissingExtra."""
    if not url:
        return URL.create("sqlite", database=str((home / FILE).absolute()))
    try:
        address = make_url(url)
    except ArgumentError:
        raise SettingError(
            "The address of the database is no URL.",
            hint="For example postgresql://dermaxai@localhost/dermaxai, or sqlite:////data/dermaxai.sqlite.",
        ) from None
    kind = address.drivername.partition("+")[0]
    if kind == "sqlite" and address.database not in (None, "", ":memory:"):
        return address.set(drivername="sqlite")
    if kind not in ("postgresql", "postgres"):
        raise SettingError(
            f"'{address.render_as_string(hide_password=True)}' is no database that the store can use.",
            hint="SQLite in a file and PostgreSQL are known.",
        )
    if find_spec("psycopg") is None:
        raise MissingExtra(
            "PostgreSQL needs the package psycopg.", hint="Install it: pip install 'dermaxai[postgres]'"
        )
    return address.set(drivername="postgresql+psycopg")


def _engine_for(address: URL, *, readonly: bool) -> Engine:
    if address.drivername == "sqlite":
        return _sqlite_engine(Path(str(address.database)), readonly=readonly)
    return _postgres_engine(address, readonly=readonly)


def _postgres_engine(address: URL, *, readonly: bool) -> Engine:
    """What the address itself says of options and time limits stays."""
    given = address.query.get("options", ())
    options = [f"-c lock_timeout={WAIT}s", *([given] if isinstance(given, str) else given)]
    limit = {} if "connect_timeout" in address.query else {"connect_timeout": CONNECT}
    engine = create_engine(
        address,
        hide_parameters=True,
        pool_pre_ping=True,
        pool_size=8,
        max_overflow=24,
        connect_args={"options": " ".join(options), **limit},
    )
    return engine.execution_options(postgresql_readonly=True) if readonly else engine


def _sqlite_engine(file: Path, *, readonly: bool) -> Engine:
    """Raises: StoreUnreachable where `readonly` finds no database; StoreReadOnly."""
    if readonly and not file.is_file():
        raise StoreUnreachable(f"There is no database '{file}'.", hint="Start the server once to make it.")
    for place in () if readonly else (file.parent, file):
        if place.exists() and not os.access(place, os.W_OK):
            raise OSError(errno.EROFS, "read-only", str(place))

    def connect() -> sqlite3.Connection:
        return _connected_readonly(file) if readonly else _prepared(_connected(str(file)))

    pool: dict[str, Any] = {"poolclass": QueuePool, "pool_size": 16, "max_overflow": 64}
    engine = create_engine("sqlite://", creator=connect, hide_parameters=True, **pool)
    event.listen(engine, "begin", _begin)
    return engine


def _begin(connection: Connection) -> None:
    """A writer takes the lock at once: one that took it later could fail after having read."""
    writes = connection.get_execution_options().get(WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _connected(name: str, *, uri: bool = False) -> sqlite3.Connection:
    return sqlite3.connect(name, timeout=WAIT, isolation_level=None, check_same_thread=False, uri=uri)


def _prepared(connection: sqlite3.Connection) -> sqlite3.Connection:
    """Keys that hold, deleted text that is gone, and nothing lost when the power is."""
    _begin_log(connection)
    for pragma in ("synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def _begin_log(connection: sqlite3.Connection) -> None:
    """SQLite itself does not wait here while another program changes the tables."""
    end = time.monotonic() + WAIT
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if not is_held(error) or time.monotonic() > end:
                connection.close()
                raise
        time.sleep(HELD)


def _connected_readonly(file: Path) -> sqlite3.Connection:
    """Where not even the index of the log can be made beside the file, the file alone is read."""
    address = file.absolute().as_uri()
    connection = _connected(f"{address}?mode=rw", uri=True)
    try:
        connection.execute("PRAGMA query_only=ON")
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:
        connection.close()
        connection = _connected(f"{address}?immutable=1", uri=True)
    return connection
