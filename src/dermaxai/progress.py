"""How far a piece of work is: loops say it as they go round, and who started the work hears it or stops it.

    def hear(name, share):
        print(f"{name}: {share:.0%}")

    with heard_by(hear):
        case = model.explain("lesion.jpg", methods="convis")

Nothing is passed through the calls in between, and where nobody listens a loop is as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from operator import length_hint
from typing import TypeVar, final

Step = TypeVar("Step")
Hear = Callable[[str, float], None]
"""Told the name of what is at hand, and which share of it is done, 0 to 1; a share never falls.

It is called in the middle of the work, often, and should be quick. What it raises stops the work there and
comes out of it unchanged; an error of this package would be taken for a method's own.
"""


@contextmanager
def heard_by(hear: Hear) -> Iterator[None]:
    """Work of this thread is heard inside, until somebody else listens further in."""
    before = _AT_HAND.set(_Stretch(_Told(hear, "")))
    try:
        yield
    finally:
        _AT_HAND.reset(before)


@contextmanager
def stage(name: str) -> Iterator[None]:
    """A piece of work by its name, told from 0 to 1, whatever it is a part of."""
    now = _AT_HAND.get()
    if now is None:
        yield
        return
    fresh = _Stretch(_Told(now.told.hear, name))
    before = _AT_HAND.set(fresh)
    try:
        fresh.told.tell(0.0)
        yield
        fresh.told.tell(1.0)
    finally:
        _AT_HAND.reset(before)


def steps(work: Iterable[Step], count: int | None = None) -> Iterator[Step]:
    """The same one after the other, told after each; a loop inside of a step counts as a part of it.

    `count`: how many there will be, where `work` has no length.

    >>> shares = []
    >>> with heard_by(lambda name, share: shares.append(share)):
    ...     for _ in steps("ab"):
    ...         for _ in steps("cd"):
    ...             pass
    >>> shares
    [0.25, 0.5, 0.5, 0.75, 1.0, 1.0]
    """
    now = _AT_HAND.get()
    if now is None:
        yield from work
        return
    total = max(1, length_hint(work) if count is None else count)
    for place, step in enumerate(work):
        part = now.part(place / total, (place + 1) / total)
        # Whoever goes through these steps runs in the same context, and so do the loops in between.
        _AT_HAND.set(part)
        yield step
        now.told.tell(part.stop)
    _AT_HAND.set(now)


@contextmanager
def part(start: float, stop: float) -> Iterator[None]:
    """What is told inside is the stretch of the work at hand from `start` to `stop`, both 0 to 1."""
    now = _AT_HAND.get()
    if now is None:
        yield
        return
    stretch = now.part(start, stop)
    before = _AT_HAND.set(stretch)
    try:
        yield
        stretch.told.tell(stretch.stop)
    finally:
        _AT_HAND.reset(before)


def beat() -> None:
    """A sign of life from a loop that tells nothing new: who listens may stop the work here, too."""
    now = _AT_HAND.get()
    if now is not None:
        now.told.tell(0.0)


@final
class _Told:
    """What was told of one piece of work."""

    def __init__(self, hear: Hear, name: str) -> None:
        self.hear = hear
        self.name = name
        self._share = 0.0

    def tell(self, share: float) -> None:
        self._share = min(1.0, max(self._share, share))
        self.hear(self.name, self._share)


@dataclass(frozen=True, slots=True)
class _Stretch:
    """The part of a piece of work that is at hand."""

    told: _Told
    start: float = 0.0
    stop: float = 1.0

    def part(self, start: float, stop: float) -> _Stretch:
        length = self.stop - self.start
        return _Stretch(self.told, self.start + start * length, self.start + stop * length)


_AT_HAND: ContextVar[_Stretch | None] = ContextVar("at_hand", default=None)
