"""The reading room in a real browser, on a real server: by mouse, by keyboard, by finger."""

import json
from importlib import util
from pathlib import Path

import pytest
from sqlalchemy import select

from dermaxai.store.cases import find_case
from dermaxai.store.tables import Feedback, Reading
from tests.sample_case import ENGLISH, HEIGHT, WIDTH

pytestmark = pytest.mark.browser

SERIOUS = """() => axe.run(document, {resultTypes: ["violations"]}).then(({violations}) => violations
    .filter(({impact}) => ["serious", "critical"].includes(impact))
    .map(({id, nodes}) => [id, nodes.slice(0, 4).map((node) => node.html.slice(0, 160))]))"""


@pytest.fixture
def enter(open_page):
    """A function (server, word) -> page with the case open under a pseudonym, the word pinned."""

    def come_in(server, word="asymmetric", **options):
        page = open_page(f"{server.address}/#/case/first", **options)
        page.evaluate(
            """async () => {
              const home = document.querySelector("script[type=module]").src;
              const { post } = await import(home.replace("app.js", "api.js"));
              await post("/api/session", { pseudonym: "reader-1" });
            }"""
        )
        page.reload()
        page.locator(".judge").wait_for()
        page.locator(".caption .word", has_text=word).first.click()
        return page

    return come_in


def answers_of(server):
    with server.state.store.read() as session:
        return list(session.scalars(select(Feedback).order_by(Feedback.id)))


def choose(page, answer):
    page.locator(f".judge .pill:has([value={answer}])").click()


def save(page):
    with page.expect_response(
        lambda response: response.url.endswith("/feedback") and response.request.method == "POST"
    ):
        page.locator(".judge .primary").click()
    page.locator(".judge [role=status]", has_text="Saved").wait_for()


def spot(page, x, y):
    """Where a point of the photo is on the screen."""
    box = page.locator("svg.overlay").bounding_box()
    return box["x"] + box["width"] * x / WIDTH, box["y"] + box["height"] * y / HEIGHT


def near(points, wanted, away=2):
    return all(
        abs(a - b) <= away
        for point, other in zip(points, wanted, strict=True)
        for a, b in zip(point, other, strict=True)
    )


def drag(page, *points):
    page.mouse.move(*spot(page, *points[0]))
    page.mouse.down()
    for point in points[1:]:
        page.mouse.move(*spot(page, *point), steps=5)
    page.mouse.up()


def take(page, tool):
    page.locator(f"[data-tool={tool}]").click()
    page.locator("svg.overlay.marking").wait_for()


def test_an_answer_with_places_drawn_by_mouse(room, enter):
    page = enter(room)
    choose(page, "wrong_place")
    take(page, "box")
    drag(page, (100, 80), (180, 140))
    take(page, "brush")
    drag(page, (200, 200), (240, 220), (300, 200))
    take(page, "point")
    page.mouse.click(*spot(page, 60, 250))
    take(page, "polygon")
    for point in ((300, 30), (360, 40), (340, 120), (300, 30)):
        page.mouse.click(*spot(page, *point))
    assert page.locator(".marks-list li").count() == 4
    assert page.locator("svg.overlay .mark").count() == 4
    page.locator(".judge textarea").fill("слева: сеть")
    save(page)
    (row,) = answers_of(room)
    assert (row.answer, row.text, row.method, row.comment) == (
        "wrong_place",
        "asymmetric",
        "grad_eclip",
        "слева: сеть",
    )
    kinds = {region["kind"]: region for region in row.regions}
    assert near(kinds["box"]["points"], [(100, 80), (180, 140)])
    assert near(kinds["point"]["points"], [(60, 250)])
    assert near(kinds["polygon"]["points"], [(300, 30), (360, 40), (340, 120)])
    assert near(kinds["brush"]["points"][:1], [(200, 200)])
    assert near(kinds["brush"]["points"][-1:], [(300, 200)])
    assert 2 <= len(kinds["brush"]["points"]) <= 6
    assert kinds["brush"]["radius"] > 5


def test_own_answers_come_back_and_the_newest_counts(room, enter):
    page = enter(room)
    choose(page, "agree")
    take(page, "box")
    drag(page, (100, 80), (180, 140))
    save(page)
    page.reload()
    page.locator(".caption .word", has_text="asymmetric").first.click()
    assert page.locator(".judge [value=agree]").is_checked()
    assert page.locator("svg.overlay .mark.box").count() == 1
    choose(page, "wrong_word")
    assert not page.locator(".marking").is_visible()
    assert not page.locator("svg.overlay .mark.box").is_visible()
    save(page)
    assert [(row.answer, len(row.regions)) for row in answers_of(room)] == [("agree", 1), ("wrong_word", 0)]
    assert page.locator(".mine details").first.locator("li").count() == 1


