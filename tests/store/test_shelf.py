import json
import threading
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from dermaxai import cases
from dermaxai.errors import DataError, NotFound, StoreError
from dermaxai.store import deriving, steadily
from dermaxai.store.cases import add_waiting, index_case
from dermaxai.store.indexing import STAMP, stamp_of
from dermaxai.store.shelf import Shelf
from dermaxai.store.tables import CaseRow, now
from dermaxai.types import SkinImage
from tests.sample_case import draw_photo, make_case


@pytest.fixture
def shelf(tmp_path):
    return Shelf(tmp_path)


def row_of(case_id="abc", **changes):
    told = {"folder": case_id, "sha256": "7f3a" * 16, "revision": 1, "created": now(), "changed": now()}
    return CaseRow(id=case_id, facts={}, **(told | changes))


def made(shelf, case=None, **changes):
    row = row_of(**changes)
    shelf.save(row, case or make_case())
    return row


def test_a_photo_waits_pixel_by_pixel(shelf):
    image = draw_photo()
    shelf.keep_upload("abc", image)
    again = shelf.read_upload("abc")
    np.testing.assert_array_equal(again.pixels, image.pixels)
    assert (again.sha256, again.format) == (image.sha256, "JPEG")
    assert (again.removed, again.notes) == (("GPSInfo", "DateTime"), ("turned upright",))


def test_a_waiting_photo_is_pixels_only(shelf):
    shelf.keep_upload("abc", draw_photo())
    place = shelf.folder / ".waiting" / "abc"
    assert sorted(entry.name for entry in place.iterdir()) == ["image.json", "image.png"]
    assert set(json.loads((place / "image.json").read_bytes())) == {"sha256", "format", "removed", "notes"}
    with Image.open(place / "image.png") as picture:
        assert picture.info == {}


def test_a_photo_that_is_dropped_is_gone(shelf):
    shelf.keep_upload("abc", draw_photo())
    shelf.drop_upload("abc")
    shelf.drop_upload("abc")
    assert list((shelf.folder / ".waiting").iterdir()) == []
    with pytest.raises(NotFound):
        shelf.read_upload("abc")


def test_a_partial_page_is_replaced(shelf):
    shelf.keep_upload("abc", draw_photo())
    assert shelf.read_partial("abc") is None
    shelf.write_partial("abc", b"1")
    shelf.write_partial("abc", b"2")
    assert shelf.read_partial("abc") == b"2"


def test_a_partial_page_of_a_deleted_case_is_not_kept(shelf):
    shelf.keep_upload("abc", draw_photo())
    shelf.drop_upload("abc")
    with pytest.raises(NotFound):
        shelf.write_partial("abc", b"1")
    assert shelf.read_partial("abc") is None


def test_a_case_is_saved_and_loaded(shelf):
    row = made(shelf)
    assert shelf.case_folder(row) == shelf.folder / "abc"
    assert shelf.load(row).caption == make_case().caption
    with pytest.raises(NotFound):
        shelf.load(row_of("none"))


def other_case():
    """Another revision: other words, maps and seconds, as many files."""
    case = make_case()
    maps = tuple(replace(heat, values=heat.values[::-1] * 2, seconds=heat.seconds + 1) for heat in case.maps)
    return replace(case, maps=maps, captions=case.captions[::-1])


def mark_of(case):
    """What differs between the two, from every file."""
    return case.caption.language, float(case.maps[0].seconds), float(case.maps[0].values[0, 0])


@pytest.mark.parametrize("part", ["_read_pixels", "_read_maps", "_read_seconds"])
def test_a_case_that_is_replaced_while_it_is_read_is_of_one_revision(shelf, monkeypatch, part):
    row = made(shelf)
    read, swaps = getattr(cases, part), []

    def swap_first(*arguments):
        if not swaps:
            swaps.append(shelf.save(row, other_case()))
        return read(*arguments)

    monkeypatch.setattr(cases, part, swap_first)
    found = shelf.load(row)
    assert swaps
    assert found.captions == other_case().captions
    assert found.maps[0].seconds == other_case().maps[0].seconds
    np.testing.assert_array_equal(found.maps[0].values, other_case().maps[0].values)


def test_a_case_is_read_by_many_while_it_is_replaced(shelf):
    row = made(shelf)
    over, seen, faults = threading.Event(), set(), []

    def read():
        while not over.is_set():
            try:
                case = shelf.load(row)
            except Exception as error:
                faults.append(error)
            else:
                seen.add(mark_of(case))

    readers = [threading.Thread(target=read) for _ in range(3)]
    for one in readers:
        one.start()
    for turn in range(12):
        shelf.save(row, (other_case, make_case)[turn % 2]())
    over.set()
    for one in readers:
        one.join()
    assert faults == []
    assert seen <= {mark_of(make_case()), mark_of(other_case())}


