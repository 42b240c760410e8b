import gzip
import json
import re

import pytest
from fastapi import FastAPI, Request

from dermaxai.api import page
from dermaxai.api.state import ServedModel, ServeOptions
from dermaxai.errors import NotFound
from dermaxai.i18n import LANGUAGES, catalogue, keys_of

OPTIONS = ServeOptions()


def asked(path="/", **headers):
    """A request with headers, as the routes get it."""
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    app = FastAPI()
    app.state.server = type("State", (), {"options": OPTIONS})()
    return Request({"type": "http", "method": "GET", "path": path, "headers": pairs, "app": app})


def bundle_of(html):
    return json.loads(re.search(r'id="dermaxai-page">(.+?)</script>', html.decode())[1])


@pytest.mark.parametrize(
    ("headers", "language"),
    [
        ({}, "en"),
        ({"accept_language": "ru-RU,ru;q=0.9,en;q=0.5"}, "ru"),
        ({"accept_language": "fr, en;q=0.8, ru;q=0.5"}, "en"),
        ({"accept_language": "de"}, "en"),
        ({"accept_language": "en", "cookie": "language=ru"}, "ru"),
        ({"accept_language": "ru", "cookie": "language=<script>"}, "ru"),
    ],
)
def test_language_of_cookie_then_browser(headers, language):
    assert page.chosen_language(asked(**headers)) == language


@pytest.mark.parametrize("language", LANGUAGES)
def test_page_holds_notices_strings_and_no_inline_code(language):
    html = page.render_page(OPTIONS, language)
    text = html.decode()
    assert f'<html lang="{language}">' in text
    assert all(catalogue(known).text("notice") in text for known in LANGUAGES)
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", text)
    assert re.findall(r"<script(?![^>]*(?:src=|application/json))", text) == []
    assert re.findall(r'(?:src|href)="(?:https?:)?//', text) == []
    texts = bundle_of(html)["texts"]
    assert set(keys_of("page")) <= set(texts["keys"])
    assert len(texts["en"]) == len(texts["ru"]) == len(texts["keys"])


def test_bundle_cannot_end_its_element():
    options = ServeOptions(models=(ServedModel("</script><b>"),))
    html = page.render_page(options, "en")
    assert bundle_of(html)["models"] == ["</script><b>"]
    assert b"</script><b>" not in html


def test_page_is_rendered_once_per_language():
    assert page.render_page(OPTIONS, "ru") is page.render_page(OPTIONS, "ru")


@pytest.mark.parametrize(
    "name",
    ["page.html.j2", "viewer.html.j2", "colours.json", "../i18n.py", "", ".js", "app.js.map", "App.js"],
)
def test_only_scripts_and_styles_are_sent(name):
    with pytest.raises(NotFound):
        page.find_file(name)


def test_every_module_that_is_imported_is_there():
    names = [name for name in page._files() if name.endswith(".js")]
    assert "app.js" in names
    imports = re.compile(r'^(?:import|export) .*?from "\./([\w.]+)";', re.MULTILINE)
    for name in names:
        content, kind = page.find_file(name)
        assert kind.startswith("text/javascript")
        for wanted in imports.findall(content.decode()):
            assert wanted in names, f"{name} imports {wanted}"


def test_strings_that_the_scripts_say_are_there():
    entries = catalogue("en").entries
    rooms = "action|ask|blind|case|cases|check|choices|compare|gone|help|job|new|who"
    used = re.compile(rf'"((?:{rooms})(?:\.[a-z_]+)+)"')
    for name, content in page._files().items():
        missing = [key for key in used.findall(content.decode()) if key not in entries]
        assert missing == [], name


async def test_files_are_kept_for_good_under_their_version(anyio_backend):
    kept = await page.send_versioned_file(asked(), page.web_version(), "app.js")
    assert "immutable" in kept.headers["cache-control"]
    other = await page.send_versioned_file(asked(), "0" * 12, "app.js")
    assert other.headers["cache-control"] == "no-cache"
    plain = await page.send_file(asked(), "page.css")
    assert plain.headers["content-type"] == "text/css; charset=utf-8"
    again = await page.send_file(asked(if_none_match=plain.headers["etag"]), "page.css")
    assert (again.status_code, again.body) == (304, b"")


async def test_packed_where_the_browser_takes_that(anyio_backend):
    plain = await page.show_page(asked())
    packed = await page.show_page(asked(accept_encoding="gzip, br"))
    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed.body) == plain.body
    assert len(packed.body) < len(plain.body) / 3


@pytest.fixture
def anyio_backend():
    return "asyncio"


pytestmark = pytest.mark.anyio
