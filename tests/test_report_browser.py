"""The report in a real browser, opened from disk."""

import dataclasses
import io
import os
import shutil
import subprocess
from importlib import util
from pathlib import Path

import pytest

from dermaxai.i18n import catalogue
from dermaxai.pdf.content import best_maps
from dermaxai.report import write_report
from dermaxai.scores import map_names
from dermaxai.types import Agreement, Alternative, Blur, Caption, ConceptFit, HeatMap, Score, Target
from tests.sample_case import CENTRE, HEIGHT, WIDTH, blob, make_case, write_caption

pytestmark = pytest.mark.browser

CHROMIUM = os.environ.get("DERMAXAI_CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
EIGHT = ("grad_eclip", "evidence", "grad_cam", "xgrad_cam", "score_cam", "rollout", "convis", "legrad")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
SHOW = """async () => {
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  const canvas = document.querySelector("[data-part=layer]");
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

    def open_one(case, *, language="en", width=1280, readings=(), **options):
        path = write_report(case, tmp_path / "отчёт №1.html", language=language, readings=readings)
        page = browser.new_page(viewport={"width": width, "height": 800}, **options)
        page.on("request", lambda request: requests.append(request.url))
        page.on("console", lambda message: message.type == "error" and complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(path.as_uri())
        page.wait_for_selector("html[data-ready]", state="attached")
        pages.append((page, path.as_uri()))
        return page

    yield open_one
    for page, _ in pages:
        page.close()
    assert complaints == []
    assert [url for url in requests if not url.startswith("data:")] == [url for _, url in pages]


def part(page, name):
    return page.locator(f'[data-part="{name}"]')


def tile(page, name):
    return page.locator(".tile:visible", has_text=name).first


def settle(page):
    """Waits until everything that is drawn later is drawn."""
    page.wait_for_timeout(400)


def word(page, text):
    return page.locator(".caption .word", has_text=text).first


def test_hover_draws_the_map_over_the_right_place(open_report):
    case = make_case()
    page = open_report(case)
    for text in ("lesion", "irregular", "border"):
        word(page, text).hover()
        shown = page.evaluate(SHOW)
        heat = case.map(text, "grad_eclip")
        row, column = divmod(int(heat.values.argmax()), 14)
        top, left, bottom, right = heat.placement.cell(row, column, (14, 14))
        assert shown["strongest"] == pytest.approx(0.65 * 255, abs=2)
        assert abs(shown["y"] * HEIGHT - (top + bottom) / 2) < 14
        assert abs(shown["x"] * WIDTH - (left + right) / 2) < 14
        assert part(page, "about-word").inner_text() == text
        assert "positive energy" in part(page, "about-map").inner_text()


@pytest.mark.parametrize("layer", ["layer", "overlay"])
def test_what_lies_over_the_photo_lies_exactly_over_it(open_report, layer):
    page = open_report(make_case(), width=360)
    assert part(page, layer).bounding_box() == part(page, "photo").bounding_box()
    assert part(page, "overlay").get_attribute("viewBox") == f"0 0 {WIDTH} {HEIGHT}"


def test_words_that_any_photo_gets_have_no_map(open_report):
    page = open_report(make_case())
    word(page, "with").hover()
    assert page.evaluate(SHOW)["sum"] == 0
    assert "average photo gives this word too" in part(page, "about-map").inner_text()
    assert page.locator(".tile:visible").count() == 0
    assert "average photo" in part(page, "range-told").inner_text()


def test_nothing_moves_away_under_the_pointer(open_report):
    page = open_report(make_case(methods=EIGHT))
    word(page, "border").click()
    for summary in page.locator(".methods summary:visible").all():
        summary.click()
    without = part(page, "mapless").locator("button").last
    without.scroll_into_view_if_needed()
    settle(page)
    before = without.bounding_box()
    without.hover()
    settle(page)
    assert part(page, "about-word").inner_text() == "an"
    assert page.locator(".tile:visible").count() == 0
    assert without.bounding_box() == before
    word(page, "with").hover()
    assert not part(page, "methods").evaluate("(one) => one.style.minHeight")


def test_no_evidence_is_hatched_and_said(open_report):
    page = open_report(make_case())
    word(page, "large").hover()
    shown = page.evaluate(SHOW)
    assert 0 < shown["sum"] / 255 < 0.35 * 640 * 480
    assert part(page, "about-map").inner_text() == "No evidence: the map is zero everywhere."
    assert "weak" in tile(page, "Grad-ECLIP").get_attribute("class")


def test_keyboard_path(open_report):
    page = open_report(make_case())
    word(page, "lesion").focus()
    page.keyboard.press("ArrowLeft")
    assert page.evaluate("document.activeElement.textContent") == "brown"
    page.keyboard.press("Enter")
    assert word(page, "brown").get_attribute("aria-pressed") == "true"
    word(page, "border").hover()
    page.mouse.move(5, 5)
    assert part(page, "about-word").inner_text() == "brown"
    page.keyboard.press("2")
    assert tile(page, "Word evidence").get_attribute("aria-pressed") == "true"
    before = page.evaluate(SHOW)["strongest"]
    assert part(page, "scalar").inner_text() == "word log-probability"
    page.keyboard.press("o")
    assert page.evaluate(SHOW)["strongest"] < before
    page.keyboard.press("t")
    assert part(page, "threshold").input_value() == "5"
    page.keyboard.press("Escape")
    assert page.evaluate(SHOW)["sum"] == 0
    assert page.locator(".word[aria-pressed=true]").count() == 0


def test_tab_past_other_questions_comes_back_to_the_pinned_word(open_report):
    page = open_report(make_case())
    word(page, "lesion").focus()
    page.keyboard.press("Enter")
    seen = []
    for _ in range(40):
        page.keyboard.press("Tab")
        key, method = page.evaluate(
            "[document.activeElement.dataset.key ?? '', document.activeElement.dataset.method ?? '']"
        )
        if method:
            break
        seen.append(key)
        shown = part(page, "about-word").inner_text()
        assert (shown == "lesion") is not key.startswith("query:")
    assert any(key.startswith("query:") for key in seen)
    assert method != ""
    assert part(page, "about-word").inner_text() == "lesion"
    assert part(page, "methods-title").inner_text().endswith("“lesion”")


def test_arrow_keys_walk_through_the_words_from_anywhere(open_report):
    page = open_report(make_case())
    page.keyboard.press("Escape")
    for text in ("a", "large", "asymmetric"):
        page.keyboard.press("ArrowRight")
        assert page.evaluate("document.activeElement.textContent") == text
    page.keyboard.press("End")
    assert part(page, "about-word").inner_text() == "border"
    tile(page, "Grad-ECLIP").focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.dataset.method") == "1"
    part(page, "opacity").focus()
    page.keyboard.press("ArrowRight")
    assert part(page, "about-word").inner_text() == "border"
    assert part(page, "opacity").input_value() == "66"


def test_keys_stay_silent_while_somebody_writes_or_wants_none(open_report):
    page = open_report(make_case())
    page.evaluate("document.querySelector('[data-slot=ask]').append(document.createElement('textarea'))")
    page.locator("textarea").focus()
    page.keyboard.type("op2?t")
    assert page.locator("textarea").input_value() == "op2?t"
    assert part(page, "opacity").input_value() == "65"
    assert not part(page, "keys").is_visible()
    page.locator("textarea").blur()
    page.keyboard.press("?")
    assert part(page, "keys").is_visible()
    assert page.evaluate("document.activeElement.closest('dialog') !== null")
    part(page, "keys-on").uncheck()
    page.keyboard.press("Escape")
    assert not part(page, "keys").is_visible()
    page.keyboard.press("p")
    assert part(page, "opacity").input_value() == "65"


def test_letters_work_on_a_russian_keyboard(open_report):
    page = open_report(make_case(), language="ru")
    press = (
        "document.body.dispatchEvent(new KeyboardEvent('keydown', {key: 'щ', code: 'KeyO', bubbles: true}))"
    )
    page.evaluate(press)
    assert part(page, "opacity").input_value() == "60"


def test_sliders_and_range(open_report):
    page = open_report(make_case())
    word(page, "brown").click()
    full = page.evaluate(SHOW)
    part(page, "threshold").fill("60")
    assert page.evaluate(SHOW)["sum"] < 0.7 * full["sum"]
    part(page, "threshold").fill("0")
    high = part(page, "high").inner_text()
    assert "compare places" in part(page, "range-told").inner_text()
    page.get_by_label("same for all words").check()
    assert page.evaluate(SHOW)["sum"] < full["sum"]
    assert float(part(page, "high").inner_text()) > float(high)
    assert "not between methods" in part(page, "range-told").inner_text()
    page.get_by_label("same for all methods").check()
    assert "weak beside the others" in part(page, "range-told").inner_text()


PIXEL = """async () => {
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  const canvas = document.querySelector("[data-part=bar]");
  return [...canvas.getContext("2d").getImageData(255, 0, 1, 1).data].slice(0, 3);
}"""


def test_colours_are_chosen_for_unsigned_maps_only(open_report):
    page = open_report(make_case())
    word(page, "border").click()
    assert page.evaluate(PIXEL) == [253, 231, 37]
    page.get_by_label("blue to yellow").check()
    assert page.evaluate(PIXEL) == [254, 232, 56]
    assert not part(page, "diverging").is_visible()
    page.keyboard.press("2")
    assert page.evaluate(PIXEL) == [138, 15, 36]
    assert part(page, "diverging").is_visible()
    assert part(page, "low").inner_text().startswith("−")


def test_the_photo_is_grey_only_under_a_map(open_report):
    page = open_report(make_case())
    style = "getComputedStyle(document.querySelector('[data-part=photo]')).filter"
    word(page, "border").click()
    page.evaluate(SHOW)
    assert page.evaluate(style).startswith("grayscale")
    page.keyboard.press("g")
    page.evaluate(SHOW)
    assert page.evaluate(style) == "none"
    page.keyboard.press("g")
    page.keyboard.press("Escape")
    page.evaluate(SHOW)
    assert page.evaluate(style) == "none"


def test_value_at_the_cursor_in_every_map(open_report):
    case = make_case()
    page = open_report(case)
    word(page, "border").click()
    box = part(page, "layer").bounding_box()
    page.mouse.move(
        box["x"] + CENTRE[1] / WIDTH * box["width"], box["y"] + CENTRE[0] / HEIGHT * box["height"]
    )
    page.evaluate(SHOW)
    row, column = case.maps[0].placement.locate(*CENTRE, (14, 14))
    said = part(page, "value").inner_text()
    assert said.endswith(f"at row {row + 1}, column {column + 1}")
    for name, method in (("Grad-ECLIP", "grad_eclip"), ("Word evidence", "evidence")):
        shown = float(tile(page, name).locator(".where").inner_text().replace("−", "-"))
        assert shown == pytest.approx(case.map("border", method).values[row, column], rel=2e-2)
        assert tile(page, name).locator(".cell").is_visible()
    page.mouse.move(box["x"] + 3, box["y"] + 30)
    page.evaluate(SHOW)
    assert part(page, "value").inner_text() == "Outside what the model saw."
    page.mouse.move(2, 2)
    page.evaluate(SHOW)
    assert "%" in tile(page, "Grad-ECLIP").locator(".where").inner_text()


def test_pointing_at_a_tile_points_at_the_photo(open_report):
    page = open_report(make_case())
    word(page, "border").click()
    tile(page, "Word evidence").locator(".plate").hover()
    page.evaluate(SHOW)
    middle = part(page, "cell").bounding_box()
    box = part(page, "layer").bounding_box()
    assert abs(middle["x"] + middle["width"] / 2 - box["x"] - box["width"] / 2) < middle["width"]
    assert " at row " in part(page, "value").inner_text()


def test_arrow_keys_read_cells_aloud(open_report):
    page = open_report(make_case())
    word(page, "border").click()
    part(page, "stage").focus()
    page.keyboard.press("ArrowDown")
    page.evaluate(SHOW)
    assert part(page, "value").inner_text().endswith("at row 9, column 8")
    settle(page)
    assert part(page, "live").inner_text().endswith("at row 9, column 8")


def test_methods_side_by_side(open_report):
    case = make_case(methods=EIGHT)
    page = open_report(case)
    word(page, "border").click()
    settle(page)
    assert page.locator(".tile:visible").count() == 8
    assert part(page, "methods-title").inner_text() == "Methods for “border”"
    painted = """() => [...document.querySelectorAll(".tile:not([hidden]) canvas + canvas")].map((canvas) =>
        canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.some((byte) => byte))"""
    assert page.evaluate(painted) == [True] * 8
    tile(page, "Score-CAM").click()
    assert tile(page, "Score-CAM").get_attribute("aria-pressed") == "true"
    assert "by Score-CAM" in part(page, "layer").get_attribute("aria-label")
    assert "does not read the question" in tile(page, "rollout").inner_text()
    assert "does not depend on the question" in tile(page, "rollout").get_attribute("aria-label")
    deletion = case.score("score_cam", "border", "deletion").value
    assert f"del. {deletion:.2f} ✓" in tile(page, "Score-CAM").inner_text()
    for name in ("Grad-ECLIP", "LeGrad"):
        assert f"Map of “border” by {name}" in tile(page, name).get_attribute("aria-label")


def with_similarity(case):
    """The same case, with a method that only asks where the photo matches the text 'border'."""
    place = case.maps[0].placement
    heat = HeatMap(
        blob(place, (14, 14), (60, 200), 30),
        "legrad",
        Target("query", "border"),
        place,
        "cosine",
        "all",
        "all",
    )
    return dataclasses.replace(case, maps=(*case.maps, heat))


def test_a_method_that_asks_the_text_only_stands_with_the_word(open_report):
    page = open_report(with_similarity(make_case()))
    assert part(page, "query-chips").locator("button").count() == 1
    word(page, "border").click()
    assert "matches the text only" in tile(page, "LeGrad").inner_text()
    tile(page, "LeGrad").click()
    assert "where the photo matches the text" in part(page, "about-map").inner_text()
    assert abs(page.evaluate(SHOW)["y"] * HEIGHT - 60) < 14
    word(page, "irregular").click()
    assert not tile(page, "LeGrad").is_visible()
    assert "by Grad-ECLIP" in part(page, "layer").get_attribute("aria-label")


def test_disagreement_is_a_number_a_warning_and_a_matrix(open_report):
    case = make_case()
    names = ("grad_eclip", "evidence")
    far = Agreement(case.map("border", "grad_eclip").target, names, (1.0, -0.2, -0.2, 1.0))
    near = Agreement(case.map("irregular", "grad_eclip").target, names, (1.0, 0.8, 0.8, 1.0))
    page = open_report(dataclasses.replace(case, agreements=(far, near)))
    word(page, "border").click()
    assert part(page, "agree").inner_text() == "Agreement −0.2 ⚠ they disagree"
    part(page, "agreement").locator("summary").click()
    part(page, "agreement-rows").locator("td").first.wait_for()
    assert part(page, "agreement-rows").locator("td").all_inner_texts()[1:] == ["1", "−0.2", "−0.2", "1"]
    word(page, "irregular").click()
    assert part(page, "agree").inner_text().strip() == "Agreement 0.8"
    word(page, "brown").click()
    assert not part(page, "agree").is_visible()


def test_all_scores_of_a_question(open_report):
    case = make_case()
    page = open_report(case)
    word(page, "border").click()
    part(page, "score-table").locator("summary").click()
    rows = part(page, "score-table-rows").locator("tr")
    rows.nth(1).wait_for()
    assert rows.count() == 2
    score = case.score("grad_eclip", "border", "deletion")
    random = score.baseline, score.baseline_low, score.baseline_high
    assert f"{score.value:.3f} ✓" in rows.first.inner_text()
    assert "random {:.2f} ({:.2f} to {:.2f})".format(*random) in rows.first.inner_text()


def test_warnings_and_artefacts_stand_with_their_map(open_report):
    case = make_case()
    place = next(at for at, heat in enumerate(case.maps) if heat.target.text == "border")
    ruler = Score("artefact_share", 0.31, 0.31, 0.31, 1, map_names(case.maps)[place])
    case = dataclasses.replace(
        case, scores=(*case.scores, ruler), warnings=("'evidence' is doubtful on this kind of tower.",)
    )
    page = open_report(case)
    word(page, "border").click()
    assert "31 % of this map's positive energy lies on hair" in part(page, "about-caution").inner_text()
    assert "see warnings" in tile(page, "Word evidence").inner_text()
    assert "is doubtful on this kind" in tile(page, "Word evidence").get_attribute("aria-label")
    assert "see warnings" not in tile(page, "Grad-ECLIP").inner_text()


def test_alternatives_of_a_pinned_word(open_report):
    case = dataclasses.replace(
        make_case(), alternatives=(Alternative(3, "pale", -2.0), Alternative(3, "red", -4.0))
    )
    page = open_report(case)
    word(page, "dark").hover()
    assert not part(page, "alternatives").is_visible()
    word(page, "dark").click()
    assert (
        part(page, "alternatives").inner_text()
        == "Said instead, if not this word: pale 14\u00a0%, red 2\u00a0%"
    )
    assert part(page, "alternatives").locator("button").count() == 0
    assert "log p −0.02" in part(page, "about-facts").inner_text()


def test_questions_beside_the_caption(open_report):
    page = open_report(make_case())
    part(page, "query-chips").locator("button").click()
    shown = page.evaluate(SHOW)
    assert abs(shown["y"] * HEIGHT - 220) < 20
    assert "<b>network</b>" in part(page, "about-word").inner_text()


def test_concepts_and_words_light_each_other(open_report):
    case = make_case()
    place = case.maps[0].placement
    target = Target("concept", "ruler")
    heat = HeatMap(blob(place, (14, 14), (40, 120), 30), "splice", target, place, "concept weight", "all")
    page = open_report(dataclasses.replace(case, maps=(*case.maps, heat)))
    bars = part(page, "bars").locator("li")
    bars.first.hover()
    assert page.locator(".word.lit").all_inner_texts() == ["irregular", "border"]
    word(page, "brown").hover()
    assert page.locator(".word.lit").count() == 0
    assert "dark brown colour" in part(page, "bars").locator("li.lit").inner_text()
    assert "⚠ in no word" in bars.last.inner_text()
    assert part(page, "query-chips").locator("button").count() == 1
    bars.last.hover()
    assert abs(page.evaluate(SHOW)["y"] * HEIGHT - 40) < 14


@pytest.mark.parametrize(
    ("language", "width", "scheme"),
    [
        ("en", 1280, "light"),
        ("ru", 1280, "dark"),
        ("en", 360, "dark"),
        ("ru", 360, "light"),
        ("ru", 900, "light"),
        ("en", 1900, "light"),
    ],
)
def test_nothing_sticks_out(open_report, tmp_path, language, width, scheme):
    page = open_report(make_case(methods=EIGHT), language=language, width=width, color_scheme=scheme)
    settle(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    folder = Path(os.environ.get("DERMAXAI_SCREENSHOTS", tmp_path))
    page.screenshot(path=folder / f"report-{language}-{width}-{scheme}.png", full_page=True)
    cut = """() => [...document.querySelectorAll("button, label span, legend, h1, h2, h3, dt")]
        .filter((item) => item.scrollWidth > item.clientWidth + 1 && item.clientWidth > 0)
        .map((item) => item.outerHTML)"""
    assert page.evaluate(cut) == []


def test_language_switch_speaks_everywhere(open_report):
    page = open_report(make_case())
    page.get_by_role("button", name="Русский").click()
    assert page.locator("html").get_attribute("lang") == "ru"
    assert page.locator("h1").inner_text() == "DermaXAI Отчёт о случае"
    assert page.locator(".reading h2").inner_text() == "Описание"
    assert "положительной энергии" in part(page, "about-map").inner_text()
    assert part(page, "outside").locator("strong").inner_text() == "За пределами того, что знает модель"
    assert part(page, "caption").get_attribute("lang") == "en"


def test_a_map_that_accounts_for_little_carries_a_caution(open_report):
    page = open_report(make_case())
    word(page, "border").click()
    assert not part(page, "about-caution").is_visible()
    tile(page, "Word evidence").click()
    assert part(page, "about-account").inner_text().startswith("The map accounts for 0.")
    assert part(page, "about-caution").is_visible()
    assert "less than a fifth" in part(page, "layer").get_attribute("aria-label")
    assert "accounts for little" in tile(page, "Word evidence").inner_text()
    settle(page)
    assert part(page, "thumbs").locator("small.doubt").last.inner_text() == "accounts for little"
    page.get_by_role("button", name="Русский").click()
    page.evaluate(SHOW)
    assert "меньше пятой доли" in part(page, "about-caution").inner_text()
    assert part(page, "scalar").inner_text() == "логарифм вероятности слова"
    assert "ключи и значения Q-Former" in page.locator(".made dl").inner_text()


def test_words_without_a_map_say_why(open_report):
    case = make_case()
    despite = dataclasses.replace(case.evidence[0], nats=-1.5)
    page = open_report(dataclasses.replace(case, evidence=(despite, *case.evidence[1:])))
    page.locator(".caption .word").nth(0).hover()
    assert "in spite of the image" in part(page, "about-map").inner_text()
    page.locator(".caption .word").nth(6).hover()
    assert "average photo" in part(page, "about-map").inner_text()
    expected, despite = part(page, "mapless").locator("p").all_inner_texts()
    assert expected.split(":")[1].split() == ["with", "an"]
    assert despite.split(":")[1].split() == ["a"]


def test_every_map_of_the_sheet_is_a_sentence(open_report):
    page = open_report(make_case())
    settle(page)
    labels = page.evaluate("[...document.querySelectorAll('.thumb')].map((one) => one.ariaLabel)")
    assert len(labels) == 7
    assert "No evidence" in labels[0]
    assert "positive energy" in labels[-1]


def test_a_focused_word_describes_its_map(open_report):
    page = open_report(make_case())
    word(page, "border").focus()
    described = "document.getElementById(document.activeElement.getAttribute('aria-describedby')).textContent"
    assert page.evaluate(described).startswith("Map of “border” by Grad-ECLIP. Hottest: ")
    page.keyboard.press("2")
    settle(page)
    assert part(page, "live").inner_text().startswith("Map of “border” by Word evidence")


def test_banner_only_for_unknown_photos(open_report):
    assert part(open_report(make_case()), "outside").is_visible()
    assert not part(open_report(make_case(outside=False)), "outside").is_visible()


def test_banner_of_a_blurred_photo(open_report):
    assert not part(open_report(make_case()), "blurred").is_visible()
    assert not part(
        open_report(dataclasses.replace(make_case(), blur=Blur(0.44, 0.45))), "blurred"
    ).is_visible()
    page = open_report(dataclasses.replace(make_case(), blur=Blur(1.234, 0.45)))
    assert "by 1.23 % of its shorter side (limit 0.45 %)" in part(page, "blurred").inner_text()
    page.get_by_role("button", name="Русский").click()
    assert part(page, "blurred").locator("strong").inner_text() == "Фото выглядит размытым"
    assert "на 1,23 % его меньшей стороны (порог 0,45 %)" in part(page, "blurred").inner_text()


def test_every_control_has_a_name(open_report):
    page = open_report(make_case(methods=EIGHT))
    settle(page)
    nameless = """() => [...document.querySelectorAll("button, input, [role=img], [tabindex='0']")]
        .filter((item) => !(item.getAttribute("aria-label") || item.textContent.trim()
            || item.labels?.[0]?.textContent.trim()))
        .map((item) => item.outerHTML)"""
    assert page.evaluate(nameless) == []
    twice = """() => { const ids = [...document.querySelectorAll("[id]")].map((one) => one.id);
        return ids.filter((id, place) => ids.indexOf(id) !== place); }"""
    assert page.evaluate(twice) == []


@pytest.mark.parametrize("empty", ["caption", "maps"])
def test_poor_cases_still_open(open_report, empty):
    case = make_case()
    blank = Caption("", "en", (), (1,), (-0.1,))
    changes = {"maps": ()} | (
        {"captions": (blank,), "evidence": (), "concepts": ()} if empty == "caption" else {}
    )
    page = open_report(dataclasses.replace(case, **changes))
    if empty == "caption":
        assert part(page, "caption").inner_text() == "The model wrote no caption."
        assert not part(page, "about").is_visible()
    else:
        word(page, "border").click()
        assert page.evaluate(SHOW)["sum"] == 0
        assert "no map" in part(page, "about-map").inner_text()


def test_whether_a_map_can_be_trusted_is_said_and_drawn(open_report):
    page = open_report(make_case())
    word(page, "border").hover()
    said = part(page, "trust").inner_text()
    assert "Can this map be trusted?" in said
    assert said.count("Better than 97.5 % of random maps.") == 2
    assert "dropping their tokens, in 20 steps, beside 20 random maps" in said
    places = """() => [...document.querySelectorAll(".trust .ruler")].map(
        (ruler) => ["band", "dot"].map((name) => {
            const box = ruler.querySelector("." + name).getBoundingClientRect();
            return [box.left, box.right];
        }))"""
    (band, dot), (other_band, other_dot) = page.evaluate(places)
    assert dot[1] < band[0]
    assert other_dot[0] > other_band[1]
    assert "Better than 97.5 %" in part(page, "layer").get_attribute("aria-label")
    word(page, "large").hover()
    assert part(page, "trust").inner_text().count("No better than a random map.") == 2
    page.get_by_role("button", name="Русский").click()
    assert "Не лучше случайной карты" in part(page, "trust").inner_text()
    page.keyboard.press("Escape")
    assert not part(page, "trust").is_visible()


def test_maps_no_better_than_random_are_marked(open_report):
    page = open_report(make_case())
    word(page, "large").click()
    settle(page)
    marked = part(page, "thumbs").locator("small.doubt")
    assert marked.count() == 1
    assert marked.inner_text() == "no better than random"
    assert "no better than random" in tile(page, "Grad-ECLIP").inner_text()
    plain = open_report(dataclasses.replace(make_case(), scores=()))
    assert plain.locator("small.doubt:visible").count() == 1  # a concept that no word says
    assert not part(plain, "trust").is_visible()
    assert not part(plain, "checks").is_visible()


def test_the_checks_of_the_method_in_use(open_report):
    page = open_report(make_case())
    word(page, "border").click()
    rows = part(page, "sanity-rows").locator("li")
    assert rows.count() == 5
    failed = rows.filter(has_text="failed")
    assert failed.count() == 1
    assert "Random weights: failed · Grad-ECLIP" in failed.inner_text()
    assert "0.31 [0.25 … 0.42], below 0.2, n 7." in failed.inner_text()
    assert "A model that has learned nothing" in failed.inner_text()
    tile(page, "Word evidence").click()
    assert "0.32" in failed.inner_text()


def test_readings_and_the_places_they_mark(open_report):
    regions = [
        {"kind": "brush", "points": [[60, 50], [90, 80]], "radius": 8},
        {"kind": "box", "points": [[200, 90], [150, 140]]},
        {"kind": "point", "points": [[10, 20]]},
        {"kind": "polygon", "points": [[1, 1], [50, 1], [1, 50]]},
    ]
    readings = [
        {
            "pseudonym": "r-1",
            "word": 9,
            "text": "border",
            "answer": "wrong_place",
            "comment": "<i>",
            "regions": regions,
        },
        {"pseudonym": "r-2", "word": 3, "text": "dark", "answer": "agree", "comment": "", "regions": []},
    ]
    page = open_report(make_case(), readings=readings)
    said = page.locator(".readings").inner_text()
    assert "r-1 “border”: wrong place" in said
    assert "<i>" in said
    assert "r-2 “dark”: agrees" in said
    page.get_by_role("button", name="Show the marked place").click()
    assert part(page, "about-word").inner_text() == "border"
    shapes = "[...document.querySelectorAll('.overlay > *')].map((one) => one.tagName)"
    assert page.evaluate(shapes) == ["polyline", "rect", "circle", "polygon"]
    box = page.locator(".overlay rect").bounding_box()
    stage = part(page, "photo").bounding_box()
    assert box["x"] - stage["x"] == pytest.approx(150 / WIDTH * stage["width"], abs=3)
    page.get_by_role("button", name="Show the marked place").click()
    assert page.evaluate(shapes) == []


def pages_of(pdf):
    """The text of each page."""
    done = subprocess.run(["pdftotext", "-layout", "-", "-"], input=pdf, capture_output=True, check=True)
    return done.stdout.decode().split("\f")[:-1]


@pytest.mark.skipif(not shutil.which("pdftotext"), reason="pdftotext is not installed")
@pytest.mark.parametrize("paper", ["A4", "Letter"])
def test_two_printed_pages(open_report, paper):
    page = open_report(make_case(methods=EIGHT), language="ru", color_scheme="dark")
    first, second = pages_of(page.pdf(format=paper))
    for text in ("Исследовательский инструмент", "Research tool", "large asymmetric", "Слова и лучшая карта"):
        assert text in first
    for text in ("Score-CAM", "✓", "Признаки", "Как получено", "dermaxai explain", "Границы применимости"):
        assert text in second
    assert "Методы и оценки" in second
    assert "✓ Лучше 97,5" in first
    assert "свидетельств" in first


def test_a_crowded_case_still_prints_on_two_pages(open_report):
    case = make_case(methods=EIGHT)
    many = dataclasses.replace(
        case,
        warnings=tuple(f"Warning {number}: {'something is odd ' * 6}" for number in range(12)),
        concepts=case.concepts * 6,
        made_by=dataclasses.replace(case.made_by, versions={f"library{n}": "1.0" for n in range(30)}),
    )
    page = open_report(many)
    page.pdf(format="A4")
    sizes = "[...document.querySelectorAll('.sheet')].map((one) => one.scrollHeight <= one.clientHeight)"
    assert page.evaluate(sizes) == [True, True]


def test_a_word_without_end_prints_within_the_page(open_report):
    """A case folder may come from anywhere."""
    case = make_case(methods=EIGHT)
    long = dataclasses.replace(case, captions=(case.captions[0], write_caption("ы" * 400, "ru")))
    page = open_report(long)
    assert "ыыы" in pages_of(page.pdf(format="A4"))[0]
    sizes = "[...document.querySelectorAll('.sheet')].map((one) => one.scrollWidth <= one.clientWidth)"
    assert page.evaluate(sizes) == [True, True]


def test_the_best_map_is_the_same_on_every_paper(open_report):
    case = make_case(methods=EIGHT)
    page = open_report(case)
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    printed = page.locator(".pictures figcaption span:first-of-type").all_text_contents()
    names = catalogue("en")
    best = [names.name("method", heat.method) for heat, _ in best_maps(case) if heat.target.kind == "word"]
    assert [text.split(":")[0] for text in printed] == best


def test_what_the_model_did_not_see_is_said(open_report):
    page = open_report(make_case())
    word(page, "border").hover()
    assert "The model saw 75 % of the photo." in part(page, "about-map").inner_text()
    word(page, "with").hover()
    assert "The model saw" not in part(page, "about-map").inner_text()


def test_zero_has_no_minus(open_report):
    case = make_case()
    words = tuple(dataclasses.replace(one, logprob=-0.001) for one in case.caption.words)
    page = open_report(
        dataclasses.replace(
            case, captions=(dataclasses.replace(case.caption, words=words),), concepts=(), scores=()
        )
    )
    word(page, "border").hover()
    assert "log p 0" in part(page, "about-facts").inner_text()
    assert page.locator(".pair").bounding_box() is None


def test_warnings_are_marked_as_english(open_report):
    page = open_report(dataclasses.replace(make_case(), warnings=("'splice': left out",)), language="ru")
    assert part(page, "warning-rows").locator("li").first.get_attribute("lang") == "en"


def test_warnings_change_their_language_with_the_report(open_report):
    case = dataclasses.replace(make_case(), warnings=("'evidence' does not look into the text.", "Odd."))
    rows = part(page := open_report(case, language="ru"), "warning-rows").locator("li")
    assert rows.all_inner_texts() == ["Метод «Свидетельства слова» не заглядывает в текст.", "Odd."]
    word(page, "border").hover()
    assert "Метод «Свидетельства слова» не заглядывает" in tile(page, "Свидетельства слова").get_attribute(
        "aria-label"
    )
    page.locator("[data-language=en]").click()
    assert rows.all_inner_texts() == list(case.warnings)
    assert [row.get_attribute("lang") for row in rows.all()] == ["en", "en"]


def test_what_was_noted_of_the_photo_changes_its_language_with_the_report(open_report):
    case = make_case()
    noted = dataclasses.replace(case.image, notes=("16 bit scaled to 8", "odd"))
    fit = ConceptFit("splice", 0.1, 9, 0.5, 0.6, 0.55, "dermoscopic, 12 photos, 29f9943c")
    page = open_report(dataclasses.replace(case, image=noted, concept_fit=fit), language="ru")
    assert "16 бит приведены к 8; odd" in part(page, "made").inner_text()
    assert "Средний снимок: дерматоскопия, 12 фото, 29f9943c." in part(page, "fit").inner_text()
    page.locator("[data-language=en]").click()
    assert "16 bit scaled to 8; odd" in part(page, "made").inner_text()
    assert "dermoscopic, 12 photos" in part(page, "fit").inner_text()


def test_pictures_are_printed_light(open_report):
    from PIL import Image

    page = open_report(make_case(), color_scheme="dark")
    page.emulate_media(media="print", color_scheme="dark")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    picture = Image.open(io.BytesIO(page.screenshot())).convert("L")
    assert picture.getpixel((1, 1)) == 255
    inked = """() => [...document.querySelectorAll(".pictures canvas")].map((canvas) =>
        new Set(canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data).size > 30)"""
    assert page.evaluate(inked) == [True] * 7


SERIOUS = """() => axe.run(document, {resultTypes: ["violations"]}).then(({violations}) => violations
    .filter(({impact}) => ["serious", "critical"].includes(impact))
    .map(({id, nodes}) => [id, nodes.slice(0, 4).map((node) => node.html.slice(0, 160))]))"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_nothing_serious_for_those_who_do_not_see(open_report, scheme, width):
    found = util.find_spec("axe_playwright_python")
    if found is None:
        pytest.skip("axe is not installed")
    case = make_case(methods=EIGHT)
    names = ("grad_eclip", "evidence")
    far = Agreement(case.map("border", "grad_eclip").target, names, (1.0, -0.2, -0.2, 1.0))
    readings = [{"pseudonym": "r-1", "word": 9, "answer": "wrong_place", "comment": "no", "regions": []}]
    page = open_report(
        dataclasses.replace(case, agreements=(far,)),
        readings=readings,
        width=width,
        color_scheme=scheme,
        bypass_csp=True,
    )
    page.evaluate((Path(found.origin).parent / "axe.min.js").read_text(encoding="utf-8"))
    for text in ("with", "large", "border"):
        word(page, text).click()
        settle(page)
        assert page.evaluate(SERIOUS) == [], text
    for summary in page.locator("summary:visible").all():
        summary.click()
    page.keyboard.press("?")
    assert page.evaluate(SERIOUS) == []
    page.keyboard.press("Escape")
    assert page.evaluate(SERIOUS) == []


def test_without_scripts_the_report_says_so(browser, tmp_path):
    path = write_report(make_case(), tmp_path / "report.html")
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto(path.as_uri())
    assert page.locator("noscript p").is_visible()
    assert not part(page, "controls").count()
    photo, caption, stage = (
        page.locator(name).bounding_box() for name in (".stage img", ".caption", ".stage")
    )
    assert photo["x"] + photo["width"] <= caption["x"]
    assert stage["height"] == pytest.approx(photo["height"], abs=1)
    assert "dark brown lesion" in page.locator(".caption").inner_text()
    assert "Outside what the model knows" in page.locator(".banner").inner_text()
    assert "slightly blurred" in page.locator("main").inner_text()
    assert "dermaxai explain lesion.jpg" in page.locator(".made").inner_text()
    page.close()


@pytest.mark.skipif(not shutil.which("pdftotext"), reason="pdftotext is not installed")
def test_without_scripts_the_caption_is_printed_with_its_heading(browser, tmp_path):
    path = write_report(make_case(), tmp_path / "report.html")
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto(path.as_uri())
    for height in range(110, 200, 10):
        printed = pages_of(page.pdf(width="210mm", height=f"{height}mm"))
        lasts = {text.strip().splitlines()[-1].strip() for text in printed if text.strip()}
        assert "Caption" not in lasts, height
    page.close()


@pytest.mark.parametrize("lacking", ["BigInt", "DecompressionStream"])
def test_a_browser_that_cannot_unpack_is_told(browser, tmp_path, lacking):
    path = write_report(make_case(), tmp_path / "report.html")
    page = browser.new_page()
    page.add_init_script(f"delete globalThis.{lacking}")
    page.goto(path.as_uri())
    page.locator("#old").wait_for()
    assert "too old" in page.locator("#old").inner_text()
    page.close()
