"""The page beside a worker that is led by the test: views, states, languages, keyboard."""

import json
import os
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from dermaxai.i18n import catalogue
from tests.sample_case import make_case
from tests.web.serving import VIEWS, visit

pytestmark = pytest.mark.browser

CUT = """() => [...document.querySelectorAll("main button, main label > span, main legend, h1, h2, header a")]
    .filter((one) => !one.closest(".unseen") && getComputedStyle(one).overflow !== "hidden")
    .filter((one) => one.scrollWidth > one.clientWidth + 1 && one.clientWidth > 0)
    .map((one) => one.outerHTML)"""


NAMES = """(all) => all.map((one) => one.getAttribute("aria-labelledby").split(" ")
    .map((id) => document.getElementById(id).textContent).join(" "))"""


def jpeg():
    import io

    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(make_case().image.pixels).save(buffer, "JPEG")
    return buffer.getvalue()


def send(page, *names):
    files = [{"name": name, "mimeType": "image/jpeg", "buffer": jpeg()} for name in names]
    page.locator("[data-part=file]").set_input_files(files)


@pytest.mark.parametrize(
    ("language", "width", "scheme"),
    [
        ("en", 1900, "light"),
        ("ru", 1280, "dark"),
        ("en", 360, "dark"),
        ("ru", 360, "light"),
    ],
)
def test_nothing_sticks_out(server, open_page, tmp_path, language, width, scheme):
    page = open_page(server.address, language=language, width=width, color_scheme=scheme)
    folder = Path(os.environ.get("DERMAXAI_SCREENSHOTS", tmp_path))
    for number, view in enumerate(VIEWS):
        visit(page, server.address, view)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, view
        assert page.evaluate(CUT) == [], view
        page.screenshot(path=folder / f"page-{number}-{language}-{width}-{scheme}.png", full_page=True)


def test_notice_in_both_languages_on_every_view(server, open_page):
    page = open_page(server.address)
    for view in VIEWS:
        visit(page, server.address, view)
        for language in ("en", "ru"):
            assert page.get_by_text(catalogue(language).text("notice"), exact=True).is_visible()


def test_language_is_remembered_and_speaks_everywhere(server, open_page):
    page = open_page(server.address)
    visit(page, server.address, "#/case/first")
    page.get_by_role("button", name="Русский").click()
    assert page.locator("html").get_attribute("lang") == "ru"
    text = page.locator("main").inner_text()
    for key in (
        "case.delete",
        "ask",
        "ask.query",
        "check.run" if "random" in text else "check.again",
        "sanity",
    ):
        assert catalogue("ru").text(key) in text, key
    page.goto(f"{server.address}/#/cases")
    page.reload()
    assert page.locator("h1").inner_text() == "Случаи"
    assert page.title() == "Случаи · DermaXAI"


def test_list_is_searched_sorted_and_walked_by_keyboard(server, open_page):
    page = open_page(f"{server.address}/#/cases")
    rows = page.locator("[data-case]")
    rows.first.wait_for()
    assert rows.count() == 2
    page.keyboard.press("/")
    page.keyboard.type("asymmetric irregular")
    page.locator("[data-part=count]", has_text="1 case").wait_for()
    assert rows.first.get_attribute("data-case") == "first"
    page.get_by_role("searchbox").fill("no such word")
    page.get_by_text("No case fits").wait_for()
    page.get_by_role("button", name="Show all").click()
    rows.nth(1).wait_for()
    page.locator("[name=sort]").select_option("caption")
    page.locator("[data-case]").first.and_(page.locator("[data-case=first]")).wait_for()
    assert "sort=caption" in page.url
    page.locator(".case-link").first.focus()
    page.keyboard.press("x")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("x")
    page.get_by_role("link", name="Compare").click()
    page.wait_for_url("**/#/compare/first/second")
    page.go_back()
    rows.first.wait_for()
    page.locator(".case-link").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/#/case/first")
    assert page.evaluate("document.activeElement.id") == "view"


