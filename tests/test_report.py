import base64
import dataclasses
import hashlib
import json
import re
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest

from dermaxai.errors import NotSupported
from dermaxai.report import render_report, write_report
from dermaxai.types import Caption, SkinImage
from dermaxai.viewer import STEPS, case_to_page
from tests.sample_case import make_case

EIGHT = ("grad_eclip", "evidence", "grad_cam", "xgrad_cam", "score_cam", "rollout", "convis", "legrad")


class Page(HTMLParser):
    """Elements with their attributes, and the text of script, style and JSON."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.inside, self.last = [], {}, ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        self.last = dict(attributes).get("type") or tag

    def handle_endtag(self, tag):
        self.last = ""

    def handle_data(self, data):
        self.inside[self.last] = self.inside.get(self.last, "") + data


@pytest.fixture(scope="module")
def report():
    return render_report(make_case())


def test_under_100_kilobytes_beside_the_photo():
    text = render_report(make_case(methods=EIGHT))
    photo = next(attributes["src"] for tag, attributes in Page(text).elements if tag == "img")
    assert len(text.encode()) - len(photo) < 100_000


def test_nothing_can_load(report):
    page = Page(report)
    for tag, attributes in page.elements:
        for name in ("src", "href", "action", "data", "srcset", "poster"):
            assert attributes.get(name, "data:").startswith("data:"), (tag, attributes)
        assert not any(name.startswith("on") or name == "style" for name in attributes), (tag, attributes)
    assert not re.search(
        r"https?://|//cdn|@import|url\(|fetch\(|XMLHttpRequest|WebSocket|import ", page.inside["module"]
    )
    assert not re.search(r"https?:|@import|url\(", page.inside["style"])


def test_policy_allows_only_what_is_inside(report):
    page = Page(report)
    policy = next(a["content"] for t, a in page.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for kind in ("module", "style"):
        digest = base64.b64encode(hashlib.sha256(page.inside[kind].encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy


def test_text_of_the_case_cannot_leave_its_place(report):
    assert "</script> pigment" not in report
    assert "<b>network" not in report
    assert report.count("</script>") == 2
    bundle = json.loads(Page(report).inside["application/json"])
    assert bundle["case"]["targets"][-1]["text"] == "</script> pigment <b>network</b>"


def test_caption_is_escaped():
    case = make_case()
    evil = Caption("<img src=x onerror=alert(1)>", "en", (), (1,), (0.0,))
    text = render_report(dataclasses.replace(case, captions=(evil,), maps=(), warnings=("<script>",)))
    assert "<img src=x" not in text
    assert "&lt;img src=x" in text


@pytest.mark.parametrize("language", ["en", "ru"])
def test_both_notices_in_both_languages(language):
    text = render_report(make_case(), language=language)
    assert f'<html lang="{language}">' in text
    assert "Research tool, not a medical device" in text
    assert "Исследовательский инструмент, не медицинское изделие" in text
    assert (">How made<" in text) == (language == "en")
    assert (">Как получено<" in text) == (language == "ru")


def test_provenance_is_there(report):
    for part in (
        "ab" * 32,
        "dermaxai explain lesion.jpg",
        "torch = 2.9.0",
        "CC BY-NC 4.0",
        "GPSInfo",
        "7f3a" * 16,
    ):
        assert part in report


def test_every_string_the_page_asks_for_exists(report):
    page = Page(report)
    texts = json.loads(page.inside["application/json"])["texts"]
    asked = {a[name] for _, a in page.elements for name in a if name.startswith("data-t")}
    asked |= set(re.findall(r'\bt\("([\w.]+)"', page.inside["module"]))
    for language, entries in texts.items():
        assert not asked - set(entries) - {""}, language


def test_maps_travel_almost_exactly():
    case = make_case()
    page = case_to_page(case)
    for sent, heat in zip(page["maps"], case.maps, strict=True):
        cells = np.frombuffer(base64.b64decode(sent["cells"]), "<i2").reshape(heat.values.shape)
        values = cells / STEPS * sent["peak"]
        assert np.abs(values - heat.values).max() <= sent["peak"] / STEPS
        assert (values[heat.values == 0] == 0).all()


def test_page_object_is_strict_json_and_names_broken_maps():
    case = make_case()
    broken = dataclasses.replace(case.maps[0], values=np.full((14, 14), np.nan, np.float32))
    scores = (dataclasses.replace(case.scores[0], value=float("nan")),)
    page = case_to_page(dataclasses.replace(case, maps=(broken, *case.maps[1:]), scores=scores))
    json.dumps(page, allow_nan=False)
    assert page["broken"] == [{"method": "grad_eclip", "word": "large"}]
    assert len(page["maps"]) == len(case.maps) - 1
    assert page["scores"][0]["value"] is None


def test_same_case_same_file(tmp_path):
    one, two = (
        write_report(make_case(), tmp_path / name, language="ru") for name in ("one.html", "two.html")
    )
    assert one.read_bytes() == two.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.html", "two.html"]


def test_large_photo_is_shown_smaller():
    case = make_case()
    image = SkinImage(np.zeros((400, 3000, 3), np.uint8), "0" * 64)
    text = render_report(dataclasses.replace(case, image=image, maps=()))
    assert len(text) < 100_000
    assert json.loads(Page(text).inside["application/json"])["case"]["photo"] == {
        "height": 400,
        "width": 3000,
    }


def test_unknown_language():
    with pytest.raises(NotSupported):
        render_report(make_case(), language="fr")


def test_reporting_needs_no_torch():
    code = (
        "import dermaxai.report, dermaxai.cases, dermaxai.figures, sys;"
        "print([name for name in ('torch', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
