"""All settings: their defaults, their ranges, and the environment names that set them.

| environment | field | meaning |
|---|---|---|
| `DERMAXAI_OFFLINE` | `offline` | touch no network; sets `HF_HUB_OFFLINE` too |
| `DERMAXAI_WEIGHTS` | `weights` | folder with one folder of weights per encoder (`dermaxai fetch --to`) |
| `DERMAXAI_DEVICE` | `device` | `auto`, `cpu`, `cuda`, `cuda:1`, `mps` |
| `DERMAXAI_DTYPE` | `dtype` | `float32` or `bfloat16` |
| `DERMAXAI_THREADS` | `threads` | CPU threads; 0 leaves the choice to the library |
| `DERMAXAI_SEED` | `seed` | of whatever draws random numbers |
| `DERMAXAI_BEAMS` | `beams` | width of the caption search; 1 is greedy |
| `DERMAXAI_BATCH` | `batch` | photos encoded at once in `describe` |
| `DERMAXAI_MAX_BYTES` | `max_bytes` | largest file that is opened |
| `DERMAXAI_MAX_PIXELS` | `max_pixels` | largest photo that is decoded |
| `DERMAXAI_MIN_SIDE` | `min_side` | shortest side of a photo |
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from dermaxai.errors import SettingError
from dermaxai.registry import check_name

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "DERMAXAI_"
DEVICES = ("auto", "cpu", "cuda", "mps")


class Settings(BaseSettings):
    """One immutable set of choices; every field may be given in the environment."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="forbid", env_ignore_empty=True, use_attribute_docstrings=True
    )

    offline: bool = False
    """Touch no network; what is missing is reported instead of fetched."""
    weights: Path | None = None
    """Folder that holds one folder of weights per encoder name; looked at before the hub's cache."""
    device: str = "auto"
    """'auto', 'cpu', 'cuda', 'cuda:<number>' or 'mps'."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Of weights and activations; explanations are always drawn from float32 values."""
    threads: int = Field(default=0, ge=0, le=1024)
    """CPU threads; 0 leaves the choice to the library. Another number may change the last bits."""
    seed: int = Field(default=0, ge=0, lt=2**63)
    """Of whatever draws random numbers."""
    beams: int = Field(default=1, ge=1, le=32)
    """Width of the caption search; 1 is greedy."""
    batch: int = Field(default=8, ge=1, le=4096)
    """Photos encoded at once when many are described."""
    max_bytes: int = Field(default=50_000_000, ge=1)
    """Largest file that is opened."""
    max_pixels: int = Field(default=100_000_000, ge=1)
    """Largest photo that is decoded, width times height."""
    min_side: int = Field(default=16, ge=1)
    """Shortest side of a photo, pixels."""

    @field_validator("device")
    @classmethod
    def _known_device(cls, value: str) -> str:
        kind, _, number = value.partition(":")
        if kind not in DEVICES or (number and (kind != "cuda" or not number.isdecimal())):
            raise ValueError(f"expected one of {', '.join(DEVICES)} or cuda:<number>")
        return value


class Choices(TypedDict, total=False):
    """The fields of `Settings` as keyword arguments; None leaves a field as it is."""

    offline: bool | None
    weights: Path | None
    device: str | None
    dtype: Literal["float32", "bfloat16"] | None
    threads: int | None
    seed: int | None
    beams: int | None
    batch: int | None
    max_bytes: int | None
    max_pixels: int | None
    min_side: int | None


@dataclass(frozen=True, slots=True)
class Chosen:
    """An automatic choice, and why it fell so."""

    value: str
    reason: str


def read_settings(**changes: Any) -> Settings:  # noqa: ANN401 - any field of Settings
    """Defaults, overruled by the environment, overruled by `changes` that are not None.

    Raises: UnknownName for an unknown field, SettingError with all faults at once.

    >>> read_settings(beams=3).beams
    3
    """
    for name in changes:
        check_name("setting", name, list(Settings.model_fields))
    given = {name: value for name, value in changes.items() if value is not None}
    try:
        settings = Settings(**given)
    except ValidationError as error:
        raise SettingError(_faults(error, given)) from None
    if settings.offline:
        forbid_network()
    return settings


def _faults(error: ValidationError, given: Mapping[str, object]) -> str:
    """Every fault in one message, each under the name that the user wrote."""
    lines = []
    for fault in error.errors():
        field = str(fault["loc"][0]) if fault["loc"] else ""
        name = field if field in given else f"{PREFIX}{field.upper()}"
        message = fault["msg"].removeprefix("Value error, ")
        lines.append(f"{name} is {fault['input']!r}: {message}")
    return f"{len(lines)} setting(s) cannot be used: " + "; ".join(lines) + "."


def forbid_network() -> None:
    """Tell the hub's libraries, which read their environment when they are imported, to stay offline."""
    os.environ["HF_HUB_OFFLINE"] = "1"


def unknown_names() -> list[str]:
    """`DERMAXAI_*` names in the environment that set nothing; likely misspelt."""
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    return sorted(name for name in os.environ if name.startswith(PREFIX) and name.upper() not in known)


def choose_device(wanted: str = "auto") -> Chosen:
    """The device to run on and the reason. Raises: SettingError where the wanted one is not there."""
    import torch

    has_mps = torch.backends.mps.is_available()
    if wanted == "auto":
        if torch.cuda.is_available():
            return Chosen("cuda", f"the CUDA device {torch.cuda.get_device_name(0)} is visible")
        if has_mps:
            return Chosen("mps", "no CUDA device is visible, Apple's MPS is")
        return Chosen("cpu", "no CUDA device is visible")
    kind, _, number = wanted.partition(":")
    there = {"cpu": 1, "mps": int(has_mps), "cuda": torch.cuda.device_count()}[kind]
    if int(number or 0) >= there:
        raise SettingError(
            f"The device '{wanted}' was asked for, but this machine shows {there or 'no'} {kind} device(s).",
            hint="Use --device auto or --device cpu.",
        )
    return Chosen(wanted, "it was asked for")