def test_a_case_is_away_for_the_moment_of_a_swap(shelf, monkeypatch):
    row = made(shelf)
    home = shelf.case_folder(row)
    home.rename(home.with_name("aside"))
    monkeypatch.setattr(steadily.time, "sleep", lambda seconds: home.with_name("aside").rename(home))
    assert shelf.load(row).caption == make_case().caption


def test_a_page_of_the_next_revision_is_not_kept_as_one_of_this(shelf):
    row = made(shelf)
    row.facts = {STAMP: stamp_of(shelf.case_folder(row))}
    shelf.save(row, replace(make_case(), captions=make_case().captions[::-1]))
    assert json.loads(shelf.page(row))["captions"][0]["language"] == "ru"
    assert not list((shelf.folder / ".derived").rglob("page-*"))
    row.facts, row.revision = {STAMP: stamp_of(shelf.case_folder(row))}, 2
    shelf.page(row)
    assert len(list((shelf.folder / ".derived").rglob("page-2-*"))) == 1


def test_a_damaged_case_is_told_at_once(shelf, monkeypatch):
    row, tried = made(shelf), []
    (shelf.case_folder(row) / "maps.npz").write_bytes(b"")
    monkeypatch.setattr(
        "dermaxai.store.shelf.load_case", lambda home: (tried.append(1), cases.load_case(home))
    )
    with pytest.raises(DataError):
        shelf.load(row)
    assert tried == [1]


@pytest.mark.parametrize(("kind", "size"), [("photo", (1600, 1200)), ("thumb", (320, 240))])
def test_photos_are_small_and_without_metadata(shelf, kind, size):
    large = SkinImage(np.asarray(Image.fromarray(draw_photo().pixels).resize((2000, 1500))), "ab" * 32)
    row = made(shelf, replace(make_case(), image=large))
    with Image.open(getattr(shelf, kind)(row)) as picture:
        assert (picture.format, picture.size, picture.mode) == ("JPEG", size, "RGB")
        assert not picture.getexif()
        assert set(picture.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}


def test_a_small_photo_is_not_made_larger(shelf):
    with Image.open(shelf.photo(made(shelf))) as picture:
        assert picture.size == (400, 300)


def test_a_waiting_photo_is_shown_too(shelf):
    shelf.keep_upload("abc", draw_photo())
    with Image.open(shelf.thumb(row_of(state="waiting", revision=0))) as picture:
        assert picture.size == (320, 240)


def test_a_photo_that_is_nowhere(shelf):
    with pytest.raises(NotFound):
        shelf.photo(row_of())
    with pytest.raises(NotFound):
        shelf.page(row_of())


def test_another_photo_under_the_same_id_is_shown(shelf):
    first = shelf.thumb(made(shelf))
    white = SkinImage(np.full((300, 400, 3), 255, np.uint8), "ab" * 32)
    second = shelf.thumb(made(shelf, replace(make_case(), image=white), sha256="ab" * 32))
    assert first != second
    assert not first.exists()
    with Image.open(second) as picture:
        assert picture.getpixel((5, 5)) == (255, 255, 255)


def test_the_page_is_what_the_viewer_mounts(shelf):
    page = json.loads(shelf.page(made(shelf)))
    assert page["captions"][0]["text"] == make_case().caption.text
    made_rows = {key: (pieces, exact) for key, pieces, exact in page["made"]}
    assert made_rows["sha256"] == ([["7f3a" * 16, "", ""]], True)
    assert made_rows["device"][1] is False
    assert [piece[1] for piece in made_rows["settings"][0] if piece[1] == "setting.beams"] == [
        "setting.beams"
    ]


def test_the_page_is_derived_once_per_revision(shelf, monkeypatch):
    row, derived = made(shelf), []
    page_of = deriving.page_of
    monkeypatch.setattr("dermaxai.store.shelf.page_of", lambda case: derived.append(1) or page_of(case))
    first = shelf.page(row)
    assert shelf.page(row) == first
    assert Shelf(shelf.folder).page(row) == first
    assert len(derived) == 1
    row.revision = 2
    shelf.page(row)
    assert len(derived) == 2
    assert [entry.name for entry in (shelf.folder / ".derived" / "abc").glob("page-1-*")] == []