def test_comparing_lights_the_same_word_and_marks_lone_ones(server, open_page):
    page = open_page(f"{server.address}/#/compare/first/second")
    left, right = (page.locator(f"[data-part={side}]") for side in ("left", "right"))
    right.locator(".word").first.wait_for()
    assert left.locator(".word.alone").all_inner_texts() == ["asymmetric", "an", "irregular"]
    assert right.locator(".word.alone").all_inner_texts() == ["symmetric", "a", "regular"]
    left.locator(".word", has_text="brown").click()
    assert right.locator(".word.active").inner_text() == "brown"
    assert right.locator(".word[aria-pressed=true]").inner_text() == "brown"
    left.locator(".word", has_text="irregular").hover()
    assert right.locator(".word.active").count() == 0
    right.locator(".word", has_text="border").hover()
    assert left.locator(".word.active").inner_text() == "border"


def test_sides_are_landmarks_and_the_cursor_is_in_both(server, open_page):
    page = open_page(server.address)
    visit(page, server.address, "#/compare/first/second")
    names = page.locator(".compare section[aria-labelledby]").evaluate_all(NAMES)
    assert len(names) == 2
    assert names[0].startswith("first")
    assert names[1].startswith("second")
    assert page.locator(".compare section[aria-label]:not([role=group])").count() == 0
    left, right = (page.locator(f"[data-part={side}]") for side in ("left", "right"))
    left.locator("[data-part=stage]").hover()
    right.locator("[data-part=cell]:not([hidden])").wait_for()
    assert right.locator("[data-part=value]").inner_text() == left.locator("[data-part=value]").inner_text()
    page.mouse.move(2, 2)
    right.locator("[data-part=cell]").wait_for(state="hidden")
    assert page.get_by_text("compare places, not strengths").first.is_visible()


def test_measuring_says_its_seconds_and_how_far_it_is(server, open_page):
    page = open_page(f"{server.address}/#/case/second")
    seconds = page.locator("[data-part=measure-seconds]")
    seconds.wait_for()
    assert re.fullmatch(r"about \d+ s", seconds.inner_text())
    page.get_by_role("button", name="Measure the maps").click()
    page.locator(".answers .job").wait_for()
    server.hand.take()
    server.hand.tell("read done", "measure running")
    page.locator(".answers .steps", has_text="Scores of the maps").wait_for()
    page.locator(".answers").get_by_role("button", name="Stop").click()
    page.get_by_text("Stops in a moment.").first.wait_for()
    server.hand.done(state="cancelled")
    page.locator(".answers .job").wait_for(state="detached")
    assert page.get_by_role("button", name="Measure the maps").is_enabled()


def test_the_step_at_hand_says_its_share_and_keeps_the_focus(server, open_page):
    page = open_page(f"{server.address}/#/case/second")
    page.get_by_role("button", name="Measure the maps").click()
    page.locator(".answers .job").wait_for()
    server.hand.take()
    server.hand.tell("read done", "measure running 0.2")
    panel = page.locator(".answers")
    step = panel.get_by_role("progressbar", name="Scores of the maps")
    expect(step).to_have_attribute("aria-valuenow", "20")
    expect(panel.get_by_role("progressbar", name="Progress")).to_have_attribute("aria-valuenow", "60")
    stop = panel.get_by_role("button", name="Stop")
    stop.focus()
    spoken = page.locator("[aria-live]").all_inner_texts()
    server.hand.tell("read done", "measure running 0.75")
    expect(step).to_have_attribute("aria-valuenow", "75")
    expect(panel.locator("li.running .seconds")).to_contain_text("75\N{NO-BREAK SPACE}%")
    expect(stop).to_be_focused()
    assert page.locator("[aria-live]").all_inner_texts() == spoken
    stop.click()
    server.hand.done(state="cancelled")


@pytest.mark.parametrize(
    ("language", "note", "told"),
    [
        ("en", "grad_eclip: wrong_question (6 / 12)", "Grad-ECLIP: Wrong word or text (6 / 12)"),
        ("ru", "evidence (1 / 4)", "Свидетельства слова (1 / 4)"),
        (
            "ru",
            "grad_eclip:reference: blank_photo (2 / 4)",
            "Grad-ECLIP (reference): Фото чистой кожи (2 / 4)",
        ),
        ("en", "something else", "something else"),
    ],
)
def test_the_step_at_hand_says_which_map_it_is_at_by_name(server, open_page, language, note, told):
    page = open_page(f"{server.address}/#/case/second", language=language)
    page.get_by_role("button", name=catalogue(language).text("ask.measure")).click()
    page.locator(".answers .job").wait_for()
    server.hand.take()
    server.hand.tell("read done", "measure running 0.2", note=note)
    expect(page.locator(".answers li.running small")).to_have_text(told)
    server.hand.done(state="cancelled")


