import os
import shutil
from contextlib import nullcontext
from pathlib import Path

import pytest
from sqlalchemy import select

from dermaxai.errors import NotFound, StoreFull
from dermaxai.store import audit, condemning, places
from dermaxai.store.cases import add_waiting, find_case
from dermaxai.store.deleting import delete_case
from dermaxai.store.shelf import Shelf
from dermaxai.store.tables import CaseRow, Event
from dermaxai.store.tidying import tidy
from tests.sample_case import make_case
from tests.store.test_deleting import COMMENT, SAID, count, everything, fill
from tests.store.test_faults import in_own_mounts

FULL_DISK = """
import os, sys
from pathlib import Path
from fastapi.testclient import TestClient
from dermaxai.api.app import create_app
from dermaxai.api.state import ServeOptions, ServerState
from dermaxai.store import audit
from dermaxai.store.opening import open_store
from tests.store.test_deleting import fill
place = Path(sys.argv[1])
store = open_store(place / "cases")
fill(store), fill(store, "other")
options = ServeOptions(cases=place / "cases", port=8000)
app = create_app(options, ServerState(options, store))
with TestClient(app, base_url="http://127.0.0.1:8000") as browser:
    ballast = os.open(place / "ballast", os.O_CREAT | os.O_WRONLY)
    try:
        while os.write(ballast, b"x" * 4096):
            pass
    except OSError:
        os.close(ballast)
    for _ in range(2):
        print(browser.delete("/api/cases/secret-case").status_code)
    with store.read() as session:
        print(audit.verify(session).intact)
    print(sorted(file.name for file in (place / "cases").iterdir() if "secret" in file.name))
    os.unlink(place / "ballast")
"""


def refuse(*_, **__):
    raise StoreFull("full")


def events(store):
    with store.read() as session:
        return [
            (event.actor, event.detail)
            for event in session.scalars(select(Event).where(Event.action == "case.deleted"))
        ]


def test_on_a_disk_without_any_room_deleting_works(tmp_path):
    place = tmp_path / "disk"
    place.mkdir()
    told = in_own_mounts(f"mount -t tmpfs -o size=12m tmpfs '{place}'", FULL_DISK, place)
    assert told == ["204", "404", "True", "[]"]


def test_where_only_the_case_itself_can_make_room_its_files_go_first(store, monkeypatch):
    fill(store)
    append = audit.append

    def full_while_there(*arguments, **detail):
        return refuse() if (store.folder / "secret-case").exists() else append(*arguments, **detail)

    def no_trash(home, case_id, folder):
        return refuse() if (home / folder).exists() else places.throw_away(home, case_id, folder)

    monkeypatch.setattr(audit, "append", full_while_there)
    monkeypatch.setattr("dermaxai.store.deleting.throw_away", no_trash)
    delete_case(store, "secret-case", actor="anna")
    assert count(store, CaseRow) == 0
    assert events(store) == [("anna", '{"feedback":39,"jobs":1,"readings":1}')]
    assert [file for file in store.folder.rglob("*") if "secret-case" in file.name] == []


@pytest.mark.parametrize("again", ["open", "tidy", "delete"])
def test_what_a_full_disk_left_half_deleted_is_finished_later(database, monkeypatch, again):
    store = database.open()
    fill(store)
    monkeypatch.setattr(audit, "append", refuse)
    with pytest.raises(StoreFull, match="files of the case are deleted"):
        delete_case(store, "secret-case", actor="anna")
    files = [file for file in store.folder.rglob("*") if file.is_file() and "dermaxai" not in file.name]
    assert (files, count(store, CaseRow)) == ([], 1)
    tidy(store)
    assert count(store, CaseRow) == 1
    monkeypatch.undo()
    if again == "open":
        store.close()
        store = database.open()
    elif again == "tidy":
        tidy(store)
    else:
        delete_case(store, "secret-case", actor="anna")
    assert count(store, CaseRow) == 0
    by = "anna" if again == "delete" else "system"
    assert [actor for actor, _ in events(store)] == [by]
    assert ("resumed" in events(store)[0][1]) == (by == "system")
    with store.read() as session:
        assert audit.verify(session).intact
    store.close()
    if database.kind == "sqlite":
        left = everything(database.folder)
        assert SAID.encode() not in left
        assert COMMENT.encode() not in left
    assert [file for file in database.folder.rglob("*") if "secret-case" in file.name] == []


def test_killed_between_files_and_rows(database):
    store = database.open()
    fill(store)
    condemning.condemn(store.folder, "secret-case", "secret-case")
    store.close()
    store = database.open()
    assert count(store, CaseRow) == 0
    assert [file.name for file in store.folder.iterdir() if "secret-case" in file.name] == []
    store.close()


def test_a_photo_that_waits_is_condemned_too(store):
    image = make_case().image
    Shelf(store.folder).keep_upload("waiting-case", image)
    with store.write() as session:
        add_waiting(session, "waiting-case", image, name="", owner="anna")
    condemning.condemn(store.folder, "waiting-case", "waiting-case")
    assert [file.name for file in store.folder.iterdir() if file.name.startswith(".deleting")] == [
        ".deleting-waiting-case.waiting"
    ]
    tidy(store)
    with store.read() as session, pytest.raises(NotFound):
        find_case(session, "waiting-case")


def test_two_programs_that_clear_away_at_once(store, monkeypatch):
    fill(store)
    monkeypatch.setattr(audit, "append", refuse)
    scan = os.scandir

    def just_before_another(folder):
        if isinstance(folder, int) or ".deleting" not in Path(folder).name:
            return scan(folder)
        with scan(folder) as entries:
            found = list(entries)
        shutil.rmtree(folder)
        return nullcontext(found)

    with pytest.raises(StoreFull):
        delete_case(store, "secret-case", actor="anna")
    (store.folder / ".deleting-secret-case.case" / "left").touch()
    monkeypatch.setattr("dermaxai.store.condemning.os.scandir", just_before_another)
    tidy(store)
    assert count(store, CaseRow) == 1


def test_a_link_in_the_place_of_a_case_is_not_followed(store, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "kept").touch()
    (store.folder / "linked").symlink_to(tmp_path / "elsewhere")
    condemning.condemn(store.folder, "linked", "linked")
    tidy(store)
    assert (tmp_path / "elsewhere" / "kept").exists()
    assert [file.name for file in store.folder.iterdir() if "linked" in file.name] == []