def test_many_readers_have_a_page_derived_once(shelf, monkeypatch):
    row, derived, pages = made(shelf), [], []
    page_of = deriving.page_of
    monkeypatch.setattr("dermaxai.store.shelf.page_of", lambda case: derived.append(1) or page_of(case))
    readers = [threading.Thread(target=lambda: pages.append(Shelf(shelf.folder).page(row))) for _ in range(8)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join(60)
    assert (len(derived), len(pages), len(set(pages))) == (1, 8, 1)


def test_what_is_lost_is_made_again(shelf):
    row = made(shelf)
    first, thumb = shelf.page(row), shelf.thumb(row).read_bytes()
    for file in (shelf.folder / ".derived" / "abc").iterdir():
        file.unlink()
    assert shelf.page(row) == first
    assert shelf.thumb(row).read_bytes() == thumb


def test_pages_of_another_version_of_the_program_are_not_read(shelf, monkeypatch):
    row = made(shelf)
    shelf.page(row)
    monkeypatch.setattr("dermaxai.store.shelf.writer_version", lambda: "other")
    shelf.page(row)
    assert [entry.name for entry in (shelf.folder / ".derived" / "abc").iterdir()] == ["page-1-other.json"]


def test_where_nothing_can_be_written_the_page_is_shown_all_the_same(shelf, monkeypatch):
    row = made(shelf)
    write_file = deriving.write_file

    def refuse(path, content):
        if shelf.folder in path.parents:
            raise OSError(30, "Read-only file system", str(path))
        write_file(path, content)

    monkeypatch.setattr(deriving, "write_file", refuse)
    page = shelf.page(row)
    assert shelf.page(row) == page
    assert deriving.spare_folder() in shelf.thumb(row).parents


def test_everything_of_a_case_is_removed(shelf):
    row = made(shelf)
    shelf.keep_upload("abc", draw_photo())
    shelf.page(row)
    shelf.thumb(row)
    shelf.remove(row)
    assert [entry for entry in shelf.folder.rglob("*") if entry.is_file()] == []


def test_what_was_saved_before_is_replaced(shelf):
    row = made(shelf)
    shelf.save(row, replace(make_case(), maps=()))
    assert shelf.load(row).maps == ()
    assert [entry.name for entry in shelf.folder.iterdir()] == ["abc"]


@pytest.mark.parametrize("name", ["../outside", "/etc", "..", ".waiting", "a/../../outside"])
def test_a_row_that_was_tampered_with_leads_nowhere(tmp_path, name):
    shelf = Shelf(tmp_path / "cases")
    outside = tmp_path / "outside"
    for folder in (shelf.folder, outside):
        folder.mkdir()
    (outside / "case.json").write_text("{}")
    row = row_of("abc", folder=name)
    for ask in (shelf.case_folder, shelf.load, shelf.page, shelf.photo, shelf.thumb, shelf.remove):
        with pytest.raises(StoreError):
            ask(row)
    assert (outside / "case.json").exists()


@pytest.mark.parametrize("name", ["../outside", "..", "a/b", "", "x\0"])
def test_an_id_that_is_none_leads_nowhere(tmp_path, name):
    shelf = Shelf(tmp_path / "cases")
    shelf.folder.mkdir()
    row = row_of("abc")
    row.id = name
    for ask in (shelf.photo, shelf.remove):
        with pytest.raises(NotFound):
            ask(row)
    for ask in (shelf.read_upload, shelf.drop_upload, shelf.read_partial):
        with pytest.raises(NotFound):
            ask(name)
    with pytest.raises(NotFound):
        shelf.keep_upload(name, draw_photo())
    assert sorted(entry.name for entry in tmp_path.rglob("*")) == ["cases"]


def test_a_link_is_removed_not_followed(tmp_path):
    shelf = Shelf(tmp_path / "cases")
    outside = tmp_path / "outside"
    (shelf.folder / ".waiting").mkdir(parents=True)
    outside.mkdir()
    (outside / "kept").write_text("kept")
    (shelf.folder / ".waiting" / "abc").symlink_to(outside)
    shelf.drop_upload("abc")
    assert (outside / "kept").exists()
    assert not (shelf.folder / ".waiting" / "abc").is_symlink()


def test_the_way_of_a_photo(store):
    """As a server and its worker go it."""
    shelf, case = Shelf(store.folder), make_case()
    shelf.keep_upload("abc", case.image)
    with store.write() as session:
        row = add_waiting(session, "abc", case.image, name="родинка.jpg", owner="anna")
    waiting = shelf.photo(row).read_bytes()
    shelf.save(row, case)
    with store.write() as session:
        row = index_case(session, "abc", case)
    shelf.drop_upload("abc")
    assert shelf.photo(row).read_bytes() == waiting
    assert json.loads(shelf.page(row))["captions"][0]["text"] == case.caption.text


def test_another_catalogue_makes_other_pages(monkeypatch):
    writer_version = deriving.writer_version.__wrapped__
    before = writer_version()
    assert writer_version() == before
    monkeypatch.setattr("dermaxai.messages.catalogues", lambda: [b"another"])
    assert writer_version() != before
