"""A case on two printed A4 pages, for people who want paper or a file for the record.

WeasyPrint runs no script, so the pages have a template of their own. Nothing is fetched: pictures and letters
travel inside the document, and the only addresses it may open are `data:`. The same case gives the same file,
byte for byte.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from dermaxai.errors import MissingExtra
from dermaxai.i18n import LANGUAGES, catalogue
from dermaxai.pdf.content import DENSITIES, Density, choose_content
from dermaxai.types import Case, Language

if TYPE_CHECKING:
    from weasyprint import Document
    from weasyprint.text.fonts import FontConfiguration
    from weasyprint.urls import URLFetcher

SECOND = "second"
"""Anchor where the second page begins."""
VARIANT = "pdf/ua-1"
"""Tagged, with the language and the words for each picture: a screen reader reads it in order."""
LETTERS = {
    ("Print Sans", 400): "DejaVuSans.ttf",
    ("Print Sans", 700): "DejaVuSans-Bold.ttf",
    ("Print Serif", 400): "DejaVuSerif.ttf",
    ("Print Mono", 400): "DejaVuSansMono.ttf",
}
"""Fonts that come with matplotlib: Latin and Cyrillic, the same on every machine."""
SCHEME = "letters:"


def write_pdf(
    case: Case,
    path: Path | str,
    *,
    language: Language = "en",
    readings: Sequence[Mapping[str, Any]] = (),
) -> Path:
    """Write the two pages of `case`; `readings` as `reading.telling.readings_of` gives them.

    The file replaces an earlier one in one step.
    Raises: MissingExtra without the extra `pdf`; NotSupported for another language.
    """
    target = Path(path)
    content = render_pdf(case, language=language, readings=readings)
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_name(f".{target.name}.{uuid4().hex[:8]}")
    try:
        fresh.write_bytes(content)
        os.replace(fresh, target)
    finally:
        fresh.unlink(missing_ok=True)
    return target


def render_pdf(case: Case, *, language: Language = "en", readings: Sequence[Mapping[str, Any]] = ()) -> bytes:
    """The file as bytes; arguments and errors as `write_pdf`.

    What does not fit on two pages is left out, the least needed first, and the pages say what.
    """
    catalogue(language)
    _check_extra()
    front = back = 0
    while True:
        densities = DENSITIES[front], DENSITIES[back]
        document = _lay_out(render_page(case, densities, language=language, readings=readings))
        long_front, long_back = _too_long(document)
        last = len(DENSITIES) - 1
        if not (long_front and front < last) and not (long_back and back < last):
            break
        front, back = min(front + long_front, last), min(back + long_back, last)
    made: bytes = document.write_pdf(pdf_variant=VARIANT, pdf_tags=True, custom_metadata=False)
    return made


def render_page(
    case: Case,
    densities: tuple[Density, Density] = (DENSITIES[0], DENSITIES[0]),
    *,
    language: Language = "en",
    readings: Sequence[Mapping[str, Any]] = (),
) -> str:
    """What is laid out, as HTML; `densities` are those of the first and of the second page."""
    from jinja2 import Environment, StrictUndefined

    texts = catalogue(language)
    made = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return made.from_string(_asset("print.html.j2")).render(
        language=language,
        t=texts.text,
        n=texts.count,
        notices=[(known, catalogue(known).text("notice")) for known in LANGUAGES],
        it=choose_content(case, densities, texts, readings),
        front=densities[0],
        back=densities[1],
    )


def _check_extra() -> None:
    """Raises: MissingExtra."""
    try:
        import weasyprint  # noqa: F401
    except (ImportError, OSError) as error:
        # OSError: the package is there, the system's library for setting text is not.
        why = "" if isinstance(error, ImportError) else " It is here, but Pango, which sets its text, is not."
        hint = "pip install 'dermaxai[pdf]'" if not why else "Debian: apt-get install libpangoft2-1.0-0"
        raise MissingExtra(f"A PDF needs the package weasyprint.{why}", hint=hint) from error


def _lay_out(page: str) -> Document:
    from weasyprint import CSS, HTML
    from weasyprint.text.fonts import FontConfiguration

    fonts: FontConfiguration = FontConfiguration()
    fetcher = closed_fetcher()
    sheet = CSS(string=_faces() + _asset("print.css"), font_config=fonts, url_fetcher=fetcher)
    return HTML(string=page, url_fetcher=fetcher).render(font_config=fonts, stylesheets=[sheet])


def _too_long(document: Document) -> tuple[bool, bool]:
    """Whether what belongs on the first page needs more than one; and the second."""
    start = next(index for index, page in enumerate(document.pages) if SECOND in page.anchors)
    return start > 1, len(document.pages) - start > 1


def closed_fetcher() -> URLFetcher:
    """Opens what stands in the document itself and the letters, nothing else: no network, no file."""
    from weasyprint.urls import URLFetcher, URLFetcherResponse

    class Closed(URLFetcher):  # type: ignore[misc]
        """The library's fetcher with `data:` alone, and the letters by their names."""

        def fetch(self, url: str, headers: Mapping[str, str] | None = None) -> URLFetcherResponse:
            """Raises: ValueError for any other address."""
            name = url.removeprefix(SCHEME)
            if url.startswith(SCHEME) and name in LETTERS.values():
                return URLFetcherResponse(url, _letter(name), {"Content-Type": "font/ttf"})
            return super().fetch(url, headers)

    return Closed(allowed_protocols=("data",), allow_redirects=False)


def _faces() -> str:
    return "".join(
        f'@font-face {{ font-family: "{family}"; font-weight: {weight}; src: url({SCHEME}{name}) }}\n'
        for (family, weight), name in LETTERS.items()
    )


@functools.cache
def _letter(name: str) -> bytes:
    import matplotlib

    return (Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name).read_bytes()


def _asset(name: str) -> str:
    return resources.files("dermaxai").joinpath(f"web/{name}").read_text("utf-8")