def test_each_word_has_its_own_answer(room, enter):
    page = enter(room)
    choose(page, "agree")
    page.locator(".caption .word", has_text="border").click()
    assert page.locator(".judge [name=reading-answer]:checked").count() == 0
    assert "border" in page.locator(".judge [role=radiogroup]").first.inner_text()
    page.locator(".caption .word", has_text="asymmetric").click()
    assert page.locator(".judge [value=agree]").is_checked()


def test_pointing_at_other_words_on_the_way_changes_nothing(room, enter):
    page = enter(room)
    choose(page, "agree")
    page.locator(".caption .word", has_text="irregular").hover()
    page.locator(".judge h2").hover()
    assert "asymmetric" in page.locator(".judge [role=radiogroup]").first.inner_text()


def test_the_map_of_another_question_is_not_the_map_of_the_word(room, enter):
    page = enter(room)
    choose(page, "agree")
    page.get_by_text("Map shown: Grad-ECLIP").wait_for()
    page.locator("[data-part=queries] [data-key]").first.click()
    page.get_by_text("No map is shown for this word.").wait_for()
    save(page)
    (given,) = answers_of(room)
    assert (given.answer, given.method) == ("agree", "")


def test_the_description_as_a_whole(room, enter):
    page = enter(room)
    page.locator(".judge .pill:has([value=caption])").click()
    assert page.locator(".judge [value=wrong_place]").count() == 0
    assert not page.locator(".marking").is_visible()
    choose(page, "wrong_word")
    save(page)
    (row,) = answers_of(room)
    assert (row.word, row.answer, row.regions) == (None, "wrong_word", [])


def test_without_an_answer_nothing_is_sent(room, enter):
    page = enter(room)
    page.locator(".judge .primary").click()
    page.locator(".judge [role=status]", has_text="Choose an answer first").wait_for()
    assert answers_of(room) == []


def press(page, *keys):
    for key in keys:
        page.keyboard.press(key)


def test_everything_by_keyboard_alone(room, enter):
    page = enter(room)
    page.locator(".judge [value=wrong_place]").focus()
    press(page, "Space")
    page.locator("[data-tool=box]").focus()
    press(page, "Enter")
    assert page.evaluate("document.activeElement.classList.contains('overlay')")
    press(page, "Enter", *["ArrowRight"] * 5, *["ArrowDown"] * 3, "Enter")
    press(page, "Escape")
    assert page.evaluate("document.activeElement.dataset.tool") == "box"
    press(page, "ArrowRight")
    page.locator("[data-tool=point]").focus()
    press(page, "Enter", "Shift+ArrowLeft", "Shift+ArrowUp", "Enter", "Escape")
    page.locator("[data-tool=polygon]").focus()
    press(
        page, "Enter", "Enter", *["ArrowRight"] * 6, "Enter", *["ArrowDown"] * 6, "Enter", "Enter", "Escape"
    )
    press(page, "b", "Space", *["ArrowLeft"] * 4, "Space", "Escape")
    assert page.locator(".caption .word[aria-pressed=true]").inner_text() == "asymmetric"
    page.locator(".judge .primary").focus()
    press(page, "Enter")
    page.locator(".judge [role=status]", has_text="Saved").wait_for()
    (row,) = answers_of(room)
    box, point, polygon, brush = row.regions
    assert box["kind"] == "box"
    assert near(box["points"], [(200, 150), (220, 162)])
    assert point["kind"] == "point"
    assert polygon["kind"] == "polygon"
    assert len(polygon["points"]) == 3
    assert brush["kind"] == "brush"


def test_taking_back(room, enter):
    page = enter(room)
    choose(page, "agree")
    take(page, "point")
    press(page, "Enter", "ArrowRight", "Enter", "Backspace")
    assert page.locator(".marks-list li").count() == 1
    press(page, "Control+z")
    assert page.locator(".marks-list li").count() == 0
    press(page, "Enter", "ArrowDown", "Enter")
    page.get_by_role("button", name="Remove mark 1").click()
    assert page.locator(".marks-list li").count() == 1
    page.get_by_role("button", name="Clear").click()
    assert page.locator("svg.overlay .mark").count() == 0


def test_keys_for_marking_do_not_move_words_or_methods(room, enter):
    page = enter(room)
    choose(page, "agree")
    take(page, "box")
    press(page, "Enter", "ArrowRight", "Escape")
    assert page.locator(".caption .word[aria-pressed=true]").inner_text() == "asymmetric"
    assert page.locator("svg.overlay.marking").count() == 1
    press(page, "Escape")
    assert page.locator("svg.overlay.marking").count() == 0


def test_b_is_a_letter_while_somebody_writes(room, enter):
    page = enter(room)
    page.locator(".judge textarea").focus()
    press(page, "b")
    assert page.locator(".judge textarea").input_value() == "b"
    assert page.locator("svg.overlay.marking").count() == 0


