"""How much arithmetic a step is, and which share of the device's peak it reaches.

Counted are products of matrices: two operations per weight and token that passes it, once forward, and
backward once for the gradient of what passed and once more for that of weights that train. Scores of
attention, norms and softmax are left out (a few per cent), and so is padding: this is the model's
arithmetic, not the hardware's.
Source: PaLM (arXiv:2204.02311), appendix B, "model FLOPs utilization", applied to each part by itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from torch import nn

from dermaxai.captioner.model import Captioner
from dermaxai.captioner.modes import TrainableParts

PEAKS: dict[str, tuple[float, float]] = {
    "H200": (989e12, 67e12),
    "H100 PCIe": (756e12, 51e12),
    "H100 NVL": (835e12, 60e12),
    "H100": (989e12, 67e12),
    "A100": (312e12, 19.5e12),
    "L40S": (362e12, 91.6e12),
    "L4": (121e12, 30.3e12),
}
"""Operations per second in dense bfloat16 and plain float32, as NVIDIA's data sheets have them."""


def peak_of(device_name: str, *, bfloat16: bool) -> float | None:
    """Of a device by the name that CUDA tells, the more particular name first; None where unknown.

    >>> peak_of("NVIDIA H100 80GB HBM3", bfloat16=True)
    989000000000000.0
    """
    padded = f"{device_name} "
    fits = [peaks for name, peaks in PEAKS.items() if f" {name} " in padded or f" {name}-" in padded]
    return fits[0][0 if bfloat16 else 1] if fits else None


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """Operations per unit of a captioner's training, forward and backward."""

    per_patch: float
    """Keys and values of the Q-Former."""
    per_photo: float
    """The rest of the bridge."""
    per_text: float
    """What the T5 does with the queries."""
    per_token: float
    """What its decoder and head do with a piece of text."""

    def step(self, *, patches: int, photos: int, texts: int, tokens: int) -> float:
        """Operations of one step with that many of each; `patches` in all."""
        bridge = self.per_patch * patches + self.per_photo * photos
        return bridge + self.per_text * texts + self.per_token * tokens


def count(captioner: Captioner, parts: TrainableParts) -> Arithmetic:
    """The arithmetic of a captioner in a mode of training."""
    t5, queries = captioner.t5, captioner.config.bridge.queries
    # Forward is 1, backward to the input 1, backward to weights 1; a bridge that stays needs no backward.
    bridge = 3.0 if parts.qformer else 1.0
    text = 2.0
    keys = list(_matrices(captioner.bridge, "crossattention.attention.key", "crossattention.attention.value"))
    every = list(_matrices(captioner.bridge))
    memory = list(_matrices(t5.decoder, "EncDecAttention.k", "EncDecAttention.v"))
    decoder = list(_matrices(t5.decoder))
    head = t5.lm_head.weight.numel()
    encoder = 0 if captioner.config.skip_encoder else sum(_matrices(t5.encoder))
    return Arithmetic(
        per_patch=2 * bridge * sum(keys),
        per_photo=2 * bridge * (sum(every) - sum(keys)) * queries,
        per_text=2 * text * (sum(memory) + encoder) * queries,
        per_token=2 * text * (sum(decoder) - sum(memory) + head),
    )


def _matrices(module: nn.Module, *names: str) -> Iterable[int]:
    """Sizes of the weights of linear layers, all or those whose path holds one of `names`; LoRA left out."""
    for path, layer in module.named_modules():
        if (
            isinstance(layer, nn.Linear)
            and "lora_" not in path
            and (not names or any(name in path for name in names))
        ):
            yield layer.weight.numel()
