import dataclasses
import re
import zlib
from collections import Counter

import pytest

from dermaxai.errors import MissingExtra, NotSupported
from dermaxai.i18n import catalogue
from dermaxai.pdf import closed_fetcher, render_page, render_pdf, write_pdf
from dermaxai.types import Alternative, Blur, Caption, Concept, Evidence, Target
from tests.sample_case import make_case, write_caption

pytest.importorskip("weasyprint", exc_type=(ImportError, OSError), reason="Pango is not installed")

METHODS = (
    "evidence", "grad_eclip", "grad_cam", "xgrad_cam", "grad_cam_plusplus", "score_cam",
    "legrad", "relevance", "decomposition", "rollout", "occlusion", "convis",
)  # fmt: skip


@pytest.fixture(scope="module")
def case():
    return make_case()


@pytest.fixture(scope="module")
def printed(case):
    return {language: render_pdf(case, language=language) for language in ("en", "ru")}


def count_pages(content):
    """Pages of the file, counted in its objects, compressed ones too."""
    return len(re.findall(rb"/Type /Page\b", everything(content)))


def everything(content):
    return b"\n".join([content, *streams(content)])


def streams(content):
    parts = []
    for stream in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", content, re.DOTALL):
        try:
            parts.append(zlib.decompress(stream))
        except zlib.error:
            continue
    return parts


@pytest.mark.parametrize("language", ["en", "ru"])
def test_two_pages_the_same_bytes_twice(case, printed, language):
    assert count_pages(printed[language]) == 2
    assert render_pdf(case, language=language) == printed[language]


def test_markup_in_a_case_is_text(case, tmp_path):
    """A case folder may come from anywhere; nothing that it says is fetched, attached or drawn."""
    secret = tmp_path / "secret.txt"
    secret.write_text("the patient Ivanov")
    hostile = f'<link rel=attachment href="{secret.as_uri()}"><img src="{secret.as_uri()}">'
    said = write_caption(f"a {hostile.replace(' ', chr(160))} lesion", "en")
    concepts = tuple(dataclasses.replace(concept, name=hostile) for concept in case.concepts)
    told = dataclasses.replace(case, captions=(said,), maps=(), evidence=(), scores=(), concepts=concepts)
    told = dataclasses.replace(told, warnings=(hostile,), alternatives=())
    assert "&lt;link rel=attachment" in render_page(told)
    assert "<link rel=attachment" not in render_page(told)
    content = everything(render_pdf(told))
    assert b"/EmbeddedFile" not in content
    assert b"Ivanov" not in content


def test_languages_differ(printed):
    assert printed["en"] != printed["ru"]
    assert b"/Lang (en)" in everything(printed["en"])
    assert b"/Lang (ru)" in everything(printed["ru"])


def test_tagged_with_own_letters_and_without_dates(printed):
    for content in printed.values():
        inside = everything(content)
        assert b"/MarkInfo" in inside
        assert b"/StructTreeRoot" in inside
        assert inside.count(b"/Alt") >= 8, "every picture has its words"
        fonts = set(re.findall(rb"/BaseFont /[A-Z]+\+([\w-]+)", inside))
        assert {b"Print-Sans", b"Print-Serif", b"Print-Mono"} <= fonts
        assert fonts <= {b"Print-Sans", b"Print-Sans-Bold", b"Print-Serif", b"Print-Mono"}
        assert not re.search(rb"CreationDate|ModDate|CreateDate", inside)
        assert not re.search(rb"/(JavaScript|JS|Launch|URI|EmbeddedFile)\b", inside)


def letters_told(content):
    """Every letter that the fonts' tables give back to who copies the text."""
    tables = re.findall(rb"begincmap.*?endcmap", everything(content), re.DOTALL)
    told = b"".join(tables)
    pairs = re.findall(rb"<[0-9A-Fa-f]+> ?<([0-9A-Fa-f]{4})>", told)
    return len(tables), {chr(int(code, 16)) for code in pairs}


