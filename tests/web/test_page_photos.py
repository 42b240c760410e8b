"""How photos come in: dropped, pasted, several, unusable; and what the page makes of a strange answer."""

import base64
import dataclasses
import io

import numpy as np
import pytest
from PIL import Image

from dermaxai.api.state import ServedModel
from dermaxai.i18n import catalogue
from dermaxai.store.tables import Job
from tests.sample_case import make_case
from tests.web.serving import ThreadServer, write_samples

pytestmark = pytest.mark.browser

FIRE = """([kind, files]) => {
    const data = new DataTransfer();
    for (const [name, type, text] of files)
        data.items.add(new File([Uint8Array.from(atob(text), (one) => one.charCodeAt(0))], name, {type}));
    const told = {bubbles: true, cancelable: true};
    document.body.dispatchEvent(kind === "paste"
        ? new ClipboardEvent(kind, {...told, clipboardData: data})
        : new DragEvent(kind, {...told, dataTransfer: data}));
}"""


def png(side=64, shade=120):
    buffer = io.BytesIO()
    Image.new("RGB", (side, side), (shade, 110, 90)).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def fire(page, kind, *files):
    """A drop or a paste of files (name, content in base64)."""
    page.locator("[data-part=drop]").wait_for()
    page.evaluate(FIRE, [kind, [[name, "image/png", content] for name, content in files]])


def names_of_jobs(server):
    """The photos in the order in which they will be described."""
    from dermaxai.store.cases import find_case

    with server.state.store.read() as session:
        jobs = session.query(Job).filter(Job.state == "waiting").order_by(Job.id)
        return [find_case(session, job.case_id).name for job in jobs]


def finish(server, case=None):
    """Describe whatever waits."""
    while server.hand.take() is not None:
        server.hand.done(case or make_case())


@pytest.fixture(autouse=True)
def nothing_waits(server):
    """Of one test that fails, the next ones know nothing."""
    yield
    finish(server)


def test_dropped_photos_are_described_in_their_order(server, open_page):
    page = open_page(server.address)
    fire(page, "dragenter", ("one.png", png()))
    assert page.locator("body.dragging").count() == 1
    fire(page, "drop", *((f"{number}.png", png(shade=number)) for number in range(1, 5)))
    assert page.locator("body.dragging").count() == 0
    page.get_by_text("3 jobs come first").wait_for()
    assert names_of_jobs(server) == ["1.png", "2.png", "3.png", "4.png"]
    assert page.locator(".strip-name").all_inner_texts() == ["1.png", "2.png", "3.png", "4.png"]
    finish(server)


def test_a_pasted_photo_opens_by_itself_also_beside_those_of_others(server, open_page):
    other = open_page(server.address)
    fire(other, "drop", ("a.png", png(shade=7)), ("b.png", png(shade=8)))
    other.get_by_text("1 job comes first").wait_for()
    page = open_page(server.address)
    page.locator(".strip-item").nth(1).wait_for()
    fire(page, "paste", ("", png(shade=9)))
    page.wait_for_url("**/#/case/*")
    page.get_by_text("2 jobs come first").wait_for()
    finish(server)
    page.locator(".viewer .word").first.wait_for()


def test_a_photo_waits_while_a_proxy_says_that_the_server_is_gone(server, open_page):
    """502 in the proxy's own words is no answer of the server: nothing was refused."""
    page = open_page(server.address)
    gone = {"status": 502, "content_type": "text/html", "body": "<h1>502 Bad Gateway</h1>"}
    page.locator(".example-row img").first.wait_for()
    page.route("**/api/**", lambda route: route.fulfill(**gone))
    page.route("**/healthz", lambda route: route.fulfill(**gone))
    fire(page, "paste", ("waits.png", png(shade=77)))
    page.locator("#gone").wait_for()
    assert page.locator(".fault", has_text="It did not work").count() == 0
    page.unroute_all()
    page.locator("#gone").wait_for(state="hidden")
    page.wait_for_url("**/#/case/*")
    assert names_of_jobs(server) == ["waits.png"]


def test_a_proxy_that_takes_no_photos_is_understood(server, open_page):
    page = open_page(server.address)
    small = {"status": 413, "content_type": "text/html", "body": "<h1>413 Too Large</h1>"}
    page.route("**/api/cases", lambda route: route.fulfill(**small))
    fire(page, "paste", ("large.png", png(shade=78)))
    page.locator(".fault", has_text="The file is too large").wait_for()


def test_a_small_photo_is_described_with_a_caution(server, open_page):
    page = open_page(f"{server.address}/#/case/first")
    page.locator(".viewer .word").first.wait_for()
    assert page.locator("[data-part=small]").is_hidden()
    page.goto(f"{server.address}/#/")
    fire(page, "drop", ("small.png", png(40)))
    page.wait_for_url("**/#/case/*")
    page.get_by_text("Is next in the queue").wait_for()
    full = make_case()
    pixels = np.ascontiguousarray(full.image.pixels[:100])
    finish(server, dataclasses.replace(full, image=dataclasses.replace(full.image, pixels=pixels)))
    page.get_by_text("This photo has only 400 × 100 pixels.").wait_for()


