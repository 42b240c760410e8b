"""More questions about a case that is made: each is a job of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends

from dermaxai.api.access import check_seen
from dermaxai.api.asking import State, Who
from dermaxai.api.cases import made
from dermaxai.api.errors import refusals
from dermaxai.api.questions_asked import Concepts, Contrast, Measure, Methods, Query, Sanity
from dermaxai.api.receiving import Key, accept, check_methods, check_serving, own_key
from dermaxai.api.schemas import Accepted, CaseId
from dermaxai.api.state import Actor, ServerState
from dermaxai.errors import Conflict
from dermaxai.jobs.queue import JobRequest, ask, find_asked
from dermaxai.measure.maps import MAP_METRICS
from dermaxai.registry import check_name
from dermaxai.store.cases import find_case
from dermaxai.store.tables import JobKind

router = APIRouter(prefix="/api/cases/{case_id}", tags=["questions"])

REFUSALS = refusals(403, 404, 409)
FINDERS = ("splice",)
"""Methods that find concepts by themselves, the one asked by default first."""
OF_WORDS, OF_TEXTS = "evidence", "grad_eclip"
"""Who is asked by default about words of the caption, and about other texts."""


@dataclass(frozen=True, slots=True)
class Asking:
    """Who asks about which case; made for every route below."""

    case_id: str
    state: ServerState
    actor: Actor
    key: str | None

    def ask(self, kind: JobKind, request: dict[str, Any]) -> Accepted:
        """Queue a job about the case. Raises: NotFound, ReadingFirst, Conflict, QueueFull, StoreError."""
        key = own_key(self.actor, self.key)
        with self.state.store.write() as session:
            row = made(find_case(session, self.case_id))
            check_seen(session, self.state, self.actor, self.case_id)
            job = find_asked(session, key, self.actor.name)
            if job is not None and (job.case_id, job.kind, job.request) != (row.id, kind, request):
                raise Conflict("This Idempotency-Key was used for another question.", hint="Draw a new one.")
            wanted = JobRequest(kind, row.id, self.actor.name, request, key)
            job = job or ask(session, wanted, limit=self.state.options.queue)
            accepted = accept(session, job)
        self.state.wake()
        return accepted


def asking(
    case_id: CaseId,
    state: State,
    actor: Who,
    key: Key = None,
) -> Asking:
    """A question is asked only where a model is. Raises: NotSupported, NotSignedIn."""
    check_serving(state)
    return Asking(case_id, state, actor, key)


Asked = Annotated[Asking, Depends(asking)]


@router.post("/query", status_code=202, responses=REFUSALS, summary="Where does the photo match a text?")
def ask_query(asked: Asked, query: Query) -> Accepted:
    """One more map: where the photo matches any text, concept or diagnosis under test."""
    method = query.method or (OF_WORDS if query.kind in ("word", "phrase", "caption") else OF_TEXTS)
    check_methods([method])
    return asked.ask(
        "query", {"text": query.text, "kind": query.kind, "against": query.against, "method": method}
    )


@router.post("/contrast", status_code=202, responses=REFUSALS, summary="Why this word, and not that one?")
def ask_contrast(asked: Asked, contrast: Contrast) -> Accepted:
    """One more, signed map: why the caption says a word rather than another."""
    method = contrast.method or OF_WORDS
    check_methods([method])
    return asked.ask("contrast", {"word": contrast.word, "against": contrast.against, "method": method})


@router.post("/concepts", status_code=202, responses=REFUSALS, summary="Which concepts stand for the image?")
def ask_concepts(asked: Asked, concepts: Concepts) -> Accepted:
    """Clinical concepts with their weights, and a map for each of the first."""
    method = concepts.method or FINDERS[0]
    check_name("method that finds concepts", method, list(FINDERS))
    return asked.ask("concepts", {"method": method})


@router.post("/measure", status_code=202, responses=REFUSALS, summary="How good are the maps?")
def ask_measure(asked: Asked, measure: Measure) -> Accepted:
    """Scores of all maps, each beside what random maps get, with a verdict."""
    for name in measure.metrics:
        check_name("map metric", name, MAP_METRICS)
    return asked.ask("measure", {"metrics": measure.metrics})


@router.post("/sanity", status_code=202, responses=REFUSALS, summary="Do the maps pass the checks?")
def ask_sanity(asked: Asked, sanity: Sanity) -> Accepted:
    """Random weights, wrong word, blank photo, mirrored photo: whether the maps change enough."""
    check_methods(sanity.methods)
    return asked.ask("sanity", {"methods": sanity.methods})


@router.post("/methods", status_code=202, responses=REFUSALS, summary="More methods")
def ask_methods(asked: Asked, methods: Methods) -> Accepted:
    """Maps of the caption's words by further methods."""
    check_methods(methods.methods)
    return asked.ask("methods", {"methods": methods.methods})
