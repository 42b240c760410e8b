"""Several viewers on one page, and what a page may ask of them; the browser is handed the files."""

import dataclasses
import json
from importlib import resources

import pytest
from jinja2 import Environment, FunctionLoader

from dermaxai.i18n import LANGUAGES, catalogue
from dermaxai.overlay import pack_colours
from dermaxai.report import made_json
from dermaxai.types import Alternative, Target
from dermaxai.viewer import case_to_page
from tests.sample_case import HEIGHT, WIDTH, make_case

pytestmark = pytest.mark.browser

HOME = "http://viewer.test/"
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><link rel="stylesheet" href="style.css">
<input id="elsewhere"><div class="viewer" id="one">{part}</div><div class="viewer" id="two">{part}</div>
<script type="module">
import {{ mount }} from "./viewer.js";
window.told = [];
for (const name of ["select", "method", "cell", "language", "alternative"])
  document.addEventListener(`dermaxai:${{name}}`,
    ({{ target, detail }}) => told.push([target.id, name, detail]));
window.bundle = {bundle};
window.start = (id, page = bundle.case) =>
  mount(document.getElementById(id), {{ ...bundle, case: page }}, {{}});
</script>"""


def asset(name):
    return resources.files("dermaxai").joinpath(f"web/{name}").read_text("utf-8")


def bundle_of(case):
    """What a server sends: the page's JSON, all strings, colours, the address of a photo."""
    keys = list(catalogue("en").entries)
    return {
        "case": case_to_page(case) | {"made": made_json(case)},
        "texts": {"keys": keys}
        | {known: [catalogue(known).entries[key] for key in keys] for known in LANGUAGES},
        "colours": pack_colours(),
        "language": "en",
        "photo": "photo.svg",
    }


