"""Brings the tables of a database to the version that this program knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, inspect, text

from dermaxai.errors import StoreOutdated

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "r001"
"""The newest revision in `migrations/versions`."""
VERSIONS = "alembic_version"
LOCK = 0x6465726D
"""Number of the advisory lock under which one program at a time changes the tables of PostgreSQL."""


def check_version(engine: Engine) -> None:
    """Raises: StoreOutdated unless the tables are those of this program."""
    with engine.connect() as connection:
        found = read_version(connection)
    if found != HEAD:
        raise _outdated(found)


def bring_up_to_date(engine: Engine) -> None:
    """Make or change the tables in one transaction; nothing is done where they are as they should be.

    Raises: StoreOutdated for tables of a newer program, or of none that is known.
    """
    with engine.connect() as connection:
        if read_version(connection) == HEAD:
            return
    with engine.execution_options(dermaxai_writes=True).begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        found = read_version(connection)
        if found != HEAD:
            _upgrade(connection, found)


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


def _upgrade(connection: Connection, found: str) -> None:
    from alembic import command
    from alembic.script import ScriptDirectory

    config = migration_config()
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if found and found not in known:
        raise _outdated(found)
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


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
