import base64
import dataclasses
import functools
import hashlib
import json
import re
import subprocess
import sys
import zlib
from collections import Counter
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import arrays
from hypothesis.strategies import integers

from dermaxai.errors import NotSupported
from dermaxai.i18n import LANGUAGES, catalogue
from dermaxai.packing import ALPHABET
from dermaxai.report import MODULES, _asset, made_json, made_rows, render_report, write_report
from dermaxai.scores import map_names
from dermaxai.types import Agreement, Caption, SkinImage, Target
from dermaxai.viewer import COMMON, QUESTIONLESS, STEPS, case_to_page, pack_cells
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


def out_of_signs(text):
    """Nine bytes for eleven signs of base 94, less those that were added."""
    digits = [ALPHABET.index(sign) for sign in text]
    groups = (digits[at : at + 11] for at in range(1, len(digits), 11))
    numbers = (functools.reduce(lambda sum_, digit: 94 * sum_ + digit, group) for group in groups)
    return b"".join(number.to_bytes(9) for number in numbers)[: -digits[0] or None]


def unpacked(text):
    """What the report carries: case, strings, colours, readings; style, script, markup; the cells."""
    packed = out_of_signs(Page(text).inside["text/plain"])
    parts = zlib.decompress(packed, -zlib.MAX_WBITS).decode().split("\0")
    style, script, markup, texts, case, rest, *cells, nothing = parts
    assert nothing == ""
    told = {"style": style, "script": script, "markup": markup, "cells": cells}
    return told | {"texts": json.loads(texts), "case": json.loads(case)} | json.loads(rest)


def size_beside_photo(text):
    photo = next(attributes["src"] for tag, attributes in Page(text).elements if tag == "img")
    return len(text.encode()) - len(photo)


@pytest.fixture(scope="module")
def report():
    return render_report(make_case())


def test_under_100_kilobytes_beside_the_photo():
    assert size_beside_photo(render_report(make_case(methods=EIGHT))) < 70_000


def test_under_100_kilobytes_with_many_maps_of_noise():
    case = make_case(methods=(*EIGHT, "attention", "decomposition", "occlusion", "spread"))
    noise = np.random.default_rng(0)
    maps = tuple(
        dataclasses.replace(heat, values=noise.normal(size=heat.values.shape).astype(np.float32))
        for heat in case.maps
    )
    text = render_report(dataclasses.replace(case, maps=maps))
    assert len(maps) > 80
    assert size_beside_photo(text) < 100_000


def test_nothing_can_load(report):
    page = Page(report)
    for tag, attributes in [*page.elements, *Page(unpacked(report)["markup"]).elements]:
        for name in ("src", "href", "action", "data", "srcset", "poster"):
            assert attributes.get(name, "data:").startswith("data:"), (tag, attributes)
        assert not any(name.startswith("on") or name == "style" for name in attributes), (tag, attributes)
    for script in (unpacked(report)["script"], page.inside["script"]):
        plain = script.replace("http://www.w3.org/2000/svg", "")
        assert not re.search(
            r"https?://|//cdn|@import|url\(|fetch\(|XMLHttpRequest|WebSocket|import |eval", plain
        )
    for style in (unpacked(report)["style"], page.inside["style"]):
        assert not re.search(r"https?:|@import|url\(", style)


def test_policy_allows_only_what_is_inside(report):
    page = Page(report)
    policy = next(a["content"] for t, a in page.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    scripts = (page.inside["script"], unpacked(report)["script"])
    styles = (page.inside["style"], unpacked(report)["style"])
    inside = {"script-src": scripts, "style-src": styles}
    for kind, texts in inside.items():
        digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in texts]
        allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
        assert f"{kind} {allowed};" in policy


def test_text_of_the_case_cannot_leave_its_place(report):
    assert "</script> pigment" not in report
    assert "<b>network" not in report
    assert report.count("</script>") == 2
    bundle = unpacked(report)
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
    bundle = unpacked(report)
    texts = bundle["texts"]
    keys = texts.pop("keys")
    elements = [*Page(report).elements, *Page(bundle["markup"]).elements]
    asked = {a[name] for _, a in elements for name in a if name.startswith("data-t")}
    asked |= set(re.findall(r'\bt\("([\w.]+)"', bundle["script"]))
    ends = set(re.findall(r"\bt\(`(\w+)\.\$\{", bundle["script"]))
    assert {"region", "range", "tile", "sheet", "readings"} <= ends
    assert all(any(key.startswith(f"{end}.") for key in keys) for end in ends)
    assert not asked - set(keys) - {""}
    assert list(texts) == list(LANGUAGES)
    for language, entries in texts.items():
        assert dict(zip(keys, entries, strict=True)).items() <= catalogue(language).entries.items()
    assert {"method.evidence", "metric.deletion", "scalar.cosine", "setting.beams"} <= set(keys)
    assert "method.rollout" not in keys


