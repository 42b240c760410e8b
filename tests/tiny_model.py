"""The smallest model that does everything: an open_clip folder and a captioner that knows two captions."""

from pathlib import Path

import torch

from dermaxai.captioner.checkpoint import save_captioner
from dermaxai.captioner.config import BridgeConfig
from dermaxai.captioner.model import Captioner
from dermaxai.encoders import load_encoder
from dermaxai.encoders.base import AbstractEncoder
from tests.captioner import tiny as captioners
from tests.encoders import tiny as encoders

CAPTIONS = {"en": "a large dark lesion", "ru": "крупный очаг"}
"""Of any photo."""
OTHERWISE = {"en": "a pink nodule", "ru": "розовый узел"}
"""Of the mean photo, so that every word but 'a' owes something to the image."""
KNOWN = 0.01
"""Nats per token below which the captions count as learned."""


def write_bundle(folder: Path) -> Path:
    """`encoder/` with random weights, and `captioner/` taught to write `CAPTIONS`."""
    encoders.open_clip_folder(folder / "encoder")
    encoder = load_encoder(folder / "encoder", offline=True)
    sizes = {"hidden": 16, "layers": 2, "heads": 2, "queries": 4, "dropout": 0.0}
    made = captioners.captioner(
        encoder="tiny",
        encoder_sha256=encoder.sha256,
        bridge=BridgeConfig(encoder.width, captioners.D_MODEL, **sizes),
        max_tokens=24,
        tables={"name": "tiny captioner", "licence": "CC0", "mean_patches": [0.0] * encoder.width},
    )
    _teach(made, encoder)
    save_captioner(made, folder / "captioner")
    return folder


def _teach(made: Captioner, encoder: AbstractEncoder) -> None:
    photos = [encoders.photo(64, 64, seed) for seed in (0, 1)]
    patches = torch.stack([one.patches for one in encoder.encode(photos)]).clone()
    patches = torch.cat([patches, torch.zeros_like(patches[:1])])
    texts = [*CAPTIONS.values(), *CAPTIONS.values(), *OTHERWISE.values()]
    batch = made.prepare(texts, [*CAPTIONS] * 3)
    made.requires_grad_(True)
    optimiser = torch.optim.Adam(made.parameters(), lr=1e-2)
    for _ in range(1000):
        loss = made(patches, batch)
        if float(loss.detach()) < KNOWN:
            break
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
    else:
        raise RuntimeError(f"The tiny captioner has not learned its captions: {float(loss):.3f} nats.")
    made.requires_grad_(False)
