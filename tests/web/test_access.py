"""Who is reading: on one machine by pseudonym, or by a token where the reader has one."""

import pytest

from dermaxai.store.readers import add_reader, issue_token
from tests.web.serving import ThreadServer, write_samples

pytestmark = pytest.mark.browser


@pytest.fixture
def blind(tmp_path):
    started = ThreadServer(write_samples(tmp_path / "cases"), models=(), blind=True)
    yield started
    started.stop()


def token_of(server, pseudonym, role):
    with server.state.store.write() as session:
        reader = add_reader(session, pseudonym, role, actor="local")
        return issue_token(session, reader, days=1, actor="local")


@pytest.mark.parametrize(("language", "width"), [("en", 1280), ("ru", 360)])
def test_a_lead_signs_in_by_token_where_others_choose_a_pseudonym(blind, open_page, language, width):
    token = token_of(blind, "lead", "admin")
    page = open_page(f"{blind.address}/#/cases", language=language, width=width)
    page.locator("#who").click()
    page.locator("dialog[open] input").fill("lead")
    page.keyboard.press("Enter")
    told = {"en": "'lead' has a token", "ru": "У «lead» есть токен"}[language]
    page.locator("dialog[open] .fault", has_text=told).wait_for()
    page.locator("dialog[open] .quiet").click()
    page.locator("dialog[open] input[type=password]").fill(token)
    page.keyboard.press("Enter")
    page.locator("dialog[open]").wait_for(state="detached")
    page.goto(f"{blind.address}/#/readings")
    page.locator(".study-counts").wait_for()