def test_a_finger_draws_while_a_tool_is_taken_and_scrolls_otherwise(room, enter):
    page = enter(room, width=360, has_touch=True)
    choose(page, "agree")
    overlay = page.locator("svg.overlay")
    action = "getComputedStyle(document.querySelector('svg.overlay')).touchAction"
    assert page.evaluate(action) == "auto"
    take(page, "brush")
    assert page.evaluate(action) == "none"
    before = page.evaluate("scrollY")
    session = page.context.new_cdp_session(page)

    def touch(kind, *points):
        session.send(
            "Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y} for x, y in points]}
        )

    touch("touchStart", spot(page, 100, 100))
    for x in range(110, 260, 10):
        touch("touchMove", spot(page, x, 100 + (x - 100) / 2))
    touch("touchEnd")
    assert page.locator("svg.overlay .mark.brush").count() == 1
    assert page.evaluate("scrollY") == before
    page.get_by_role("button", name="Done").click()
    assert page.evaluate(action) == "auto"
    assert overlay.get_attribute("aria-hidden") == "true"
    save(page)
    (row,) = answers_of(room)
    assert near(row.regions[0]["points"][:1], [(100, 100)], 3)
    assert near(row.regions[0]["points"][-1:], [(250, 175)], 12)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_another_caption_by_now_is_told(room, enter):
    page = enter(room)
    choose(page, "agree")
    with room.state.store.write() as session:
        row = find_case(session, "first")
    folder = room.state.store.folder / "first"
    document = json.loads((folder / "case.json").read_text(encoding="utf-8"))
    document["case"]["captions"][0]["text"] = ENGLISH.replace("large", "vast!")
    (folder / "case.json").write_text(json.dumps(document), encoding="utf-8")
    with room.state.store.write() as session:
        row = find_case(session, "first")
        row.revision += 1
        row.caption = ENGLISH.replace("large", "vast!")
    page.locator(".judge .primary").click()
    page.locator(".judge .fault[data-error=Conflict]").wait_for()
    assert answers_of(room) == []


def test_a_pseudonym_is_asked_for_before_the_first_answer(room, open_page):
    page = open_page(f"{room.address}/#/case/first")
    page.locator(".caption .word", has_text="border").click()
    choose(page, "agree")
    page.locator(".judge .primary").click()
    page.locator("dialog[open] input").fill("reader-7")
    page.locator("dialog[open] .primary").click()
    page.locator(".judge", has_text="You answer as reader-7").wait_for()


def test_own_reading_first_then_the_machines(blind, open_page):
    page = open_page(f"{blind.address}/#/case/first")
    page.locator(".blind-form").wait_for()
    assert "asymmetric" not in page.content().split("</script>")[-1]
    page.locator(".blind-form .primary").click()
    page.locator(".blind-form", has_text="at least one finding").wait_for()
    page.locator(".blind-form textarea").fill("a dark spot")
    page.locator(".blind-form .pill:has([value='4'])").click()
    page.locator(".blind-form .primary").click()
    page.locator("dialog[open] input").fill("reader-7")
    page.locator("dialog[open] .primary").click()
    page.locator(".caption .word", has_text="asymmetric").wait_for()
    with blind.state.store.read() as session:
        (row,) = session.scalars(select(Reading))
    assert (row.findings, row.confidence) == ("a dark spot", 4)
    assert 0 < row.seconds < 600
    page.locator(".mine summary", has_text="before the description was shown").click()
    assert "a dark spot" in page.locator(".mine .findings").inner_text()
    page.goto(f"{blind.address}/#/case/second")
    page.locator(".blind-form").wait_for()


def test_agreement_and_exports(room, enter):
    page = enter(room)
    choose(page, "agree")
    save(page)
    page.goto(f"{room.address}/#/readings")
    page.locator(".study").first.wait_for()
    text = page.locator(".study-page").inner_text()
    assert "1 answer that counts" in text
    assert "no item has two readers" in text
    with page.expect_download() as download:
        page.locator("[data-export='feedback.csv']").click()
    assert Path(download.value.path()).read_text(encoding="utf-8-sig").startswith("case,photo_sha256")
    page.locator("[data-speak=ru]").click()
    assert "засчитанный ответ" in page.locator(".study-page").inner_text()


def test_in_russian(room, enter):
    page = enter(room)
    choose(page, "agree")
    take(page, "point")
    press(page, "Enter")
    page.locator("[data-speak=ru]").click()
    text = page.locator(".judge").inner_text()
    assert "Ваша оценка" in text
    assert "Ещё не сохранено" in text
    assert "1. Точка" in text
    assert page.locator(".judge [value=agree]").is_checked()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_serious_while_marking(room, enter, scheme):
    found = util.find_spec("axe_playwright_python")
    if found is None:
        pytest.skip("axe is not installed")
    page = enter(room, color_scheme=scheme, bypass_csp=True)
    choose(page, "wrong_place")
    take(page, "brush")
    drag(page, (100, 100), (150, 150))
    page.evaluate((Path(found.origin).parent / "axe.min.js").read_text(encoding="utf-8"))
    assert page.evaluate(SERIOUS) == []
