"""Which encoder and which captioner a name stands for, found and put together."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import torch

from dermaxai.captioner.checkpoint import check_encoder, load_captioner
from dermaxai.captioner.model import Captioner
from dermaxai.encoders import load_encoder
from dermaxai.encoders.base import AbstractEncoder
from dermaxai.encoders.cards import card_names, short_name
from dermaxai.settings import Chosen, Settings, choose_device

DEMO = "demo"


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """What a model is made of."""

    encoder: AbstractEncoder
    captioner: Captioner | None
    device: Chosen


def demo_folder() -> Path:
    """Of the embedded model: `encoder/` and `captioner/`."""
    return Path(str(files("dermaxai"))) / DEMO


def load_parts(
    name: str | Path, source: str | Path | None, captioner: str | Path | None, settings: Settings
) -> Parts:
    """Encoder and captioner on the device of `settings`; arguments as of `pipeline.load`.

    Raises: UnknownName, SettingError, WeightsError, NotSupported for a captioner of another encoder.
    """
    device = choose_device(settings.device)
    dtype = getattr(torch, settings.dtype)
    home = _bundle(name)
    reader = Path(captioner) if captioner else home / "captioner" if home else None
    writer = None
    if reader is not None:
        writer = load_captioner(
            reader, device=device.value, dtype=dtype, merge=True, offline=settings.offline
        )
    known, place = _encoder_place(name, source, home, writer, settings)
    encoder = load_encoder(known, place, device=device.value, dtype=dtype, offline=settings.offline)
    if writer is not None:
        _adopt_name(encoder, writer)
        check_encoder(writer.config, encoder)
    return Parts(encoder, writer, device)


def _bundle(name: str | Path) -> Path | None:
    """The folder of a model that brings its own captioner."""
    if name == DEMO:
        return demo_folder()
    place = Path(name)
    return place if (place / "encoder").is_dir() and (place / "captioner").is_dir() else None


def _encoder_place(
    name: str | Path,
    source: str | Path | None,
    home: Path | None,
    writer: Captioner | None,
    settings: Settings,
) -> tuple[str | Path, Path | None]:
    """What `load_encoder` is asked for: a card's name or a folder, and where the weights lie."""
    if home is not None and name != DEMO:
        named = writer.config.encoder if writer else ""
        return (named, home / "encoder") if named in card_names() else (home / "encoder", None)
    return name, Path(source) if source is not None else carried_folder(name, settings)


def carried_folder(name: str | Path, settings: Settings) -> Path | None:
    """Where `dermaxai fetch --to` left an encoder, named by its card or hub id; None if it is not there."""
    known = short_name(str(name))
    if settings.weights is None or known not in card_names():
        return None
    folder = settings.weights / known
    return folder if folder.is_dir() else None


def _adopt_name(encoder: AbstractEncoder, writer: Captioner) -> None:
    """A folder may be called anything: the same weights are the same encoder."""
    if writer.config.encoder_sha256 == encoder.sha256 != "":
        encoder.card = dataclasses.replace(encoder.card, name=writer.config.encoder)
