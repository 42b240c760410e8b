import shutil
from dataclasses import replace

import pytest
from sqlalchemy import select

from dermaxai.cases import save_case
from dermaxai.store import audit
from dermaxai.store.adopting import adopt_folders
from dermaxai.store.cases import CaseSearch, add_waiting, find_case, index_case, list_cases
from dermaxai.store.deleting import delete_case
from dermaxai.store.shelf import Shelf
from dermaxai.store.tables import Event, Feedback, Reader, now
from dermaxai.types import Target
from tests.sample_case import make_case, write_caption

CASE = make_case()
OTHER = replace(CASE, captions=(write_caption("a pale lesion", "en"),), maps=(), scores=(), evidence=())


def events(store):
    with store.read() as session:
        assert audit.verify(session).intact
        wanted = select(Event.action, Event.subject, Event.actor).order_by(Event.seq)
        return [tuple(row) for row in session.execute(wanted)]


def row_of(store, case_id):
    with store.read() as session:
        return find_case(session, case_id)


def listed(store):
    with store.read() as session:
        return sorted(row.id for row in list_cases(session, CaseSearch()).rows)


def test_folders_become_cases(store):
    save_case(CASE, store.folder / "7f3a91c2")
    save_case(OTHER, store.folder / "abc")
    assert adopt_folders(store) == []
    assert listed(store) == ["7f3a91c2", "abc"]
    row = row_of(store, "7f3a91c2")
    assert (row.state, row.revision, row.maps) == ("ready", 1, len(CASE.maps))
    assert (row.width, row.height) == (400, 300)
    assert Shelf(store.folder).load(row).caption == CASE.caption
    assert sorted(events(store)) == [
        ("case.adopted", "7f3a91c2", "system"),
        ("case.adopted", "abc", "system"),
    ]


def test_twice_changes_nothing(store):
    save_case(CASE, store.folder / "abc")
    adopt_folders(store, "anna")
    adopt_folders(store, "anna")
    assert row_of(store, "abc").revision == 1
    assert events(store) == [("case.adopted", "abc", "anna")]


def test_a_case_of_the_store_is_known(store):
    shelf = Shelf(store.folder)
    with store.write() as session:
        row = add_waiting(session, "abc", CASE.image, name="", owner="anna")
    shelf.save(row, CASE)
    with store.write() as session:
        index_case(session, "abc", CASE)
    adopt_folders(store)
    assert row_of(store, "abc").revision == 1
    assert events(store) == []


def test_a_case_that_is_being_made_is_left_to_its_worker(store):
    with store.write() as session:
        row = add_waiting(session, "abc", CASE.image, name="", owner="anna")
    Shelf(store.folder).save(row, CASE)
    adopt_folders(store)
    assert row_of(store, "abc").state == "waiting"


def test_a_changed_folder_is_followed(store):
    save_case(CASE, store.folder / "abc")
    adopt_folders(store)
    save_case(OTHER, store.folder / "abc")
    adopt_folders(store)
    row = row_of(store, "abc")
    assert (row.revision, row.caption, row.maps) == (2, "a pale lesion", 0)
    assert [action for action, *_ in events(store)] == ["case.adopted", "case.changed"]


def test_a_lost_folder_is_marked_and_comes_back_with_what_readers_said(store):
    folder = save_case(CASE, store.folder / "abc")
    adopt_folders(store)
    with store.write() as session:
        session.add(Reader(pseudonym="anna", role="reader", created=now()))
        session.flush()
        said = {"case_id": "abc", "reader_id": 1, "revision": 1, "caption_sha256": "", "answer": "agree"}
        session.add(Feedback(**said, regions=[], created=now()))
    shutil.move(folder, store.folder.parent / "away")
    adopt_folders(store)
    assert listed(store) == []
    assert row_of(store, "abc").state == "gone"
    shutil.move(store.folder.parent / "away", folder)
    adopt_folders(store)
    assert listed(store) == ["abc"]
    assert (row_of(store, "abc").state, row_of(store, "abc").revision) == ("ready", 2)
    with store.read() as session:
        assert len(session.scalars(select(Feedback)).all()) == 1
    assert [action for action, *_ in events(store)] == ["case.adopted", "case.lost", "case.adopted"]


