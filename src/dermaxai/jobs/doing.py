"""What each kind of job does: from a request to a case. Here the models are used."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from dermaxai.errors import Conflict
from dermaxai.jobs.models import Models
from dermaxai.jobs.queue import PHOTO
from dermaxai.jobs.under_way import UnderWay
from dermaxai.progress import heard_by
from dermaxai.store.cases import find_case
from dermaxai.store.tables import CaseRow, JobKind

if TYPE_CHECKING:
    from dermaxai.pipeline import Model
    from dermaxai.types import Case

READ, MEASURE = "read", "measure"
NOTHING_TO_ASK = "The caption has no word, and there is no text, that it could be asked about."


def do_job(way: UnderWay, models: Models) -> Case:
    """The case that a job asks for: a new one, or the one that is there with more in it.

    Raises: Interrupted; DermaXAIError for what cannot be done.
    """
    with heard_by(way.hear):
        return _explain(way, models) if way.job.kind == PHOTO else _ask_again(way, models)


def _explain(way: UnderWay, models: Models) -> Case:
    from dermaxai.measure.case_scores import QUICK
    from dermaxai.pipeline import CAPTION

    request = way.job.request
    methods = request.get("methods") or ["evidence"]
    measures = bool(request.get("measure"))
    way.plan([READ, CAPTION, *labels(methods), *([MEASURE] if measures else [])])
    with way.stage(READ):
        photo = way.shelf.read_upload(way.job.case_id)
    model = models.named(str(request.get("model", "")))
    way.stages.begin(CAPTION)
    way.tell()
    case = model.explain(
        photo, methods, request.get("lang", "en"), request.get("queries", ()), tell=_watching(way)
    )
    if measures:
        way.stages.begin(MEASURE)
        way.show(case)
        case = model.measure(case, protocol=QUICK, tell=_counting(way, MEASURE))
        way.stages.end(MEASURE)
    way.stages.skip_rest(NOTHING_TO_ASK)
    return case


def labels(methods: Sequence[str]) -> list[str]:
    """The stages of some methods. Raises: UnknownName."""
    from dermaxai.answers import label
    from dermaxai.questions import chosen_methods

    return [label(method) for method in chosen_methods(methods)]


def _watching(way: UnderWay) -> Callable[[str, Case], None]:
    """Follows a case that grows method by method."""
    from dermaxai.answers import reason_left_out

    def hear(name: str, case: Case) -> None:
        reason = reason_left_out(case, name)
        way.passed(name, "skipped" if reason else "done", reason)
        way.show(case)

    return hear


def _counting(way: UnderWay, stage: str) -> Callable[[str, int, int], None]:
    """Says beside a stage how far it is; also where a long one can be stopped."""

    def hear(what: str, done: int, total: int) -> None:
        way.stages.note(stage, f"{what} ({done + 1} / {total})")
        way.tell()

    return hear


def _ask_again(way: UnderWay, models: Models) -> Case:
    """A question about a case that is there."""
    request, kind = way.job.request, way.job.kind
    asked = labels(request["methods"]) if kind == "methods" else [kind]
    way.plan([READ, *asked])
    with way.stage(READ):
        case = way.shelf.load(_ready(way))
    model = models.of(case)
    way.stages.begin_next()
    way.tell()
    case = ANSWERS[kind](way, model, case)
    way.stages.end(kind) if kind in asked else way.stages.skip_rest(NOTHING_TO_ASK)
    return case


def _ready(way: UnderWay) -> CaseRow:
    with way.store.read() as session:
        row = find_case(session, way.job.case_id)
    if row.state != "ready":
        raise Conflict(
            f"The case '{row.id}' is not made, so nothing can be asked about it.",
            hint="Describe its photo first.",
        )
    return row


def _extend(way: UnderWay, model: Model, case: Case) -> Case:
    return model.extend(case, way.job.request["methods"], tell=_watching(way))


def _query(way: UnderWay, model: Model, case: Case) -> Case:
    asked = way.job.request
    return model.ask(
        case,
        asked["text"],
        kind=asked.get("kind") or "query",
        against=asked.get("against"),
        method=asked.get("method"),
    )


def _contrast(way: UnderWay, model: Model, case: Case) -> Case:
    from dermaxai.questions import WORD_METHOD

    asked = way.job.request
    return model.contrast(case, asked["word"], asked["against"], asked.get("method") or WORD_METHOD)


def _concepts(way: UnderWay, model: Model, case: Case) -> Case:
    return model.concepts(case, way.job.request.get("method") or "splice")


def _measure(way: UnderWay, model: Model, case: Case) -> Case:
    from dermaxai.scores import JUDGED

    metrics = way.job.request.get("metrics") or JUDGED
    return model.measure(case, metrics, tell=_counting(way, MEASURE))


def _check(way: UnderWay, model: Model, case: Case) -> Case:
    methods = way.job.request.get("methods") or ()
    checks = model.sanity(case, methods, tell=_counting(way, "sanity"))
    way.stages.note("sanity", "")
    return model.keep_checks(case, checks, methods)


ANSWERS: Mapping[JobKind | str, Callable[[UnderWay, Model, Case], Case]] = {
    "methods": _extend,
    "query": _query,
    "contrast": _contrast,
    "concepts": _concepts,
    "measure": _measure,
    "sanity": _check,
}
