"""The plot of a training: step, log, check, save, until it is done; then the best state becomes a captioner.

A run folder holds

run.json            what trains and what it is made from
log.jsonl, log.csv  what happened
run.html            the same as curves
checkpoints/        the last states, to go on from
captioner/          the best state, at the end
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, final

import torch
from torch import nn

from dermaxai.captioner.checkpoint import Packing, save_captioner
from dermaxai.captioner.model import Captioner
from dermaxai.captioner.modes import FrozenWatch, TrainableParts, TrainingMode
from dermaxai.errors import SettingError, UsageError
from dermaxai.training import checkpoints
from dermaxai.training.arithmetic import count
from dermaxai.training.batches import check_world
from dermaxai.training.checkpoints import Checkpoints, Fingerprint, Standing
from dermaxai.training.journal import Journal
from dermaxai.training.material import Feed, Reading
from dermaxai.training.meter import Meter
from dermaxai.training.run_page import write_run_page
from dermaxai.training.steps import Stepper, StepPlan
from dermaxai.training.team import AcceleratedTeam
from dermaxai.training.validation import Check

Listener = Callable[[dict[str, Any]], None]
_NO_NUMBER = (
    "Lower training.rates or lengthen training.warmup; where it was so from the first step, look for damage "
    "in the cache: dermaxai features check."
)


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How often what happens, in steps."""

    save_every: int = 500
    check_every: int = 500
    log_every: int = 10
    patience: int = 0
    """Checks without a better state that end the training; 0: none do."""
    keep: int = 2
    """Checkpoints that stay."""


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """A training put together: what learns, from what, how, and how it is judged."""

    captioner: Captioner
    mode: TrainingMode
    feed: Feed
    check: Check
    step: StepPlan
    made_from: Fingerprint
    """Everything that decides the result; another one cannot resume."""
    rhythm: Rhythm = field(default_factory=Rhythm)
    epoch: float = math.inf
    """Steps in which every photo comes once."""
    packing: Packing = field(default_factory=Packing)
    told: dict[str, Any] = field(default_factory=dict)
    """More for run.json."""
    frozen: dict[str, nn.Module] = field(default_factory=dict)
    """Modules beside the T5 that must not change."""


