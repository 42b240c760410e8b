"""Frozen vision encoders: one adapter per library, one card per checkpoint.

>>> sorted(ADAPTERS)
['hf', 'openclip', 'panderm']
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from dermaxai.registry import Table

if TYPE_CHECKING:
    import torch

    from dermaxai.encoders.base import AbstractEncoder
    from dermaxai.encoders.cards import EncoderCard

ADAPTERS = Table(
    "adapter",
    {
        "openclip": "dermaxai.encoders.openclip:OpenClipEncoder",
        "panderm": "dermaxai.encoders.panderm:PanDermEncoder",
        "hf": "dermaxai.encoders.hf:HuggingFaceEncoder",
    },
)
"""Which class reads which `EncoderCard.adapter`."""


def load_encoder(
    name_or_card: str | Path | EncoderCard,
    source: str | Path | None = None,
    *,
    device: str | torch.device = "cpu",
    dtype: torch.dtype | None = None,
    offline: bool = False,
) -> AbstractEncoder:
    """An encoder by its card, the card's name or hub id, or by a folder or a hub id that needs no card.

    A folder or repository without a card must hold `open_clip_config.json` or transformers' `config.json`; a
    hub id may end in `@revision`. `source` (folder or weight file) replaces the hub. `dtype` is float32
    unless given; bfloat16 works everywhere. Where nobody knows the activation, a UserWarning says so.

    Raises: UnknownName; WeightsError; NotSupported for an architecture that cannot be explained.
    """
    import torch

    from dermaxai.encoders.naming import find_card
    from dermaxai.encoders.weights import resolve

    card, place = find_card(name_or_card, source, offline=offline)
    checkpoint = resolve(card, place, offline=offline)
    encoder: AbstractEncoder = ADAPTERS.load(card.adapter)(
        card, checkpoint, device=torch.device(device), dtype=dtype or torch.float32, offline=offline
    )
    _warn_of_activation(card)
    return encoder


def _warn_of_activation(card: EncoderCard) -> None:
    """A card of ours that says 'unknown' has reason to doubt the configuration beside the weights.

    A card made from that configuration has none of its own, and takes it at its word.
    """
    if card.activation == "unknown" and card.config:
        warnings.warn(
            f"Nobody knows whether '{card.name}' was trained with GELU or QuickGELU; the configuration "
            "beside its weights decides. Find out with "
            f"'dermaxai models activation {card.name} --on PHOTOS'.",
            stacklevel=3,
        )
