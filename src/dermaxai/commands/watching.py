"""Progress of long work on stderr: an estimate from the first photo, then how far it is; a bar per method."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, final

from dermaxai.commands.console import talk, talk_console
from dermaxai.progress import heard_by

QUIET = 30.0
"""Seconds between two lines where no terminal shows a bar."""
NOTHING = 0.02
"""Seconds below which a photo was read from records, not worked on."""


@final
class Watch:
    """A `Progress` that tells how long the rest will take; a context, so that its bar ends."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._task: Any = None
        self._what = ""
        self._estimated = False
        self._last = self._told = time.monotonic()
        self._done = 0

    def __enter__(self) -> Watch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def __call__(self, what: str, done: int, total: int) -> None:
        """Told after each photo or batch of photos."""
        now = time.monotonic()
        if what != self._what:
            self._stop()
            self._what, self._estimated, self._done = what, False, 0
            self._told = now
        if not self._estimated and self._done < done < total and now - self._last >= NOTHING:
            self._estimated = True
            each = (now - self._last) / (done - self._done)
            talk(estimate(what, each, total - done))
        self._last, self._done = now, done
        self._show(done, total, now)

    def _show(self, done: int, total: int, now: float) -> None:
        if not sys.stderr.isatty():
            if now - self._told >= QUIET or (done == total and self._estimated):
                self._told = now
                talk(f"{self._what}: {done} of {total}")
            return
        if self._bar is None:
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            columns = (TextColumn(self._what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self._bar = Progress(*columns, console=talk_console(), redirect_stdout=False)
            self._bar.start()
            self._task = self._bar.add_task(self._what, total=total)
        self._bar.update(self._task, completed=done)

    def _stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


@contextmanager
def shown() -> Iterator[None]:
    """Whatever tells how far it is inside is a bar on a terminal, as long as it lasts; elsewhere nothing."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=talk_console(), redirect_stdout=False, transient=True) as bar:
        task = bar.add_task("", total=1.0, visible=False)

        def hear(name: str, share: float) -> None:
            if bar.tasks[task].description != name:
                bar.reset(task, total=1.0, description=name, visible=True)
            bar.update(task, completed=share)

        with heard_by(hear):
            yield


def estimate(what: str, each: float, left: int) -> str:
    """A sentence on the time that is left.

    >>> estimate("photos explained", 1.5, 400)
    'photos explained: 1.5 s for the first, so about 10 min for the other 400; the first is the slowest.'
    """
    return (
        f"{what}: {each:.2g} s for the first, so about {in_words(each * left)} for the other {left}; "
        "the first is the slowest."
    )


def in_words(seconds: float) -> str:
    """A length of time.

    >>> in_words(42), in_words(600), in_words(9000)
    ('42 s', '10 min', '2.5 h')
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
