"""The job that a worker has at hand: what it tells of it, and what makes it stop."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import TYPE_CHECKING, Literal, Self, final

from dermaxai.errors import NotFound, StoreError
from dermaxai.jobs import queue
from dermaxai.jobs.lease import BEAT_SECONDS
from dermaxai.jobs.queue import PHOTO, Heard
from dermaxai.jobs.stages import Stages, StageState
from dermaxai.store.faults import telling_faults
from dermaxai.viewer import case_to_page

if TYPE_CHECKING:
    from types import TracebackType

    from dermaxai.store.opening import Store
    from dermaxai.store.shelf import Shelf
    from dermaxai.store.tables import Job
    from dermaxai.types import Case

log = logging.getLogger(__name__)

TELL_SECONDS = 0.4
"""Between two looks at the store in the middle of a stage: how soon a cancelled job can end."""


class Interrupted(Exception):
    """The job at hand goes no further: it is another's by now, it was cancelled, or the worker stops."""

    def __init__(self, why: Literal["lost", "cancelled", "stopping"]) -> None:
        super().__init__(why)
        self.why = why


@final
class UnderWay:
    """One job between its claim and its end; while it is open, it gives signs of life."""

    def __init__(self, store: Store, shelf: Shelf, job: Job, is_stopping: Callable[[], bool]) -> None:
        self.store = store
        self.shelf = shelf
        self.job = job
        self.claim = job.claim or ""
        self.is_stopping = is_stopping
        self.stages = Stages(())
        self._heard = Heard(held=True)
        self._told = time.monotonic()
        self._over = Event()
        self._heart = Thread(target=self._beat, name=f"beat-{job.id}", daemon=True)

    def __enter__(self) -> Self:
        self._heart.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._heart.join()

    def plan(self, names: Iterable[str]) -> None:
        """Which stages there will be."""
        self.stages = Stages(names)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """One stage from beginning to end. Raises: Interrupted before it begins and after it has ended."""
        self.stages.begin(name)
        self.tell()
        yield
        self.stages.end(name)
        self.tell()

    def passed(self, name: str, state: StageState = "done", note: str = "") -> None:
        """A stage has ended and the next one is under way; told with the next `tell` or `show`."""
        self.stages.end(name, state, note)
        self.stages.begin_next()

    def show(self, case: Case) -> None:
        """Let people see a case that is still being made. Raises: Interrupted."""
        more = self.job.kind == PHOTO and self._write_partial(case)
        self.tell(more=more)

    def tell(self, *, more: bool = False) -> None:
        """How far the job is; a store that cannot be written is no reason to stop. Raises: Interrupted."""
        self._give_sign(more=more)
        self._check_hold()
        if self.is_stopping():
            raise Interrupted("stopping")

    def hear(self, name: str, share: float) -> None:
        """How much of the stage at hand is done, 0 to 1; told every `TELL_SECONDS`, whatever the pace.

        Heard in the middle of a method, so that none has to end before its job does. Raises: Interrupted.
        """
        if self.is_stopping():
            raise Interrupted("stopping")
        self.stages.reach(share)
        if time.monotonic() - self._told >= TELL_SECONDS:
            self.tell()

    def last_call(self) -> None:
        """The last moment to cancel; a worker that stops still brings this job to its end.

        Raises: Interrupted.
        """
        self._give_sign()
        self._check_hold()

    def _give_sign(self, *, more: bool = False) -> None:
        self._told = time.monotonic()
        try:
            with self.store.write() as session:
                self._heard = queue.tell(session, self.job.id, self.claim, self.stages.rows(), more=more)
        except StoreError as error:
            log.warning("job %d: its progress could not be told: %s", self.job.id, type(error).__name__)

    def _check_hold(self) -> None:
        if not self._heard.held:
            raise Interrupted("lost")
        if self._heard.cancel:
            raise Interrupted("cancelled")

    def _write_partial(self, case: Case) -> bool:
        page = json.dumps(case_to_page(case), ensure_ascii=False, allow_nan=False)
        try:
            with telling_faults():
                self.shelf.write_partial(self.job.case_id, page.encode())
        except NotFound:
            return False  # The case was deleted; the next sign of life says so.
        except StoreError as error:
            log.warning("job %d: its page could not be written: %s", self.job.id, type(error).__name__)
            return False
        return True

    def _beat(self) -> None:
        while not self._over.wait(BEAT_SECONDS):
            try:
                with self.store.write() as session:
                    self._heard = queue.beat(session, self.job.id, self.claim)
            except StoreError as error:
                log.warning("job %d: no sign of life could be given: %s", self.job.id, type(error).__name__)