def test_the_text_can_be_copied_and_searched(printed):
    for language, content in printed.items():
        count, letters = letters_told(content)
        inside = everything(content)
        assert count == len(set(re.findall(rb"/BaseFont /([A-Z]+\+[\w-]+)", inside)))
        said = catalogue(language).text("limits.map") + catalogue(language).text("print.marks")
        assert set(said) - {" "} <= letters, language


def drawn_outside_of_tags(page):
    """Operators that draw and belong to no tag, of a page's stream."""
    depth, lost = 0, []
    for part in re.findall(
        rb"\b(BDC|BMC|EMC|Tj|TJ|Do|sh)(?=\s|$)|\((?:\\.|[^\\)])*\)|<[0-9A-Fa-f\s]*>", page
    ):
        depth += (part in (b"BDC", b"BMC")) - (part == b"EMC")
        if part in (b"Tj", b"TJ", b"Do", b"sh") and not depth:
            lost.append(part)
    return lost


def test_whoever_hears_the_pages_finds_everything(printed):
    for content in printed.values():
        inside = everything(content)
        assert b"/DisplayDocTitle true" in inside
        assert re.search(rb"/Title ", inside)
        kinds = Counter(re.findall(rb"/S /(\w+)", inside))
        assert kinds[b"Document"] == kinds[b"H1"] == 1
        assert kinds[b"H2"] >= 4
        assert kinds[b"H3"] == 0
        assert kinds[b"Figure"] == inside.count(b"/Alt") >= 8
        assert kinds[b"TH"] == len(re.findall(rb"/ID \(", inside)) > 10, "a cell can name its heads"
        assert inside.count(b"/Headers") > 20
        pages = [part for part in streams(content) if part.lstrip().startswith((b"q", b"/", b"1 0"))]
        pages = [part for part in pages if b" Tf" in part]
        assert len(pages) >= 2
        assert [drawn_outside_of_tags(page) for page in pages] == [[]] * len(pages)


def test_numbers_are_written_as_in_the_language(case):
    pages = {language: render_page(case, language=language) for language in ("en", "ru")}
    concepts = {language: re.findall(r'class="number">(.*?)<', page) for language, page in pages.items()}
    assert concepts == {"en": ["0.41", "0.27", "0.09"], "ru": ["0,41", "0,27", "0,09"]}
    assert re.search(r"\(4\.21; threshold 3\.10\)|4\.21", pages["en"])
    assert "4,21; порог 3,10" in pages["ru"]
    scores = re.findall(r'class="figure">(.*?)<', pages["ru"])
    assert scores
    assert all(re.fullmatch(r"−?\d,\d\d \(−?\d,\d\d\)", one) for one in scores)


def crowded(case, words, length):
    text = " ".join(words[index % len(words)] for index in range(length))
    caption = write_caption(text, "en")
    maps = tuple(
        dataclasses.replace(case.maps[place % 15], method=method, target=Target("word", word.text, index))
        for place, method in enumerate(METHODS)
        for index, word in enumerate(caption.words)
    )
    queries = tuple(dataclasses.replace(case.maps[0], target=Target("query", f"text {k}")) for k in range(12))
    return dataclasses.replace(
        case,
        captions=(caption, write_caption(text, "ru")),
        maps=maps + queries,
        evidence=tuple(Evidence(index, 1.0, from_image=True) for index in range(length)),
        scores=tuple(
            dataclasses.replace(score, of=method)
            for method in METHODS
            for score in case.scores
            if score.of == "evidence"
        ),
        concepts=tuple(Concept(f"concept {k}", 0.4, (1, 2)) for k in range(30)),
        warnings=("A warning that goes on and on about something that was left out. " * 9,) * 20,
        alternatives=tuple(Alternative(index, "dermatofibroma", -1.0) for index in range(length)),
        made_by=dataclasses.replace(case.made_by, command=" && ".join(["dermaxai query CASE text"] * 200)),
    )


