"""A stand-in evaluation: numbers that follow from each photo's name, and a list of the photos worked on."""

import hashlib
import os
import time
from dataclasses import dataclass
from pathlib import Path

from dermaxai.errors import DataError
from dermaxai.evaluate.items import Evaluation
from dermaxai.evaluate.records import work_through
from dermaxai.measure.columns import mean_column
from dermaxai.study.kinds import KindOfWork
from tests.study.scenes import SCALES

LOG, DELAY = "STUDY_TEST_LOG", "STUDY_TEST_DELAY"
"""Names in the environment: where photos are listed, and seconds that each takes."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked of the stand-in."""

    methods: tuple[str, ...] = ("grad_cam", "rollout")
    metrics: tuple[str, ...] = ("insertion",)
    questions: tuple[str, ...] = ("word",)
    seed: int = 0


def number_of(text: str) -> float:
    """Between 0 and 1."""
    return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16) / 2**32


def _document(assignment, item):
    time.sleep(float(os.environ.get(DELAY, "0")))
    if item.id.endswith("broken"):
        raise DataError(f"{item.id} is broken.")
    with Path(os.environ[LOG]).open("a", encoding="utf-8") as file:
        file.write(f"{item.id}\n")
    plan = assignment.plan
    values = {
        method: number_of(f"{item.id} {method} {plan.seed}") / 10 + (method == "grad_cam") / 2
        for method in (*plan.methods, "random map")
    }
    return {"values": values}


def some(assignment, items, model, records, tell):
    work_through(items, records, lambda item: _document(assignment, item), tell, "photos")


def evaluate(assignment, model, records, tell) -> Evaluation:
    items = assignment.items
    documents = work_through(items, records, lambda item: _document(assignment, item), tell, "photos")
    good = [pair for pair in zip(items, documents, strict=True) if "error" not in pair[1]]
    columns = [
        mean_column(
            method,
            "word",
            SCALES["insertion"],
            [(item.id, document["values"][method]) for item, document in good],
            is_baseline=method == "random map",
        )
        for method in (*assignment.plan.methods, "random map")
    ]
    notes = (f"{len(items) - len(good)} photos failed.",)
    return Evaluation(
        "explanations", tuple(columns), items, {"model": "fake"}, "dermaxai evaluate explanations", notes
    )


def context(assignment) -> str:
    return "the same for all"


HERE = "tests.study.fakes"
TOGETHER = KindOfWork(f"{HERE}:Plan", f"{HERE}:evaluate")
APART = KindOfWork(f"{HERE}:Plan", f"{HERE}:evaluate", f"{HERE}:some", f"{HERE}:context")
WORK = {"captions": TOGETHER, "explanations": APART, "encoders": TOGETHER}
