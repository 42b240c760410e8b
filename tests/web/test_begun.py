"""What a reader has begun and not saved: not lost by leaving, not shown to the next reader."""

import shutil
from dataclasses import replace

import pytest
from sqlalchemy import select

from dermaxai.cases import save_case
from dermaxai.store.adopting import adopt_folders
from dermaxai.store.tables import Feedback
from dermaxai.types import Target
from tests.sample_case import make_case
from tests.web.serving import ThreadServer

pytestmark = pytest.mark.browser


def become(page, pseudonym):
    """Sign out where somebody is signed in, then choose a pseudonym, all through the page."""
    page.locator("#who").click()
    if page.locator("dialog[open] input").count() == 0:
        with page.expect_response(lambda answer: answer.request.method == "DELETE"):
            page.locator("dialog[open] button").first.click()
        page.locator("#who .shown", has_text="This machine").wait_for()
        page.locator("#who").click()
    page.locator("dialog[open] input").fill(pseudonym)
    page.keyboard.press("Enter")
    page.locator("#who .shown", has_text=pseudonym).wait_for()


def choose(page, word, answer):
    page.locator(".caption .word", has_text=word).first.click()
    page.locator(f".judge .pill:has([value={answer}])").click()


def save(page):
    with page.expect_response(lambda answer: answer.request.method == "POST") as told:
        page.locator(".judge .primary").click()
    return told.value


def leave_and_come_back(page, home):
    page.evaluate("location.hash = '#/cases'")
    page.locator(".case-row").first.wait_for()
    page.evaluate("location.hash = '#/case/first'")
    page.locator(home).wait_for()


def answers_of(server):
    with server.state.store.read() as session:
        return list(session.scalars(select(Feedback).order_by(Feedback.id)))


def test_the_next_reader_sees_nothing_of_the_one_before(room, open_page):
    page = open_page(f"{room.address}/#/case/first")
    become(page, "anna")
    choose(page, "asymmetric", "wrong_place")
    page.locator(".judge textarea").fill("anna's own")
    save(page)
    choose(page, "irregular", "agree")
    page.locator(".judge textarea").fill("anna's draft")
    become(page, "boris")
    page.locator(".judge", has_text="You answer as boris").wait_for()
    for word in ("asymmetric", "irregular"):
        page.locator(".caption .word", has_text=word).first.click()
        assert page.locator(".judge [name=reading-answer]:checked").count() == 0
        assert page.locator(".judge textarea").input_value() == ""
    become(page, "anna")
    page.locator(".judge", has_text="You answer as anna").wait_for()
    page.locator(".judge .unsent button, .judge [role=status]:has-text('Not saved')").first.wait_for()
    page.locator(".caption .word", has_text="irregular").first.click()
    assert page.locator(".judge textarea").input_value() == "anna's draft"


def test_a_blind_reading_that_is_begun_stays_with_its_reader(blind, open_page):
    page = open_page(f"{blind.address}/#/case/first")
    page.locator(".blind-form textarea").fill("a brown network")
    become(page, "anna")
    assert page.locator(".blind-form textarea").input_value() == "a brown network"
    page.locator(".blind-form .pill").nth(3).click()
    leave_and_come_back(page, ".blind-form")
    assert page.locator(".blind-form textarea").input_value() == "a brown network"
    assert page.locator(".blind-form [value='4']").is_checked()
    become(page, "boris")
    page.wait_for_function("document.querySelector('.blind-form textarea')?.value === ''")
    assert page.locator(".blind-form :checked").count() == 0


def test_a_blind_reader_finds_nothing_of_a_case_that_another_has_read(blind, open_page):
    page = open_page(f"{blind.address}/#/case/first")
    become(page, "anna")
    page.locator(".blind-form textarea").fill("a brown network")
    save(page)
    page.locator(".judge [value=agree]").wait_for()
    assert "asymmetric" in page.title()
    become(page, "boris")
    page.locator(".blind-form").wait_for()
    assert "asymmetric" not in page.title()
    assert "asymmetric" not in page.locator("body").inner_text()
    assert page.locator(".case-actions a").count() == 0


def test_an_answer_that_is_begun_outlives_leaving_the_case(room, open_page):
    page = open_page(f"{room.address}/#/case/first")
    become(page, "anna")
    choose(page, "asymmetric", "wrong_place")
    page.locator(".judge textarea").fill("more to the left")
    page.locator(".caption .word", has_text="irregular").first.click()
    assert page.locator(".judge .unsent button").all_inner_texts() == ["asymmetric"]
    leave_and_come_back(page, ".judge")
    assert page.locator(".judge textarea").input_value() == "more to the left"
    assert page.locator(".judge [value=wrong_place]").is_checked()
    said = []
    page.once("dialog", lambda dialog: (said.append(dialog.type), dialog.dismiss()))
    page.evaluate("setTimeout(() => location.reload())")
    page.wait_for_timeout(500)
    assert said == ["beforeunload"]
    assert save(page).status == 201
    page.locator(".judge [role=status]", has_text="Saved").wait_for()
    page.reload()
    assert said == ["beforeunload"]


