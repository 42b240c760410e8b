"""Faults between the tables of a study that would otherwise show when everything is computed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dermaxai.errors import UnknownName
from dermaxai.registry import check_name
from dermaxai.study.planning import Task
from dermaxai.study.recipe import Study
from dermaxai.study.sections import ClaimSection
from dermaxai.training.recipe import tell_faults

DETECTION = ("concept_auroc",)
"""Metrics that come with the question 'concept' without being asked for; one per concept besides."""
OF_A_CONCEPT = "auroc_"
"""How the names of the latter begin."""


def check_claims(study: Study, tasks: Sequence[Task]) -> None:
    """Whether every claim is about what is evaluated. Raises: SettingError with every fault."""
    faults: list[str] = []
    for claim in study.claim:
        plans = [
            task.plan
            for task in tasks
            if task.kind == claim.kind and (not claim.plans or task.title in claim.plans)
        ]
        if claim.kind == "explanations" and plans:
            faults += (f"claim {claim.name}: {fault}" for fault in _faults(claim, plans))
    tell_faults(study.study.name, faults)


def _faults(claim: ClaimSection, plans: Sequence[object]) -> Iterator[str]:
    yield from _unknown("method of its plans", claim.ranking, _fields(plans, "methods"))
    yield from _unknown("question of its plans", claim.conditions, _fields(plans, "questions"))
    metrics = [name for name in claim.metrics if not name.startswith(OF_A_CONCEPT)]
    yield from _unknown("metric of its plans", metrics, [*_fields(plans, "metrics"), *DETECTION])
    yield from _undirected(metrics)


def _fields(plans: Sequence[object], name: str) -> list[str]:
    """What the plans together have in a field that is a list of names."""
    return list(dict.fromkeys(one for plan in plans for one in getattr(plan, name, ())))


def _unknown(what: str, given: Sequence[str], known: list[str]) -> Iterator[str]:
    for name in given:
        try:
            check_name(what, name, known)
        except UnknownName as error:
            yield error.message


def _undirected(metrics: Sequence[str]) -> Iterator[str]:
    from dermaxai.measure.maps import MAP_METRICS

    for name in metrics:
        if name in MAP_METRICS and MAP_METRICS.load(name).scale.better == "neither":
            yield f"more of '{name}' is neither better nor worse; leave it out"
