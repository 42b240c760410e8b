"""Frozen vision encoders: one adapter per library, one card per checkpoint.

>>> sorted(ADAPTERS)
['hf', 'openclip', 'panderm']
"""

from __future__ import annotations

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
    """An encoder by the name of its card, by its card, or by a folder that needs none.

    A folder without a card must hold `open_clip_config.json` or transformers' `config.json`. `source`
    (folder or weight file) replaces the hub. `dtype` is float32 unless given; bfloat16 works everywhere.

    Raises: UnknownName; WeightsError; NotSupported for an architecture that cannot be explained.
    """
    import torch

    from dermaxai.encoders.weights import resolve

    card, place = _card_and_source(name_or_card, source)
    checkpoint = resolve(card, place, offline=offline)
    encoder: AbstractEncoder = ADAPTERS.load(card.adapter)(
        card, checkpoint, device=torch.device(device), dtype=dtype or torch.float32, offline=offline
    )
    return encoder


def _card_and_source(
    name_or_card: str | Path | EncoderCard, source: str | Path | None
) -> tuple[EncoderCard, Path | None]:
    from dermaxai.encoders.cards import EncoderCard, card_names, read_card
    from dermaxai.encoders.folders import card_of_folder

    place = Path(source) if source is not None else None
    if isinstance(name_or_card, EncoderCard):
        return name_or_card, place
    path = Path(name_or_card)
    if place is None and str(name_or_card) not in card_names() and path.is_dir():
        return card_of_folder(path), path
    return read_card(name_or_card), place
