"""The whole walk of a dermatologist, on a real server with the embedded model."""

import pytest
from PIL import Image

from dermaxai.api.examples import draw_example
from dermaxai.i18n import catalogue

pytestmark = pytest.mark.browser

SLOW = 90_000


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    path = tmp_path_factory.mktemp("photos") / "родинка №1.png"
    Image.fromarray(draw_example(1)).save(path)
    return path


@pytest.mark.parametrize(("language", "width"), [("en", 1280), ("ru", 360)])
def test_the_walk(real_server, open_page, photo, language, width):
    t = catalogue(language).text
    page = open_page(real_server.address, language=language, width=width)
    page.set_default_timeout(SLOW)
    assert page.locator("html").get_attribute("lang") == language

    page.get_by_label("Grad-ECLIP").uncheck()
    page.locator("[data-part=file]").set_input_files(photo)
    page.wait_for_url("**/#/case/*")
    page.locator(".viewer [data-part=caption] .word").first.wait_for()
    page.locator("details.menu").wait_for()
    assert page.locator("h1").inner_text() == photo.name

    word = page.locator("[data-part=caption] .word:not(.prior)").first
    word.hover()
    assert page.locator("[data-part=about-word]").inner_text() == word.inner_text()
    word.click()
    assert word.get_attribute("aria-pressed") == "true"

    page.get_by_role("button", name=t("check.run")).click()
    page.locator("[data-part=sanity-rows] li").first.wait_for()
    page.get_by_role("button", name=t("check.again")).wait_for()

    assert word.inner_text() in page.locator(".ask-line label").first.inner_text()
    page.locator("[name=against]").fill("large" if language == "en" else "крупное")
    page.locator("[name=against]").press("Enter")
    chips = page.locator("[data-part=query-chips] button")
    chips.first.wait_for()
    assert chips.first.get_attribute("aria-pressed") == "true"

    page.locator("[name=kind]").select_option("diagnosis")
    assert page.locator(".ask .caution").is_visible()
    page.locator("[name=text]").fill("blue nevus")
    page.locator("[name=text]").press("Enter")
    chips.nth(1).wait_for()

    page.get_by_role("button", name=t("ask.concepts")).click()
    page.locator("[data-part=bars] li").first.wait_for()

    with page.context.expect_page() as opened:
        page.locator("details.menu summary").click()
        page.get_by_role("link", name=t(f"case.report.{language}")).click()
    report = opened.value
    report.locator("[data-part=caption] .word").first.wait_for()
    assert report.locator("html").get_attribute("lang") == language
    assert page.evaluate("document.documentElement.scrollWidth") <= width

    page.get_by_role("button", name=t("case.delete")).click()
    page.locator("dialog").get_by_role("button", name=t("case.remove.yes")).click()
    page.wait_for_url("**/#/cases")
    page.locator(".emptiness, .case-row").first.wait_for()
    assert page.get_by_text(photo.name).count() == 0


def test_the_reader_says_what_is_wrong(real_server, open_page):
    page = open_page(real_server.address)
    page.set_default_timeout(SLOW)
    page.locator(".example-row button").nth(1).click()
    page.locator("[data-slot=reading] button.primary").wait_for()
    page.locator("details.menu").wait_for()
    page.locator("[data-part=caption] .word:not(.prior)").first.click()
    page.locator("[data-slot=reading] .pill", has_text="wrong word").click()
    page.locator("[data-slot=reading] button.primary").click()
    page.locator("dialog[open] input").fill("reader-7")
    page.locator("dialog[open] button.primary").click()
    page.get_by_role("button", name="Reading as reader-7").wait_for()
    address = page.url.replace("/#/case/", "/api/cases/") + "/feedback"
    for _ in range(40):
        given = page.evaluate("(address) => fetch(address).then((answer) => answer.text())", address)
        if "wrong_word" in given:
            break
        page.wait_for_timeout(100)
    assert "wrong_word" in given
    assert "reader-7" in given