def test_what_a_map_accounts_for_travels_with_it():
    case = make_case()
    page = case_to_page(case)
    for sent, heat in zip(page["maps"], case.maps, strict=True):
        if heat.method != "evidence":
            assert "account" not in sent
            continue
        nats = case.evidence[heat.target.word].nats
        assert sent["account"]["nats"] == pytest.approx(nats, abs=1e-4)
        assert sent["account"]["told"] == pytest.approx(float(heat.values.sum()), abs=1e-3)
    doubts = {sent["account"]["doubt"] for sent in page["maps"] if "account" in sent}
    assert "little" in doubts
    assert doubts <= {"", "little", "wrong"}


def test_every_doubt_and_reason_has_words():
    wanted = {f"map.{doubt}" for doubt in ("little", "wrong")}
    wanted |= {f"figure.{why}" for why in ("little", "wrong", "expected", "despite")}
    wanted |= {f"word.{reason}" for reason in ("expected", "despite")}
    for known in LANGUAGES:
        assert wanted <= set(catalogue(known).entries)


def test_the_page_knows_why_a_word_has_no_map():
    case = make_case()
    despite = dataclasses.replace(case.evidence[0], nats=-1.5)
    page = case_to_page(dataclasses.replace(case, evidence=(despite, *case.evidence[1:])))
    reasons = {word: entry["prior"] for word, entry in page["evidence"].items() if entry["prior"]}
    assert reasons == {0: "despite", 6: "expected", 7: "expected"}


def test_how_made_is_said_in_russian_where_it_is_known():
    case = make_case()
    rule = (
        "farther (Mahalanobis) from 4000 training photos than 97.0% of 600 validation photos, "
        "in 20 pixel statistics or in 192 encoder features"
    )
    known = dataclasses.replace(case, outside=dataclasses.replace(case.outside, rule=rule))
    text = render_report(known, language="ru")
    for part in (
        "ширина поиска = 1",
        "дальше (по Махаланобису) от 4\N{NO-BREAK SPACE}000 обучающих фото, "
        "чем 97,0\N{NO-BREAK SPACE}% из 600 проверочных фото,",
    ):
        assert part in text
    assert "farther" not in text.split("<dl>")[-1].split("</dl>")[0]
    rows = {key: "".join(one.text for one in value) for key, value in made_rows(known, catalogue("ru"))}
    first = "Свидетельства слова · corrected · логарифм вероятности слова · ключи и значения Q-Former"
    assert rows["maps"].splitlines()[1] == first
    made = {key: pieces for key, pieces, _ in unpacked(text)["case"]["made"]}
    ((_, key, values),) = made["outside"]
    assert key == "outside.rule"
    assert json.loads(values)["validation"] == "600"
    assert "Mahalanobis distance of the embedding" in render_report(case, language="ru")


def test_heads_of_tables_say_what_they_head(report):
    heads = re.findall(r'make\("th", \{ scope: "(\w+)"', unpacked(report)["script"])
    assert len(heads) == unpacked(report)["script"].count('make("th"')
    assert set(heads) == {"col", "row"}
    assert not [tag for tag, _ in Page(report).elements if tag == "th"]


def unpack(cells, count):
    """Whole numbers of 12 bits each, less what was added to them."""
    bits = "".join(f"{byte:08b}" for byte in base64.b64decode(cells))
    return np.array([int(bits[12 * at : 12 * at + 12], 2) for at in range(count)]) - STEPS - 1


def test_maps_travel_almost_exactly():
    case = make_case()
    page = case_to_page(case)
    for sent, heat in zip(page["maps"], case.maps, strict=True):
        values = unpack(sent["cells"], heat.values.size).reshape(heat.values.shape) / STEPS * sent["peak"]
        assert np.abs(values - heat.values).max() <= 0.51 * sent["peak"] / STEPS
        assert (values[heat.values == 0] == 0).all()
        assert (values * heat.values >= 0).all()


