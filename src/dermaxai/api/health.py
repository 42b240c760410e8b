"""Whether the server is there, which version it is, and how its worker is."""

from __future__ import annotations

import sys
from importlib.metadata import version
from typing import Any, Literal

from fastapi import APIRouter, Depends, Response
from pydantic import Field
from sqlalchemy import func, select

from dermaxai.api.access import current_actor
from dermaxai.api.asking import State
from dermaxai.api.errors import Problem, Said, refusals
from dermaxai.api.schemas import Sent
from dermaxai.api.state import ServerState
from dermaxai.errors import StoreError
from dermaxai.i18n import LANGUAGES, catalogue
from dermaxai.messages import with_said
from dermaxai.store.tables import CaseRow, Job
from dermaxai.types import Language

router = APIRouter(tags=["server"])

SHOWN_TO_ALL = ("state", "model")
"""Of the worker; its messages may name places of this machine, and are for who is signed in."""


class WorkerState(Sent):
    """The process that has the model."""

    state: Literal["none", "starting", "loading", "ready", "failed", "stopped"]
    """'none': this server shows cases only."""
    model: str = ""
    error: str = ""
    """Name of the error, where it failed."""
    message: str = ""
    """Why it failed."""
    hint: str = ""
    said: Said = Field(default_factory=dict)
    """Message and hint in other languages, as far as they are known in them."""


class Health(Sent):
    """Whether everything works."""

    status: Literal["ok", "failing"]
    store: Literal["ok", "failing"]
    worker: WorkerState


class Version(Sent):
    """What runs here."""

    name: Literal["dermaxai"] = "dermaxai"
    version: str
    python: str
    notice: dict[Language, str]
    """What it is not, in every language."""


class ServerView(Sent):
    """What this server offers, and how busy it is."""

    worker: WorkerState
    models: list[str]
    """Served models, the first by default; empty: cases are shown only."""
    blind: bool
    """Own reading first, then the machine's."""
    cases: int
    waiting: int
    """Jobs that wait."""
    running: int
    queue: int
    """Jobs that may wait."""
    max_bytes: int
    """Of one photo."""
    max_pixels: int
    keep_days: int
    """Cases are deleted after so many days; 0: never."""


@router.get(
    "/healthz",
    responses={503: {"model": Health, "description": "The store does not answer."}, 429: {"model": Problem}},
    summary="Is it well?",
)
def show_health(state: State, response: Response) -> Health:
    """For a monitor; needs no token. 503 where the store does not answer; a worker that loads or failed is
    told, and is no failure of the page.
    """
    store = "ok" if _answers(state) else "failing"
    response.status_code = 200 if store == "ok" else 503
    return Health.model_validate({"status": store, "store": store, "worker": _worker(state, *SHOWN_TO_ALL)})


def _answers(state: ServerState) -> bool:
    try:
        with state.store.read() as session:
            session.execute(select(1))
    except StoreError:
        return False
    return True


def _worker(state: ServerState, *names: str) -> dict[str, Any]:
    told = state.worker()
    return {name: told[name] for name in names if name in told}


@router.get("/version", responses=refusals(), summary="Which version is it?")
def show_version() -> Version:
    """Of DermaXAI and Python, and the notice in every language; needs no token."""
    notice = {language: catalogue(language).text("notice") for language in LANGUAGES}
    python = ".".join(map(str, sys.version_info[:3]))
    return Version.model_validate({"version": version("dermaxai"), "python": python, "notice": notice})


@router.get(
    "/api/state", responses=refusals(), dependencies=[Depends(current_actor)], summary="What is offered here?"
)
def show_state(state: State) -> ServerView:
    """The worker, the models, the limits, and how many cases and jobs there are."""
    options = state.options
    with state.store.read() as session:
        found = session.execute(select(Job.state, func.count()).group_by(Job.state)).all()
        cases = session.scalar(select(func.count()).select_from(CaseRow)) or 0
    counts = {row[0]: row[1] for row in found}
    limits = ("blind", "queue", "max_bytes", "max_pixels", "keep_days")
    return ServerView.model_validate(
        {
            "worker": with_said(_worker(state, *SHOWN_TO_ALL, "error", "message", "hint")),
            "models": [model.name for model in options.models],
            "cases": cases,
            "waiting": counts.get("waiting", 0),
            "running": counts.get("running", 0),
            **{name: getattr(options, name) for name in limits},
        }
    )