@pytest.mark.parametrize(
    ("words", "length"),
    [(["asymmetric", "dark", "border"], 20), (["неровная" * 12], 60)],
    ids=["usual words", "endless words"],
)
def test_any_case_fits_two_pages(case, words, length):
    readings = [
        {"pseudonym": f"r{k}", "text": "dark", "answer": "agree", "comment": "слово " * 200}
        for k in range(40)
    ]
    content = render_pdf(crowded(case, words, length), language="ru", readings=readings)
    assert count_pages(content) == 2


@pytest.mark.parametrize("language", ["en", "ru"])
def test_twenty_words_and_twelve_methods_fit_whole(case, monkeypatch, language):
    import dermaxai.pdf

    full = crowded(case, ["asymmetric", "dark", "irregular", "border", "brown"], 20)
    usual = dataclasses.replace(
        full,
        maps=tuple(heat for heat in full.maps if heat.target.kind == "word"),
        concepts=case.concepts,
        warnings=case.warnings,
        made_by=case.made_by,
    )
    pages = []

    def keep(*given, **options):
        pages.append(render_page(*given, **options))
        return pages[-1]

    monkeypatch.setattr(dermaxai.pdf, "render_page", keep)
    assert count_pages(render_pdf(usual, language=language)) == 2
    (page,) = pages
    assert page.count('class="card"') == 20
    assert 'class="small left"' not in page


def test_a_blurred_photo_is_told_on_the_first_page(case):
    blurred = dataclasses.replace(case, blur=Blur(1.234, 0.45))
    page = render_page(blurred, language="ru")
    assert "Фото выглядит размытым.</b> Даже самые резкие края растянуты на 1,23 %" in page
    assert "Фото выглядит размытым" not in render_page(case, language="ru")
    assert count_pages(render_pdf(blurred)) == 2


def test_poor_cases_are_printed_too(case):
    nothing = dict.fromkeys(("maps", "evidence", "scores", "concepts", "warnings"), ())
    silent = dataclasses.replace(case, captions=(Caption("", "en", (), (), ()),), outside=None, **nothing)
    assert count_pages(render_pdf(silent)) == 2
    broken = dataclasses.replace(
        case, maps=tuple(dataclasses.replace(heat, values=heat.values * float("nan")) for heat in case.maps)
    )
    assert count_pages(render_pdf(broken)) == 2


def test_text_of_a_case_is_text(case):
    page = render_page(case)
    assert "&lt;/script&gt; pigment" in page
    assert "<script" not in page
    assert re.findall(r'(?:src|href)="(?!data:image/jpeg;base64,)', page) == []
    for notice in ("Research tool, not a medical device", "не медицинское изделие"):
        assert notice in page


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1/x.png",
        "https://example.org/",
        "file:///etc/hostname",
        "letters:../matplotlibrc",
        "ftp://a/b",
    ],
)
def test_nothing_is_fetched(address):
    with pytest.raises(ValueError, match="disallowed"):
        closed_fetcher().fetch(address)
    assert closed_fetcher().fetch("data:text/plain,ok").read() == b"ok"
    assert closed_fetcher().fetch("letters:DejaVuSans.ttf").read()[:4] == bytes([0, 1, 0, 0])


def test_written_in_one_step_and_by_the_case_itself(case, tmp_path, printed):
    place = write_pdf(case, tmp_path / "новый" / "report.pdf")
    assert place.read_bytes() == printed["en"]
    assert case.report(tmp_path / "новый" / "report.PDF").read_bytes() == printed["en"]
    assert sorted(path.name for path in place.parent.iterdir()) == ["report.PDF", "report.pdf"]
    with pytest.raises(NotSupported):
        write_pdf(case, tmp_path / "x.pdf", language="fr")


def test_without_the_extra(case, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "weasyprint", None)
    with pytest.raises(MissingExtra, match="weasyprint") as caught:
        write_pdf(case, tmp_path / "x.pdf")
    assert "dermaxai[pdf]" in caught.value.hint
    assert list(tmp_path.iterdir()) == []
