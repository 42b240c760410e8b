"""The page: one HTML document in either language, and the scripts and styles it asks for.

Everything is read once. The address of a script or style carries a version made of all their contents, so
that a browser may keep them for good; modules import each other by relative names and inherit it.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import json
from importlib import resources
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response

from dermaxai.errors import NotFound
from dermaxai.i18n import LANGUAGES, catalogue
from dermaxai.overlay import pack_colours
from dermaxai.types import Language

if TYPE_CHECKING:
    from dermaxai.api.state import ServeOptions

router = APIRouter(include_in_schema=False)

KINDS = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}
"""What may be asked for, by the ending of its name, and as what it is sent."""
KEPT = "public, max-age=31536000, immutable"
ASKED = "no-cache"
LIMITS = ("map", "grid", "methods", "caption", "skin")


@router.get("/")
async def show_page(request: Request) -> Response:
    """The page, in the language of the cookie 'language', else the first of the browser's that it speaks."""
    language = chosen_language(request)
    content = render_page(request.app.state.server.options, language)
    headers = {"Vary": "Cookie, Accept-Language, Accept-Encoding", "Content-Language": language}
    return _answer(request, content, "text/html; charset=utf-8", headers)


@router.get("/web/{version}/{name}")
async def send_versioned_file(request: Request, version: str, name: str) -> Response:
    """A script or style, for good where the version is the present one. Raises: NotFound."""
    kept = KEPT if version == web_version() else ASKED
    return _answer(request, *find_file(name), {"Cache-Control": kept, "Vary": "Accept-Encoding"})


@router.get("/web/{name}")
async def send_file(request: Request, name: str) -> Response:
    """A script or style under its plain name; the browser asks each time. Raises: NotFound."""
    return _answer(request, *find_file(name), {"Vary": "Accept-Encoding"})


def chosen_language(request: Request) -> Language:
    """The language of the page for this browser.

    A cookie wins; then the first language of `Accept-Language` that is spoken here; then English.
    """
    asked = [request.cookies.get("language", "")]
    asked += request.headers.get("accept-language", "").split(",")
    for entry in asked:
        short = entry.split(";")[0].strip().split("-")[0].lower()
        for language in LANGUAGES:
            if short == language:
                return language
    return "en"


@functools.lru_cache(maxsize=8)
def render_page(options: ServeOptions, language: Language) -> bytes:
    """The page as bytes; rendered once per language."""
    from jinja2 import Environment, FunctionLoader, StrictUndefined
    from markupsafe import Markup

    texts = catalogue(language)
    environment = Environment(
        loader=FunctionLoader(_asset),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    text = environment.get_template("page.html.j2").render(
        language=language,
        t=texts.text,
        notices=[(known, catalogue(known).text("notice")) for known in LANGUAGES],
        home=f"/web/{web_version()}",
        styles=[name for name in ("style.css", "page.css", "reading.css") if name in _files()],
        has_model=options.has_model,
        limits=LIMITS,
        bundle=Markup(_script_json(page_bundle(options))),
    )
    return text.encode()


def page_bundle(options: ServeOptions) -> dict[str, Any]:
    """What the scripts need before they ask for anything: strings of all rooms, colours, what is served."""
    from importlib.util import find_spec

    from dermaxai import __version__

    keys = list(catalogue("en").entries)
    return {
        "texts": {"keys": keys}
        | {known: [catalogue(known).entries[key] for key in keys] for known in LANGUAGES},
        "colours": pack_colours(),
        "models": [model.name for model in options.models],
        "blind": options.blind,
        "open": options.is_open,
        "largest": options.max_bytes,
        "keep_days": options.keep_days,
        "pdf": find_spec("weasyprint") is not None,
        "version": __version__,
    }


@functools.cache
def web_version() -> str:
    """Twelve hex digits of everything the page loads."""
    digest = hashlib.sha256()
    for name, content in _files().items():
        digest.update(name.encode() + b"\0" + content + b"\0")
    return digest.hexdigest()[:12]


def find_file(name: str) -> tuple[bytes, str]:
    """Content and media type of one file of the page. Raises: NotFound for any other name."""
    if name in _files():
        return _files()[name], KINDS[name[name.rindex(".") :]]
    raise NotFound("There is no such file.", hint="Load the page again.")


@functools.cache
def _files() -> dict[str, bytes]:
    """Scripts and styles by name, in order; nothing else of the folder is ever sent."""
    folder = resources.files("dermaxai").joinpath("web")
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(tuple(KINDS)))
    return {name: folder.joinpath(name).read_bytes() for name in names}


@functools.cache
def _asset(name: str) -> str:
    return resources.files("dermaxai").joinpath(f"web/{name}").read_text("utf-8").strip()


def _script_json(document: object) -> str:
    """JSON that cannot end the script element it stands in."""
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


@functools.lru_cache(maxsize=64)
def _packed(content: bytes) -> bytes:
    return gzip.compress(content, 6, mtime=0)


@functools.lru_cache(maxsize=64)
def _mark(content: bytes) -> str:
    return f'"{hashlib.sha256(content).hexdigest()[:20]}"'


def _answer(request: Request, content: bytes, kind: str, headers: dict[str, str]) -> Response:
    """The content, packed where the browser takes that; nothing where it has it already."""
    told = {"Cache-Control": ASKED, "ETag": _mark(content), **headers}
    if request.headers.get("if-none-match") == told["ETag"]:
        return Response(status_code=304, headers=told)
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(_packed(content), media_type=kind, headers={**told, "Content-Encoding": "gzip"})
    return Response(content, media_type=kind, headers=told)
