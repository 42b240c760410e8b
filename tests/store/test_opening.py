import subprocess
import sys
import threading
from contextlib import nullcontext

import pytest
from sqlalchemy import func, inspect, select, text

from dermaxai.errors import (
    MissingExtra,
    SettingError,
    StoreError,
    StoreOutdated,
    StoreReadOnly,
    StoreUnreachable,
)
from dermaxai.store import audit, opening
from dermaxai.store.opening import FILE, open_store
from dermaxai.store.tables import Event, Reader, now

OPENING = (
    "import sys; from dermaxai.store.opening import open_store; open_store(sys.argv[1], sys.argv[2]).close()"
)


def note(store, subject="case"):
    with store.write() as session:
        return audit.append(session, "anna", "case.made", subject)


def count(store):
    with store.read() as session:
        return session.scalar(select(func.count()).select_from(Event))


def test_a_new_store_has_all_tables(store):
    there = set(inspect(store.engine).get_table_names())
    assert {"readers", "tokens", "sessions", "cases", "maps", "readings", "feedback", "jobs"} <= there
    assert {"events", "chain", "alembic_version"} <= there


def test_a_store_is_found_again(database):
    first = database.open()
    note(first)
    first.close()
    again = database.open()
    assert count(again) == 1
    again.close()


def test_the_database_lies_in_the_folder_of_cases(sqlite_store):
    assert (sqlite_store.folder / FILE).is_file()


def test_sqlite_is_told_how_to_keep_what_it_is_given(sqlite_store):
    wanted = {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "secure_delete": 1,
        "busy_timeout": 15000,
    }
    with sqlite_store.engine.connect() as connection:
        found = {name: connection.execute(text(f"PRAGMA {name}")).scalar() for name in wanted}
    assert found == wanted


def _add_and_fail(session):
    session.add(Reader(pseudonym="anna", role="reader", created=now()))
    session.flush()
    raise ZeroDivisionError


def test_what_fails_changes_nothing(store):
    with pytest.raises(ZeroDivisionError), store.write() as session:
        _add_and_fail(session)
    with store.read() as session:
        assert session.scalars(select(Reader)).all() == []


def test_what_is_written_in_a_session_that_reads_is_not_kept(store):
    refuses = nullcontext() if store.is_sqlite else pytest.raises(StoreReadOnly)
    with refuses, store.read() as session:
        session.add(Reader(pseudonym="anna", role="reader", created=now()))
        session.flush()
    with store.read() as session:
        assert session.scalars(select(Reader)).all() == []


def test_a_session_that_reads_sees_one_moment(store):
    with store.read() as session:
        before = session.scalar(select(func.count()).select_from(Event))
        note(store)
        after = session.scalar(select(func.count()).select_from(Event))
    assert (before, after, count(store)) == (0, 0, 1)


def test_one_writer_at_a_time(store):
    order = []
    inside, done = threading.Event(), threading.Event()

    def second():
        inside.wait(30)
        with store.write():
            order.append("second")
        done.set()

    other = threading.Thread(target=second)
    other.start()
    with store.write() as session:
        audit.append(session, "anna", "case.made", "case")
        inside.set()
        assert not done.wait(0.3)
        order.append("first")
    other.join(30)
    assert order == ["first", "second"]


def test_who_waits_too_long_for_the_other_writer_is_told(database, monkeypatch):
    monkeypatch.setattr(opening, "WAIT", 0.2 if database.kind == "sqlite" else 1)
    store = database.open()
    with store.write(), pytest.raises(StoreUnreachable, match="held by another program"), store.write():
        pass
    note(store)
    assert count(store) == 1
    store.close()


def test_many_programs_make_one_store(database):
    command = [sys.executable, "-c", OPENING, str(database.folder), database.url]
    running = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(4)]
    ends = [process.communicate(timeout=120)[1].decode() for process in running]
    assert ends == [""] * 4
    store = database.open()
    assert count(store) == 0
    store.close()


def test_a_store_that_is_only_read(database):
    first = database.open()
    note(first)
    first.close()
    there = sorted(path.name for path in database.folder.iterdir())
    store = database.open(readonly=True)
    assert count(store) == 1
    with pytest.raises(StoreReadOnly):
        note(store)
    store.close()
    assert sorted(path.name for path in database.folder.iterdir()) == there


def test_reading_makes_no_store(tmp_path):
    with pytest.raises(StoreUnreachable, match="There is no database"):
        open_store(tmp_path / "none", readonly=True)
    assert not (tmp_path / "none").exists()


def test_reading_makes_no_tables(postgres, tmp_path):
    with pytest.raises(StoreOutdated, match="no tables"):
        open_store(tmp_path, postgres(), readonly=True)


def test_a_database_may_lie_elsewhere(tmp_path):
    store = open_store(tmp_path / "cases", f"sqlite:///{tmp_path / 'elsewhere.sqlite'}")
    note(store)
    store.close()
    assert (tmp_path / "elsewhere.sqlite").is_file()
    assert not (tmp_path / "cases" / FILE).exists()


@pytest.mark.parametrize(
    "url", ["mysql://root@localhost/cases", "sqlite://", "sqlite:///:memory:", "no address", "oracle://x"]
)
def test_other_databases_are_refused(tmp_path, url):
    with pytest.raises(SettingError):
        open_store(tmp_path, url)


def test_a_refused_address_does_not_tell_its_password(tmp_path):
    with pytest.raises(SettingError) as caught:
        open_store(tmp_path, "mysql://root:secret@localhost/cases")
    assert "secret" not in str(caught.value)


def test_postgres_without_its_package_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(opening, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"dermaxai\[postgres\]"):
        open_store(tmp_path, "postgresql://localhost/cases")


def test_a_server_that_is_not_there_is_told_without_the_password(tmp_path):
    pytest.importorskip("psycopg")
    with pytest.raises(StoreUnreachable, match="does not answer") as caught:
        open_store(tmp_path, f"postgresql://anna:secret@/cases?host={tmp_path}")
    assert "secret" not in str(caught.value)


def test_a_database_that_does_not_exist_is_told(tmp_path, postgres):
    with pytest.raises(StoreUnreachable, match="does not exist"):
        open_store(tmp_path, postgres().replace("/postgres?", "/nowhere?"))


@pytest.mark.parametrize(
    "content", [b"this is no database, however long it may be" * 100, b"SQLite format 3\0" + bytes(9000)]
)
def test_a_file_that_is_no_database_is_told(tmp_path, content):
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(StoreError, match="damaged"):
        open_store(tmp_path)
    assert (tmp_path / FILE).read_bytes() == content


def test_a_damaged_page_is_told(tmp_path):
    store = open_store(tmp_path)
    for number in range(300):
        note(store, f"case-{number}")
    store.close()
    with (tmp_path / FILE).open("r+b") as file:
        file.seek(4096 * 3)
        file.write(b"\xff" * 4096 * 40)
    with pytest.raises(StoreError, match="damaged"):
        with_everything_read(tmp_path)


def with_everything_read(folder):
    store = open_store(folder)
    try:
        with store.read() as session:
            audit.verify(session)
            session.scalars(select(Reader)).all()
    finally:
        store.close()


def test_opening_an_existing_store_loads_no_migrations(tmp_path):
    open_store(tmp_path).close()
    code = (
        f"{OPENING}; print(*[name for name in ('alembic', 'torch', 'numpy', 'PIL') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path), ""], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []
