"""How much one place may ask for: pace of requests, guesses of tokens, things done at once."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import final

import anyio

from dermaxai.errors import TooFast

MOST_PLACES = 10_000
"""Places that are remembered; the one longest unheard of is forgotten first."""
READS_PER_CHANGE = 10
"""Reading costs a tenth of what changing something costs."""
FREE_GUESSES = 5
FIRST_WAIT = 1.0
LONGEST_WAIT = 300.0
"""Seconds."""


def too_fast(message: str, seconds: float) -> TooFast:
    """The error that says when to come back."""
    whole = max(1, math.ceil(seconds))
    error = TooFast(message, hint=f"Try again in {whole} s.")
    error.seconds = whole
    return error


@final
class Pace:
    """A bucket of tokens for each place: as many at once as it may use in a minute, refilled evenly."""

    def __init__(self, per_minute: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._size = float(per_minute)
        self._clock = clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """By place: what is left, and when that was so."""

    def __len__(self) -> int:
        return len(self._left)

    def spend(self, place: str, cost: float = 1.0) -> None:
        """Count one request of `place`; with a size of 0 nothing is counted. Raises: TooFast."""
        if not self._size:
            return
        moment = self._clock()
        left, since = self._left.pop(place, (self._size, moment))
        left = min(self._size, left + (moment - since) * self._size / 60)
        enough = left >= cost
        self._left[place] = (left - cost if enough else left, moment)
        if len(self._left) > MOST_PLACES:
            self._left.popitem(last=False)
        if not enough:
            raise too_fast("Too many requests came from one place.", (cost - left) * 60 / self._size)


@final
class BackOff:
    """Makes guessing slow: from the sixth wrong token on, a place waits, twice as long each time."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._wrong: OrderedDict[str, tuple[int, float]] = OrderedDict()
        """By place: wrong tokens, and until when it waits."""

    def __len__(self) -> int:
        return len(self._wrong)

    def check(self, place: str) -> None:
        """Raises: TooFast while `place` has to wait."""
        _, until = self._wrong.get(place, (0, 0.0))
        rest = until - self._clock()
        if rest > 0:
            raise too_fast("Too many wrong tokens came from one place.", rest)

    def count_wrong(self, place: str) -> None:
        """A token from `place` was wrong."""
        count, until = self._wrong.pop(place, (0, 0.0))
        moment = self._clock()
        # An hour without a wrong one, and the place starts anew.
        count = 1 if count and moment - until > 3600 else count + 1
        over = count - FREE_GUESSES
        wait = min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(over, 20)) if over >= 0 else 0.0
        self._wrong[place] = (count, moment + wait)
        if len(self._wrong) > MOST_PLACES:
            self._wrong.popitem(last=False)

    def forget(self, place: str) -> None:
        """A token from `place` was right."""
        self._wrong.pop(place, None)


@final
class Places:
    """A few things at once; who comes later waits, and who would wait too long is sent away."""

    def __init__(self, count: int, *, waiting: int, seconds: float, what: str) -> None:
        self._inside = anyio.CapacityLimiter(count)
        self._most_waiting = waiting
        self._seconds = seconds
        self._what = what
        self._now_waiting = 0

    @property
    def is_idle(self) -> bool:
        """Whether nobody holds a place or waits for one."""
        return not self._now_waiting and not self._inside.borrowed_tokens

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Wait for a place and hold it. Raises: TooFast."""
        holder = object()
        await self._take(holder)
        try:
            yield
        finally:
            self._inside.release_on_behalf_of(holder)

    async def _take(self, holder: object) -> None:
        if self._now_waiting >= self._most_waiting:
            raise too_fast(f"Too many {self._what} at once.", self._seconds)
        self._now_waiting += 1
        try:
            with anyio.fail_after(self._seconds):
                await self._inside.acquire_on_behalf_of(holder)
        except TimeoutError:
            raise too_fast(f"Too many {self._what} at once.", self._seconds) from None
        finally:
            self._now_waiting -= 1


@final
class OwnPlaces:
    """A few places for each person, so that whoever asks for much takes nobody else's."""

    def __init__(self, make: Callable[[], Places]) -> None:
        self._make = make
        self._of: dict[str, Places] = {}

    def __len__(self) -> int:
        return len(self._of)

    @asynccontextmanager
    async def place(self, who: str) -> AsyncIterator[None]:
        """Wait for one of one's own places and hold it. Raises: TooFast."""
        own = self._of.setdefault(who, self._make())
        try:
            async with own.place():
                yield
        finally:
            if own.is_idle:
                self._of.pop(who, None)
