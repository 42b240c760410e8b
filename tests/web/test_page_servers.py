"""Other servers: without a model, blind, open to others, with two models, and one that is gone."""

import pytest

from dermaxai.api.state import ServedModel
from dermaxai.store.readers import add_reader, issue_token
from tests.sample_case import make_case
from tests.web.serving import Process, ThreadServer, write_samples

pytestmark = pytest.mark.browser


def test_review_without_a_model(tmp_path, open_page):
    server = ThreadServer(write_samples(tmp_path), models=())
    try:
        page = open_page(server.address)
        page.locator("[data-case]").first.wait_for()
        assert page.get_by_role("link", name="New photo").count() == 0
        page.goto(f"{server.address}/#/case/first")
        page.locator(".viewer .word", has_text="border").hover()
        assert page.get_by_text("No model is loaded here").first.is_visible()
        assert page.locator(".ask-line").count() == 0
    finally:
        server.stop()


def test_blind_reading_comes_first(tmp_path, open_page):
    server = ThreadServer(write_samples(tmp_path), models=(), blind=True)
    try:
        page = open_page(f"{server.address}/#/cases")
        page.locator("[data-case]").first.wait_for()
        assert "lesion" not in page.locator("main").inner_text()
        page.locator(".case-link").first.click()
        page.get_by_text("Your reading first").wait_for()
        assert page.locator(".viewer").count() == 0
        page.locator("main textarea").fill("brown, irregular")
        page.locator("main button.primary").click()
        page.locator("dialog[open] input").fill("reader-1")
        page.locator("dialog[open] button.primary").click()
        page.locator(".viewer .word").first.wait_for()
    finally:
        server.stop()


@pytest.fixture
def token_server(tmp_path):
    """A server that is open to others, and the token of its reader."""
    server = ThreadServer(write_samples(tmp_path), models=(), host="0.0.0.0")
    with server.state.store.write() as session:
        reader = add_reader(session, "reader-2", "reader", actor="test")
        token = issue_token(session, reader, days=1, actor="test")
    yield server, token
    server.stop()


def test_an_open_server_asks_for_a_token(token_server, open_page):
    server, token = token_server
    page = open_page(f"{server.address}/#/cases", await_view=False)
    page.locator("dialog[open] input").fill("wrong")
    page.locator("dialog[open] button.primary").click()
    page.locator("dialog[open] .fault").get_by_text("You are not signed in").wait_for()
    page.locator("dialog[open] input").fill(token)
    page.locator("dialog[open] button.primary").click()
    page.locator("[data-case]").first.wait_for()
    page.get_by_role("button", name="Reading as reader-2").click()
    page.get_by_role("button", name="Sign out").click()
    page.locator("dialog[open] input").wait_for()


def test_a_late_refusal_does_not_ask_again(token_server, open_page):
    """A request sent before signing in is refused after it."""
    server, token = token_server
    page = open_page(f"{server.address}/#/cases", await_view=False)
    page.locator("dialog[open] input").wait_for()
    page.wait_for_load_state("networkidle")
    held = []
    page.route("**/api/cases*", lambda route: held.append(route) if not held else route.continue_())
    page.evaluate("location.hash = '#/cases?sort=disagreement'")
    page.locator("dialog[open] input").fill(token)
    page.locator("dialog[open] button.primary").click()
    page.locator("[data-case]").first.wait_for()
    with page.expect_response("**/api/cases*") as refused:
        held[0].fulfill(status=401, json={"error": "Unauthenticated", "message": "", "hint": ""})
    assert refused.value.status == 401
    page.get_by_role("button", name="Reading as reader-2").click(timeout=5000)


def test_a_token_is_sent_once_at_a_time(token_server, open_page):
    server, _ = token_server
    page = open_page(f"{server.address}/#/cases", await_view=False)
    sent = []
    page.route("**/api/session", lambda route: sent.append(route))
    page.locator("dialog[open] input").fill("wrong")
    for _ in range(3):
        page.locator("dialog[open] button.primary").click()
    with page.expect_response("**/api/session"):
        sent[0].continue_()
    page.locator("dialog[open] .fault").wait_for()
    assert len(sent) == 1


def test_another_model_is_set_beside(tmp_path, open_page):
    models = (ServedModel("demo"), ServedModel("other"))
    server = ThreadServer(write_samples(tmp_path), models=models)
    try:
        page = open_page(f"{server.address}/#/case/first")
        page.locator("details.menu summary", has_text="Another model").click()
        page.get_by_role("button", name="other", exact=True).click()
        page.wait_for_url("**/#/compare/first/*")
        page.get_by_text("Is next in the queue").wait_for()
        asked = server.hand.take().request
        assert asked["model"] == "other"
        assert asked["lang"] == make_case().captions[0].language
        assert set(asked["methods"]) == {
            heat.method for heat in make_case().maps if heat.target.kind == "word"
        }
        server.hand.done(make_case())
        page.locator("[data-part=right] .word").first.wait_for()
        page.locator("[data-part=left] .word", has_text="border").click()
        assert page.locator("[data-part=right] .word.active").inner_text() == "border"
    finally:
        server.stop()


def test_server_gone_leaves_the_case_usable(tmp_path, open_page):
    server = Process(write_samples(tmp_path), "--no-model")
    page = open_page(f"{server.address}/#/case/first")
    page.locator(".viewer .word").first.wait_for()
    page.wait_for_load_state("networkidle")
    server.kill()
    page.locator("#gone").wait_for()
    page.locator(".viewer .word", has_text="border").click()
    assert page.locator("[data-part=about-word]").inner_text() == "border"
    page.get_by_role("button", name="Русский").click()
    assert page.locator("#gone").get_by_text("Сервер не отвечает.").is_visible()
    page.keyboard.press("l")
    page.locator("main .fault", has_text="Сервер не отвечает").wait_for()