@final
class Training:
    """One run of a job in a folder.

    Raises: SettingError where the processes cannot share a batch.
    """

    def __init__(
        self, job: Job, folder: Path, team: AcceleratedTeam, *, listen: Listener = lambda record: None
    ) -> None:
        check_world(job.feed.plan, team.world)
        self.job, self.folder, self.team, self._listen = job, folder, team, listen
        job.captioner.to(team.device)
        self.parts: TrainableParts = job.captioner.set_mode(job.mode)
        self._watch = FrozenWatch(t5=job.captioner.t5, **job.frozen)
        model = team.prepare(job.captioner)
        self._stepper = Stepper(job.captioner, model, self.parts, job.step, team)
        self._store = Checkpoints(folder / "checkpoints", keep=job.rhythm.keep)
        self._journal = Journal(folder)
        self._meter = Meter(count(job.captioner, self.parts), team, dtype=job.step.dtype)
        self.standing = Standing(made_from=dict(job.made_from))

    def run(self, *, resume: bool = False) -> Standing:
        """Train to the end and save the captioner; gives where it stands.

        `resume` goes on from the newest whole checkpoint, or begins where there is none.
        Raises: UsageError where the folder holds a training and nobody said `resume`, SettingError for
        another training's folder or a loss that is no number, WeightsCorrupt, WeightsMismatch should a
        frozen weight have changed.
        """
        self._begin(resume=resume)
        with Ahead(self._read, busy=self.team.device.type == "cuda") as ahead:
            while not self._done:
                self._advance(ahead)
        self._finish()
        return self.standing

    @property
    def _done(self) -> bool:
        patience = self.job.rhythm.patience
        return self.standing.step >= self.job.step.steps or 0 < patience <= self.standing.idle

    def _begin(self, *, resume: bool) -> None:
        check_folder(self.folder, resume=resume)
        if self._store.exist():
            self._go_on()
        if self.team.leads:
            self._journal.begin(self.standing.step)
            self._tell()
        self.team.wait()

    def _go_on(self) -> None:
        found = self._store.load(self.job.made_from)
        if found is None:
            return
        self.standing, weights, moments = found
        checkpoints.put_weights(self.job.captioner, weights)
        checkpoints.put_moments(self._stepper.optimizer, self.job.captioner, moments)

    def _tell(self) -> None:
        """run.json: what trains, by name and number."""
        about = {
            "parts": str(self.parts),
            "trainable": self.parts.trainable,
            "frozen": self.parts.frozen,
            "steps": self.job.step.steps,
            "processes": self.team.world,
            "device": str(self.team.device),
            "torch": torch.__version__,
            "made_from": dict(self.job.made_from),
            **self.job.told,
        }
        text = json.dumps(about, indent=1, ensure_ascii=False) + "\n"
        (self.folder / "run.json").write_text(text, encoding="utf-8")
        self._listen({"kind": "parts", **about})

    def _read(self, step: int) -> list[Reading]:
        return self.job.feed.read(step, rank=self.team.rank, world=self.team.world)

    def _advance(self, ahead: Ahead) -> None:
        step, rhythm, clock = self.standing.step, self.job.rhythm, self._stepper.clock
        with clock.phase("read"):
            readings = ahead.take(step, last=step + 1 >= self.job.step.steps)
        outcome = self._stepper.advance(step, readings)
        if not math.isfinite(outcome.loss + outcome.gradient_norm):
            raise SettingError(
                f"The loss of step {step + 1} is {outcome.loss}, the gradient's norm "
                f"{outcome.gradient_norm}.",
                hint=_NO_NUMBER,
            )
        self.standing = replace(self.standing, step=step + 1)
        self._meter.add(outcome, patches=readings[0].patches.shape[1])
        if self._due(rhythm.log_every):
            record = self._meter.record(outcome, clock.take())
            with clock.phase("log"):
                self._log({"kind": "train", **record})
        if self._due(rhythm.check_every):
            self._check()
        if self._due(rhythm.save_every) or self._done:
            self._save()

    def _due(self, every: int) -> bool:
        return self.standing.step % every == 0 or self.standing.step == self.job.step.steps

    def _check(self) -> None:
        figures = self.job.check.measure(self.job.captioner)
        goal, standing = figures["goal"], self.standing
        if not math.isfinite(sum(figures.values())):
            raise SettingError(
                f"The figures on photos for comparison are no numbers at step {standing.step}: {figures}.",
                hint=_NO_NUMBER,
            )
        if standing.best is None or goal > standing.best:
            weights = checkpoints.weights_of(self.job.captioner)
            name = self._store.save_best(standing.step, weights) if self.team.leads else ""
            self.standing = replace(standing, best=goal, best_step=standing.step, best_file=name, idle=0)
        else:
            self.standing = replace(standing, idle=standing.idle + 1)
        self._log({"kind": "validation", **figures})
        if self.team.leads:
            write_run_page(self.folder)

    def _save(self) -> None:
        if self.team.leads:
            captioner = self.job.captioner
            moments = checkpoints.moments_of(self._stepper.optimizer, captioner)
            self._store.save(self.standing, checkpoints.weights_of(captioner), moments)
        self.team.wait()

    def _log(self, record: dict[str, Any]) -> None:
        if self.team.leads:
            step = self.standing.step
            whole = {"step": step, "epoch": round(step / self.job.epoch, 4), **record}
            self._journal.write(whole)
            self._listen(whole)

    def _finish(self) -> None:
        captioner = self.job.captioner
        if self.team.leads and self.standing.best_file:
            checkpoints.put_weights(captioner, self._store.load_best(self.standing))
        self._watch.check()
        captioner.requires_grad_(False).eval()
        if self.team.leads:
            save_captioner(captioner, self.folder / "captioner", self._packing())
        self.team.wait()

    def _packing(self) -> Packing:
        best = f"Best state: step {self.standing.best_step} of {self.standing.step}."
        notes = f"Trained in {self.parts}. {best}\n\n{self.job.packing.notes}".rstrip()
        return replace(self.job.packing, notes=notes)


def check_folder(folder: Path, *, resume: bool) -> None:
    """Raise UsageError where a folder holds a training that nobody asked to resume."""
    if Checkpoints(folder / "checkpoints").exist() and not resume:
        raise UsageError(
            f"'{folder}' holds a training already.", hint="Go on with --resume, or give another folder."
        )


@final
class Ahead:
    """Reads the next step while this one is at work, where a second thread helps; else when it is asked."""

    def __init__(self, read: Callable[[int], list[Reading]], *, busy: bool) -> None:
        self._read = read
        self._thread = ThreadPoolExecutor(1) if busy else None
        self._next: tuple[int, Future[list[Reading]]] | None = None

    def __enter__(self) -> Ahead:
        return self

    def __exit__(self, *error: object) -> None:
        if self._thread:
            self._thread.shutdown(cancel_futures=True)

    def take(self, step: int, *, last: bool) -> list[Reading]:
        """The readings of a step; the next one is begun unless this is the last."""
        known = self._next
        readings = known[1].result() if known and known[0] == step else self._read(step)
        self._next = None
        if self._thread and not last:
            self._next = (step + 1, self._thread.submit(self._read, step + 1))
        return readings
