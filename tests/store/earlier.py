"""Stores as earlier versions of the program made them, with something in every table."""

from contextlib import closing, contextmanager

from alembic import command
from sqlalchemy import MetaData, insert, select
from sqlalchemy.orm import Session

from dermaxai.store import audit, migrating, opening
from dermaxai.store.alone import alone_with_file, alone_with_new_file

PSEUDONYMS = ("Reader-1", "reader-1", "anna", "reader\u20111")


def open_as_it_is(database):
    """The store of whatever version its tables are."""
    database.folder.mkdir(exist_ok=True)
    place = opening._address(database.folder, database.url)
    return opening.Store(opening._engine_for(place, readonly=False), database.folder)


def make_first(database):
    """The tables of r001, made by its migration, and people, cases and answers in them."""
    with closing(open_as_it_is(database)) as store:
        with alone_with_new_file(store.engine) as connection:
            config = migrating.migration_config()
            config.attributes["connection"] = connection
            command.upgrade(config, "r001")
        with alone_with_new_file(store.engine) as connection:
            fill(connection)


def fill(connection):
    tables = MetaData()
    tables.reflect(connection)
    of = tables.tables
    readers = [{"pseudonym": name, "role": "reader", "created": 1} for name in PSEUDONYMS]
    connection.execute(insert(of["readers"]), readers)
    tokens = [{"reader_id": one, "hash": f"token {one}", "created": 1, "expires": 2**50} for one in (1, 2, 3)]
    connection.execute(insert(of["tokens"]), tokens)
    visits = [{**token, "hash": f"visit {place}", "token_id": place} for place, token in enumerate(tokens, 1)]
    connection.execute(insert(of["sessions"]), visits)
    fill_cases(connection, of)
    with Session(connection) as session:
        for name in PSEUDONYMS:
            audit.append(session, "local", "reader.added", name, role="reader")
        session.commit()


def fill_cases(connection, of):
    states = {
        "ready": ["done"],
        "failed": ["failed"],
        "cancelled": ["cancelled"],
        "again": ["cancelled", "failed"],
    }
    texts = dict.fromkeys(("language", "caption", "encoder", "captioner", "words", "name", "owner"), "")
    counts = {"revision": 1, "width": 8, "height": 8, "maps": 0, "unfaithful": 0}
    for case_id, jobs in states.items():
        state = "ready" if case_id == "ready" else "failed"
        case = {
            "id": case_id,
            "folder": case_id,
            "sha256": case_id,
            "state": state,
            "created": 1,
            "changed": 1,
        }
        connection.execute(insert(of["cases"]), {**case, **texts, **counts, "outside": False, "facts": {}})
        for ended in jobs:
            job = {"kind": "explain", "case_id": case_id, "owner": "anna", "request": {}, "stages": []}
            told = {"content": 0, "cancel": ended == "cancelled", "worker": "", "attempts": 1, "created": 1}
            connection.execute(insert(of["jobs"]), {**job, **told, "state": ended})
    for reader in (1, 2):
        said = {"case_id": "ready", "reader_id": reader, "created": 1}
        reading = {"findings": f"by {reader}", "diagnosis": "", "confidence": 3}
        connection.execute(insert(of["readings"]), {**said, **reading})
        answer = {
            "revision": 1,
            "caption_sha256": "0",
            "word": 1,
            "text": "w",
            "method": "",
            "answer": "agree",
        }
        connection.execute(
            insert(of["feedback"]), {**said, **answer, "regions": [], "comment": f"by {reader}"}
        )


def dump(database):
    """Every row of every table, by table."""
    with closing(open_as_it_is(database)) as store, store.engine.connect() as connection:
        tables = MetaData()
        tables.reflect(connection)
        return {
            table.name: [
                dict(row._mapping) for row in connection.execute(select(table).order_by(*table.primary_key))
            ]
            for table in tables.sorted_tables
            if table.name != migrating.VERSIONS
        }


@contextmanager
def alone(engine):
    """A transaction in which tables may be made anew."""
    is_file = engine.dialect.name == "sqlite"
    with alone_with_file(engine, migrating.HEAD) if is_file else alone_with_new_file(engine) as connection:
        yield connection
