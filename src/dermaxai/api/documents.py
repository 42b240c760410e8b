"""The API describes itself: `/openapi.json`, and a page made of it that asks nobody else."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping
from importlib import resources
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response
from fastapi.openapi.utils import get_openapi

from dermaxai.api.answers import make_answer, send
from dermaxai.i18n import LANGUAGES, catalogue

if TYPE_CHECKING:
    from fastapi import FastAPI

router = APIRouter(include_in_schema=False)

TAGS = {
    "cases": "Photos in, cases out.",
    "questions": "More maps, scores and checks for a case that is made. Each is a job.",
    "jobs": "What a worker does, and how far it is.",
    "reading room": "What readers saw and said, how far they agree, and tables to take away.",
    "examples": "Three drawn photos for a first try.",
    "tables": "What there is to choose from.",
    "access": "Who is asking, and who may come in.",
    "audit": "Who did what. For admins.",
    "server": "Whether it is well.",
}
ABOUT = """Describes a photo of skin in words and shows, for every word, the pixels it rests on.

**Research tool, not a medical device. It makes no diagnosis.**

On the machine itself no token is needed. From elsewhere a request carries a token
(`Authorization: Bearer …`), or the cookie that signing in on the page leaves; with a cookie, whatever changes
something also carries the header `X-CSRF-Token` of `GET /api/session`.

Every refusal has one shape: `{"error", "message", "hint"}`. 429 says in `Retry-After` how many seconds to
wait.
"""
SCHEMES = {
    "token": {"type": "http", "scheme": "bearer", "description": "Made by `dermaxai readers add NAME`."},
    "visit": {
        "type": "apiKey",
        "in": "cookie",
        "name": "dermaxai",
        "description": "Left by `POST /api/session`; needs `X-CSRF-Token` for changes.",
    },
}
TITLES = {
    "get /api/cases/{case_id}/feedback": "Answers to a case",
    "post /api/cases/{case_id}/feedback": "Answer for a word",
    "get /api/cases/{case_id}/reading": "Own reading of a photo",
    "post /api/cases/{case_id}/reading": "Read a photo",
    "get /api/agreement": "How far readers agree",
    "get /api/export/{what}": "Tables to take away",
    "get /api/session": "Who am I?",
    "post /api/session": "Sign in",
    "delete /api/session": "Sign out",
    "get /api/readers": "The readers",
    "post /api/readers": "Let a reader in",
    "post /api/readers/{pseudonym}/tokens": "Another token for a reader",
    "delete /api/readers/{pseudonym}": "Let a reader in no more",
}
"""Of calls whose name in the program is no heading."""
OPEN_TO_ALL = ("get /healthz", "get /version", "post /api/session")
"""Calls that need no token."""


def describe(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document of all routes; made once, without an address outside."""
    if app.openapi_schema is None:
        document = get_openapi(
            title="DermaXAI",
            version=version("dermaxai"),
            summary="Captions of skin images, and maps for their words.",
            description=ABOUT,
            routes=app.routes,
            tags=[{"name": name, "description": text} for name, text in TAGS.items()],
        )
        document.setdefault("components", {})["securitySchemes"] = SCHEMES
        for path, method, operation in operations(document):
            call = f"{method} {path}"
            operation["summary"] = TITLES.get(call, operation["summary"])
            operation["security"] = [{}] if call in OPEN_TO_ALL else [{"token": []}, {"visit": []}, {}]
        _drop_unused(document)
        app.openapi_schema = document
    return app.openapi_schema


def operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Path, method and description of every call."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def _drop_unused(document: dict[str, Any]) -> None:
    """The framework's own shape of validation errors, which no answer here has."""
    schemas = document["components"]["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):
        if f'"#/components/schemas/{name}"' not in json.dumps(document["paths"]):
            schemas.pop(name, None)


@router.get("/openapi.json")
def show_document(request: Request) -> Response:
    """The whole description, for programs."""
    text = json.dumps(describe(request.app), ensure_ascii=False, separators=(",", ":"))
    return send(request, make_answer(text.encode()))


@router.get("/docs")
def show_docs(request: Request) -> Response:
    """The whole description, for people."""
    return send(request, make_answer(_docs_page(request.app)), kind="text/html; charset=utf-8")


def _docs_page(app: FastAPI) -> bytes:
    from dermaxai.api.page import web_version

    document = json.dumps(describe(app))
    return _rendered(document, f"/web/{web_version()}")


@functools.lru_cache(maxsize=2)
def _rendered(document: str, home: str) -> bytes:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    from dermaxai.api.documents_page import prose, sections_of, shapes_of

    environment = Environment(
        loader=FunctionLoader(_template), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    told = json.loads(document)
    text = environment.get_template("docs.html.j2").render(
        document=told,
        about=prose(told["info"]["description"]),
        sections=sections_of(told),
        shapes=shapes_of(told),
        notices=[(language, catalogue(language).text("notice")) for language in LANGUAGES],
        home=home,
    )
    return text.encode()


def _template(name: str) -> str:
    return resources.files("dermaxai").joinpath(f"web/{name}").read_text("utf-8")
