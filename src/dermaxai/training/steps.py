"""One step: read, collate, forward, backward over micro-batches and processes, then the optimiser.

The loss of a step is the mean over the tokens of its whole batch, whatever processes and micro-batches
share it: captions differ in length, and a mean of means would weigh short ones more.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, Literal, Protocol, final

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from dermaxai.captioner.model import Captioner
from dermaxai.captioner.modes import TrainableParts
from dermaxai.captioner.prompts import IGNORED, TextBatch
from dermaxai.training.material import Reading

Phase = Literal["read", "collate", "forward", "backward", "optimizer", "log"]
PHASES: tuple[Phase, ...] = ("read", "collate", "forward", "backward", "optimizer", "log")
Group = Literal["qformer", "projection", "lora"]
GROUPS: tuple[Group, ...] = ("qformer", "projection", "lora")


@dataclass(frozen=True, slots=True)
class StepPlan:
    """What decides the arithmetic of a step."""

    rates: tuple[float, float, float] = (1e-4, 1e-4, 2e-4)
    """Highest learning rates of Q-Former, projection and LoRA."""
    steps: int = 1000
    warmup: int = 0
    cosine: bool = True
    weight_decay: float = 0.05
    betas: tuple[float, float] = (0.9, 0.98)
    clip: float = 1.0
    label_smoothing: float = 0.0
    noise: float = 0.0
    """Standard deviation, in the unit of the patches."""
    shift: float = 0.0
    """The same, of noise that a photo's patches share."""
    dtype: torch.dtype = torch.float32
    seed: int = 0

    def factor(self, step: int) -> float:
        """Of the highest rates: a rising line over `warmup` steps, then half a cosine down to nearly 0.

        >>> plan = StepPlan(steps=6, warmup=2)
        >>> [round(plan.factor(step), 2) for step in range(6)]
        [0.5, 1.0, 0.9, 0.65, 0.35, 0.1]
        """
        if step < self.warmup:
            return (step + 1) / self.warmup
        if not self.cosine:
            return 1.0
        done = (step + 1 - self.warmup) / (self.steps + 1 - self.warmup)
        return 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))


@dataclass(frozen=True, slots=True, eq=False)
class MicroBatch:
    """A reading on the device, as the captioner's `forward` takes it."""

    patches: Float[Tensor, "images n width"]
    """Each serves an equal run of the texts."""
    batch: TextBatch
    tokens: int
    """That count in the loss."""


def collate(captioner: Captioner, reading: Reading, patches: Float[Tensor, "photos n width"]) -> MicroBatch:
    """Texts in pieces; where photos have different numbers of texts, each text gets its photo anew."""
    batch = captioner.prepare(reading.texts, reading.languages)
    counts = np.bincount(reading.photos, minlength=len(patches))
    if counts.min() != counts.max():
        patches = patches[list(reading.photos)]
    tokens = int((batch.labels != IGNORED).sum())
    return MicroBatch(patches, batch.to(patches.device), tokens)


def add_noise(
    patches: Float[Tensor, "photos n width"], numbers: Int[np.ndarray, "photos"], plan: StepPlan
) -> Float[Tensor, "photos n width"]:
    """Noise of each patch and noise that a photo's patches share.

    It hangs on the number of the draw, so that it does not matter which process has the photo.
    """
    if not (plan.noise or plan.shift):
        return patches
    noisy = patches.clone()
    for place, number in enumerate(numbers):
        generator = torch.Generator(patches.device).manual_seed(mixed_seed(plan.seed, 5, int(number)))
        options: dict[str, Any] = {"generator": generator, "device": patches.device}
        noisy[place] += torch.randn(patches.shape[1:], **options) * plan.noise
        noisy[place] += torch.randn(patches.shape[2:], **options) * plan.shift
    return noisy


def mixed_seed(*parts: int) -> int:
    """One seed of 63 bits from several numbers."""
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0] >> np.uint64(1))


