"""Stores on SQLite and on a real PostgreSQL, for the tests of whatever works on the store.

A folder of tests uses them by one line in its `conftest.py`:

    from tests.databases import database, postgres, sqlite_store, store  # noqa: F401
"""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest

from dermaxai.store.opening import open_store

SETTINGS = (
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "listen_addresses=",
    "max_connections=100",
)
PATIENCE = 60
"""Seconds until a server answers or ends."""


@dataclass(frozen=True)
class Database:
    """Where a test keeps its cases."""

    kind: str
    folder: Path
    url: str

    def open(self, **options):
        return open_store(self.folder, self.url, **options)


@pytest.fixture(scope="session")
def postgres():
    """Makes empty databases of a server of our own: `postgres()` is the URL of a new one."""
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    programs = find_programs()
    if programs is None:
        pytest.skip("there is no PostgreSQL (initdb) on this machine")
    home = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))
    server = None
    try:
        server = start_server(programs, home)
        wait_for(home)
        yield lambda: make_database(home)
    finally:
        if server is not None:
            stop_server(server)
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request, tmp_path):
    """A place for a store, on both databases."""
    url = request.getfixturevalue("postgres")() if request.param == "postgresql" else ""
    return Database(request.param, tmp_path / "cases", url)


@pytest.fixture
def store(database):
    """An empty store, on both databases."""
    opened = database.open()
    yield opened
    opened.close()


@pytest.fixture
def sqlite_store(tmp_path):
    """An empty store in a file."""
    opened = open_store(tmp_path / "cases")
    yield opened
    opened.close()


def find_programs():
    """The folder of `initdb` and `postgres`, the newest there is; None where there is none."""
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else []
    newest = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    folders += reversed(newest)
    return next((folder for folder in folders if (folder / "postgres").exists()), None)


def start_server(programs, home, settings=SETTINGS):
    """A server that listens at a socket in `home` only; PostgreSQL refuses to run as root."""
    owner = owner_of_server()
    data = home / "data"
    if owner:
        os.chown(home, owner["user"], owner["group"])
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": home, **owner}
    made = [
        programs / "initdb",
        "-D",
        data,
        "-U",
        "postgres",
        "-A",
        "trust",
        "-E",
        "UTF8",
        "--no-locale",
        "-N",
    ]
    subprocess.run(made, check=True, timeout=PATIENCE, **quiet)
    told = [part for setting in settings for part in ("-c", setting)]
    return subprocess.Popen([programs / "postgres", "-D", data, "-k", home, *told], **quiet)


def stop_server(server):
    """At once: what it kept is thrown away."""
    server.send_signal(signal.SIGQUIT)
    with suppress(subprocess.TimeoutExpired):
        server.wait(PATIENCE)


def owner_of_server():
    if os.getuid():
        return {}
    names = [entry.pw_name for entry in pwd.getpwall()]
    found = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
    return {"user": found.pw_uid, "group": found.pw_gid, "extra_groups": []}


def address(home, schema="public"):
    return f"postgresql://postgres@/postgres?host={home}&options=-csearch_path%3D{schema}"


def wait_for(home):
    end = time.monotonic() + PATIENCE
    while True:
        try:
            run(home, "SELECT 1")
            return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


def make_database(home):
    """A schema: for a store it is a database of its own, and made much faster."""
    name = f"store_{uuid4().hex[:12]}"
    run(home, f"CREATE SCHEMA {name}")
    return address(home, name)


def run(home, statement):
    """One statement. Raises: ConnectionError."""
    import psycopg

    try:
        with psycopg.connect(
            host=str(home), user="postgres", dbname="postgres", autocommit=True
        ) as connection:
            connection.execute(statement)
    except psycopg.OperationalError as error:
        raise ConnectionError(str(error)) from error
