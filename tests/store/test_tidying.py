import os
import time

import pytest

from dermaxai.cases import save_case
from dermaxai.store import tidying
from dermaxai.store.cases import add_waiting
from dermaxai.store.places import throw_away
from dermaxai.store.shelf import Shelf
from dermaxai.store.tables import CaseRow
from dermaxai.store.tidying import tidy
from tests.sample_case import draw_photo, make_case


@pytest.fixture
def much_later(monkeypatch):
    """Long after whoever was at work has ended."""
    begin = time.time
    monkeypatch.setattr(time, "time", lambda: begin() + 2 * tidying.PATIENCE)


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


def wait(store, case_id):
    Shelf(store.folder).keep_upload(case_id, draw_photo())
    with store.write() as session:
        return add_waiting(session, case_id, draw_photo(), name="", owner="anna")


def test_photos_without_a_row_are_dropped(store, much_later):
    wait(store, "known")
    Shelf(store.folder).keep_upload("orphan", draw_photo())
    (store.folder / ".waiting" / ".new-0123456789ab").mkdir()
    (store.folder / ".derived" / "orphan").mkdir(parents=True)
    tidy(store)
    assert names(store.folder / ".waiting") == ["known"]
    assert names(store.folder / ".derived") == []


def test_what_a_killed_worker_was_making_goes_with_its_case(store, much_later):
    """Also where no worker comes any more: the server may show cases only."""
    wait(store, "known")
    for case_id in ("known", "deleted"):
        Shelf(store.folder / ".making" / f"{case_id}.0123").save(CaseRow(id="new", folder="new"), make_case())
    tidy(store)
    assert names(store.folder / ".making") == ["known.0123"]


def test_a_photo_that_has_just_come_may_still_get_its_row(store):
    Shelf(store.folder).keep_upload("fresh", draw_photo())
    tidy(store)
    assert names(store.folder / ".waiting") == ["fresh"]


def test_half_written_folders_are_dropped(store, much_later):
    save_case(make_case(), store.folder / "abc")
    save_case(make_case(), store.folder / ".abc.0123abcd")
    save_case(make_case(), store.folder / ".abc.0123abcd.old")
    tidy(store)
    assert [name for name in names(store.folder) if "abc" in name] == ["abc"]


def test_a_folder_that_is_being_written_stays(store):
    save_case(make_case(), store.folder / ".abc.0123abcd")
    tidy(store)
    assert ".abc.0123abcd" in names(store.folder)


def test_a_case_whose_replacement_never_arrived_comes_back(store):
    save_case(make_case(), store.folder / ".abc.0123abcd.old")
    tidy(store)
    assert [name for name in names(store.folder) if "abc" in name] == ["abc"]


def test_folders_of_others_stay(store, much_later):
    for name in (".cache.0123abcd", ".git", "notes", ".venv.0123abcd.old"):
        (store.folder / name).mkdir()
        (store.folder / name / "mine.txt").write_text("mine")
    tidy(store)
    assert {".cache.0123abcd", ".git", "notes", ".venv.0123abcd.old"} <= set(names(store.folder))


def test_a_deletion_that_the_database_never_heard_of_is_undone(store):
    row = wait(store, "abc")
    throw_away(store.folder, row.id, row.folder)
    assert names(store.folder / ".waiting") == []
    tidy(store)
    assert names(store.folder / ".waiting") == ["abc"]
    assert names(store.folder / ".trash") == []


def test_a_deletion_that_the_database_heard_of_is_finished(store):
    save_case(make_case(), store.folder / "abc")
    throw_away(store.folder, "abc", "abc")
    tidy(store)
    assert names(store.folder / ".trash") == []
    assert not (store.folder / "abc").exists()


def test_opening_tidies(database):
    store = database.open()
    save_case(make_case(), store.folder / "abc")
    throw_away(store.folder, "abc", "abc")
    store.close()
    database.open().close()
    assert names(database.folder / ".trash") == []


def test_nothing_is_touched_by_who_only_reads(database):
    store = database.open()
    save_case(make_case(), store.folder / "abc")
    thrown = throw_away(store.folder, "abc", "abc")
    store.close()
    database.open(readonly=True).close()
    assert os.path.isdir(thrown)