@final
class Clock:
    """Seconds by phase, since it was last read."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.seconds: dict[Phase, float] = dict.fromkeys(PHASES, 0.0)

    @contextmanager
    def phase(self, name: Phase) -> Iterator[None]:
        """Count what runs inside; a CUDA device is waited for, so that the time is its own."""
        start = perf_counter()
        yield
        if self._device.type == "cuda" and name in ("forward", "backward", "optimizer"):
            torch.cuda.synchronize(self._device)
        self.seconds[name] += perf_counter() - start

    def take(self) -> dict[Phase, float]:
        """Seconds of each phase; counting begins anew."""
        taken, self.seconds = self.seconds, dict.fromkeys(PHASES, 0.0)
        return taken


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a step did, over all processes."""

    loss: float
    """Nats per token."""
    tokens: int
    photos: int
    texts: int
    gradient_norm: float
    """Before it was clipped."""
    rates: dict[str, float] = field(default_factory=dict)


class Team(Protocol):
    """The processes that train together; `accelerate.Accelerator` leads them."""

    rank: int
    world: int
    device: torch.device

    def total(self, values: Sequence[float]) -> list[float]:
        """Sums over all processes."""

    def waiting(self, model: nn.Module) -> AbstractContextManager[None]:
        """Inside, gradients stay where they are."""


@final
class Stepper:
    """Model, optimiser and schedule; each step is told by its number and keeps nothing but their weights.

    Args: model, the captioner or what distributes it.
    """

    def __init__(
        self, captioner: Captioner, model: nn.Module, parts: TrainableParts, plan: StepPlan, team: Team
    ) -> None:
        self.captioner, self.model, self.parts, self.plan, self.team = captioner, model, parts, plan, team
        self.clock = Clock(team.device)
        groups = [
            {"params": list(getattr(parts, name)), "lr": rate, "name": name}
            for name, rate in zip(GROUPS, plan.rates, strict=True)
            if getattr(parts, name)
        ]
        self.optimizer = torch.optim.AdamW(groups, weight_decay=plan.weight_decay, betas=plan.betas)

    def advance(self, step: int, readings: Sequence[Reading]) -> Outcome:
        """One optimisation step on this process's part of the micro-batches."""
        torch.manual_seed(mixed_seed(self.plan.seed, 6, step, self.team.rank))
        self.model.train()
        with self.clock.phase("collate"):
            parts = [self._collate(reading) for reading in readings]
            texts = sum(len(part.batch.languages) for part in parts)
            photos = sum(len(reading.patches) for reading in readings)
            own = sum(part.tokens for part in parts)
            tokens, texts, photos = map(int, self.team.total([own, texts, photos]))
        self.optimizer.zero_grad(set_to_none=True)
        summed = 0.0
        for place, part in enumerate(parts):
            wait = place < len(parts) - 1
            with self.team.waiting(self.model) if wait else nullcontext():
                summed += self._learn(part, tokens)
        with self.clock.phase("optimizer"):
            norm = self._update(step)
        (loss,) = self.team.total([summed])
        rates = {str(group["name"]): float(group["lr"]) for group in self.optimizer.param_groups}
        return Outcome(loss / tokens, tokens, photos, texts, norm, rates)

    def _collate(self, reading: Reading) -> MicroBatch:
        patches = reading.patches.to(self.team.device, non_blocking=True).float()
        return collate(self.captioner, reading, add_noise(patches, reading.numbers, self.plan))

    def _learn(self, part: MicroBatch, tokens: int) -> float:
        """Gradients of a micro-batch; gives the sum of its tokens' losses."""
        with self.clock.phase("forward"), precision(self.team.device, self.plan.dtype):
            mean = self.model(part.patches, part.batch, self.plan.label_smoothing)
        with self.clock.phase("backward"):
            # Gradients of processes are averaged, hence the number of them.
            (mean * (part.tokens * self.team.world / tokens)).backward()
        return float(mean.detach()) * part.tokens

    def _update(self, step: int) -> float:
        for group, rate in zip(self.optimizer.param_groups, self._rates(), strict=True):
            group["lr"] = rate * self.plan.factor(step)
        norm = nn.utils.clip_grad_norm_(self.parts.all, self.plan.clip)
        self.optimizer.step()
        return float(norm)

    def _rates(self) -> list[float]:
        return [rate for name, rate in zip(GROUPS, self.plan.rates, strict=True) if getattr(self.parts, name)]


def precision(device: torch.device, dtype: torch.dtype) -> AbstractContextManager[None]:
    """bfloat16 where it is safe, or as the weights are."""
    if dtype == torch.float32:
        return nullcontext()
    context: AbstractContextManager[None] = torch.autocast(device.type, dtype=dtype)
    return context
