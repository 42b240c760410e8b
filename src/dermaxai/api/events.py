"""Jobs as they happen: one look at the table for all who listen."""

from __future__ import annotations

import asyncio
import json
import logging
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Set
from typing import Any, final

import anyio
from anyio.to_thread import run_sync
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event

from dermaxai.errors import StoreError

LOG = logging.getLogger("dermaxai.api")
LOOK_SECONDS = 0.15
"""Between two looks at the table, while anybody listens."""
ALIVE_SECONDS = 15.0
"""After so long without news a comment keeps the connection open."""
RETRY_MILLISECONDS = 1000
"""What a browser waits before it comes back."""
ENDED = ("done", "failed", "cancelled")

Look = Callable[[Set[int]], Mapping[int, dict[str, Any]]]
"""The views of jobs by their ids; a job that is gone is left out. Runs in a thread."""


@final
class Watch:
    """Looks at jobs while somebody listens to them, however many do."""

    def __init__(self, look: Look) -> None:
        self._look = look
        self._listeners: dict[int, set[asyncio.Event]] = {}
        self._views: dict[int, dict[str, Any] | None] = {}
        self._streams: Counter[str] = Counter()
        self._looking: asyncio.Task[None] | None = None
        self._closed = False

    def count(self, who: str) -> int:
        """How many streams somebody listens to."""
        return self._streams[who]

    async def follow(self, job_id: int, seen: str = "", *, who: str = "") -> AsyncIterator[bytes]:
        """Events of one job until it has ended: its state at once and at every change.

        `seen`: mark of the last event that the listener has, after a break; the same is not told again.
        """
        news = asyncio.Event()
        self._listeners.setdefault(job_id, set()).add(news)
        self._streams[who] += 1
        self._start()
        try:
            yield f"retry: {RETRY_MILLISECONDS}\n\n".encode()
            while not self._closed:
                if job_id in self._views:
                    news.clear()
                    view = self._views[job_id]
                    if view is None:
                        return
                    if mark_of(view) != seen:
                        seen = mark_of(view)
                        yield event_of(view, seen)
                    if view["state"] in ENDED:
                        return
                if not await _happened(news):
                    yield KEEPALIVE_COMMENT
        finally:
            self._leave(job_id, news)
            self._streams[who] -= 1
            self._streams += Counter()  # Whoever listens to nothing is forgotten.

    def close(self) -> None:
        """End every stream: the server goes down."""
        self._closed = True
        for listeners in self._listeners.values():
            for news in listeners:
                news.set()
        if self._looking is not None:
            self._looking.cancel()

    def _start(self) -> None:
        loop, looking = asyncio.get_running_loop(), self._looking
        if looking is None or looking.done() or looking.get_loop() is not loop:
            self._looking = loop.create_task(self._look_on())

    def _leave(self, job_id: int, news: asyncio.Event) -> None:
        listeners = self._listeners.get(job_id, set())
        listeners.discard(news)
        if not listeners:
            self._listeners.pop(job_id, None)
            self._views.pop(job_id, None)

    async def _look_on(self) -> None:
        """Until nobody listens any more."""
        while self._listeners and not self._closed:
            await self._look_once(set(self._listeners))
            await asyncio.sleep(LOOK_SECONDS)

    async def _look_once(self, wanted: Set[int]) -> None:
        try:
            found = await run_sync(self._look, wanted)
        except StoreError as error:
            # Listeners stay: the store may be back at the next look.
            LOG.warning("jobs cannot be read: %s", type(error).__name__)
            return
        for job_id in wanted & set(self._listeners):
            view = found.get(job_id)
            if job_id not in self._views or self._views[job_id] != view:
                self._views[job_id] = view
                for news in self._listeners[job_id]:
                    news.set()


async def _happened(news: asyncio.Event) -> bool:
    """Whether there were news before it was time for a sign of life."""
    # asyncio.wait_for may swallow a cancellation that comes together with the news.
    with anyio.move_on_after(ALIVE_SECONDS):
        await news.wait()
    return news.is_set()


def mark_of(view: Mapping[str, Any]) -> str:
    """Short, the same for the same view: what a listener sends back after a break."""
    text = json.dumps(view, sort_keys=True, default=str)
    return f"{view['content']}-{zlib.crc32(text.encode()):08x}"


def event_of(view: Mapping[str, Any], mark: str) -> bytes:
    """One event 'progress' as it goes over the wire."""
    text = json.dumps(view, ensure_ascii=False, default=str, separators=(",", ":"))
    return format_sse_event(event="progress", data_str=text, id=mark)
