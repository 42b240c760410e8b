"""How long a study will take and how much room it needs, before it starts."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dermaxai.errors import DermaXAIError
from dermaxai.features.estimating import free_bytes, size_in_words, time_in_words
from dermaxai.study.cache import missing_of, open_records, size_of, take_over
from dermaxai.study.planning import Task, work_on

if TYPE_CHECKING:
    from dermaxai.evaluate.items import Item
    from dermaxai.pipeline import Model

IDLE = 0.8
"""Share of the time that a processor works, below which other programs are said to be in the way."""
TRIED = 2
"""Photos of each task that are worked on to measure the time; they stay in the cache."""


@dataclass(frozen=True, slots=True)
class TaskEstimate:
    """Of one task."""

    name: str
    photos: int
    missing: int
    """After the photos that were tried."""
    setup: float
    """Seconds once per process; NaN where nothing was missing."""
    pace: float
    """Seconds per photo; NaN where nothing was missing."""
    busy: float
    """Seconds per photo that a processor works: less than `pace` where other programs take turns."""
    bytes_each: float
    """On the disk, per photo."""
    apart: bool
    """Whether several processes share it."""

    def seconds(self, jobs: int, *, idle: bool = False) -> float:
        """Until it is done; `idle`: if nothing else ran."""
        if not self.missing:
            return 0.0
        share = -(-self.missing // (jobs if self.apart else 1))
        return self.setup + share * (min(self.busy, self.pace) if idle else self.pace)

    def line(self) -> str:
        """For a reader."""
        present = f"{self.name}: {self.photos} photos, {self.photos - self.missing} in the cache"
        if not self.missing:
            return present
        if self.pace != self.pace:
            return f"{present}, {self.missing} missing; the time of a photo could not be measured"
        told = f"{present}, {self.missing} missing at {self.pace:.2f} s each"
        return f"{told} ({self.busy:.2f} s if nothing else ran)" if self.busy < IDLE * self.pace else told


@dataclass(frozen=True, slots=True)
class Estimate:
    """Of a study."""

    tasks: tuple[TaskEstimate, ...]
    jobs: int
    free: int
    """Bytes on the disk of the cache."""

    @property
    def missing(self) -> int:
        """Photos, each counted once per task."""
        return sum(task.missing for task in self.tasks)

    @property
    def seconds(self) -> float:
        """Of all that is missing; tasks whose time is not known count nothing."""
        return sum(known for task in self.tasks if (known := task.seconds(self.jobs)) == known)

    @property
    def idle_seconds(self) -> float:
        """The same if nothing else ran."""
        return sum(known for task in self.tasks if (known := task.seconds(self.jobs, idle=True)) == known)

    def lines(self) -> list[str]:
        """For a reader."""
        room = sum(task.missing * task.bytes_each for task in self.tasks)
        processes = f"{self.jobs} process{'es' if self.jobs > 1 else ''}"
        whole = f"{len(self.tasks)} tasks, {self.missing} photos to do"
        if self.missing:
            whole += f": about {time_in_words(self.seconds)} with {processes}"
            if self.idle_seconds < IDLE * self.seconds:
                whole += f" (about {time_in_words(self.idle_seconds)} if nothing else ran)"
            whole += f", {size_in_words(int(room))} of {size_in_words(self.free)} that are free"
        return [*(task.line() for task in self.tasks), f"{whole}."]


def estimate_tasks(
    tasks: Sequence[Task], cache: Path, jobs: int, model_of: Callable[[Task], Model]
) -> Estimate:
    """What is there, what is missing, and how long that takes; the first photos of each task are done."""
    found = [_estimate(task, cache, model_of) for task in tasks]
    return Estimate(tuple(found), jobs, free_bytes(cache))


def _estimate(task: Task, cache: Path, model_of: Callable[[Task], Model]) -> TaskEstimate:
    records = open_records(cache, task)
    take_over(cache, task, records)
    missing = missing_of(task, records)
    setup = pace = busy = float("nan")
    if missing:
        times = _try(task, cache, model_of(task), missing[:TRIED])
        if times:
            pace, busy = times[-1]
            busy = busy if task.model.key["device"].startswith("cpu") else pace
            setup = max(times[0][0] - pace, 0.0)
        records = open_records(cache, task)
    left = len(missing_of(task, records))
    done = len(task.data.items) - left
    each = size_of(records) / done if done else 0.0
    return TaskEstimate(task.name, len(task.data.items), left, setup, pace, busy, each, task.work.apart)


def _try(task: Task, cache: Path, model: Model, items: Sequence[Item]) -> list[tuple[float, float]]:
    """Seconds of each photo by itself, passed and worked; photos that fail are left out."""
    times = []
    for item in items:
        begun, worked = time.perf_counter(), time.process_time()
        try:
            work_on(task, [item], model, open_records(cache, task) if task.work.apart else None)
        except DermaXAIError:
            continue  # Told when all photos are worked on.
        times.append((time.perf_counter() - begun, time.process_time() - worked))
    return times
