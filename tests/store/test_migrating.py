from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import insert, inspect, select, text, update
from sqlalchemy.exc import IntegrityError

from dermaxai.errors import Conflict, StoreOutdated
from dermaxai.store import audit, migrating, readers
from dermaxai.store.opening import open_store
from dermaxai.store.tables import Base, CaseRow, Event, Job, Reader, now
from tests.store.earlier import alone, dump, make_first, open_as_it_is


def version(store):
    with store.engine.connect() as connection:
        return migrating.read_version(connection)


def mark(database, revision):
    """The database says that it is of another version."""
    store = database.open()
    with store.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :one"), {"one": revision})
    store.close()


def test_migrations_make_the_tables_that_the_program_knows(store):
    with store.engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        assert compare_metadata(context, Base.metadata) == []


def test_keys_between_tables_are_the_same_in_the_database(store):
    """Alembic does not compare what happens on deletion."""
    found = inspect(store.engine)
    for table in Base.metadata.sorted_tables:
        wanted = {
            (key.parent.name, key.column.table.name, key.ondelete or "NO ACTION")
            for key in table.foreign_keys
        }
        made = {
            (
                key["constrained_columns"][0],
                key["referred_table"],
                key["options"].get("ondelete") or "NO ACTION",
            )
            for key in found.get_foreign_keys(table.name)
        }
        assert made == wanted, table.name


def test_the_head_is_the_newest_migration(store):
    scripts = ScriptDirectory.from_config(migrating.migration_config())
    assert scripts.get_heads() == [migrating.HEAD]
    assert version(store) == migrating.HEAD


def test_revisions_have_an_order(store):
    """By which the program knows whether a database is older or newer than itself."""
    scripts = ScriptDirectory.from_config(migrating.migration_config())
    names = [script.revision for script in scripts.walk_revisions()][::-1]
    assert names == sorted(names)


def test_a_newer_store_is_refused_and_left_as_it_is(database):
    mark(database, "r999")
    with pytest.raises(StoreOutdated, match="r999") as caught:
        database.open()
    assert "Update DermaXAI" in caught.value.hint
    mark_is_left(database)


def test_a_program_whose_tables_were_changed_by_another_writes_no_more(database):
    """A server goes on running while its store is brought to a newer version."""
    with closing(database.open()) as running:
        mark(database, "r999")
        with pytest.raises(StoreOutdated, match="r999"), running.write() as session:
            session.add(Reader(pseudonym="anna", role="reader", created=now()))
        with running.read() as session:
            assert session.scalars(select(Reader)).all() == []


def mark_is_left(database):
    with pytest.raises(StoreOutdated, match="r999"):
        database.open(readonly=True)


def test_an_older_store_is_brought_up_to_date_only_by_who_may_write(database):
    make_first(database)
    with pytest.raises(StoreOutdated, match="earlier version") as caught:
        database.open(readonly=True)
    assert "right to write" in caught.value.hint
    with pytest.raises(StoreOutdated):
        database.open(readonly=True)
    database.open().close()
    with closing(database.open(readonly=True)) as store:
        assert version(store) == migrating.HEAD


def test_tables_of_another_program_are_left_alone(tmp_path):
    import sqlite3

    file = tmp_path / "dermaxai.sqlite"
    connection = sqlite3.connect(file)
    connection.execute("CREATE TABLE cases (number INTEGER)")
    connection.close()
    with pytest.raises(StoreOutdated):
        open_store(tmp_path)
    connection = sqlite3.connect(file)
    assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("cases",)]
    connection.close()


def test_a_migration_that_fails_leaves_nothing(database, monkeypatch):
    upgrade = command.upgrade

    def fail(config, revision):
        upgrade(config, revision)
        raise ZeroDivisionError

    monkeypatch.setattr(command, "upgrade", fail)
    with pytest.raises(ZeroDivisionError):
        database.open()
    monkeypatch.undo()
    store = database.open()
    assert version(store) == migrating.HEAD
    store.close()


def test_numbers_are_not_given_again(store):
    """The audit trail goes on speaking of a job that was deleted."""
    with store.write() as session:
        session.add(CaseRow(id="one", folder="one", sha256="", created=now(), changed=now(), facts={}))
        session.flush()
        job = {
            "kind": "explain",
            "case_id": "one",
            "owner": "anna",
            "request": {},
            "stages": [],
            "created": now(),
        }
        first = session.scalar(insert(Job).returning(Job.id), job)
        session.execute(text("DELETE FROM jobs"))
        assert session.scalar(insert(Job).returning(Job.id), job) == first + 1


def test_what_belongs_to_a_case_goes_with_it(store):
    with store.write() as session:
        session.add(CaseRow(id="one", folder="one", sha256="", created=now(), changed=now(), facts={}))
        session.flush()
        session.add(Job(kind="explain", case_id="one", owner="anna", request={}, stages=[], created=now()))
        session.flush()
        session.execute(text("DELETE FROM cases"))
        assert session.scalars(select(Job)).all() == []


def test_a_time_comes_back_to_the_microsecond(store):
    moment = now()
    with store.write() as session:
        session.add(Reader(pseudonym="anna", role="reader", created=moment))
    with store.read() as session:
        assert session.scalar(select(Reader.created)) == moment
    with pytest.raises(Exception, match="without zone"), store.write() as session:
        session.execute(update(Reader).values(created=moment.replace(tzinfo=None)))


