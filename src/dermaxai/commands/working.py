"""The command of a worker by itself: on another machine, or beside a server that has none."""

from __future__ import annotations

import signal
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dermaxai.commands.console import say_json, talk
from dermaxai.commands.options import Choice, grouped

if TYPE_CHECKING:
    from dermaxai.jobs.options import WorkerOptions


@grouped
def worker(
    choice: Choice,
    cases: Annotated[Path, typer.Option(help="Folder of cases, the same as the server's.")] = Path("cases"),
    store: Annotated[
        str,
        typer.Option(help="Address of the database.", show_default="a file in the folder"),
    ] = "",
) -> None:
    """Describe and explain the photos that a server takes in, until it is stopped.

    Several workers may serve one folder and database; each job is done by one of them. One JSON object per
    line on stdout says how the worker stands. Stopped (Ctrl-C), it stops in the middle of its
    job, which waits for the next worker.
    """
    from dermaxai.jobs.process import log_to_stderr, make_worker

    choice.check()
    log_to_stderr()
    stopping = Event()
    made: list[Any] = []

    def stop(*_: object) -> None:
        stopping.set()
        for one in made:
            one.wake()

    # An event may not be set inside a signal: who waits for it could be interrupted while it holds the lock.
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: Thread(target=stop).start())
    talk("The worker has started; Ctrl-C stops it.")
    one = make_worker(options_of(choice, cases, store), say_json, stopping)
    if one is not None:
        made.append(one)
        one.run()


def options_of(choice: Choice, cases: Path, store: str) -> WorkerOptions:
    """What a worker is told, from the options of the command line."""
    from dermaxai.jobs.options import WorkerOptions

    more = {"source": choice.source, "captioner": choice.captioner}
    names = ("device", "seed", "threads", "beams", "dtype")
    given = {name: value for name in names if (value := getattr(choice, name)) not in (None, "")}
    if choice.offline:
        given["offline"] = True
    return WorkerOptions(
        str(cases),
        store,
        ((choice.model or "demo", {name: value for name, value in more.items() if value}),),
        tuple((name, str(value)) for name, value in given.items()),
    )