def come_back(page):
    """As after a crash: the page is loaded anew, nobody was asked."""
    page.once("dialog", lambda dialog: dialog.accept())
    page.reload()


def kept(page):
    """What the browser keeps of the reading room, as one text."""
    return page.evaluate("[localStorage, sessionStorage].map((one) => JSON.stringify({...one})).join()")


def draw_box(page):
    page.locator("[data-tool=box]").click()
    box = page.locator("svg.overlay.marking").bounding_box()
    for across in (0.2, 0.6):
        page.mouse.click(box["x"] + box["width"] * across, box["y"] + box["height"] * across)


def begin(page, text="more to the left"):
    choose(page, "asymmetric", "wrong_place")
    draw_box(page)
    page.locator(".judge textarea").fill(text)


@pytest.fixture
def page(room, open_page):
    """The page of a case whose answer anna has begun."""
    page = open_page(f"{room.address}/#/case/first")
    become(page, "anna")
    begin(page)
    return page


def test_an_answer_that_is_begun_outlives_a_reload(room, page):
    page.locator(".caption .word", has_text="irregular").first.click()
    come_back(page)
    page.locator(".judge .brought", has_text="Brought back").wait_for()
    assert page.locator(".judge textarea").input_value() == "more to the left"
    assert page.locator(".judge [value=wrong_place]").is_checked()
    assert page.locator(".marks-list li").count() == 1
    page.locator("[data-speak=ru]").click()
    assert (
        page.locator(".judge .brought span").inner_text() == "Восстановлено то, что вы начали и не сохранили."
    )
    assert save(page).status == 201
    page.locator(".judge .brought").wait_for(state="hidden")
    assert "left" not in kept(page)
    (row,) = answers_of(room)
    assert (row.comment, len(row.regions)) == ("more to the left", 1)
    come_back(page)
    page.locator(".judge .mine").wait_for()
    assert page.locator(".judge .brought").is_hidden()


def test_what_came_back_can_be_discarded(page):
    come_back(page)
    page.locator(".judge .brought button").click()
    assert page.locator(".judge .brought").is_hidden()
    assert page.locator(".judge textarea").input_value() == ""
    assert (
        page.locator(".marks-list li").count()
        == page.locator(".judge [name=reading-answer]:checked").count()
        == 0
    )
    assert "left" not in kept(page)
    page.reload()
    page.locator(".judge textarea").wait_for()
    assert page.locator(".judge .brought").is_hidden()


def test_signing_out_leaves_nothing_in_the_browser(room, page):
    other = page.context.new_page()
    other.goto(f"{room.address}/#/case/first")
    begin(other, "more to the right")
    assert "left" in kept(page)
    assert "right" in kept(other)
    become(page, "boris")
    other.wait_for_function("sessionStorage.length === 0")
    assert "left" not in kept(page)
    come_back(page)
    page.locator(".judge", has_text="You answer as boris").wait_for()
    assert page.locator(".judge textarea").input_value() == ""


def test_another_reader_in_the_same_tab_finds_nothing(page):
    """The session of the one before ended by itself."""
    page.context.clear_cookies()
    come_back(page)
    page.locator(".judge textarea").wait_for()
    assert page.locator(".judge textarea").input_value() == ""
    become(page, "boris")
    page.locator(".judge", has_text="You answer as boris").wait_for()
    assert page.locator(".judge textarea").input_value() == ""
    assert "left" not in kept(page)


def test_whoever_signs_in_again_finds_what_they_had_begun(page):
    page.context.clear_cookies()
    come_back(page)
    page.locator(".judge textarea").wait_for()
    page.evaluate("location.hash = '#/cases'")
    become(page, "Anna")
    page.evaluate("location.hash = '#/case/first'")
    page.locator(".judge .brought", has_text="Brought back").wait_for()
    assert page.locator(".judge textarea").input_value() == "more to the left"


def test_without_a_pseudonym_nothing_is_kept(room, open_page):
    page = open_page(f"{room.address}/#/case/first")
    begin(page)
    assert "left" not in kept(page)
    become(page, "anna")
    assert "left" in kept(page)


def test_another_store_at_the_same_address_is_another_study(page):

    def other(route):
        answer = route.fetch()
        route.fulfill(response=answer, json=answer.json() | {"store": "another"})

    page.route("**/api/session", other)
    come_back(page)
    page.locator(".judge", has_text="You answer as anna").wait_for()
    assert page.locator(".judge textarea").input_value() == ""


