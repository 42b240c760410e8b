import random
import secrets
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import func, select, text

from dermaxai.cases import save_case
from dermaxai.errors import NotFound, StoreFull, StoreReadOnly
from dermaxai.store import audit, deleting, places
from dermaxai.store.adopting import adopt_folders
from dermaxai.store.cases import CaseSearch, add_waiting, find_case, index_case, list_cases
from dermaxai.store.deleting import delete_case, delete_older, sweep
from dermaxai.store.forgetting import forget_deleted
from dermaxai.store.readers import issue_token, open_visit
from dermaxai.store.shelf import Shelf
from dermaxai.store.tables import CaseRow, Event, Feedback, Job, MapRow, Reader, Reading, Token, Visit, now
from tests.sample_case import make_case, write_caption

SAID = "a perfectly recognisable sentence of the machine"
COMMENT = "a perfectly recognisable comment of a reader"
NAME = "recognisable-name.jpg"


def fill(store, case_id="secret-case"):
    """A case with everything that can be said of it."""
    case, shelf = replace(make_case(), captions=(write_caption(SAID, "en"),)), Shelf(store.folder)
    shelf.keep_upload(case_id, case.image)
    with store.write() as session:
        row = add_waiting(session, case_id, case.image, name=NAME, owner="anna")
    shelf.write_partial(case_id, SAID.encode())
    shelf.save(row, case)
    with store.write() as session:
        row = index_case(session, case_id, case)
        reader = session.scalar(select(Reader)) or Reader(pseudonym="anna", role="reader", created=now())
        session.add(reader)
        session.flush()
        shared = {"case_id": case_id, "reader_id": reader.id, "created": now()}
        session.add(Reading(findings=COMMENT, diagnosis=COMMENT, **shared))
        answer = {"revision": 1, "caption_sha256": "", "answer": "agree", "regions": [COMMENT]}
        session.add_all(Feedback(comment=COMMENT * place, **answer, **shared) for place in range(1, 40))
        job = {"kind": "query", "owner": "anna", "request": {"text": COMMENT}, "stages": []}
        session.add(Job(case_id=case_id, created=now(), **job))
        audit.append(session, "anna", "case.made", case_id)
    shelf.page(row)
    shelf.thumb(row)
    return row


def count(store, table):
    with store.read() as session:
        return session.scalar(select(func.count()).select_from(table))


def everything(folder):
    return b"".join(file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file())


def test_a_deleted_case_is_in_no_table(store):
    fill(store)
    fill(store, "other")
    delete_case(store, "secret-case", actor="anna")
    with store.read() as session:
        with pytest.raises(NotFound):
            find_case(session, "secret-case")
        assert find_case(session, "other").caption == SAID
        assert audit.verify(session).intact
    assert [count(store, table) for table in (CaseRow, Reading, Feedback, Job)] == [1, 1, 39, 1]
    assert count(store, MapRow) == len(make_case().maps)


def test_only_its_id_stays_in_the_audit_trail(store):
    fill(store)
    delete_case(store, "secret-case", actor="anna")
    with store.read() as session:
        event = session.scalars(select(Event).order_by(Event.seq.desc())).first()
    assert (event.actor, event.action, event.subject) == ("anna", "case.deleted", "secret-case")
    assert event.detail == '{"feedback":39,"jobs":1,"readings":1}'


def test_a_deleted_case_is_in_no_file(store):
    row = fill(store)
    photo = (store.folder / "secret-case" / "image.png").read_bytes()[1000:1400]
    thumb = Shelf(store.folder).thumb(row).read_bytes()[700:900]
    before = everything(store.folder)
    assert all(part in before for part in (SAID.encode(), photo, thumb))
    delete_case(store, "secret-case", actor="anna")
    after = everything(store.folder)
    for part in (SAID, COMMENT, NAME, "irregular streaks"):
        assert part.encode() not in after
        assert part.casefold().encode() not in after
    assert photo not in after
    assert thumb not in after
    assert [file for file in store.folder.rglob("*") if "secret-case" in file.name] == []
    assert store.is_sqlite == (b"secret-case" in after)


def test_no_copy_of_a_deleted_text_stays_in_a_page_that_it_once_stood_in(sqlite_store):
    """Rows that grow move from page to page; overwriting the last place is not enough."""
    draw, marks = random.Random(3), {}
    with sqlite_store.write() as session:
        session.add(Reader(pseudonym="anna", role="reader", created=now()))
        for number in range(120):
            case_id = f"case-{number}"
            marks[case_id] = secrets.token_hex(8)
            shared = {"name": marks[case_id], "words": marks[case_id], "created": now(), "changed": now()}
            session.add(CaseRow(id=case_id, folder=case_id, sha256="", facts={}, **shared))
    for _ in range(40):
        with sqlite_store.write() as session:
            for case_id in draw.sample(list(marks), 10):
                row = session.get(CaseRow, case_id)
                row.caption = f"{marks[case_id]} " * draw.randint(0, 60)
                row.facts = {"mark": [marks[case_id]] * draw.randint(0, 40)}
    gone = draw.sample(list(marks), 60)
    with sqlite_store.write() as session:
        for case_id in gone:
            session.get(CaseRow, case_id).created = now() - timedelta(hours=2)
    assert set(delete_older(sqlite_store, timedelta(hours=1), actor="anna")) == set(gone)
    content = everything(sqlite_store.folder)
    assert [marks[case_id] for case_id in gone if marks[case_id].encode() in content] == []
    assert all(marks[case_id].encode() in content for case_id in set(marks) - set(gone))