def test_everything_of_the_first_version_is_kept(database):
    make_first(database)
    before = dump(database)
    database.open().close()
    after = dump(database)
    for row in after["readers"]:
        row.pop("folded")
    for table in ("cases", "events", "chain"):
        before.pop(table), after.pop(table)
    assert after == before
    assert all(before[table] for table in ("readers", "tokens", "sessions", "readings", "feedback", "jobs"))


def test_spellings_that_were_readers_of_their_own_stay_apart_and_are_told(database):
    make_first(database)
    with closing(database.open()) as store, store.read() as session:
        found = {row.pseudonym: row.folded for row in session.scalars(select(Reader))}
        told = session.scalars(select(Event).where(Event.action == "reader.alike")).all()
        assert found == {
            "Reader-1": "reader-1",
            "reader-1": "reader-1#2",
            "anna": "anna",
            "reader\u20111": "reader-1#4",
        }
        assert [(event.subject, event.detail) for event in told] == [
            ("reader-1", '{"folded":"reader-1#2"}'),
            ("reader\u20111", '{"folded":"reader-1#4"}'),
        ]
        (group,) = readers.alike(session.scalars(select(Reader)))
        assert group == ["Reader-1", "reader-1", "reader\u20111"]
        assert readers.find_reader(session, "reader-1").id == 2
        assert readers.find_reader(session, "ANNA").pseudonym == "anna"
        with pytest.raises(Conflict, match="'Reader-1', 'reader-1'"):
            readers.find_reader(session, "READER-1")


def test_the_audit_trail_goes_on_behind_an_upgrade(database):
    make_first(database)
    with closing(open_as_it_is(database)) as store, store.read() as session:
        before = audit.verify(session)
    with closing(database.open()) as store:
        with store.read() as session:
            after = audit.verify(session)
            assert audit.find_head(session, before.head) == before.count
            event = session.get(Event, before.count + 1)
        assert (event.actor, event.action, event.detail) == (
            "system",
            "store.upgraded",
            '{"after":"r002","before":"r001"}',
        )
        assert after.intact
        assert after.count == before.count + 3
        with pytest.raises(Exception, match=r"never changed|only ever added"), store.write() as session:
            session.execute(update(Event).values(actor="nobody"))


def test_a_new_store_tells_of_no_upgrade(store):
    with store.read() as session:
        assert session.scalars(select(Event)).all() == []


def test_a_photo_whose_job_was_cancelled_is_stopped(database):
    make_first(database)
    database.open().close()
    states = {row["id"]: row["state"] for row in dump(database)["cases"]}
    assert states == {"ready": "ready", "failed": "failed", "cancelled": "stopped", "again": "failed"}


def test_a_number_of_a_reader_is_not_given_again_behind_an_upgrade(database):
    make_first(database)
    with closing(open_as_it_is(database)) as store, store.engine.begin() as connection:
        connection.execute(text("INSERT INTO readers (pseudonym, role, created) VALUES ('x', 'reader', 0)"))
        connection.execute(text("DELETE FROM readers WHERE pseudonym = 'x'"))
    with closing(database.open()) as store, store.write() as session:
        assert readers.add_reader(session, "carl", "reader", actor="local").id == 6


def test_keys_hold_behind_an_upgrade(database):
    make_first(database)
    with closing(database.open()) as store:
        with store.write() as session:
            session.execute(text("DELETE FROM cases WHERE id = 'ready'"))
        assert dump(database)["readings"] == dump(database)["feedback"] == []
        with pytest.raises(IntegrityError), store.write() as session:
            session.execute(text("INSERT INTO readers (pseudonym, role, created) VALUES ('y', 'reader', 0)"))
        with pytest.raises(IntegrityError), store.write() as session:
            session.add(Reader(pseudonym="Anna", role="reader", created=now()))


def test_an_upgrade_that_fails_leaves_the_earlier_version(database, monkeypatch):
    make_first(database)
    before = dump(database)

    def fail(connection, found):
        raise ZeroDivisionError

    monkeypatch.setattr(migrating, "_tell", fail)
    with pytest.raises(ZeroDivisionError):
        database.open()
    assert dump(database) == before
    monkeypatch.undo()
    database.open().close()
    assert len(dump(database)["readers"]) == len(before["readers"])


def test_programs_that_start_at_once_upgrade_once(database):
    make_first(database)
    with ThreadPoolExecutor(4) as pool:
        for store in pool.map(lambda _: database.open(), range(4)):
            store.close()
    actions = [row["action"] for row in dump(database)["events"]]
    assert actions.count("store.upgraded") == 1


def test_the_way_back(database):
    make_first(database)
    before = dump(database)
    database.open().close()
    with closing(open_as_it_is(database)) as store, alone(store.engine) as connection:
        config = migrating.migration_config()
        config.attributes["connection"] = connection
        command.downgrade(config, "r001")
    after = dump(database)
    assert all(after[table] == before[table] for table in before if table not in ("events", "chain", "cases"))
    assert {row["state"] for row in after["cases"]} == {"ready", "failed"}
    database.open().close()