def test_what_was_begun_for_another_description_does_not_come_back(room, page):
    folder = room.state.store.folder
    shutil.rmtree(folder / "first")
    shutil.copytree(folder / "second", folder / "first")
    adopt_folders(room.state.store)
    come_back(page)
    page.locator(".caption", has_text="large symmetric").wait_for()
    assert page.locator(".judge .brought").is_hidden()
    assert "left" not in kept(page)


def test_a_blind_reading_that_is_begun_outlives_a_reload(blind, open_page):
    page = open_page(f"{blind.address}/#/case/first")
    become(page, "anna")
    page.locator(".blind-form textarea").fill("a brown network")
    page.locator(".blind-form .pill").nth(3).click()
    page.locator(".blind-form [type=text]").fill("naevus")
    come_back(page)
    page.locator(".blind-form .brought", has_text="Brought back").wait_for()
    assert page.locator(".blind-form textarea").input_value() == "a brown network"
    assert page.locator(".blind-form [type=text]").input_value() == "naevus"
    assert page.locator(".blind-form [value='4']").is_checked()
    assert save(page).status == 201
    page.locator(".judge [value=agree]").wait_for()
    assert "network" not in kept(page)


def test_a_blind_reading_that_came_back_can_be_discarded(blind, open_page):
    page = open_page(f"{blind.address}/#/case/first")
    become(page, "anna")
    page.locator(".blind-form textarea").fill("a brown network")
    come_back(page)
    page.locator(".blind-form .brought button").click()
    assert page.locator(".blind-form textarea").input_value() == ""
    assert "network" not in kept(page)
    page.locator(".blind-form textarea").fill("a blue veil")
    assert "veil" in kept(page)


@pytest.mark.parametrize("way", ["save", "done", "other tool"])
def test_a_polygon_that_is_not_closed_is_kept(room, open_page, way):
    page = open_page(f"{room.address}/#/case/first")
    become(page, "anna")
    choose(page, "asymmetric", "wrong_place")
    page.locator("[data-tool=polygon]").click()
    box = page.locator("svg.overlay.marking").bounding_box()
    for across, down in ((0.2, 0.2), (0.6, 0.2), (0.6, 0.6)):
        page.mouse.click(box["x"] + box["width"] * across, box["y"] + box["height"] * down)
    if way == "done":
        page.locator(".dock button", has_text="Done").click()
    elif way == "other tool":
        page.locator("[data-tool=box]").click()
    save(page)
    (row,) = answers_of(room)
    assert [(region["kind"], len(region["points"])) for region in row.regions] == [("polygon", 3)]


def test_what_was_begun_for_another_description_is_not_sent_for_this_one(room, open_page):
    page = open_page(f"{room.address}/#/case/first")
    become(page, "anna")
    choose(page, "asymmetric", "agree")
    page.locator(".judge textarea").fill("of the old one")
    folder = room.state.store.folder
    shutil.rmtree(folder / "first")
    shutil.copytree(folder / "second", folder / "first")
    adopt_folders(room.state.store)
    assert save(page).status == 409
    page.locator(".judge button", has_text="Try again").click()
    page.locator(".caption .word", has_text="symmetric").first.click()
    page.locator(".caption", has_text="large symmetric").wait_for()
    assert page.locator(".judge textarea").input_value() == ""
    assert page.locator(".judge [name=reading-answer]:checked").count() == 0
    assert answers_of(room) == []


def test_a_map_of_the_same_text_is_not_named_as_that_of_the_word(tmp_path, open_page):
    case = make_case()
    maps = [heat for heat in case.maps if heat.target.text != "asymmetric"]
    *others, query = maps
    matched = replace(query, target=Target("query", "asymmetric"))
    save_case(replace(case, maps=(*others, matched), scores=()), tmp_path / "cases" / "first")
    server = ThreadServer(tmp_path / "cases", models=())
    try:
        page = open_page(f"{server.address}/#/case/first")
        become(page, "anna")
        choose(page, "irregular", "agree")
        save(page)
        choose(page, "asymmetric", "agree")
        page.locator(".judge", has_text="not why the word was said").wait_for()
        save(page)
        assert [bool(row.method) for row in answers_of(server)] == [True, False]
    finally:
        server.stop()


def test_only_who_may_delete_is_offered_to(blind, open_page):
    page = open_page(f"{blind.address}/#/case/first")
    become(page, "anna")
    page.locator(".blind-form textarea").fill("a brown network")
    save(page)
    page.locator(".judge [value=agree]").wait_for()
    assert page.locator("button", has_text="Delete").count() == 0
