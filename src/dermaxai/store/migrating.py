"""Brings the tables of a database to the version that this program knows."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, inspect, select, text
from sqlalchemy.orm import Session

from dermaxai.errors import StoreOutdated
from dermaxai.store.alone import alone_on_server, alone_with_file, alone_with_new_file
from dermaxai.store.audit import append
from dermaxai.store.names import fold_pseudonym
from dermaxai.store.tables import Reader

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "r002"
"""The newest revision in `migrations/versions`."""
VERSIONS = "alembic_version"


def check_version(engine: Engine) -> None:
    """Raises: StoreOutdated unless the tables are those of this program."""
    with engine.connect() as connection:
        found = read_version(connection)
    if found != HEAD:
        raise _outdated(found)


def check_still(connection: Connection) -> None:
    """Raises: StoreOutdated where another program has changed the tables since they were opened."""
    found = str(connection.scalar(text(f"SELECT version_num FROM {VERSIONS}")) or "")
    if found != HEAD:
        raise _outdated(found)


def bring_up_to_date(engine: Engine) -> None:
    """Make or change the tables in one transaction; nothing is done where they are as they should be.

    Raises: StoreOutdated for tables of a newer program, or of none that is known; StoreUnreachable where a
    program, perhaps of the older version, works with an older file.
    """
    with engine.connect() as connection:
        found = read_version(connection)
    if found == HEAD:
        return
    _check_known(found)
    with _alone(engine, found) as connection:
        found = read_version(connection)
        if found != HEAD:
            _upgrade(connection, found)
            _tell(connection, found)


def read_version(connection: Connection) -> str:
    """The revision of the tables; '' where there are none. Raises: StoreOutdated for tables without one."""
    tables = inspect(connection).get_table_names()
    if VERSIONS in tables:
        return str(connection.execute(text(f"SELECT version_num FROM {VERSIONS}")).scalar() or "")
    if "events" in tables or "cases" in tables:
        raise _outdated("none")
    return ""


def migration_config() -> Config:
    """Where Alembic finds the migrations."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "dermaxai:store/migrations")
    config.set_main_option("path_separator", "os")
    return config


def _alone(engine: Engine, found: str) -> AbstractContextManager[Connection]:
    if engine.dialect.name == "postgresql":
        return alone_on_server(engine)
    return alone_with_file(engine, found) if found else alone_with_new_file(engine)


def _check_known(found: str) -> None:
    """Raises: StoreOutdated."""
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory.from_config(migration_config())
    if found and found not in {script.revision for script in scripts.walk_revisions()}:
        raise _outdated(found)


def _upgrade(connection: Connection, found: str) -> None:
    """Raises: StoreOutdated."""
    from alembic import command

    _check_known(found)
    config = migration_config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _tell(connection: Connection, found: str) -> None:
    """The audit trail hears of an upgrade, and of readers who would be one today."""
    if not found:
        return
    with Session(connection) as session:
        append(session, "system", "store.upgraded", "store", before=found, after=HEAD)
        for reader in session.scalars(select(Reader).order_by(Reader.id)):
            if reader.folded != fold_pseudonym(reader.pseudonym):
                append(session, "system", "reader.alike", reader.pseudonym, folded=reader.folded)
        session.commit()


def _outdated(found: str) -> StoreOutdated:
    if not found:
        return StoreOutdated(
            "The database has no tables of DermaXAI.", hint="Start the server once: it makes them."
        )
    if found < HEAD:
        return StoreOutdated(
            f"The database is of an earlier version ({found}, this program needs {HEAD}).",
            hint="Start the server once with the right to write: it brings the tables up to date.",
        )
    return StoreOutdated(
        f"The database is of another version of DermaXAI ({found}; this one knows {HEAD}).",
        hint="Update DermaXAI, or name another folder (--cases) or database (--store).",
    )
