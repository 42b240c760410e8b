import csv

import pytest

from dermaxai.data import acquiring, isic_api
from dermaxai.data.acquiring import check_allowed, fetch
from dermaxai.data.cards import read_card
from dermaxai.data.isic_api import ATTEMPTS, Archive
from dermaxai.errors import DataError, UsageError
from tests.data.loopback_archive import LoopbackArchive, serve

pytestmark = pytest.mark.usefixtures("plain_environment")
SEARCH = "/api/v2/images/search/"
FIRST = "ISIC_0000000"


@pytest.fixture
def archive(monkeypatch):
    """Seven photos, three a page."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    pages = Archive.pages
    monkeypatch.setattr(Archive, "pages", lambda self, collections: pages(self, collections, size=3))
    with serve(LoopbackArchive(7)) as served:
        yield served


@pytest.fixture
def waits():
    """Seconds that the client would have waited."""
    return []


@pytest.fixture
def bring(archive, waits, tmp_path):
    client = Archive(f"{archive.address}/api/v2", wait=waits.append)
    return lambda **given: fetch(client, [249], tmp_path / "isic", **given)


def rows(folder):
    with (folder / "metadata.csv").open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def served(archive, name):
    return [span for path, span in archive.asked if path.startswith(f"/files/{name}")]


def test_a_whole_collection_in_the_form_of_the_archive_s_exports(archive, bring):
    archive.metadata["ISIC_0000002"] = {"age_approx": 60, "diagnosis_3": "Melanoma, NOS"}
    steps = []
    done = bring(progress=lambda count, total: steps.append((count, total)))
    assert (done.new, done.kept, done.failed) == (7, 0, ())
    assert steps == [(number, 7) for number in range(1, 8)]
    found = {path.stem: path.read_bytes() for path in done.folder.glob("*.jpg")}
    assert found == archive.photos
    table = rows(done.folder)
    assert list(table[0]) == [
        *("isic_id", "attribution", "copyright_license", "age_approx", "diagnosis_3", "image_type"),
        *("melanocytic", "pixels_x", "pixels_y"),
    ]
    assert [row["copyright_license"] for row in table[:2]] == ["CC-BY-NC", "CC-0"]
    assert (table[2]["diagnosis_3"], table[2]["age_approx"], table[1]["age_approx"]) == (
        "Melanoma, NOS",
        "60",
        "",
    )
    assert table[0]["melanocytic"] == "True"
    assert (done.folder / "attribution.txt").read_text(encoding="utf-8") == "Hospital, Город\n"
    first, *others = [path for path, _ in archive.asked if path.startswith(SEARCH)]
    assert "collections=249" in first
    assert len(others) == 2
    assert not list(done.folder.glob("*.part"))


def test_a_second_run_brings_nothing_again(archive, bring):
    bring()
    before = len(archive.asked)
    done = bring()
    assert (done.new, done.kept) == (0, 7)
    assert len(archive.asked) - before == 3


def test_a_limit_is_kept_and_lifted_later(archive, bring):
    done = bring(limit=4)
    assert done.new == len(rows(done.folder)) == len(list(done.folder.glob("*.jpg"))) == 4
    done = bring()
    assert (done.new, done.kept) == (3, 4)
    assert len(rows(done.folder)) == 7
    bring(limit=1)
    assert len(rows(done.folder)) == 7, "a shorter run keeps the rows of a longer one"


def test_a_cut_connection_is_continued_where_it_broke(archive, bring, waits):
    archive.mishaps[f"/files/{FIRST}.jpg"] = ["cut"]
    done = bring()
    assert done.new == 7
    half = len(archive.photos[FIRST]) // 2
    assert served(archive, FIRST) == ["", f"bytes={half}-"]
    assert (done.folder / f"{FIRST}.jpg").read_bytes() == archive.photos[FIRST]
    assert waits == [1.0]


def test_a_killed_run_is_continued_by_the_next(archive, bring, tmp_path):
    (tmp_path / "isic").mkdir()
    part = tmp_path / "isic" / f"{FIRST}.jpg.part"
    part.write_bytes(archive.photos[FIRST][:100])
    assert bring().new == 7
    assert served(archive, FIRST) == ["bytes=100-"]
    assert part.with_suffix("").read_bytes() == archive.photos[FIRST]


def test_a_server_that_cannot_continue_begins_anew(archive, bring, tmp_path):
    (tmp_path / "isic").mkdir()
    (tmp_path / "isic" / f"{FIRST}.jpg.part").write_bytes(b"x" * 100)
    archive.mishaps[f"/files/{FIRST}.jpg"] = ["no range"]
    assert bring().new == 7
    assert (tmp_path / "isic" / f"{FIRST}.jpg").read_bytes() == archive.photos[FIRST]


def test_a_busy_archive_is_asked_again_and_as_late_as_it_wants(archive, bring, waits):
    archive.mishaps[SEARCH] = ["429", "500"]
    archive.mishaps[f"/files/{FIRST}.jpg"] = ["503", "503"]
    assert bring().new == 7
    assert waits == [7.0, 2.0, 1.0, 2.0]


@pytest.mark.parametrize(("mishaps", "asked"), [(["404"], 1), (["500"] * ATTEMPTS, ATTEMPTS)])
def test_a_photo_that_fails_does_not_stop_the_others(archive, bring, mishaps, asked):
    archive.mishaps[f"/files/{FIRST}.jpg"] = list(mishaps)
    done = bring()
    ((name, told),) = done.failed
    assert (done.new, name) == (6, FIRST)
    assert f"HTTP {mishaps[0]}" in told
    assert len(served(archive, FIRST)) == asked
    assert len(rows(done.folder)) == 7, "its row is there, so that the check finds the missing photo"
    assert bring().new == 1


def test_a_photo_of_another_size_than_told_is_refused(archive, bring):
    archive.sizes[FIRST] = len(archive.photos[FIRST]) + 5
    done = bring()
    ((name, told),) = done.failed
    assert name == FIRST
    assert "bytes, but the archive tells of" in told
    assert not list(done.folder.glob(f"{FIRST}*"))


def test_bytes_that_are_no_photo_are_refused(archive, bring):
    archive.photos[FIRST] = b"<html>please log in</html>"
    done = bring()
    ((name, told),) = done.failed
    assert (name, done.new) == (FIRST, 6)
    assert "no readable photo" in told
    assert not list(done.folder.glob(f"{FIRST}*"))


def test_a_truncated_photo_of_the_told_size_is_refused(archive, bring):
    archive.photos[FIRST] = archive.photos[FIRST][:-200]
    assert [name for name, _ in bring().failed] == [FIRST]


def test_nothing_more_is_tried_where_a_whole_page_fails(archive, bring, tmp_path):
    for number in range(3):
        archive.mishaps[f"/files/ISIC_{number:07d}.jpg"] = ["403"]
    with pytest.raises(DataError, match=r"None of 3 photos could be fetched.*HTTP 403"):
        bring()
    assert len([path for path, _ in archive.asked if path.startswith(SEARCH)]) == 1


def test_another_answer_than_the_api_s_is_said_to_be_one(archive, bring):
    archive.mishaps[SEARCH] = ["strange"]
    with pytest.raises(DataError, match="does not answer as the ISIC Archive's API"):
        bring()


@pytest.mark.parametrize("isic_id", ["../../etc/passwd", "ISIC_1"])
def test_an_id_that_would_be_another_file_is_refused(archive, bring, tmp_path, isic_id):
    archive.photos = {isic_id: b""}
    archive.entry = lambda name: {**LoopbackArchive.entry(archive, FIRST), "isic_id": name}
    archive.photos[FIRST] = b""
    with pytest.raises(DataError, match="is no ISIC id"):
        bring()
    assert list((tmp_path / "isic").iterdir()) == []


def test_an_address_that_is_no_web_page_is_refused(archive, bring):
    entry = archive.entry

    def local(name):
        told = entry(name)
        told["files"]["full"]["url"] = "file:///etc/hostname"
        return told

    archive.entry = local
    with pytest.raises(DataError, match="no web page"):
        bring()


def test_plain_http_is_refused_where_the_archive_is_asked_by_https(tmp_path):
    photo = isic_api.ArchivePhoto(FIRST, "", "CC-0", "http://127.0.0.1:9/x.jpg", 3, {})
    with pytest.raises(DataError, match="no web page"):
        Archive().save(photo, tmp_path / "x.part")


def test_an_archive_that_is_not_there_is_said_to_be_none(waits, tmp_path):
    client = Archive("http://127.0.0.1:9/api/v2/", wait=waits.append)
    with pytest.raises(DataError, match=r"cannot be reached.*connected"):
        fetch(client, [249], tmp_path / "isic")
    assert waits == [1.0, 2.0, 4.0, 8.0]
    assert list((tmp_path / "isic").iterdir()) == []


def test_a_folder_of_something_else_is_left_alone(archive, bring, tmp_path):
    (tmp_path / "isic").mkdir()
    (tmp_path / "isic" / "thesis.docx").write_text("mine")
    with pytest.raises(UsageError, match=r"holds something else.*thesis\.docx"):
        bring()
    assert archive.asked == []


def test_a_folder_with_a_table_of_something_else_is_left_alone(archive, bring, tmp_path):
    (tmp_path / "isic").mkdir()
    (tmp_path / "isic" / "metadata.csv").write_text("img_id,diagnostic\n1,NEV\n")
    with pytest.raises(DataError, match="lacks the columns isic_id"):
        bring()
    assert archive.asked == []


def test_terms_come_first(monkeypatch):
    bcn = read_card("bcn20000")
    with pytest.raises(UsageError, match=r"terms of BCN20000 must be accepted.*CC BY-NC"):
        check_allowed(bcn, accepted=False)
    for name in ("skincap", "ddi", "dermnet", "derm7pt"):
        with pytest.raises(UsageError, match=f"dermaxai data how {name}"):
            check_allowed(read_card(name), accepted=True)
    check_allowed(bcn, accepted=True)


def test_offline_nothing_is_asked(monkeypatch):
    monkeypatch.setenv("DERMAXAI_OFFLINE", "1")
    with pytest.raises(UsageError, match="network is switched off"):
        check_allowed(read_card("bcn20000"), accepted=True)


def test_few_photos_are_under_way_at_once():
    assert acquiring.AT_ONCE <= 4
