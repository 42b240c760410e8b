import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import insert, inspect, select, text, update

from dermaxai.errors import StoreOutdated
from dermaxai.store import migrating
from dermaxai.store.opening import open_store
from dermaxai.store.tables import Base, CaseRow, Job, Reader, now


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


def mark_is_left(database):
    with pytest.raises(StoreOutdated, match="r999"):
        database.open(readonly=True)


def test_an_older_store_is_brought_up_to_date_only_by_who_may_write(database, monkeypatch):
    database.open().close()
    upgraded = []
    monkeypatch.setattr(migrating, "HEAD", "r002")
    monkeypatch.setattr(migrating, "_upgrade", lambda connection, found: upgraded.append(found))
    with pytest.raises(StoreOutdated, match="earlier version"):
        database.open(readonly=True)
    database.open().close()
    assert upgraded == ["r001"]


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
    from alembic import command

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
