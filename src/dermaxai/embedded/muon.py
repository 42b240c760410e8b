"""Muon: steps whose singular values are all alike, for the matrices inside transformer blocks.

`torch.optim.Muon` orthogonalises in bfloat16, which processors without such arithmetic emulate at a tenth of
the speed, and takes queries, keys and values for one matrix; this one works in the dtype of the weights.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the quintic iteration that pulls singular values towards 1, into about 0.7 to 1.2."""
ITERATIONS = 5
ADAM_SIZE = 0.2
"""Root mean square of a usual Adam step in units of its learning rate, which steps are scaled to."""


def orthogonalise(matrices: Float[Tensor, "*n rows columns"]) -> Float[Tensor, "*n rows columns"]:
    """The nearest matrices with singular values near 1, by a Newton-Schulz iteration.

    Source: Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks", algorithm 2.
    """
    first, third, fifth = COEFFICIENTS
    wide = matrices.shape[-2] <= matrices.shape[-1]
    x: Tensor = matrices if wide else matrices.mT
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(ITERATIONS):
        square = x @ x.mT
        x = first * x + (third * square + fifth * square @ square) @ x
    return x if wide else x.mT


class Muon(torch.optim.Optimizer):
    """Momentum, orthogonalised; the learning rate and the decay mean what they mean for AdamW.

    A matrix three times as tall as wide holds queries, keys and values, and is taken as three.
    Source: Liu et al., "Muon is scalable for LLM training" (arXiv:2502.16982), equation 4.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter] | Iterable[dict[str, Any]],
        *,
        lr: float,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One step of every matrix that has a gradient; there is no closure."""
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self._move(weight, weight.grad, group)

    def _move(self, weight: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state, momentum = self.state[weight], group["momentum"]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(weight)
        state["momentum"].lerp_(gradient, 1 - momentum)
        ahead = gradient.lerp(state["momentum"], momentum)
        rows, columns = weight.shape
        parts = ahead.view(3, columns, columns) if rows == 3 * columns else ahead
        step = orthogonalise(parts) * (ADAM_SIZE * max(parts.shape[-2:]) ** 0.5)
        weight.mul_(1 - group["lr"] * group["weight_decay"])
        weight.add_(step.reshape(weight.shape), alpha=-group["lr"])
