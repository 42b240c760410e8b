"""From case to case: what is read, what is next, in a real browser."""

import pytest

from tests.web.test_begun import become, choose, save

pytestmark = pytest.mark.browser


def see_list(page):
    page.evaluate("location.hash = '#/cases'")
    page.locator(".case-row").first.wait_for()


def test_a_reader_goes_from_case_to_case(room, open_page):
    page = open_page(f"{room.address}/#/cases")
    page.locator(".case-row").first.wait_for()
    assert page.locator("option[value=unread]").count() == 0
    assert not page.locator("[data-part=progress]").is_visible()
    become(page, "anna")
    progress = page.locator("[data-part=progress]")
    progress.get_by_text("0 of 2 cases read").wait_for()
    progress.get_by_role("link", name="Next case").click()
    page.wait_for_url("**/#/case/second")
    choose(page, "dark", "agree")
    assert not page.locator(".judge .onward").is_visible()
    save(page)
    page.locator(".judge .onward", has_text="1 of 2 cases read").wait_for()
    see_list(page)
    page.locator("[name=state]").select_option("unread")
    page.locator(".case-row[data-case=first]:only-child").wait_for()
    page.evaluate("location.hash = '#/case/second'")
    page.locator(".judge .onward a").click()
    page.wait_for_url("**/#/case/first")
    choose(page, "asymmetric", "agree")
    save(page)
    page.locator(".judge .onward", has_text="All 2 cases are read.").wait_for()
    page.locator("[data-speak=ru]").click()
    assert "Прочитано всё: 2 случая." in page.locator(".judge .onward").inner_text()
    see_list(page)
    page.locator("[data-part=progress]", has_text="Прочитано всё: 2 случая.").wait_for()


def test_the_key_for_the_next_case(room, open_page):
    page = open_page(f"{room.address}/#/case/first")
    become(page, "anna")
    page.locator(".judge", has_text="You answer as anna").wait_for()
    page.keyboard.press("n")
    page.wait_for_url("**/#/case/second")
    page.locator(".judge").wait_for()
    page.keyboard.press("n")
    page.wait_for_url("**/#/case/first")
    choose(page, "asymmetric", "agree")
    save(page)
    page.evaluate("location.hash = '#/case/second'")
    page.locator(".case-name", has_text="second").wait_for()
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("n")
    page.locator(".flash", has_text="No other case is left").wait_for()
    page.keyboard.press("?")
    assert "Next case to read" in page.locator("dialog[open]").inner_text()


def test_the_next_case_follows_the_order_of_the_list(room, open_page):
    page = open_page(f"{room.address}/#/cases")
    become(page, "anna")
    page.locator("[data-part=progress] a[href='#/case/second']").wait_for()
    page.locator("[name=sort]").select_option("caption")
    page.locator("[data-part=progress] a[href='#/case/first']").click()
    choose(page, "asymmetric", "agree")
    save(page)
    page.locator(".judge .onward a[href='#/case/second']").wait_for()


def test_a_blind_reader_goes_on_when_all_is_said(blind, open_page):
    page = open_page(f"{blind.address}/#/cases")
    become(page, "anna")
    page.locator("[data-part=progress]", has_text="0 of 2 cases read").wait_for()
    assert "lesion" not in page.locator("main").inner_text()
    page.locator("[data-part=progress] a").click()
    page.locator(".blind-form textarea").fill("a brown network")
    save(page)
    page.locator(".judge [value=agree]").wait_for()
    assert not page.locator(".judge .onward").is_visible()
    choose(page, "dark", "agree")
    save(page)
    page.locator(".judge .onward a").click()
    page.wait_for_url("**/#/case/first")
    page.locator(".blind-form").wait_for()
    assert "asymmetric" not in page.locator("body").inner_text()


@pytest.mark.parametrize(("tool", "corners"), [("box", 1), ("polygon", 1), ("polygon", 2)])
def test_a_shape_that_is_not_whole_is_said_at_saving(room, open_page, tool, corners):
    page = open_page(f"{room.address}/#/case/first")
    become(page, "anna")
    choose(page, "asymmetric", "wrong_place")
    page.locator(f"[data-tool={tool}]").click()
    box = page.locator("svg.overlay.marking").bounding_box()
    places = [(0.2, 0.2), (0.6, 0.2), (0.6, 0.6)]

    def click(across, down):
        page.mouse.click(box["x"] + box["width"] * across, box["y"] + box["height"] * down)

    for place in places[:corners]:
        click(*place)
    page.locator(".judge .primary").click()
    fault = page.locator(f".dock [data-error={tool.capitalize()}Unfinished]")
    fault.wait_for()
    assert page.locator("svg.overlay .mark.draft").count() == 1
    with_all = places[corners:] if tool == "polygon" else [places[2]]
    box = page.locator("svg.overlay.marking").bounding_box()
    for place in with_all:
        click(*place)
    fault.wait_for(state="detached")
    assert save(page).status == 201
    page.locator(".marks-list li").wait_for()
