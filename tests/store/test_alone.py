import os
import subprocess
import sys
from contextlib import closing

import pytest
from sqlalchemy import text

from dermaxai.errors import StoreFull, StoreUnreachable
from dermaxai.store import alone, migrating
from dermaxai.store.cases import add_waiting
from dermaxai.store.deleting import delete_case
from tests.databases import Database
from tests.sample_case import make_case
from tests.store.earlier import dump, make_first, open_as_it_is

COPY = "dermaxai.sqlite.r001"
KILLED = """
import os, sys
from dermaxai.store import migrating, opening
migrating._tell = lambda connection, found: os._exit(9)
opening.open_store(sys.argv[1])
"""


@pytest.fixture
def first(tmp_path):
    """A store of the first version, in a file."""
    database = Database("sqlite", tmp_path / "cases", "")
    make_first(database)
    return database


def test_while_another_program_has_the_file_open_nothing_is_changed(first, monkeypatch):
    monkeypatch.setattr(alone, "PATIENCE", 0)
    with closing(open_as_it_is(first)) as running:
        with running.engine.connect() as connection:
            connection.execute(text("SELECT count(*) FROM readers"))
        with pytest.raises(StoreUnreachable, match="another program") as caught:
            first.open()
        assert "Stop every server" in caught.value.hint
        with running.engine.begin() as connection:
            connection.execute(text("UPDATE readers SET role = 'admin'"))
            assert migrating.read_version(connection) == "r001"
    assert not (first.folder / COPY).exists()
    first.open().close()
    assert {row["role"] for row in dump(first)["readers"]} == {"admin"}


def test_who_comes_after_the_change_need_not_be_alone(first, monkeypatch):
    """Another program was faster, and goes on to use the file."""
    monkeypatch.setattr(alone, "PATIENCE", 0)
    with (
        closing(open_as_it_is(first)) as late,
        closing(first.open()) as other,
        other.engine.connect() as using,
    ):
        assert migrating.read_version(using) == migrating.HEAD
        with alone.alone_with_file(late.engine, "r001") as connection:
            assert migrating.read_version(connection) == migrating.HEAD


def test_the_file_as_it_was_lies_beside_it(first):
    before = dump(first)
    os.chmod(first.folder / "dermaxai.sqlite", 0o600)
    first.open().close()
    copy = first.folder / COPY
    assert copy.stat().st_mode & 0o777 == 0o600
    copied = Database("sqlite", first.folder, f"sqlite:///{copy}")
    assert dump(copied) == before
    with closing(open_as_it_is(copied)) as store, store.engine.connect() as connection:
        assert migrating.read_version(connection) == "r001"


def test_a_copy_that_is_being_written_is_for_nobody_else(first, monkeypatch):
    modes, chmod = [], os.chmod

    def look(path, mode):
        modes.append(path.stat().st_mode & 0o777)
        chmod(path, mode)

    monkeypatch.setattr(alone.os, "chmod", look)
    first.open().close()
    assert modes == [0o600]


def test_a_new_store_has_no_copy(tmp_path):
    Database("sqlite", tmp_path, "").open().close()
    assert [file.name for file in tmp_path.glob("dermaxai.sqlite.*")] == []


def test_without_room_for_the_copy_nothing_is_changed(first, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(alone.os, "replace", full)
    before = dump(first)
    with pytest.raises(StoreFull):
        first.open()
    monkeypatch.undo()
    assert dump(first) == before
    assert [file.name for file in first.folder.iterdir() if "dermaxai" in file.name] == ["dermaxai.sqlite"]


def test_the_copy_goes_with_the_first_case_that_is_deleted(first):
    with closing(first.open()) as store:
        with store.write() as session:
            add_waiting(session, "other", make_case().image, name="", owner="")
        assert (first.folder / COPY).exists()
        delete_case(store, "other", actor="anna")
        assert not (first.folder / COPY).exists()


def test_killed_in_the_middle_of_an_upgrade(first):
    before = dump(first)
    ended = subprocess.run([sys.executable, "-c", KILLED, first.folder], check=False)
    assert ended.returncode == 9
    assert dump(first) == before
    first.open().close()
    assert [row["pseudonym"] for row in dump(first)["readers"]] == [
        row["pseudonym"] for row in before["readers"]
    ]


def test_what_belongs_to_nothing_stops_an_upgrade(first):
    with closing(open_as_it_is(first)) as store, store.engine.connect() as connection:
        raw = connection.connection.driver_connection
        raw.execute("PRAGMA foreign_keys=OFF")
        raw.execute("UPDATE feedback SET reader_id = 77 WHERE reader_id = 1")
        raw.execute("PRAGMA foreign_keys=ON")
    before = dump(first)
    with pytest.raises(Exception, match="belongs to nothing"):
        first.open()
    assert dump(first) == before


@pytest.mark.parametrize("name", ["dermaxai.sqlite", "odd [1].sqlite"])
def test_copies_are_those_of_one_database(tmp_path, name):
    for other in (name, f"{name}.r001", f"{name}.r002", f"{name}-wal", "x.sqlite.r001", f"{name}.backup"):
        (tmp_path / other).touch()
    assert [copy.name for copy in alone.copies_of(tmp_path / name)] == [f"{name}.r001", f"{name}.r002"]