def test_a_photo_from_drop_to_caption(server, open_page):
    page = open_page(server.address)
    send(page, "mole.jpg")
    page.wait_for_url("**/#/case/*")
    photo = page.locator(".early-photo img")
    photo.wait_for()
    assert photo.evaluate("(image) => image.decode().then(() => image.naturalWidth)") == 400
    assert page.get_by_text("Is next in the queue").is_visible()
    server.hand.take()
    case = make_case()
    server.hand.tell("read done", "caption running", "evidence waiting")
    page.locator(".job-now", has_text="Caption, step 2 of 3").wait_for()
    server.hand.show(make_case(methods=("evidence",)))
    server.hand.tell("read done", "caption done", "evidence running", more=True)
    page.locator(".viewer .word").first.wait_for()
    page.locator(".viewer .word", has_text="border").click()
    server.hand.done(case)
    page.locator("details.menu").wait_for()
    assert page.locator(".viewer .word[aria-pressed=true]").inner_text() == "border"
    assert page.locator(".case-progress .job").count() == 0


def test_reload_finds_the_running_job_and_stops_it(server, open_page):
    page = open_page(server.address)
    send(page, "running.jpg")
    page.wait_for_url("**/#/case/*")
    page.get_by_text("Is next in the queue").wait_for()
    page.reload()
    page.get_by_text("Is next in the queue").wait_for()
    page.goto(f"{server.address}/#/")
    page.locator(".strip-item").wait_for()
    page.locator(".strip-item a").click()
    page.get_by_role("button", name="Stop").click()
    page.get_by_text("This photo was stopped").wait_for()


def test_several_photos_each_with_its_state(server, open_page):
    page = open_page(server.address)
    send(page, "one.jpg", "two.jpg")
    files = [{"name": "broken.jpg", "mimeType": "image/jpeg", "buffer": b"\xff\xd8\xff nothing"}]
    page.locator("[data-part=file]").set_input_files(files)
    page.locator(".strip-item .fault").wait_for()
    assert page.locator(".strip-item").count() == 3
    assert page.locator(".strip-item", has_text="broken.jpg").get_by_text("not a usable photo").is_visible()
    page.get_by_text("1 job comes first").wait_for()
    for _ in range(2):
        server.hand.take()
        server.hand.done(make_case())
    page.locator(".strip-item a", has_text="a large asymmetric").nth(1).wait_for()
    page.get_by_role("button", name="Remove").click()
    assert page.locator(".strip-item").count() == 2


REFUSALS = [
    (413, "ImageTooLarge"), (422, "ImageUnreadable"), (429, "QueueFull"), (503, "StoreReadOnly"),
    (507, "StoreFull"), (403, "NotAllowed"), (500, "InternalError"), (418, "SomethingNew"),
]  # fmt: skip


def refusal(status, error):
    body = json.dumps({"error": error, "message": "What came.", "hint": "What to do."})

    def answer(route):
        route.fulfill(status=status, body=body)

    return answer


@pytest.mark.parametrize("language", ["en", "ru"])
def test_every_refusal_says_what_and_what_to_do(server, open_page, language):
    page = open_page(server.address, language=language)
    texts = catalogue(language)
    for number, (status, error) in enumerate(REFUSALS):
        page.unroute("**/api/cases")
        page.route("**/api/cases", refusal(status, error))
        send(page, f"{number}.jpg")
        row = page.locator(".strip-item", has_text=f"{number}.jpg")
        if status == 429:
            row.get_by_text(texts.text("new.paused")).wait_for()
            continue
        known = error if f"error.{error}" in texts.entries else "other"
        row.get_by_text(texts.text(f"error.{known}"), exact=True).wait_for()
        assert row.get_by_text(texts.text(f"error.{known}.do")).is_visible()
        assert row.locator(".told > [lang=en]").all_inner_texts() == ["What came.", "What to do."]


