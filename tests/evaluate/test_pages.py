import dataclasses
import hashlib
import math
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dermaxai.evaluate.items import Evaluation
from dermaxai.evaluate.naming import key_of
from dermaxai.evaluate.pages import Drawing, PageOptions, write_pages
from dermaxai.measure.columns import mean_column
from tests.evaluate.made import DELETION, INSERTION, make_evaluation, make_items

WITH_PHOTOS = PageOptions(photos=True, most=3)


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    folder, found = tmp_path_factory.mktemp("photos"), []
    for number in range(10):
        path = folder / f"{number}.jpg"
        picture = Image.fromarray(np.full((600, 800, 3), 20 * number, np.uint8))
        exif = Image.Exif()
        exif[0x010E] = "name of a person"
        picture.save(path, exif=exif)
        found.append(path)
    return found


@pytest.fixture(scope="module")
def written(paths, tmp_path_factory):
    evaluation = make_evaluation(10, conditions=("word", "query"), paths=paths)
    folder = tmp_path_factory.mktemp("cases")
    return folder, evaluation, write_pages(["explanations"], [evaluation], folder, WITH_PHOTOS)


class Links(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.found = []
        self.tags = set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.found += [value for name, value in attributes if name in ("href", "src")]


def links(path):
    return Links(path.read_text("utf-8")).found


def test_every_link_leads_to_a_file_of_the_folder(written):
    folder, _, files = written
    assert set(files) == {path for path in folder.rglob("*") if path.is_file()}
    assert len(files) == len(set(files))
    reached, left = set(), [folder / "index.html"]
    while left:
        page = left.pop()
        reached.add(page)
        if page.suffix == ".html":
            for link in links(page):
                target = (page.parent / link).resolve()
                assert target.is_file(), link
                if target not in reached:
                    left.append(target)
    assert reached == set(files), "nothing lies there that no link leads to"


def test_pages_ask_for_nothing(written):
    _, _, files = written
    for path in files:
        if path.suffix == ".html":
            text = path.read_text("utf-8")
            assert not re.search(r"https?://|//[a-z]", text.replace("<!doctype html>", ""))
            assert "script" not in Links(text).tags
            assert "default-src 'none'" in text
            assert "prefers-color-scheme: dark" in text


def sections(text):
    """Metric and contestant, then ids of the worst and of the best."""
    found = {}
    for part in text.split("<h2>")[1:]:
        title = part.split("</h2>")[0]
        worst, best = part.split("<h3>Best</h3>")
        found[title] = [re.findall(r"<small>(.*?)</small>", side) for side in (worst, best)]
    return found


def test_the_worst_and_the_best_by_each_direction(written):
    folder, evaluation, _ = written
    told = sections((folder / "explanations-word.html").read_text("utf-8"))
    assert set(told) == {
        f"{metric}: {name}" for metric in ("Deletion", "Insertion") for name in ("grad_cam", "grad_eclip")
    }
    for column in evaluation.columns:
        title = f"{column.scale.title}: {column.contestant}"
        if column.condition == "word" and title in told:
            order = sorted(
                zip(column.parts[:, 0], column.rows, strict=True), reverse=column.scale == DELETION
            )
            rows = [row for _, row in order]
            assert told[title] == [rows[:3], rows[::-1][:3]]


def test_no_photo_is_at_both_ends_and_none_without_a_value(tmp_path):
    items = make_items(4)
    values = [(items[0].id, 0.2), (items[1].id, math.nan), (items[2].id, 0.9), (items[3].id, 0.5)]
    column = mean_column("a", "word", INSERTION, values)
    write_pages(["explanations"], [Evaluation("explanations", (column,), tuple(items), {}, "")], tmp_path)
    told = sections((tmp_path / "explanations-word.html").read_text("utf-8"))["Insertion: a"]
    assert told == [[items[0].id, items[3].id], [items[2].id]]


def test_a_photo_has_all_its_values(written):
    folder, evaluation, _ = written
    text = (folder / "items" / f"{key_of(evaluation.items[0].id)}.html").read_text("utf-8")
    assert "ham10000/ISIC_0000" in text
    assert [title for title in re.findall(r"<h2>(.*?)</h2>", text)] == [
        "explanations, word",
        "explanations, query",
    ]
    first = text.split("<table>")[1].split("</table>")[0]
    rows = [re.findall(r"<td>(.*?)</td>", row) for row in first.split("<tr")[2:]]
    assert [row[0] for row in rows] == ["grad_cam", "grad_eclip", "random map", "centred gaussian"]
    value = evaluation.columns[0].parts[0, 0]
    assert float(rows[0][1]) == pytest.approx(value, abs=0.001)


def test_photos_are_small_copies_of_pixels_only(written):
    folder, _, files = written
    copies = [path for path in files if path.suffix == ".jpg"]
    assert copies
    for path in copies:
        assert path.parent == folder / "photos"
        with Image.open(path) as picture:
            assert picture.size == (480, 360)
            assert not picture.getexif()
        assert b"person" not in path.read_bytes()


def test_no_photos_unless_asked(paths, tmp_path):
    evaluation = make_evaluation(10, paths=paths)
    files = write_pages(["explanations"], [evaluation], tmp_path)
    assert {path.suffix for path in files} == {".html"}
    assert not any("<img" in path.read_text("utf-8") for path in files)


def test_a_photo_that_cannot_be_read_has_a_page_without_it(tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no photo")
    evaluation = make_evaluation(4, paths=[broken])
    files = write_pages(["explanations"], [evaluation], tmp_path / "cases", WITH_PHOTOS)
    assert {path.suffix for path in files} == {".html"}


def test_names_cannot_break_the_page(tmp_path):
    evil = '<script>alert("x")</script>'
    evaluation = make_evaluation(4, contestants=(evil,), conditions=(evil,))
    files = write_pages([evil], [evaluation], tmp_path)
    for path in files:
        text = path.read_text("utf-8")
        assert "<script" not in text
        assert "&lt;script&gt;" in text


def test_a_case_that_is_there_is_linked(tmp_path):
    evaluation = make_evaluation(4)
    item = evaluation.items[1]
    place = tmp_path / "cases of explain" / item.sha256[:8]
    place.mkdir(parents=True)
    (place / "case.json").write_text(f'{{"image": {{"sha256": "{item.sha256}"}}}}')
    (place / "report.html").write_text("a report")
    options = PageOptions(reports=tmp_path / "cases of explain")
    write_pages(["explanations"], [evaluation], tmp_path / "results" / "cases", options)
    page = tmp_path / "results" / "cases" / "items" / f"{key_of(item.id)}.html"
    linked = [link for link in links(page) if "report" in link]
    assert [(page.parent / link).resolve() for link in linked] == [place / "report.html"]
    others = [key_of(one.id) for one in evaluation.items if one is not item]
    assert not any("report" in link for key in others for link in links(page.with_name(f"{key}.html")))


def test_overlays_of_an_evaluation_are_shown(paths, tmp_path):
    evaluation = make_evaluation(4, paths=paths[:4])
    item = evaluation.items[2]
    told = dataclasses.replace(evaluation, pictures={item.id: (paths[9], Path("nowhere.png"))})
    write_pages(["explanations"], [told], tmp_path, WITH_PHOTOS)
    shown = [link for link in links(tmp_path / "items" / f"{key_of(item.id)}.html") if "photos" in link]
    digest = [hashlib.sha256(path.read_bytes()).hexdigest()[:16] for path in (paths[2], paths[9])]
    assert shown == [f"../photos/{one}.jpg" for one in digest]


def test_only_the_first_contestants_are_shown_and_that_is_said(tmp_path):
    evaluation = make_evaluation(6, contestants=tuple("abcdef"))
    write_pages(["explanations"], [evaluation], tmp_path, PageOptions(contestants=2))
    text = (tmp_path / "explanations-word.html").read_text("utf-8")
    assert "The first 2 of 6 contestants." in text
    assert set(sections(text)) == {
        f"{metric}: {name}" for metric in ("Deletion", "Insertion") for name in "ab"
    }


def test_nothing_to_show(tmp_path):
    bare = dataclasses.replace(make_evaluation(4), columns=())
    assert write_pages(["explanations"], [bare], tmp_path) == [tmp_path / "index.html"]
    assert "No metric gives a value" in (tmp_path / "index.html").read_text("utf-8")


@pytest.mark.browser
def test_pages_open_from_disk_and_show_their_photos(written):
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = next(
        (path for path in map(Path, ("/usr/bin/chromium", "/usr/bin/google-chrome")) if path.exists()), None
    )
    if chromium is None:
        pytest.skip("needs Chromium")
    folder, _, _ = written
    with playwright.sync_playwright() as api:
        browser = api.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page, told = browser.new_page(), []
        page.on("console", lambda message: told.append(message.text))
        page.goto((folder / "index.html").as_uri())
        page.click("ul.plain a")
        page.click(".cards a")
        assert page.evaluate("[...document.images].map(one => one.naturalWidth)") == [480]
        page.click("nav a")
        assert page.url == (folder / "index.html").as_uri()
        browser.close()
    assert told == []


def test_texts_are_shown_and_cannot_break_the_page(tmp_path):
    items = make_items(4)
    texts = {items[0].id: (("demo, en", "<b>A mole</b>"), ("known", "diagnosis: melanoma"))}
    write_pages(["captions"], [make_evaluation(4, texts=texts)], tmp_path)
    pages = [path.read_text("utf-8") for path in (tmp_path / "items").iterdir()]
    assert sum("&lt;b&gt;A mole&lt;/b&gt;" in page and "diagnosis: melanoma" in page for page in pages) == 1


@pytest.mark.parametrize("photos", [True, False])
def test_drawings_are_made_with_photos_only(paths, tmp_path, photos):
    asked = []

    def draw(item):
        asked.append(item.id)
        return [Drawing("word", f"{number}", np.zeros((600, 900, 3), np.uint8)) for number in (1, 2)]

    evaluation = make_evaluation(4, paths=paths)
    told = []

    def tell(what, done, total):
        told.append((done, total))

    options = PageOptions(photos=photos, draw=draw, tell=tell)
    written = write_pages(["explanations"], [evaluation], tmp_path, options)
    drawn = [path for path in written if path.stem.endswith(("-01", "-02"))]
    assert len(drawn) == (8 if photos else 0)
    assert sorted(asked) == sorted(one.id for one in evaluation.items if photos)
    assert told == [(number, 4) for number in (1, 2, 3, 4)]
    for path in drawn:
        with Image.open(path) as picture:
            assert picture.size == (480, 320)