@given(arrays(np.int64, integers(0, 9), elements=integers(-STEPS, STEPS)))
def test_cells_are_packed_without_loss(steps):
    assert (unpack(pack_cells(steps), steps.size) == steps).all()
    assert len(pack_cells(steps)) <= 2 * steps.size + 2


def test_scores_of_maps_travel_by_metric_in_the_order_of_the_maps():
    case = make_case()
    page = case_to_page(case)
    assert [entry["metric"] for entry in page["trust"]] == ["deletion", "insertion"]
    for entry in page["trust"]:
        for place, name in enumerate(map_names(case.maps)):
            (own,) = (one for one in case.scores if (one.of, one.metric) == (name, entry["metric"]))
            assert entry["values"][place] == round(own.value, 3)
            assert entry["verdicts"][place] == own.verdict[0]
            range_ = (own.baseline, own.baseline_low, own.baseline_high)
            assert entry["random"][entry["which"][place]] == tuple(round(one, 3) for one in range_)
            assert (place in entry["spread"]) == (own.n > 1)
        assert entry["protocol"]["steps"] == "20"


def test_maps_without_scores_and_other_protocols_are_kept_apart():
    case = make_case()
    scores = [one for one in case.scores if one.metric == "deletion"]
    plain = dataclasses.replace(scores[1], baseline=None, baseline_low=None, baseline_high=None, verdict="")
    other = dataclasses.replace(plain, metric="road", protocol="removal=blur, steps=5")
    page = case_to_page(dataclasses.replace(case, scores=(scores[0], other)))
    first, second = page["trust"]
    assert [place for place, value in enumerate(first["values"]) if value is not None] == [0]
    assert [place for place, value in enumerate(second["values"]) if value is not None] == [1]
    assert (first["which"][:2], second["which"][:2]) == ([0, -1], [-1, -1])
    assert second["verdicts"][1] == "-"
    assert case_to_page(dataclasses.replace(case, scores=()))["trust"] == []


def test_a_broken_map_does_not_shift_the_scores():
    case = make_case()
    broken = dataclasses.replace(case.maps[0], values=np.full((14, 14), np.nan, np.float32))
    whole, short = (
        case_to_page(one)["trust"] for one in (case, dataclasses.replace(case, maps=(broken, *case.maps[1:])))
    )
    assert short[0]["values"] == whole[0]["values"][1:]


def test_sanity_checks_travel_with_their_limits(report):
    case = make_case()
    page = case_to_page(case)
    assert page["sanity"]["mirrored_photo"]["limit"] == 0.5
    value, low, high, n, letter = page["sanity"]["random_weights"]["rows"]["evidence"]
    (own,) = (one for one in case.scores if (one.of, one.metric) == ("evidence", "sanity_random_weights"))
    assert (value, low, high) == tuple(round(one, 2) for one in (own.value, own.low, own.high))
    assert (n, letter) == (7, "n")
    assert page["sanity"]["blank_words"]["rows"].keys() == {"caption"}
    texts = unpacked(report)["texts"]
    assert {"check.random_weights", "check.random_weights.fails", "removal.tokens"} <= set(texts["keys"])


def test_strings_of_what_a_case_has_not_stay_away():
    text = render_report(dataclasses.replace(make_case(), scores=()))
    keys = unpacked(text)["texts"]["keys"]
    assert not [key for key in keys if key.startswith(("check.", "removal.", "metric."))]


def test_page_object_is_strict_json_and_names_broken_maps():
    case = make_case()
    broken = dataclasses.replace(case.maps[0], values=np.full((14, 14), np.nan, np.float32))
    scores = (dataclasses.replace(case.scores[0], of="caption", value=float("nan")),)
    page = case_to_page(dataclasses.replace(case, maps=(broken, *case.maps[1:]), scores=scores))
    json.dumps(page, allow_nan=False)
    assert page["broken"] == [{"method": "grad_eclip", "word": "large"}]
    assert len(page["maps"]) == len(case.maps) - 1
    assert page["scores"][0][3] is None


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
    assert unpacked(text)["case"]["photo"] == {
        "height": 400,
        "width": 3000,
    }


