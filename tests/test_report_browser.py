"""The report in a real browser, opened from disk."""

import dataclasses
import json
import os
import shutil
from pathlib import Path

import pytest

from dermaxai.report import write_report
from dermaxai.types import Caption
from tests.sample_case import CENTRE, HEIGHT, WIDTH, make_case

pytestmark = pytest.mark.browser

CHROMIUM = os.environ.get("DERMAXAI_CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
SHOW = """() => {
  const canvas = document.getElementById("layer");
  const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  let sum = 0, x = 0, y = 0, strongest = 0;
  for (let i = 3, at = 0; i < data.length; i += 4, at++) {
    const alpha = data[i];
    strongest = Math.max(strongest, alpha);
    sum += alpha; x += alpha * (at % canvas.width); y += alpha * Math.floor(at / canvas.width);
  }
  return {sum, strongest, x: x / sum / canvas.width, y: y / sum / canvas.height};
}"""


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine; name one in $DERMAXAI_CHROMIUM")
    with playwright.sync_playwright() as engine:
        chromium = engine.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture
def open_report(browser, tmp_path):
    """A function (case, **options) -> page; at the end nothing else was asked for, and nothing complained."""
    pages, requests, complaints = [], [], []

    def open_one(case, *, language="en", width=1280, **options):
        path = write_report(case, tmp_path / "отчёт №1.html", language=language)
        page = browser.new_page(viewport={"width": width, "height": 800}, **options)
        page.on("request", lambda request: requests.append(request.url))
        page.on("console", lambda message: message.type == "error" and complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(path.as_uri())
        page.wait_for_selector("#thumbs button, #grid[hidden]", state="attached")
        pages.append((page, path.as_uri()))
        return page

    yield open_one
    for page, _ in pages:
        page.close()
    assert complaints == []
    assert [url for url in requests if not url.startswith("data:")] == [url for _, url in pages]


def word(page, text):
    return page.locator("#caption .word", has_text=text).first


def test_hover_draws_the_map_over_the_right_place(open_report):
    case = make_case()
    page = open_report(case)
    for text in ("lesion", "irregular", "border"):
        word(page, text).hover()
        shown = page.evaluate(SHOW)
        values = case.map(text, "grad_eclip").values
        row, column = divmod(int(values.argmax()), 14)
        top, left, bottom, right = case.maps[0].placement.cell(row, column, (14, 14))
        assert shown["strongest"] == pytest.approx(0.65 * 255, abs=2)
        assert abs(shown["y"] * HEIGHT - (top + bottom) / 2) < 14
        assert abs(shown["x"] * WIDTH - (left + right) / 2) < 14
        assert page.locator("#about-word").inner_text() == text
        assert "positive energy" in page.locator("#about-map").inner_text()


def test_canvas_lies_exactly_over_the_photo(open_report):
    page = open_report(make_case(), width=360)
    assert page.locator("#layer").bounding_box() == page.locator("#photo").bounding_box()


def test_words_that_any_photo_gets_have_no_map(open_report):
    page = open_report(make_case())
    word(page, "with").hover()
    assert page.evaluate(SHOW)["sum"] == 0
    assert "average photo gives this word too" in page.locator("#about-map").inner_text()
    assert "average photo" in word(page, "with").get_attribute("title")


def test_no_evidence_is_hatched_and_said(open_report):
    page = open_report(make_case())
    word(page, "large").hover()
    shown = page.evaluate(SHOW)
    assert 0 < shown["sum"] / 255 < 0.35 * 640 * 480
    assert page.locator("#about-map").inner_text() == "No evidence: the map is zero everywhere."


def test_keyboard_path(open_report):
    page = open_report(make_case())
    word(page, "lesion").focus()
    page.keyboard.press("ArrowLeft")
    assert page.evaluate("document.activeElement.textContent") == "brown"
    page.keyboard.press("Enter")
    assert word(page, "brown").get_attribute("aria-pressed") == "true"
    word(page, "border").hover()
    page.mouse.move(5, 5)
    assert page.locator("#about-word").inner_text() == "brown"
    page.keyboard.press("2")
    assert page.locator("[name=method]").nth(1).is_checked()
    assert page.locator("#scalar").inner_text() == "word log-probability"
    before = page.evaluate(SHOW)["strongest"]
    page.keyboard.press("o")
    assert page.evaluate(SHOW)["strongest"] < before
    page.keyboard.press("Escape")
    assert page.evaluate(SHOW)["sum"] == 0
    assert page.locator(".word[aria-pressed=true]").count() == 0


def test_sliders_and_range(open_report):
    page = open_report(make_case())
    word(page, "brown").click()
    full = page.evaluate(SHOW)
    page.locator("#threshold").fill("60")
    assert page.evaluate(SHOW)["sum"] < 0.7 * full["sum"]
    page.locator("#threshold").fill("0")
    high = page.locator("#high").inner_text()
    page.get_by_label("same for all words").check()
    assert page.evaluate(SHOW)["sum"] < full["sum"]
    assert float(page.locator("#high").inner_text()) > float(high)


def test_value_at_the_cursor(open_report):
    case = make_case()
    page = open_report(case)
    word(page, "border").click()
    heat = case.map("border", "grad_eclip")
    box = page.locator("#layer").bounding_box()
    page.mouse.move(
        box["x"] + CENTRE[1] / WIDTH * box["width"], box["y"] + CENTRE[0] / HEIGHT * box["height"]
    )
    row, column = heat.placement.locate(*CENTRE, (14, 14))
    said = page.locator("#value").inner_text()
    assert said.endswith(f"at row {row + 1}, column {column + 1}")
    assert float(said.split()[0]) == pytest.approx(heat.values[row, column], rel=6e-3)
    page.mouse.move(box["x"] + 3, box["y"] + 30)
    assert page.locator("#value").inner_text() == "Outside what the model saw."


def test_questions_beside_the_caption(open_report):
    page = open_report(make_case())
    page.locator("#query-chips button").click()
    shown = page.evaluate(SHOW)
    assert abs(shown["y"] * HEIGHT - 220) < 20
    assert "<b>network</b>" in page.locator("#about-word").inner_text()


@pytest.mark.parametrize(
    ("language", "width", "scheme"),
    [("en", 1280, "light"), ("ru", 1280, "dark"), ("en", 360, "dark"), ("ru", 360, "light")],
)
def test_nothing_sticks_out(open_report, tmp_path, language, width, scheme):
    page = open_report(make_case(), language=language, width=width, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    folder = Path(os.environ.get("DERMAXAI_SCREENSHOTS", tmp_path))
    page.screenshot(path=folder / f"report-{language}-{width}-{scheme}.png", full_page=True)
    cut = """() => [...document.querySelectorAll("button, label span, legend, h1, h2, dt")]
        .filter((item) => item.scrollWidth > item.clientWidth + 1 && item.clientWidth > 0)
        .map((item) => item.outerHTML)"""
    assert page.evaluate(cut) == []


def test_language_switch_speaks_everywhere(open_report):
    page = open_report(make_case())
    page.get_by_role("button", name="Русский").click()
    assert page.locator("html").get_attribute("lang") == "ru"
    assert page.locator("h1").inner_text() == "Описание"
    assert "положительной энергии" in page.locator("#about-map").inner_text()
    assert page.locator("#outside strong").inner_text() == "За пределами того, что знает модель"
    assert page.locator("#caption").get_attribute("lang") == "en"


def test_a_map_that_accounts_for_little_carries_a_caution(open_report):
    page = open_report(make_case())
    word(page, "border").hover()
    assert not page.locator("#about-caution").is_visible()
    page.locator("#methods label").nth(1).click()
    word(page, "border").hover()
    assert page.locator("#about-account").inner_text().startswith("The map accounts for 0.")
    assert page.locator("#about-caution").is_visible()
    assert "less than a fifth" in page.locator("#layer").get_attribute("aria-label")
    assert page.locator("#thumbs small.doubt").first.inner_text() == "accounts for little"
    page.get_by_role("button", name="Русский").click()
    assert "меньше пятой доли" in page.locator("#about-caution").inner_text()
    assert page.locator("#scalar").inner_text() == "логарифм вероятности слова"
    assert "ключи и значения Q-Former" in page.locator(".made dl").inner_text()


def test_words_without_a_map_say_why(open_report):
    case = make_case()
    despite = dataclasses.replace(case.evidence[0], nats=-1.5)
    page = open_report(dataclasses.replace(case, evidence=(despite, *case.evidence[1:])))
    page.locator("#caption .word").nth(0).hover()
    assert "in spite of the image" in page.locator("#about-map").inner_text()
    page.locator("#caption .word").nth(6).hover()
    assert "average photo" in page.locator("#about-map").inner_text()


def test_every_map_of_the_sheet_is_a_sentence(open_report):
    page = open_report(make_case())
    labels = page.evaluate("[...document.querySelectorAll('#thumbs button')].map((one) => one.ariaLabel)")
    assert len(labels) == 10
    assert "positive energy" in labels[-1]
    assert "average photo" in labels[0]


def test_banner_only_for_unknown_photos(open_report):
    assert open_report(make_case()).locator("#outside").is_visible()
    assert not open_report(make_case(outside=False)).locator("#outside").is_visible()


def test_every_control_has_a_name(open_report):
    page = open_report(make_case())
    nameless = """() => [...document.querySelectorAll("button, input, [role=img], [tabindex='0']")]
        .filter((item) => !(item.getAttribute("aria-label") || item.textContent.trim()
            || item.labels?.[0]?.textContent.trim()))
        .map((item) => item.outerHTML)"""
    assert page.evaluate(nameless) == []
    word(page, "border").hover()
    assert "Map of “border” by Grad-ECLIP" in page.locator("#layer").get_attribute("aria-label")


@pytest.mark.parametrize("empty", ["caption", "maps"])
def test_poor_cases_still_open(open_report, empty):
    case = make_case()
    blank = Caption("", "en", (), (1,), (-0.1,))
    changes = {"maps": ()} | (
        {"captions": (blank,), "evidence": (), "concepts": ()} if empty == "caption" else {}
    )
    page = open_report(dataclasses.replace(case, **changes))
    if empty == "caption":
        assert page.locator("#caption").inner_text() == "The model wrote no caption."
    else:
        word(page, "border").click()
        assert page.evaluate(SHOW)["sum"] == 0
        assert "no map" in page.locator("#about-map").inner_text()


def test_hover_is_fast(open_report):
    page = open_report(make_case())
    times = page.evaluate("""() => [...document.querySelectorAll("#caption .word")].flatMap((word) => {
        const start = performance.now();
        word.dispatchEvent(new PointerEvent("pointerenter", {pointerType: "mouse"}));
        document.getElementById("layer").getContext("2d").getImageData(0, 0, 1, 1);
        return [performance.now() - start];
    })""")
    assert sorted(times)[len(times) // 2] < 150, json.dumps(times)


def test_whether_a_map_can_be_trusted_is_said_and_drawn(open_report):
    page = open_report(make_case())
    word(page, "border").hover()
    said = page.locator("#trust").inner_text()
    assert "Can this map be trusted?" in said
    assert said.count("Better than 97.5 % of random maps.") == 2
    assert "dropping their tokens, in 20 steps, beside 20 random maps" in said
    places = """() => [...document.querySelectorAll("#trust .ruler")].map(
        (ruler) => ["band", "dot"].map((name) => {
            const box = ruler.querySelector("." + name).getBoundingClientRect();
            return [box.left, box.right];
        }))"""
    (band, dot), (other_band, other_dot) = page.evaluate(places)
    assert dot[1] < band[0]
    assert other_dot[0] > other_band[1]
    assert "Better than 97.5 %" in page.locator("#layer").get_attribute("aria-label")
    word(page, "large").hover()
    assert page.locator("#trust").inner_text().count("No better than a random map.") == 2
    page.get_by_role("button", name="Русский").click()
    assert "Не лучше случайной карты" in page.locator("#trust").inner_text()
    page.keyboard.press("Escape")
    assert not page.locator("#trust").is_visible()


def test_maps_no_better_than_random_are_marked_in_the_sheet(open_report):
    page = open_report(make_case())
    marked = page.locator("#thumbs small.doubt")
    assert marked.count() == 1
    assert marked.inner_text() == "no better than random"
    plain = open_report(dataclasses.replace(make_case(), scores=()))
    assert plain.locator("#thumbs small.doubt").count() == 0
    assert not plain.locator("#trust").is_visible()
    assert not plain.locator("#sanity").is_visible()


def test_the_checks_of_the_method_in_use(open_report):
    page = open_report(make_case())
    word(page, "border").hover()
    rows = page.locator("#sanity li")
    assert rows.count() == 5
    failed = rows.filter(has_text="failed")
    assert failed.count() == 1
    assert "Random weights: failed 0.31 [0.25 … 0.42], below 0.2, n 7." in failed.inner_text()
    assert "A model that has learned nothing" in failed.inner_text()
    page.locator("#methods label").nth(1).click()
    assert "0.32" in page.locator("#sanity li").filter(has_text="failed").inner_text()


def test_works_on_paper(open_report, tmp_path):
    page = open_report(make_case())
    page.emulate_media(media="print")
    assert not page.locator("#controls").is_visible()
    assert page.locator("#grid").is_visible()
    content = page.pdf(path=str(tmp_path / "report.pdf"), print_background=True)
    assert content.startswith(b"%PDF")
