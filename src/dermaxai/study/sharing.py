"""Photos that are missing, worked on by several processes side by side.

Each process writes records of its own; the process that started them takes these over afterwards. A process
whose parent is gone ends, so that nothing writes on behind a run that was killed.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TYPE_CHECKING

from dermaxai.errors import DermaXAIError
from dermaxai.evaluate.items import Item, Progress
from dermaxai.study.cache import open_records, shares, take_over
from dermaxai.study.planning import Load, Task, work_on
from dermaxai.study.sections import StudySection

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

    from dermaxai.pipeline import Model

PATIENCE = 10.0
"""Seconds that a process has to end when it is told to."""


@dataclass(frozen=True, slots=True, eq=False)
class Portion:
    """Some photos of one task, for one process."""

    task: Task
    items: tuple[Item, ...]
    share: str


@dataclass(frozen=True, slots=True)
class Orders:
    """What every process must know."""

    study: StudySection
    cache: Path
    load: Load


def work_apart(tasks: Sequence[Task], orders: Orders, jobs: int, tell: Progress | None = None) -> None:
    """Do what the records of `tasks` lack with `jobs` processes; photos that fail are left to be told later.

    Raises: DermaXAIError where a process ended before it was done.
    """
    portions = _portions(tasks, orders.cache, jobs)
    context = multiprocessing.get_context("spawn")
    processes: list[tuple[SpawnProcess, Connection]] = []
    try:
        for own in portions:
            if own:
                here, there = context.Pipe(duplex=False)
                process = context.Process(target=_work, args=(own, orders, there))
                process.start()
                there.close()
                processes.append((process, here))
        _listen([here for _, here in processes], tell)
        for process, _ in processes:
            process.join()
    finally:
        _end([process for process, _ in processes])
        for task in tasks:
            take_over(orders.cache, task, open_records(orders.cache, task))
    if broken := [process.exitcode for process, _ in processes if process.exitcode]:
        raise DermaXAIError(
            f"{len(broken)} of {len(processes)} processes ended early, with code {broken[0]}.",
            hint="Run again; what is done is kept. Fewer processes (--jobs) need less memory.",
        )


def _portions(tasks: Sequence[Task], cache: Path, jobs: int) -> list[list[Portion]]:
    """For each process what it does, in order: photos of a task are dealt in turn."""
    dealt: list[list[Portion]] = [[] for _ in range(jobs)]
    for task in tasks:
        missing = open_records(cache, task).missing(task.data.items)
        for place, items in enumerate(shares(missing, jobs)):
            if items:
                dealt[place].append(Portion(task, items, f"{place + 1} of {jobs}"))
    return dealt


def _work(portions: Sequence[Portion], orders: Orders, wire: Connection) -> None:
    """In a process of its own."""
    threading.Thread(target=_follow_parent, daemon=True).start()
    import torch

    torch.set_num_threads(orders.study.threads)
    model: Model | None = None
    loaded = None
    for portion in portions:
        task = portion.task
        if model is None or loaded != task.model.section:
            model, loaded = orders.load(task.model.section, orders.study), task.model.section
        with open_records(orders.cache, task, portion.share) as records:
            try:
                work_on(task, portion.items, model, records, _teller(task.name, wire))
            except DermaXAIError:
                continue  # The whole evaluation comes upon it again, and tells.
    wire.close()


def _teller(task: str, wire: Connection) -> Progress:
    """Sends progress to the process that waits for it."""

    def tell(what: str, done: int, total: int) -> None:
        wire.send((f"{task}: {what}", done, total))

    return tell


def _follow_parent() -> None:
    """End when the parent has ended, however it did."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _listen(wires: list[Connection], tell: Progress | None) -> None:
    """Until every process has closed its end; what they did of one task is added up."""
    heard: dict[str, dict[int, tuple[int, int]]] = {}
    open_wires = list(wires)
    while open_wires:
        for wire in wait(open_wires):
            assert isinstance(wire, Connection), "only connections are waited for"
            try:
                what, done, total = wire.recv()
            except EOFError:
                open_wires.remove(wire)
                continue
            counts = heard.setdefault(what, {})
            counts[id(wire)] = done, total
            if tell:
                tell(what, *(sum(column) for column in zip(*counts.values(), strict=True)))


def _end(processes: Sequence[SpawnProcess]) -> None:
    """Stop those that still run, because waiting for them was broken off."""
    for process in processes:
        process.terminate()
    for process in processes:
        process.join(PATIENCE)
        if process.is_alive():
            process.kill()
            process.join()
