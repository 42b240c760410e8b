"""The processes that train together, led by Accelerate: one, several on a machine, or many machines."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, cast, final

import torch
from torch import nn

from dermaxai.errors import MissingExtra

if TYPE_CHECKING:
    from accelerate import Accelerator


@final
class AcceleratedTeam:
    """One process among those that `accelerate launch` started, or a single one.

    Arithmetic in bfloat16 and accumulation are the step's business; Accelerate knows nothing of them.
    Args: device, 'cpu' keeps a training off accelerators, anything else leaves the choice.
    Raises: MissingExtra.
    """

    def __init__(self, device: str = "auto") -> None:
        try:
            from accelerate import Accelerator
        except ImportError:
            raise MissingExtra(
                "Training needs the package accelerate.", hint="pip install 'dermaxai[train]'"
            ) from None
        self._lead: Accelerator = Accelerator(cpu=device == "cpu", mixed_precision="no")
        self.rank, self.world = int(self._lead.process_index), int(self._lead.num_processes)
        self.device: torch.device = self._lead.device

    @property
    def leads(self) -> bool:
        """Whether this process writes files and talks."""
        return self.rank == 0

    def prepare(self, model: nn.Module) -> nn.Module:
        """The model on the device, its gradients averaged over processes."""
        return cast(nn.Module, self._lead.prepare_model(model))

    def total(self, values: Sequence[float]) -> list[float]:
        """Sums over all processes."""
        if self.world == 1:
            return list(values)
        own = torch.tensor(values, dtype=torch.float64, device=self.device)
        return cast(list[float], self._lead.reduce(own, "sum").tolist())

    def waiting(self, model: nn.Module) -> AbstractContextManager[None]:
        """Inside, gradients stay where they are."""
        return cast("AbstractContextManager[None]", self._lead.no_sync(model))

    def wait(self) -> None:
        """Until every process is here."""
        self._lead.wait_for_everyone()
