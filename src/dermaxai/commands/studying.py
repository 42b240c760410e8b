"""The command that carries out a whole comparison."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dermaxai.commands.console import say, talk
from dermaxai.commands.options import grouped
from dermaxai.commands.training import SetOption

if TYPE_CHECKING:
    from dermaxai.evaluate.items import Progress
    from dermaxai.study.recipe import Study

MOST_JOBS = 8
"""Processes that are started without being asked for; each holds a model."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where things are kept."""

    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder of the study.", show_default="studies/NAME"),
    ] = None
    cache: Annotated[
        Path | None,
        typer.Option(help="Cache that studies share.", show_default="in the folder of the study"),
    ] = None
    publish: Annotated[
        Path | None,
        typer.Option(help="Copy claims, methods and their figures there, too.", show_default=False),
    ] = None


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is done, and by how many."""

    jobs: Annotated[
        int | None, typer.Option(min=1, help="Processes side by side.", show_default="one per core")
    ] = None
    only: Annotated[
        list[str] | None,
        typer.Option(help="Only these plans, models or data sets; as often as needed.", show_default=False),
    ] = None
    estimate: Annotated[bool, typer.Option("--estimate", help="Say how long it will take, and stop.")] = False


@grouped
def study(
    recipe: Annotated[
        Path, typer.Argument(metavar="STUDY.toml", help="What to compare.", show_default=False)
    ],
    changes: SetOption = None,
    *,
    places: Places,
    extent: Extent,
) -> None:
    """Compare encoders, captioners and methods on datasets as one file says; print what was found.

    A stopped study goes on where it was: run it again. The folder's results are the same files either way.
    """
    from dermaxai.study.recipe import read_study
    from dermaxai.study.running import Way, estimate_study, run_study

    read = read_study(recipe, changes or [])
    folder = places.out or Path("studies") / read.study.name
    way = Way(folder, places.cache, extent.jobs or _usual_jobs(read), tuple(extent.only or ()))
    if extent.estimate:
        for line in estimate_study(read, way).lines():
            say(line)
        return
    written = run_study(read, way, talk, _progress())
    from dermaxai.study.claims_text import summary_lines

    for tested in written.claims:
        for line in summary_lines(tested):
            say(line)
    if places.publish:
        from dermaxai.study.writing import publish as copy_page

        talk(f"Published: {copy_page(read, written.folder, places.publish)}")
    say(str(written.folder))


def _usual_jobs(read: Study) -> int:
    """One process per core that this one may use, for each with the study's threads; one on a GPU."""
    from dermaxai.settings import choose_device

    if choose_device(read.study.device).value != "cpu":
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(MOST_JOBS, cores // read.study.threads))


def _progress() -> Progress:
    """A line at every tenth of a task, so that a log stays short."""
    told: dict[str, int] = {}

    def tell(what: str, done: int, total: int) -> None:
        tenth = 10 * done // max(total, 1)
        if tenth > told.get(what, 0):
            talk(f"{what}: {done} of {total}")
        told[what] = max(tenth, told.get(what, 0))

    return tell
