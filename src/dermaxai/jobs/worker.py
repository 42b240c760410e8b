"""The worker: takes one job after the other, until it is told to stop."""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from threading import Event
from typing import TYPE_CHECKING, final

from dermaxai.errors import Conflict, DermaXAIError, StoreError
from dermaxai.jobs import queue
from dermaxai.jobs.doing import do_job
from dermaxai.jobs.keeping import keep, tidy
from dermaxai.jobs.lease import own_name
from dermaxai.jobs.patience import insist
from dermaxai.jobs.queue import error_view
from dermaxai.jobs.under_way import Interrupted, UnderWay
from dermaxai.store.shelf import Shelf
from dermaxai.store.tables import CaseRow

if TYPE_CHECKING:
    from dermaxai.jobs.models import Models
    from dermaxai.store.opening import Store
    from dermaxai.store.tables import Job
    from dermaxai.types import SkinImage

log = logging.getLogger(__name__)

IDLE_SECONDS = 2.0
"""Between two looks at the queue, where nobody wakes the worker."""
TIDY_SECONDS = 600.0
"""Between two looks for what killed workers left."""


@final
class Worker:
    """Empties the queue of one store; `run` returns soon after `stop` was called."""

    def __init__(self, store: Store, models: Models, stopping: Event | None = None) -> None:
        self.store = store
        self.shelf = Shelf(store.folder)
        self.models = models
        self.name = own_name()
        self._stopping = stopping or Event()
        self._woken = Event()
        self._at_hand: Job | None = None
        self._tidied = -TIDY_SECONDS

    def wake(self) -> None:
        """There may be a job."""
        self._woken.set()

    def stop(self) -> None:
        """Stop in the middle of the job at hand, which waits again."""
        self._stopping.set()
        self._woken.set()

    def give_back(self) -> None:
        """Let the job at hand wait again, whatever the stage still does; then the process must end."""
        job = self._at_hand
        if job is not None:
            with suppress(StoreError), self.store.write() as session:
                queue.give_back(session, job.id, job.claim or "")

    def run(self) -> None:
        """Load the first model, then do jobs."""
        if not self._stopping.is_set():
            self._warm_up()
        # Libraries and model live long: half a million objects need not be searched after every job.
        gc.freeze()
        try:
            self._empty_queue()
        finally:
            gc.unfreeze()

    def do_next(self) -> bool:
        """Do the job whose turn it is; False where none can begin. Raises: StoreError."""
        with self.store.write() as session:
            lost = queue.release_lost(session)
        for left in lost:
            log.warning("job %d was left by its worker; now it is %s", left.id, left.state)
        # What a worker left is cleared away before another takes up the case.
        if lost or time.monotonic() - self._tidied > TIDY_SECONDS:
            tidy(self.store, self.shelf)
            self._tidied = time.monotonic()
        with self.store.write() as session:
            job = queue.claim_next(session, self.name)
        if job is None:
            return False
        self._at_hand = job
        try:
            self._do(job)
        finally:
            self._at_hand = None
            gc.collect()
        return True

    # ---- inside -----------------------------------------------------------------------------

    def _empty_queue(self) -> None:
        while True:
            self._woken.clear()  # Before the look, so that no call in between is missed.
            if self._stopping.is_set():
                return
            if not self._insist(self.do_next):
                self._woken.wait(IDLE_SECONDS)

    def _warm_up(self) -> None:
        """The first photo does not wait for what a model does once; what fails is said by `Models`."""
        try:
            model = self.models.named("")
            if model.captioner is not None:
                model.explain(_plain_photo())
        except DermaXAIError as error:
            log.error("the first model cannot be used: %s", error)
        except Exception:
            log.exception("the first model cannot be used")

    def _do(self, job: Job) -> None:
        """One job from its claim to its end."""
        begun = time.monotonic()
        with UnderWay(self.store, self.shelf, job, self._stopping.is_set) as way:
            try:
                case = do_job(way, self.models)
                way.last_call()
                self._insist(lambda: keep(way, case))
            except Interrupted as interrupted:
                why = interrupted.why
                self._insist(lambda: self._let_go(way, why))
                log.info("job %d, %s: %s", job.id, job.kind, why)
            except StoreError:
                self._insist(lambda: self._let_go(way, "stopping"))
                raise
            except Exception as error:
                self._fail(way, error)
            else:
                log.info("job %d, %s: done in %.1f s", job.id, job.kind, time.monotonic() - begun)

    def _let_go(self, way: UnderWay, why: str) -> None:
        with self.store.write() as session, suppress(Conflict):
            if why == "cancelled":
                queue.finish(session, way.job.id, way.claim, "cancelled")
            elif why == "stopping":
                queue.give_back(session, way.job.id, way.claim)
            gone = session.get(CaseRow, way.job.case_id) is None
        if gone:
            self.shelf.drop_upload(way.job.case_id)

    def _fail(self, way: UnderWay, error: Exception) -> None:
        told = error_view(error)
        if isinstance(error, DermaXAIError):
            log.warning("job %d, %s: failed with %s", way.job.id, way.job.kind, told["error"])
        else:
            log.exception("job %d, %s: failed", way.job.id, way.job.kind)

        def end() -> None:
            with self.store.write() as session, suppress(Conflict):
                queue.finish(session, way.job.id, way.claim, "failed", error=told)

        self._insist(end)

    def _insist(self, do: Callable[[], object]) -> object:
        return insist(do, self._stopping, self.models.tell)


def _plain_photo() -> SkinImage:
    """A photo of nothing."""
    import numpy as np

    from dermaxai.types import SkinImage

    return SkinImage(np.full((64, 64, 3), 170, np.uint8), "0" * 64, "PNG")
