"""Every refusal in one shape, whatever refused: `{"error": …, "message": …, "hint": …, "said": …}`."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from dermaxai.errors import (
    AccessError,
    Conflict,
    DermaXAIError,
    ImageError,
    ImageTooLarge,
    MissingExtra,
    NotFound,
    NotSignedIn,
    RequestTooLarge,
    StoreError,
    StoreFull,
    TooMuch,
    UsageError,
    WeightsError,
)
from dermaxai.messages import said
from dermaxai.types import Language

LOG = logging.getLogger("dermaxai.api")

STATUS: Mapping[type[DermaXAIError], int] = {
    NotSignedIn: 401,
    AccessError: 403,
    NotFound: 404,
    Conflict: 409,
    ImageTooLarge: 413,
    RequestTooLarge: 413,
    ImageError: 422,
    UsageError: 422,
    TooMuch: 429,
    StoreFull: 507,
    StoreError: 503,
    WeightsError: 503,
    MissingExtra: 501,
    DermaXAIError: 500,
}
"""The status of an error is that of the nearest class above it."""

RETRY_SECONDS = 5
"""What a refused request is told to wait."""

SHOWN = 3
"""Faults of one request that are told at once."""


Said = dict[Language, dict[str, str]]
"""Language -> name of a field of English words -> the same in that language, as far as it is known."""


class Problem(BaseModel):
    """Why a request was refused."""

    error: str = Field(description="Name of the error, as `dermaxai.errors` calls it.")
    message: str = Field(description="What was expected and what came, in English.")
    hint: str = Field(default="", description="What to do about it; empty where nothing helps.")
    said: Said = Field(
        default_factory=dict,
        description="Message and hint in other languages, as far as they are known in them.",
        examples=[said(message="There is no case '7f3a91c2'.")],
    )


EXAMPLES: Mapping[int, tuple[str, str, str]] = {
    401: (
        "NotSignedIn",
        "This server asks for a token.",
        "Sign in on the page, or send it as a bearer token.",
    ),
    403: ("NotAllowed", "Only an admin may do that.", "Ask the admin of this server."),
    404: ("NotFound", "There is no case '7f3a91c2'.", "GET /api/cases lists what there is."),
    409: ("Conflict", "The case '7f3a91c2' is still being made.", "Wait for its job."),
    413: ("ImageTooLarge", "'photo.jpg' has 61.2 MB; at most 50.0 MB are read.", "Save it smaller."),
    422: ("UnknownName", "No explanation method is called 'grad_clip'. Did you mean 'grad_eclip'?", ""),
    429: ("QueueFull", "64 photos are waiting, as many as this server takes.", "Try again in a minute."),
    501: ("MissingExtra", "A PDF needs an extra package.", "pip install 'dermaxai[pdf]'"),
    503: ("StoreReadOnly", "The folder of cases cannot be written.", "Check its permissions."),
    507: ("StoreFull", "There is no space left for another case.", "Delete cases, or make room."),
}


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """How a route's description tells that it may refuse; six statuses may come from any route."""
    return {status: _refusal(status) for status in sorted({*statuses, 401, 403, 413, 422, 429, 503})}


def _refusal(status: int) -> dict[str, Any]:
    error, message, hint = EXAMPLES[status]
    example = {"error": error, "message": message, "hint": hint, "said": said(message=message, hint=hint)}
    return {
        "model": Problem,
        "description": HTTPStatus(status).phrase,
        "content": {"application/json": {"example": example}},
    }


def status_of(error: DermaXAIError) -> int:
    """The HTTP status of an error.

    >>> status_of(NotFound("No such case.")), status_of(StoreFull("No space."))
    (404, 507)
    """
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def answer_problem(error: DermaXAIError, *, without: str = "") -> JSONResponse:
    """An error as an answer; `without`: a path of this machine that is nobody's business."""
    status = status_of(error)
    message, hint = (_without(text, without) for text in (error.message, error.hint))
    answer = answer_refusal(status, type(error).__name__, message, hint)
    if isinstance(error, TooMuch) and status == HTTPStatus.TOO_MANY_REQUESTS:
        answer.headers["Retry-After"] = str(error.seconds)
    return answer


def answer_refusal(status: int, error: str, message: str, hint: str = "") -> JSONResponse:
    """An answer in the shape of `Problem`, never kept by a cache."""
    headers = {"Cache-Control": "no-store"}
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        headers["Retry-After"] = str(RETRY_SECONDS)
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    told = {"error": error, "message": message, "hint": hint}
    return JSONResponse({**told, "said": said(message=message, hint=hint)}, status, headers)


def _without(text: str, folder: str) -> str:
    return text.replace(f"{folder}/", "").replace(folder, "the folder of cases") if folder else text


def answer_errors(app: FastAPI) -> None:
    """Let every error of `app` leave it as a `Problem`."""
    app.add_exception_handler(DermaXAIError, _known)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _of_http)
    app.add_exception_handler(Exception, _unforeseen)


async def _known(request: Request, error: Exception) -> JSONResponse:
    folder = str(request.app.state.server.options.cases)
    return answer_problem(cast(DermaXAIError, error), without="" if folder == "." else folder)


async def _invalid(_request: Request, error: Exception) -> JSONResponse:
    faults = cast(RequestValidationError, error).errors()
    told = "; ".join(_fault(fault) for fault in faults[:SHOWN])
    more = f"; and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
    return answer_refusal(422, UsageError.__name__, f"{told}{more}.", "/docs describes every call.")


def _fault(fault: Mapping[str, Any]) -> str:
    """One fault in words; what came is not repeated, it may be a photo or a comment."""
    place: Sequence[object] = fault["loc"]
    name = ".".join(str(part) for part in place[1:]) or str(place[0] if place else "request")
    message = str(fault["msg"]).removeprefix("Value error, ")
    return f"{name}: {message[:1].lower()}{message[1:]}"


async def _of_http(request: Request, error: Exception) -> JSONResponse:
    """What the framework refuses by itself: unknown paths, wrong methods, bodies that cannot be read."""
    refused = cast(HTTPException, error)
    if refused.status_code == HTTPStatus.NOT_FOUND:
        return answer_refusal(
            404, NotFound.__name__, "There is nothing at this address.", "/docs describes every call."
        )
    if refused.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        answer = answer_refusal(
            405,
            UsageError.__name__,
            f"{request.method} is not for this address.",
            "/docs describes every call.",
        )
        answer.headers.update(refused.headers or {})
        return answer
    status = 422 if refused.status_code == HTTPStatus.BAD_REQUEST else refused.status_code
    return answer_refusal(status, UsageError.__name__, f"{str(refused.detail).rstrip('.')}.")


async def _unforeseen(_request: Request, error: Exception) -> JSONResponse:
    """An error that nobody foresaw: its name goes to the log, nothing of it to who asked."""
    LOG.error("unforeseen %s", type(error).__name__, exc_info=error)
    return answer_refusal(
        500, "InternalError", "This server made a mistake.", "Its log says more; please report it."
    )
