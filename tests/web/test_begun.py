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
