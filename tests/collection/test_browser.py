"""The report of a folder in a real browser, opened from disk."""

import os
import shutil
from pathlib import Path

import pytest

from dermaxai.collection.writing import write_collection
from tests.collection.cases import write_cases

pytestmark = pytest.mark.browser

CHROMIUM = os.environ.get("DERMAXAI_CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    home = tmp_path_factory.mktemp("случаи №1")
    write_cases(home, 5)
    return write_collection(home).report


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine; name one in $DERMAXAI_CHROMIUM")
    with playwright.sync_playwright() as engine:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        chromium = engine.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser, report):
    """The open report; at the end it asked for nothing else, and nothing complained."""
    requests, complaints = [], []
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: message.type == "error" and complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(report.as_uri())
    yield page
    page.close()
    assert complaints == []
    assert [url for url in requests if not url.startswith("data:")] == [report.as_uri()]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_bars_a_reader(browser, report, scheme):
    axe = pytest.importorskip("axe_playwright_python", reason="axe is not installed")
    script = (Path(axe.__file__).parent / "axe.min.js").read_text("utf-8")
    page = browser.new_page(color_scheme=scheme, bypass_csp=True)
    page.goto(report.as_uri())
    page.evaluate(script)
    found = page.evaluate("axe.run()")
    page.close()
    assert found["passes"]
    assert [fault["id"] for fault in found["violations"]] == []


def names(page):
    return [
        row.locator("th").inner_text() for row in page.locator(".sortable tbody tr").all() if row.is_visible()
    ]


def test_languages(page):
    heading = page.locator("h1")
    assert heading.inner_text().startswith("Report of a folder of cases")
    assert "5 cases" in heading.inner_text()
    page.click("[data-language=ru]")
    assert heading.inner_text().startswith("Отчёт о папке случаев")
    assert "5 случаев" in heading.inner_text()
    assert page.evaluate("document.documentElement.lang") == "ru"
    assert page.locator("[data-language=ru]").get_attribute("aria-pressed") == "true"


def test_the_table_sorts_and_searches(page):
    agreement = page.locator(".sortable thead button").nth(4)
    agreement.click()
    assert names(page) == [f"case{number}" for number in range(5)]
    agreement.click()
    assert names(page) == [f"case{number}" for number in reversed(range(5))]
    assert page.locator(".sortable th[aria-sort=descending]").count() == 1
    page.fill("#filter", "CASE3")
    assert names(page) == ["case3"]
    page.fill("#filter", "")
    assert len(names(page)) == 5


@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_is_wider_than_the_screen(page, width):
    page.set_viewport_size({"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_the_histogram_counts_every_case(page):
    drawn = page.locator("svg.histogram:visible")
    assert drawn.get_attribute("aria-label").startswith("How many cases")
    assert sum(int(one.text_content().split(": ")[1]) for one in drawn.locator("title").all()) == 5