@pytest.mark.parametrize("language", ["en", "ru"])
def test_a_photo_that_is_too_small_says_so(server, open_page, language):
    page = open_page(server.address, language=language)
    fire(page, "drop", ("dot.png", png(8)))
    card = page.locator(".strip-item .fault")
    card.wait_for()
    told = catalogue(language).text
    assert told("error.ImageUnreadable") in card.inner_text()
    assert told("error.ImageUnreadable.do") in card.inner_text()
    server_says = {"en": "The file has 8 x 8 pixels", "ru": "Файл имеет 8 x 8 пикселей"}
    other = "en" if language == "ru" else "ru"
    for spoken in (language, other, language):
        page.locator(f"[data-speak={spoken}]").click()
        told = card.locator(f"[data-quote] > [lang={spoken}]").first
        told.get_by_text(server_says[spoken]).wait_for()
    page.get_by_role("button", name=catalogue(language).text("new.forget")).click()
    assert page.locator(".strip-item").count() == 0


def test_a_phone_is_not_told_to_drop(server, open_page):
    page = open_page(server.address, language="ru", width=360, has_touch=True, is_mobile=True)
    page.locator(".drop-title").wait_for()
    assert page.locator(".drop-title").inner_text() == catalogue("ru").text("new.touch")
    assert "буфера" not in page.locator("[data-part=kinds]").inner_text()


def test_an_empty_caption_and_a_map_of_nothing(server, open_page):
    page = open_page(server.address)
    fire(page, "drop", ("empty.png", png(shade=31)))
    page.wait_for_url("**/#/case/*")
    page.get_by_text("Is next in the queue").wait_for()
    full = make_case()
    silent = tuple(
        dataclasses.replace(one, text="", words=(), token_ids=(), token_logprobs=()) for one in full.captions
    )
    finish(
        server, dataclasses.replace(full, captions=silent, maps=(), scores=(), evidence=(), alternatives=())
    )
    page.get_by_text(catalogue("en").text("caption.empty")).wait_for()
    assert page.locator(".ask-line").first.is_hidden()
    assert page.get_by_role("button", name="Measure the maps").is_hidden()
    assert page.locator("h1").inner_text() == "empty.png"

    page.goto(f"{server.address}/#/")
    fire(page, "drop", ("zero.png", png(shade=32)))
    page.wait_for_url("**/#/case/*")
    page.get_by_text("Is next in the queue").wait_for()
    nothing = tuple(dataclasses.replace(heat, values=np.zeros_like(heat.values)) for heat in full.maps)
    finish(server, dataclasses.replace(full, maps=nothing, scores=()))
    page.get_by_text(catalogue("en").text("map.none")).first.wait_for()


def test_a_method_that_does_not_fit_cannot_be_asked(tmp_path, open_page):
    models = (ServedModel("demo"), ServedModel("panderm-base"))
    server = ThreadServer(write_samples(tmp_path), models=models)
    try:
        page = open_page(server.address)
        more = page.locator(".wishes summary", has_text="more methods")
        more.click()
        legrad = page.locator(".wishes [value=legrad]")
        assert legrad.is_enabled()
        page.locator("[name=model]").select_option("panderm-base")
        page.locator("[data-part=weights]").wait_for()
        page.locator(".wishes summary", has_text="more methods").click()
        assert legrad.is_disabled()
        label = legrad.locator("xpath=ancestor::label").inner_text()
        assert "does not fit" in label
        assert "no text tower" in label
        assert page.locator(".wishes [value=evidence]").is_enabled()
    finally:
        server.stop()


def test_a_photo_that_was_stopped_is_described_again(server, open_page):
    page = open_page(server.address)
    fire(page, "drop", ("again.png", png(shade=55)))
    page.wait_for_url("**/#/case/*")
    page.get_by_role("button", name="Stop").click()
    page.get_by_text("This photo was stopped").wait_for()
    first = page.url
    page.get_by_role("button", name="Describe it again").click()
    page.get_by_text("Is next in the queue").wait_for()
    assert page.url != first
    finish(server)
    page.locator(".viewer .word").first.wait_for()
    assert page.locator("h1").inner_text() == "again.png"


def test_a_job_that_failed_is_told_in_the_language_of_the_page(server, open_page):
    page = open_page(server.address, language="ru")
    fire(page, "drop", ("fails.png", png(shade=31)))
    page.wait_for_url("**/#/case/*")
    page.locator(".progress, [data-part=progress]").first.wait_for()
    server.hand.take()
    known = {"error": "NotSupported", "message": "There is no caption to explain.", "hint": "Odd words."}
    server.hand.done(state="failed", error=known)
    quote = page.locator(".fault [data-quote]").first
    quote.get_by_text("Нет описания, которое можно объяснить.").wait_for()
    assert quote.locator("[lang=en]").inner_text() == "Odd words."
    page.locator("[data-speak=en]").click()
    quote.get_by_text("There is no caption to explain.").wait_for()


def test_warnings_of_a_case_are_told_in_the_language_of_the_page(server, open_page):
    page = open_page(server.address, language="ru")
    fire(page, "drop", ("warned.png", png(shade=32)))
    page.wait_for_url("**/#/case/*")
    left = "'evidence' was left out: 'evidence' does not look into the text."
    finish(server, dataclasses.replace(make_case(), warnings=(left, "Nobody has ever said this.")))
    rows = page.locator("[data-part=warning-rows] li")
    rows.first.wait_for()
    assert rows.all_inner_texts() == [
        "Метод «Свидетельства слова» не использован. Метод «Свидетельства слова» не заглядывает в текст.",
        "Nobody has ever said this.",
    ]
    assert [row.get_attribute("lang") for row in rows.all()] == ["ru", "en"]
    page.locator("[data-speak=en]").click()
    rows.first.get_by_text(left).wait_for()
    assert rows.first.get_attribute("lang") == "en"
