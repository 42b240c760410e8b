import errno
import resource
import shutil
import subprocess
import sys
from contextlib import contextmanager

import pytest
from sqlalchemy import event, func, select, text
from sqlalchemy.exc import IntegrityError

from dermaxai.errors import StoreFull, StoreReadOnly, StoreUnreachable
from dermaxai.store import audit
from dermaxai.store.faults import telling_faults
from dermaxai.store.opening import open_store
from dermaxai.store.shelf import Shelf
from dermaxai.store.tables import CaseRow, Event, now
from tests.sample_case import draw_photo

SMALL_DISK = """
import sys
from pathlib import Path
from dermaxai.errors import NotFound, StoreFull
from dermaxai.store import audit
from dermaxai.store.cases import add_waiting
from dermaxai.store.deleting import delete_case
from dermaxai.store.opening import open_store
from dermaxai.store.shelf import Shelf
from dermaxai.types import SkinImage
import numpy as np

image = SkinImage(np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8), "ab" * 32)
store = open_store(sys.argv[1])
shelf, kept = Shelf(store.folder), []

def bring(name):
    shelf.keep_upload(name, image)
    with store.write() as session:
        row = add_waiting(session, name, image, name="photo.jpg", owner="anna")
        audit.append(session, "anna", "case.received", name)
    shelf.thumb(row)
    kept.append(name)

def append(number):
    with store.write() as session:
        for place in range(number):
            audit.append(session, "anna", "case.changed", "x" * 100, note="y" * 200, place=place)

full = 0
for number in range(100):
    try:
        bring(f"case-{number}")
    except StoreFull as error:
        full += 1
        break
for number in (200, 50, 10, 1):
    try:
        for _ in range(100):
            append(number)
    except StoreFull:
        full += 1
print("full", full)
print("leftovers", [entry.name for entry in store.folder.glob(".waiting/.*")])
with store.read() as session:
    found = audit.verify(session)
print("faults", found.faults, len(kept) > 3)
delete_case(store, kept[0], actor="anna")
delete_case(store, kept[1], actor="anna")
bring("again")
print("files", {entry.name for entry in (store.folder / ".waiting").iterdir()} == set(kept[2:]))
with store.read() as session:
    print("intact", audit.verify(session).intact)
store.close()
"""
READ_ONLY = """
import sys
from dermaxai.errors import DermaXAIError
from dermaxai.store import audit
from dermaxai.store.opening import open_store

for place in sys.argv[1:]:
    try:
        open_store(place).close()
    except DermaXAIError as error:
        print(type(error).__name__, error.message)
store = open_store(sys.argv[1], readonly=True)
with store.read() as session:
    print(audit.verify(session).count)
store.close()
"""


def in_own_mounts(script, code, *arguments):
    """Run a mount and then Python where nobody else sees the mount; skipped where that is not allowed."""
    if (
        shutil.which("unshare") is None
        or subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode
    ):
        pytest.skip("only root can mount a small or read-only disk")
    command = ["unshare", "-m", "sh", "-ec", f'{script}; exec "$@"', "sh", sys.executable, "-c", code]
    done = subprocess.run([*command, *map(str, arguments)], capture_output=True, text=True)
    if "mount:" in done.stderr:
        pytest.skip("mounting is not allowed here")
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def note(store, text_="case", **detail):
    with store.write() as session:
        audit.append(session, "anna", "case.made", text_, **detail)


def count(store):
    with store.read() as session:
        return session.scalar(select(func.count()).select_from(Event))


@contextmanager
def only_pages(store, more):
    """The database may grow by a few pages only, as on a full disk."""

    def limit(connection, _record):
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count={pages + more}")

    store.engine.dispose()
    event.listen(store.engine, "connect", limit)
    yield
    event.remove(store.engine, "connect", limit)
    store.engine.dispose()


def test_a_full_database_is_told_and_left_as_it_was(sqlite_store):
    note(sqlite_store)
    with only_pages(sqlite_store, 2):
        done = fill(sqlite_store)
        assert 0 < done < 400
        assert count(sqlite_store) == 1 + done
    note(sqlite_store)
    with sqlite_store.read() as session:
        found = audit.verify(session)
    assert (found.count, found.faults) == (2 + done, ())


def fill(store):
    """How many events fit."""
    for done in range(400):
        try:
            note(store, "x" * 100, note="y" * 200)
        except StoreFull:
            return done
    return 400


def test_a_small_disk(tmp_path):
    """Full in the middle of photos and of events: told, nothing half-written, and deleting makes room."""
    place = tmp_path / "disk"
    place.mkdir()
    told = in_own_mounts(f"mount -t tmpfs -o size=3m tmpfs '{place}'", SMALL_DISK, place)
    assert told == ["full 5", "leftovers []", "faults () True", "files True", "intact True"]


def test_a_read_only_folder(tmp_path, sqlite_store):
    note(sqlite_store)
    sqlite_store.close()
    empty = tmp_path / "empty"
    empty.mkdir()
    script = "; ".join(
        f"mount --bind '{place}' '{place}' && mount -o remount,ro,bind '{place}'"
        for place in (sqlite_store.folder, empty)
    )
    told = in_own_mounts(script, READ_ONLY, sqlite_store.folder, empty)
    assert [line.split()[0] for line in told] == ["StoreReadOnly", "StoreReadOnly", "1"]
    assert all("cannot be written" in line for line in told[:2])


def test_a_file_that_does_not_fit_leaves_nothing(sqlite_store):
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    shelf = Shelf(sqlite_store.folder)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, usual[1]))
    try:
        with pytest.raises(StoreFull):
            shelf.keep_upload("case", draw_photo())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
    assert list((sqlite_store.folder / ".waiting").iterdir()) == []


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, StoreFull),
        (errno.EDQUOT, StoreFull),
        (errno.EROFS, StoreReadOnly),
        (errno.EACCES, StoreReadOnly),
        (errno.ENOENT, FileNotFoundError),
    ],
)
def test_errors_of_the_disk(number, kind):
    with pytest.raises(kind), telling_faults():
        raise OSError(number, "as the system says", "place")


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        ("53100", StoreFull),
        ("25006", StoreReadOnly),
        ("42501", StoreReadOnly),
        ("55P03", StoreUnreachable),
        ("57P01", StoreUnreachable),
    ],
)
def test_errors_of_postgres(postgres, tmp_path, state, kind):
    store = open_store(tmp_path, postgres())
    statement = f"DO $$ BEGIN RAISE EXCEPTION 'told' USING ERRCODE = '{state}'; END $$"
    with pytest.raises(kind), store.write() as session:
        session.execute(text(statement))
    store.close()


def test_a_lost_connection_is_told_and_made_again(postgres, tmp_path):
    store = open_store(tmp_path, postgres())
    with pytest.raises(StoreUnreachable, match="does not answer"), store.write() as session:
        session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
    note(store)
    assert count(store) == 1
    store.close()


def test_other_errors_pass(store):
    row = {"id": "one", "folder": "one", "sha256": "", "created": now(), "changed": now(), "facts": {}}
    with store.write() as session:
        session.add(CaseRow(**row))
    with pytest.raises(IntegrityError), store.write() as session:
        session.add(CaseRow(**row))