def test_a_photo_that_was_stopped_is_told_from_one_that_failed(server, open_page):
    page = open_page(server.address)
    send(page, "stopped.jpg")
    page.get_by_role("button", name="Stop").click()
    page.get_by_text("This photo was stopped").wait_for()
    page.goto(f"{server.address}/#/cases?state=stopped")
    row = page.locator(".case-row.stopped", has_text="stopped.jpg")
    row.get_by_text("Stopped before it was described. Open it to start again.").wait_for()
    assert page.locator("[name=state]").input_value() == "stopped"
    assert page.locator(".case-row:not(.stopped)").count() == 0
    page.locator("[data-speak=ru]").click()
    row.get_by_text("Остановлено до описания. Откройте, чтобы начать заново.").wait_for()
    row.locator("a").click()
    page.get_by_role("button", name="Описать снова").wait_for()


def test_a_question_that_fails_keeps_what_was_typed(server, open_page):
    page = open_page(f"{server.address}/#/case/first")
    page.locator("[name=text]").fill("pigment network")
    page.locator("[name=text]").press("Enter")
    page.get_by_text("Is next in the queue").wait_for()
    server.hand.take()
    server.hand.done(state="failed", error={"error": "NotSupported", "message": "No tower.", "hint": ""})
    page.locator(".answers .fault", has_text="cannot be answered here").wait_for()
    assert page.locator("[name=text]").input_value() == "pigment network"
    assert page.locator(".viewer .word").count() > 5


def test_a_failed_photo_says_why(server, open_page):
    page = open_page(server.address)
    send(page, "failing.jpg")
    page.wait_for_url("**/#/case/*")
    page.get_by_text("Is next in the queue").wait_for()
    server.hand.take()
    error = {
        "error": "WeightsMissing",
        "message": "demo is not here (5 MB).",
        "hint": "Fetch it.",
    }
    server.hand.done(state="failed", error=error)
    page.get_by_text("The model's weights are missing").wait_for()
    assert page.get_by_text("demo is not here (5 MB). Fetch it.").is_visible()


def test_the_state_of_the_model(server, open_page):
    page = open_page(server.address)
    shown = page.locator("#model-state")
    page.get_by_text("demo is ready").wait_for()
    server.worker = {
        "state": "failed",
        "model": "demo",
        "message": "No weights (784 MB).",
        "hint": "Fetch them.",
    }
    try:
        page.reload()
        page.locator("#model-missing", has_text="No weights (784 MB). Fetch them.").wait_for()
        assert shown.get_attribute("data-state") == "failed"
        server.worker = {"state": "loading", "model": "demo"}
        page.reload()
        page.get_by_text("demo is loading").wait_for()
        server.worker = {"state": "ready", "model": "demo"}
        page.get_by_text("demo is ready").wait_for()
    finally:
        server.worker = {"state": "ready", "model": "demo"}


def test_dialogs_keep_the_keyboard(server, open_page):
    page = open_page(server.address)
    visit(page, server.address, "#/cases")
    page.keyboard.press("?")
    page.get_by_role("dialog", name="Help").wait_for()
    page.get_by_label("Letters and digits act as keys").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("n")
    assert page.url.endswith("#/cases")
    page.keyboard.press("?")
    page.get_by_label("Letters and digits act as keys").check()
    page.keyboard.press("Escape")
    page.keyboard.press("n")
    page.wait_for_url("**/#/")
    assert page.get_by_role("dialog").count() == 0
    page.goto(f"{server.address}/#/case/second")
    page.get_by_role("button", name="Delete").focus()
    page.keyboard.press("Enter")
    page.get_by_role("dialog").wait_for()
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.textContent") == "Delete"
    page.keyboard.press("Tab")
    page.locator("details.menu summary").focus()
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Report in Russian").wait_for()
    page.keyboard.press("Escape")
    assert not page.get_by_role("link", name="Report in Russian").is_visible()


def test_content_of_pages_is_never_markup(server, open_page):
    page = open_page(server.address)
    visit(page, server.address, "#/case/first")
    assert page.locator("main b", has_text="network").count() == 0
    page.locator("[data-part=query-chips] button").first.wait_for()
    assert "<b>network</b>" in page.locator("[data-part=query-chips]").inner_text()
