"""axe on every view, in light and dark: nothing serious."""

from importlib import util
from pathlib import Path

import pytest

from tests.web.serving import VIEWS, visit

pytestmark = pytest.mark.browser

TITLED = ("#/", "#/cases", "#/case/first", "#/compare/first/second", "#/readings")
RUN = """() => axe.run(document, {resultTypes: ["violations"]}).then(({violations}) => violations
    .filter(({impact}) => ["serious", "critical"].includes(impact))
    .map(({id, nodes}) => [id, nodes.slice(0, 4).map((node) => node.html.slice(0, 160))]))"""


@pytest.fixture(scope="module")
def axe():
    found = util.find_spec("axe_playwright_python")
    if found is None:
        pytest.skip("axe is not installed")
    return (Path(found.origin).parent / "axe.min.js").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("scheme", "language", "width"), [("light", "en", 1280), ("dark", "ru", 1280), ("dark", "en", 360)]
)
def test_nothing_serious(server, open_page, axe, scheme, language, width):
    page = open_page(server.address, color_scheme=scheme, language=language, width=width, bypass_csp=True)
    for view in VIEWS:
        visit(page, server.address, view)
        page.evaluate(axe)
        assert page.evaluate(RUN) == [], view


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_serious_in_dialogs_and_menus(server, open_page, axe, scheme):
    page = open_page(f"{server.address}/#/case/first", color_scheme=scheme, bypass_csp=True)
    page.evaluate(axe)
    page.locator("details.menu summary").click()
    page.locator(".further summary").click()
    assert page.evaluate(RUN) == []
    page.keyboard.press("Escape")
    for opener in ("#help", "#who", "#model-state", ".case-actions .danger"):
        page.locator(opener).click()
        page.locator("dialog[open]").wait_for()
        assert page.evaluate(RUN) == [], opener
        page.keyboard.press("Escape")


def test_every_view_has_one_title_and_landmarks(server, open_page):
    page = open_page(server.address)
    titles = set()
    for view in TITLED:
        visit(page, server.address, view)
        assert page.locator("h1").count() == 1, view
        assert page.locator("main").count() == page.locator("header.bar").count() == 1
        titles.add(page.title())
    assert len(titles) == len(TITLED)