@pytest.fixture
def open_page(chromium):
    """A function (case) -> page with two empty viewers; at the end nothing complained."""
    pages, complaints = [], []

    def open_one(case):
        texts = catalogue("en")
        loader = Environment(loader=FunctionLoader(asset), autoescape=True)
        part = loader.get_template("viewer.html.j2").render(t=texts.text, language="en", limits=("map",))
        bundle = json.dumps(bundle_of(case)).replace("<", "\\u003c")
        html = PAGE.format(part=part, bundle=bundle)
        photo = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}"><path/></svg>'

        def answer(route):
            name = route.request.url.removeprefix(HOME)
            if name in ("", "photo.svg"):
                kind = "image/svg+xml" if name else "text/html"
                return route.fulfill(body=photo if name else html, content_type=kind)
            kind = "text/css" if name.endswith(".css") else "text/javascript"
            return route.fulfill(body=asset(name), content_type=kind)

        page = chromium.new_page(viewport={"width": 1280, "height": 800})
        page.route("**/*", answer)
        page.on("console", lambda message: message.type == "error" and complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(HOME)
        page.wait_for_function("typeof start === 'function'")
        pages.append(page)
        return page

    yield open_one
    for page in pages:
        page.close()
    assert [text for text in complaints if "favicon" not in text] == []


def texts(page, selector):
    return page.locator(selector).all_inner_texts()


def test_two_viewers_stand_side_by_side(open_page):
    page = open_page(make_case())
    page.evaluate("() => { window.a = start('one'); window.b = start('two'); }")
    page.evaluate("a.select('word:9', { pin: true })")
    page.evaluate("b.speak('ru')")
    assert texts(page, "[data-part=about-word]") == ["border", "brown"]
    assert texts(page, ".reading h2") == ["Caption", "Описание"]
    assert page.evaluate("a.language + b.language") == "enru"
    checked = "[...document.querySelectorAll('[name=range]:checked')].length"
    assert page.evaluate(checked) == 2
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map((one) => one.id)")
    assert len(ids) == len(set(ids))
    page.locator("#two .caption").hover()
    page.keyboard.press("o")
    values = "[a, b].map((one) => one.get('opacity').value)"
    assert page.evaluate(values) == ["65", "60"]
    page.locator("#one .caption").hover()
    page.keyboard.press("o")
    assert page.evaluate(values) == ["60", "60"]


def test_more_of_a_case_keeps_what_was_chosen(open_page):
    whole = make_case(methods=("grad_eclip", "evidence", "grad_cam"))
    first = dataclasses.replace(whole, maps=tuple(one for one in whole.maps if one.method == "evidence"))
    page = open_page(whole)
    page.evaluate("(first) => { window.a = start('one', first); }", case_to_page(first))
    page.evaluate("a.select('word:8', { pin: true })")
    page.locator("#one .word", has_text="irregular").focus()
    assert page.locator("#one .tile:visible").count() == 1
    page.evaluate("a.update(bundle.case)")
    assert page.evaluate("document.activeElement.textContent") == "irregular"
    assert page.locator("#one .tile:visible").count() == 3
    assert texts(page, "#one [data-part=about-word]") == ["irregular"]
    assert texts(page, "#one .tile[aria-pressed=true] .name") == ["Word evidence"]
    assert texts(page, "#one .word[aria-pressed=true]") == ["irregular"]
    assert "dermaxai explain lesion.jpg" in page.locator("#one .made").inner_text()


def test_a_question_stays_chosen_where_its_number_changes(open_page):
    case = make_case()
    asked = case.maps[-1]
    other = dataclasses.replace(asked, target=Target("query", "something else"))
    page = open_page(dataclasses.replace(case, maps=(other, *case.maps)))
    page.evaluate("(first) => { window.a = start('one', first); }", case_to_page(case))
    page.locator("#one .chips button").click()
    chosen = texts(page, "#one [data-part=about-word]")
    page.evaluate("a.update(bundle.case)")
    assert texts(page, "#one [data-part=about-word]") == chosen
    assert texts(page, "#one .chips [aria-pressed=true]")[0].startswith(chosen[0])


def test_a_case_grows_from_nothing(open_page):
    case = make_case()
    page = open_page(case)
    empty = dataclasses.replace(case, captions=(), maps=(), evidence=(), concepts=(), scores=())
    page.evaluate("(first) => { window.a = start('one', first); }", case_to_page(empty))
    assert texts(page, "#one .caption") == ["The caption is being written."]
    page.evaluate("a.update(bundle.case)")
    assert texts(page, "#one [data-part=about-word]") == ["brown"]
    assert page.locator("#one .tile:visible").count() == 2


def test_what_happens_is_told(open_page):
    case = dataclasses.replace(make_case(), alternatives=(Alternative(3, "pale", -2.0),))
    page = open_page(case)
    page.evaluate("document.querySelector('#one [data-slot=ask]').append('ask')")
    page.evaluate("document.querySelector('#one [data-slot=ask]').append(document.createElement('input'))")
    page.evaluate("() => { window.a = start('one'); told.length = 0; }")
    page.locator("#one .word", has_text="dark").click()
    assert ["one", "select", {"key": "word:3", "pinned": "word:3"}] in page.evaluate("told")
    page.locator("#one [data-part=alternatives] button").click()
    assert page.evaluate("told.at(-1)") == ["one", "alternative", {"word": 3, "text": "pale"}]
    page.locator("#one .tile:visible").nth(1).click()
    assert ["one", "method", {"method": "evidence"}] in page.evaluate("told")
    page.locator("#one [data-part=layer]").hover()
    name, cell = page.evaluate("told.at(-1).slice(1)")
    assert (name, set(cell["cell"])) == ("cell", {"row", "column", "x", "y"})
    page.evaluate("a.speak('ru')")
    assert page.evaluate("told.filter(([, name]) => name === 'language')") == [
        ["one", "language", {"language": "ru"}]
    ]


def test_a_viewer_that_is_gone_hears_nothing(open_page):
    page = open_page(make_case())
    page.evaluate("() => { window.a = start('one'); a.destroy(); told.length = 0; }")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("o")
    assert page.evaluate("told") == []
    assert page.evaluate("a.get('opacity').value") == "65"


def test_strings_with_plural_forms_speak_russian(open_page):
    page = open_page(make_case())
    page.evaluate("() => { window.a = start('one'); a.speak('ru'); }")
    assert page.evaluate("[1, 3, 11, 25].map((number) => a.count('words', number))") == [
        "1 слово", "3 слова", "11 слов", "25 слов",
    ]  # fmt: skip
    assert page.evaluate("a.t('words', { number: 2 })") == "2 слова"
