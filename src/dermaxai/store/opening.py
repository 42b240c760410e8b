"""Opens the store: a database by its URL, and the folder of cases."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, final

from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.orm import Session

from dermaxai.store.tables import Base

FILE = "dermaxai.sqlite"
"""The database inside the folder of cases, where no URL is given."""


@final
class Store:
    """Cases, readers, feedback, jobs and events: one database and one folder."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine = engine
        self.folder = folder

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session that only reads. Raises: StoreError."""
        with Session(self.engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A session that holds the write lock from its beginning and commits at its end, or not at all.

        Raises: StoreError.
        """
        with Session(self.engine, expire_on_commit=False) as session, session.begin():
            if self.engine.dialect.name == "sqlite":
                session.execute(text("BEGIN IMMEDIATE"))
            yield session

    def close(self) -> None:
        """Let go of every connection."""
        self.engine.dispose()


def open_store(folder: Path | str, url: str = "") -> Store:
    """The store of a folder of cases; both are made where they are missing. Raises: StoreError."""
    home = Path(folder)
    home.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url or f"sqlite:///{home / FILE}")
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare)
    Base.metadata.create_all(engine)
    return Store(engine, home)


def _prepare(connection: Any, _record: object) -> None:  # noqa: ANN401 - of whatever driver
    """One writer beside many readers, keys that hold, and deleted text that is gone."""
    connection.isolation_level = None
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "busy_timeout=15000",
        "secure_delete=ON",
    ):
        connection.execute(f"PRAGMA {pragma}")