def test_the_modules_can_be_one_script():
    """No name is declared twice, each import stands on one line, and every module imported is there."""
    names = Counter()
    for name in MODULES:
        text = _asset(name)
        for keyword in ("function", "class", "const", "let"):
            names.update(re.findall(rf"^(?:export )?(?:async )?{keyword} (\w+)", text, re.MULTILINE))
        for line in re.findall(r"^(?:const|let) (.+);", text, re.MULTILINE):
            names.update(re.findall(r", ([A-Z_]+) = ", line))
        for line in re.findall(r"^import .*", text, re.MULTILINE):
            source = re.fullmatch(r'import \{ [\w, ]+ \} from "\./(\w+\.js)";', line)
            assert source, line
            assert source[1] in MODULES[: MODULES.index(name)] or name in ("words.js", "keys.js"), line
    assert not [name for name, count in names.items() if count > 1]


def test_scripts_and_styles_keep_their_length():
    for name in (*MODULES, "unpacking.js", "style.css"):
        assert len(_asset(name).splitlines()) <= 350, name


def test_made_rows_as_json_say_the_same_as_the_page(report):
    case = make_case()
    rows = made_json(case)
    assert json.loads(json.dumps(rows)) == rows
    said = {key: "".join(piece[0] for piece in pieces) for key, pieces, _ in rows}
    assert said["command"].replace("\n", " && ") == case.made_by.command
    assert said["maps"].splitlines()[1].startswith("Word evidence · corrected · word log-probability")
    assert {key for key, _, exact in rows if exact} >= {"sha256", "command"}
    settings = next(pieces for key, pieces, _ in rows if key == "settings")
    assert settings[0][1] == "setting.beams"


def test_readings_travel_inside():
    said = {"word": 3, "text": "dark", "answer": "agree", "comment": "</script>", "regions": []}
    told = [{"pseudonym": "r-1", **said}]
    text = render_report(make_case(), readings=told)
    assert unpacked(text)["readings"] == told
    assert "r-1" not in text
    assert unpacked(render_report(make_case()))["readings"] == []


def test_what_to_do_without_a_script_is_said_in_both_languages(report):
    for language in LANGUAGES:
        for key in ("report.silent", "report.old"):
            assert catalogue(language).text(key) in report


def test_the_first_script_is_read_by_old_browsers_too():
    """What they cannot do has to fail when it runs, so that the note for them is shown."""
    assert not re.search(r"\b\d+n\b|\?\.|\?\?", _asset("unpacking.js"))


def test_methods_that_ignore_the_question_are_known():
    from dermaxai.explain import METHODS

    assert set(QUESTIONLESS) == {name for name in METHODS if not METHODS.load(name).reads_question}
    page = case_to_page(make_case(methods=("rollout", "evidence")))
    assert [entry.get("reads") for entry in page["methods"]] == [False, None]


def test_agreement_travels_as_one_number_and_a_verdict():
    case = make_case()
    nan = float("nan")
    target = case.maps[0].target
    agreements = (
        Agreement(target, ("a", "b", "c"), (1.0, 0.4, nan, 0.4, 1.0, 0.2, nan, 0.2, 1.0)),
        Agreement(case.maps[1].target, ("a", "b"), (1.0, 0.9, 0.9, 1.0)),
        Agreement(case.maps[2].target, ("a", "b"), (1.0, nan, nan, nan)),
        Agreement(Target("query", "never asked"), ("a",), (1.0,)),
    )
    told = case_to_page(dataclasses.replace(case, agreements=agreements))["agreements"]
    assert [(one["mean"], one["disagree"]) for one in told] == [(0.3, True), (0.9, False), (None, False)]
    assert told[0]["correlations"][2] is None


def test_words_carry_their_log_probability_and_whether_they_are_common():
    words = case_to_page(make_case())["captions"][0]["words"]
    assert [word["logprob"] for word in words] == [round(one.logprob, 2) for one in make_case().caption.words]
    assert [place for place, word in enumerate(words) if word.get("common")] == [0, 6, 7]
    assert set(COMMON) == set(LANGUAGES)


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


def test_warnings_are_told_in_both_languages():
    known, unknown = "There is no caption to explain.", "Nobody said this."
    russian = "Нет описания, которое можно объяснить."
    warned = dataclasses.replace(make_case(), warnings=(known, unknown))
    page = case_to_page(warned)
    assert page["warnings"] == [known, unknown]
    assert page["said"] == {"ru": {"warnings": [russian, None]}}
    text = render_report(warned, language="ru")
    assert f'<li lang="ru">{russian}</li><li lang="en">{unknown}</li>' in text
    assert f'<li lang="en">{known}</li>' in render_report(warned)