def test_what_could_not_be_forgotten_at_once_is_forgotten_later(database, monkeypatch):
    """The power goes between the deletion and the cleaning of the file."""
    store = database.open()
    fill(store)
    monkeypatch.setattr(deleting, "forget_deleted", lambda store: None)
    delete_case(store, "secret-case", actor="anna")
    monkeypatch.undo()
    store.close()
    database.open().close()
    assert SAID.encode() not in everything(database.folder)


def test_while_somebody_reads_the_log_is_emptied_later(sqlite_store, monkeypatch):
    monkeypatch.setattr("dermaxai.store.forgetting.PAUSE", 0)
    fill(sqlite_store)
    with sqlite_store.read() as session:
        session.scalars(select(Event)).all()
        delete_case(sqlite_store, "secret-case", actor="anna")
    forget_deleted(sqlite_store)
    assert SAID.encode() not in everything(sqlite_store.folder)
    with sqlite_store.engine.connect() as connection:
        assert connection.execute(text("PRAGMA user_version")).scalar() == 0


@pytest.mark.parametrize("name", ["unknown", "../secret-case", ""])
def test_a_case_that_is_not_there(store, name):
    with pytest.raises(NotFound):
        delete_case(store, name, actor="anna")
    assert count(store, Event) == 0


def test_a_case_whose_files_are_gone_is_deleted_too(store):
    row = fill(store)
    Shelf(store.folder).remove(row)
    delete_case(store, "secret-case", actor="anna")
    assert count(store, CaseRow) == 0


def test_if_the_database_refuses_everything_is_as_before(store, monkeypatch):
    fill(store)
    before = everything(store.folder / "secret-case"), everything(store.folder / ".derived")

    def refuse(*_, **__):
        raise StoreReadOnly("refused")

    monkeypatch.setattr(audit, "append", refuse)
    with pytest.raises(StoreReadOnly):
        delete_case(store, "secret-case", actor="anna")
    assert (everything(store.folder / "secret-case"), everything(store.folder / ".derived")) == before
    assert list((store.folder / ".trash").iterdir()) == []
    assert count(store, CaseRow) == 1


def test_if_the_files_cannot_be_moved_the_rows_stay(store, monkeypatch):
    fill(store)
    rename, done = places.os.rename, []

    def fail_second(source, target):
        done.append(source)
        if len(done) == 2:
            raise OSError(30, "Read-only file system")
        rename(source, target)

    monkeypatch.setattr(places.os, "rename", fail_second)
    with pytest.raises(StoreReadOnly):
        delete_case(store, "secret-case", actor="anna")
    monkeypatch.undo()
    assert (store.folder / "secret-case" / "case.json").is_file()
    assert count(store, CaseRow) == 1


def test_on_a_full_disk_what_can_be_made_again_makes_room(store, monkeypatch):
    fill(store)
    append, tried = audit.append, []

    def full_once(*arguments, **detail):
        tried.append(1)
        if len(tried) == 1:
            raise StoreFull("full")
        return append(*arguments, **detail)

    monkeypatch.setattr(audit, "append", full_once)
    delete_case(store, "secret-case", actor="anna")
    assert not (store.folder / ".derived").exists()
    assert count(store, CaseRow) == 0


def old(store, case_id, **age):
    with store.write() as session:
        session.get(CaseRow, case_id).created = now() - timedelta(**age)


def test_retention(store):
    for number in range(3):
        save_case(make_case(), store.folder / f"case-{number}")
    adopt_folders(store)
    old(store, "case-0", days=31)
    old(store, "case-1", days=29)
    assert sweep(store, 0) == []
    assert sweep(store, 30) == ["case-0"]
    assert sweep(store, 30) == []
    with store.read() as session:
        assert {row.id for row in list_cases(session, CaseSearch()).rows} == {"case-1", "case-2"}
        event = session.scalars(select(Event).order_by(Event.seq.desc())).first()
    assert (event.actor, event.subject) == ("system", "case-0")
    assert not (store.folder / "case-0").exists()


def test_retention_leaves_nothing_of_old_photos_made_and_waiting(database):
    store = database.open()
    fill(store)
    Shelf(store.folder).keep_upload("waiting-case", make_case().image)
    with store.write() as session:
        add_waiting(session, "waiting-case", make_case().image, name=NAME, owner="anna")
    old(store, "secret-case", days=31)
    old(store, "waiting-case", days=30, hours=1)
    with store.write() as session:
        reader = session.scalar(select(Reader))
        issue_token(session, reader, days=1, actor="local")
        session.scalar(select(Token)).expires = now() - timedelta(seconds=1)
        open_visit(session, reader.id, None, hours=-1)
    assert sweep(store, 30) == ["secret-case", "waiting-case"]
    assert [count(store, table) for table in (CaseRow, MapRow, Reading, Feedback, Job, Token, Visit)] == [
        0
    ] * 7
    with store.read() as session:
        assert audit.verify(session).intact
        told = session.scalars(select(Event).where(Event.action == "case.deleted")).all()
    assert {(event.actor, event.subject) for event in told} == {
        ("system", "secret-case"),
        ("system", "waiting-case"),
    }
    left = [file.name for file in store.folder.rglob("*") if file.is_file()]
    assert all(name.startswith("dermaxai.sqlite") for name in left)
    content = everything(store.folder)
    assert [part for part in (SAID, COMMENT, NAME) if part.encode() in content] == []
    store.close()


def test_old_cases_are_deleted_oldest_first(store):
    for number in range(3):
        save_case(make_case(), store.folder / f"case-{number}")
    adopt_folders(store)
    for number in range(3):
        old(store, f"case-{number}", hours=10 + number)
    assert delete_older(store, timedelta(hours=11), actor="anna") == ["case-2", "case-1"]
