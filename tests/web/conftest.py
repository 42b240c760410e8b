"""Chromium, servers, and pages that ask nobody else and complain of nothing."""

import os
import shutil
from urllib.parse import urlsplit

import pytest

from tests.web.serving import Process, ThreadServer, write_samples

CHROMIUM = os.environ.get("DERMAXAI_CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
REFUSED = "Failed to load resource"
"""Chromium says so of every answer that is no success; the tests look at what the page makes of it."""


@pytest.fixture(scope="module")
def chromium():
    """Not longer than one module: while it lives, no other event loop can run in this thread."""
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine; name one in $DERMAXAI_CHROMIUM")
    with playwright.sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Two sample cases; the worker is the test."""
    started = ThreadServer(write_samples(tmp_path_factory.mktemp("cases")))
    yield started
    started.stop()


@pytest.fixture(scope="session")
def real_server(tmp_path_factory):
    """`dermaxai serve` with the embedded model and its own worker."""
    started = Process(tmp_path_factory.mktemp("real"))
    yield started
    started.stop()


def is_strange(url, host):
    return urlsplit(url).netloc not in (host, "")


def is_complaint(message):
    return message.type == "error" and REFUSED not in message.text


@pytest.fixture
def open_page(chromium):
    """A function (address, **options) -> page.

    At the end nothing was asked of any other host, and the page complained of nothing.
    """
    contexts, strangers, complaints = [], [], []

    def open_one(address, *, language="en", width=1280, await_view=True, **options):
        locale = {"en": "en-GB", "ru": "ru-RU"}[language]
        size = {"width": width, "height": 860}
        context = chromium.new_context(viewport=size, locale=locale, reduced_motion="reduce", **options)
        page = context.new_page()
        host = urlsplit(address).netloc
        page.on(
            "request", lambda asked: urlsplit(asked.url).netloc in (host, "") or strangers.append(asked.url)
        )
        page.on("console", lambda told: is_complaint(told) and complaints.append(told.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(address)
        if await_view:
            page.locator("main > :not(noscript)").first.wait_for()
        contexts.append(context)
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert strangers == []
    assert complaints == []


@pytest.fixture
def room(tmp_path):
    """A review server without a model."""
    started = ThreadServer(write_samples(tmp_path / "cases"), models=())
    yield started
    started.stop()


@pytest.fixture
def blind(tmp_path):
    """The same with blind reading."""
    started = ThreadServer(write_samples(tmp_path / "cases"), models=(), blind=True)
    yield started
    started.stop()
