"""The plot of a study: plan, estimate, do what is missing, judge, write."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from dermaxai.errors import UsageError
from dermaxai.evaluate.items import Evaluation, Progress
from dermaxai.study.cache import mark_done, open_records
from dermaxai.study.checking import check_claims
from dermaxai.study.estimating import Estimate, estimate_tasks
from dermaxai.study.kinds import WORK, KindOfWork
from dermaxai.study.planning import (
    Gather,
    Load,
    Task,
    chosen_tasks,
    evaluate_task,
    gather_items,
    load_model,
    plan_tasks,
)
from dermaxai.study.recipe import Study
from dermaxai.study.sections import ModelSection
from dermaxai.study.sharing import Orders, work_apart
from dermaxai.study.writing import Written, write_study

if TYPE_CHECKING:
    from dermaxai.pipeline import Model

RESULTS, CACHE, LOG = "results", "cache", "run.log"
"""In the folder of a study. Times stand in the log alone: results are the same whenever they are made."""


@dataclass(frozen=True, slots=True, eq=False)
class Way:
    """How a study is run; nothing here changes a number."""

    out: Path
    cache: Path | None = None
    """Shared with other studies; None: in `out`."""
    jobs: int = 1
    """Processes side by side."""
    only: tuple[str, ...] = ()
    """Tasks, kinds, models or data sets to work on; the results then hold these alone."""
    work: Mapping[str, KindOfWork] = field(default_factory=lambda: WORK)
    load: Load = load_model
    gather: Gather = gather_items

    @property
    def records(self) -> Path:
        """Folder of the cache."""
        return self.cache or self.out / CACHE


Say = Callable[[str], None]


def estimate_study(study: Study, way: Way, say: Say | None = None) -> Estimate:
    """How much is there, how much is missing, how long that takes; a few photos of each task are done.

    Raises: as `plan_tasks`; UsageError where another process uses the cache.
    """
    with _prepared(study, way) as (tasks, shelf):
        return _estimated(tasks, way, shelf, say)


def run_study(study: Study, way: Way, say: Say | None = None, tell: Progress | None = None) -> Written:
    """Do what the cache lacks and write the results; the same files whenever and in how many runs.

    Raises: as `evaluate_study`.
    """
    tasks, evaluations = evaluate_study(study, way, say, tell)
    written = write_study(study, tasks, evaluations, way.out / RESULTS)
    _note(way, f"results of {sum(len(task.data.items) for task in tasks)} photos in {len(tasks)} tasks")
    return written


def evaluate_study(
    study: Study, way: Way, say: Say | None = None, tell: Progress | None = None
) -> tuple[list[Task], list[Evaluation]]:
    """Do what the cache lacks; every task with what was found.

    Raises: as `plan_tasks` and the evaluations; SettingError for a claim about what is not evaluated;
    UsageError where another process uses the cache.
    """
    with _prepared(study, way) as (tasks, shelf):
        found = _estimated(tasks, way, shelf, say)
        if way.jobs > 1 and found.missing:
            apart = [task for task in tasks if task.work.apart]
            work_apart(apart, Orders(study.study, way.records, way.load), way.jobs, tell)
        return tasks, [_evaluated(task, way, shelf, tell) for task in tasks]


def _estimated(tasks: Sequence[Task], way: Way, shelf: _Shelf, say: Say | None) -> Estimate:
    found = estimate_tasks(tasks, way.records, way.jobs, lambda task: shelf.model(task.model.section))
    for line in found.lines():
        _note(way, line)
        if say:
            say(line)
    return found


def _evaluated(task: Task, way: Way, shelf: _Shelf, tell: Progress | None) -> Evaluation:
    def told(what: str, done: int, total: int) -> None:
        if tell:
            tell(f"{task.name}: {what}", done, total)

    with open_records(way.records, task) as records:
        missing = len(records.missing(task.data.items))
        found = evaluate_task(task, shelf.model(task.model.section), records, told)
        mark_done(records)
    if missing and task.work.apart:
        _note(way, f"{task.name}: {missing} photos done in this process")
    return found


class _Shelf:
    """The model that was asked for last: one at a time is in memory."""

    def __init__(self, study: Study, load: Load) -> None:
        self._study, self._load = study, load
        self._held: tuple[ModelSection, Model] | None = None

    def model(self, section: ModelSection) -> Model:
        """A model of the study."""
        if self._held is None or self._held[0] != section:
            self._held = None
            self._held = section, self._load(section, self._study.study)
        return self._held[1]


@contextmanager
def _prepared(study: Study, way: Way) -> Iterator[tuple[list[Task], _Shelf]]:
    """The tasks, with the cache held and the study's number of threads."""
    import torch

    threads = torch.get_num_threads()
    with _held(way.records):
        torch.set_num_threads(study.study.threads)
        try:
            shelf = _Shelf(study, way.load)
            tasks = plan_tasks(
                study, way.work, load=lambda section, _: shelf.model(section), gather=way.gather
            )
            check_claims(study, tasks)
            yield chosen_tasks(tasks, way.only), shelf
        finally:
            torch.set_num_threads(threads)


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """One process at a time works on a cache. Raises: UsageError."""
    import fcntl

    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(
                f"Another study is working on the cache '{folder}'.", hint="Wait for it, or name another."
            ) from None
        yield


def _note(way: Way, line: str) -> None:
    """A line of the log, with the time and the process."""
    way.out.mkdir(parents=True, exist_ok=True)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    with (way.out / LOG).open("a", encoding="utf-8") as file:
        file.write(f"{now} {os.getpid()} {line}\n")
