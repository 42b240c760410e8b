"""What trains and what stays: three named modes, counted, and a watch over the rest."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal, final, get_args

import torch
from torch import Tensor, nn

from dermaxai.captioner.adapters import Adapters
from dermaxai.captioner.qformer import Bridge
from dermaxai.errors import WeightsMismatch
from dermaxai.registry import check_name

TrainingMode = Literal["lora", "bridge", "bridge+lora"]
"""Adapt a trained captioner; first alignment of a new bridge; both (the usual one)."""


@dataclass(frozen=True, slots=True, eq=False)
class TrainableParts:
    """The parameters that train in one mode, in three groups that may get three learning rates."""

    mode: TrainingMode
    qformer: tuple[nn.Parameter, ...]
    """Queries and Q-Former."""
    projection: tuple[nn.Parameter, ...]
    """Vision norm and projection into the T5."""
    lora: tuple[nn.Parameter, ...]
    frozen: int
    """Values of bridge, T5 base and idle adapters that stay; the vision encoder is not counted."""

    @property
    def all(self) -> list[nn.Parameter]:
        """The three groups in one list."""
        return [*self.qformer, *self.projection, *self.lora]

    @property
    def trainable(self) -> int:
        """Number of values that train."""
        return _count(self.all)

    def __str__(self) -> str:
        counts = {"Q-Former": self.qformer, "projection": self.projection, "LoRA": self.lora}
        parts = ", ".join(f"{name} {_count(values):,}" for name, values in counts.items())
        return f"mode {self.mode}: {self.trainable:,} trainable ({parts}), {self.frozen:,} frozen"


def choose_trainable(
    bridge: Bridge, text: nn.Module, adapters: Adapters, mode: TrainingMode
) -> TrainableParts:
    """Set `requires_grad` for one mode: never on the T5 base.

    Raises: UnknownName, SettingError if LoRA is asked for and no adapter is active.
    """
    check_name("training mode", mode, list(get_args(TrainingMode)))
    bridge.requires_grad_("bridge" in mode)
    text.requires_grad_(False)
    lora = tuple(adapters.parameters()) if "lora" in mode else ()
    for parameter in lora:
        parameter.requires_grad_(True)
    near = {"vision_norm", "projection"}
    named = [
        (name.partition(".")[0], value) for name, value in bridge.named_parameters() if value.requires_grad
    ]
    idle = [value for module in (bridge, text) for value in module.parameters() if not value.requires_grad]
    return TrainableParts(
        mode=mode,
        qformer=tuple(value for part, value in named if part not in near),
        projection=tuple(value for part, value in named if part in near),
        lora=lora,
        frozen=_count(idle),
    )


@final
class FrozenWatch:
    """Remembers every frozen tensor of some modules and proves later that none has moved.

    Start it after the mode is chosen: `watch = FrozenWatch(t5=captioner.t5, encoder=encoder.module)`.
    """

    def __init__(self, **modules: nn.Module) -> None:
        self._modules = modules
        self._before = self._digests()

    def check(self) -> None:
        """Raise WeightsMismatch naming the first frozen tensor that is no longer bit-identical."""
        now = self._digests()
        moved = sorted(name for name in self._before if now.get(name) != self._before[name])
        if moved:
            raise WeightsMismatch(
                f"{len(moved)} frozen tensors have changed, first '{moved[0]}'.",
                hint="Give the optimiser only `TrainableParts.all`.",
            )

    def _digests(self) -> dict[str, str]:
        return {
            f"{where}.{name}": _digest(value)
            for where, module in self._modules.items()
            for name, value in [*module.named_parameters(), *module.named_buffers()]
            if not value.requires_grad
        }


def _digest(tensor: Tensor) -> str:
    flat = tensor.detach().cpu().contiguous().view(-1)
    return hashlib.sha256(flat.view(torch.uint8).numpy().tobytes()).hexdigest()


def _count(values: list[nn.Parameter] | tuple[nn.Parameter, ...]) -> int:
    return sum(value.numel() for value in values)