def cut_picture(folder):
    content = (folder / "image.png").read_bytes()
    (folder / "image.png").write_bytes(content[: len(content) // 2])


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda folder: (folder / "case.json").write_text("{"), "case.json"),
        (lambda folder: (folder / "maps.npz").write_bytes(b""), "maps.npz"),
        (lambda folder: (folder / "maps.npz").unlink(), "maps.npz"),
        (lambda folder: (folder / "image.png").unlink(), "image.png"),
        (cut_picture, "image.png"),
    ],
)
def test_folders_that_cannot_be_read_are_named_and_skipped(store, damage, why):
    damage(save_case(CASE, store.folder / "broken"))
    save_case(OTHER, store.folder / "whole")
    ((name, reason),) = adopt_folders(store)
    assert name == "broken"
    assert why in reason
    assert listed(store) == ["whole"]


def test_what_is_no_case_folder_is_left_alone(store):
    (store.folder / "notes").mkdir()
    (store.folder / "notes" / "text.txt").write_text("mine")
    (store.folder / "photo.jpg").write_bytes(b"")
    save_case(CASE, store.folder / ".hidden")
    assert adopt_folders(store) == []
    assert listed(store) == []


def test_a_link_is_not_followed(store, tmp_path):
    (store.folder / "linked").symlink_to(save_case(CASE, tmp_path / "elsewhere"))
    ((name, reason),) = adopt_folders(store)
    assert (name, "link" in reason) == ("linked", True)
    assert listed(store) == []


@pytest.mark.parametrize("name", ["родинка 3", "a.b", "x" * 65, "{{7*7}}"])
def test_a_folder_whose_name_is_no_id_gets_one(store, name):
    save_case(CASE, store.folder / name)
    assert adopt_folders(store) == []
    (case_id,) = listed(store)
    row = row_of(store, case_id)
    assert (len(case_id), row.folder) == (16, name)
    assert Shelf(store.folder).load(row).caption == CASE.caption
    adopt_folders(store)
    assert row_of(store, case_id).revision == 1


def test_a_deleted_case_does_not_come_back_as_a_leftover(store):
    """A worker that was killed after its case was deleted leaves a folder under the drawn id."""
    save_case(CASE, store.folder / "0123456789ab")
    adopt_folders(store)
    delete_case(store, "0123456789ab", actor="anna")
    save_case(CASE, store.folder / "0123456789ab")
    ((name, reason),) = adopt_folders(store)
    assert (name, "deleted" in reason) == ("0123456789ab", True)
    assert listed(store) == []


def test_a_photo_that_was_deleted_may_be_explained_again(store):
    """`dermaxai explain` names a folder by its photo."""
    save_case(CASE, store.folder / "7f3a7f3a")
    adopt_folders(store)
    delete_case(store, "7f3a7f3a", actor="anna")
    save_case(CASE, store.folder / "7f3a7f3a")
    assert adopt_folders(store) == []
    assert listed(store) == ["7f3a7f3a"]


def test_many_folders_are_adopted_in_several_transactions(store, monkeypatch):
    monkeypatch.setattr("dermaxai.store.adopting.TOGETHER", 2)
    for number in range(5):
        save_case(OTHER, store.folder / f"case-{number}")
    adopt_folders(store)
    assert listed(store) == [f"case-{number}" for number in range(5)]


def test_texts_of_any_length_are_taken(store):
    long = replace(CASE, maps=(replace(CASE.maps[-1], target=Target("query", "dark " * 2000)),), scores=())
    save_case(long, store.folder / "abc")
    assert adopt_folders(store) == []
    assert row_of(store, "abc").maps == 1
