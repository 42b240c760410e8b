"""Reading PyTorch pickles for their tensors alone; no code inside them ever runs."""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import pickle
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.serialization import get_unsafe_globals_in_checkpoint, safe_globals

from dermaxai.errors import WeightsCorrupt, WeightsUnsafe

_WRAPPERS = ("state_dict", "model_state_dict", "model", "module")
"""Entries under which training checkpoints keep the tensors, in order of preference."""

_REFUSALS = ("nsupported", "allowlist", "blocked")
"""Words of PyTorch's refusals of anything but tensors."""


def read_pickle(path: Path) -> dict[str, Tensor]:
    """All tensors of a `.pt`, `.pth` or `.bin`, wrappers and a leading `module.` removed.

    Besides tensors only plain values, `argparse.Namespace` and NumPy numbers are let in: they hold data and
    call nothing. Raises: WeightsCorrupt, WeightsUnsafe.
    """
    with _translated(path), safe_globals(_harmless()), warnings.catch_warnings():
        # PyTorch warns of odd pickle protocols and programs; both end in an error with its own words below.
        warnings.simplefilter("ignore", UserWarning)
        # A legacy file (not a zip archive) cannot be mapped into memory.
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    return _without_module(_unwrapped(content, path))


def _harmless() -> list[Callable[..., Any] | tuple[Callable[..., Any], str]]:
    import numpy as np
    from numpy import dtypes

    numbers = [dtypes.Float64DType, dtypes.Float32DType, dtypes.Int64DType, dtypes.BoolDType]
    scalar: Any = np.float64(0).__reduce__()[0]
    old_name = (scalar, "numpy.core.multiarray.scalar")
    return [argparse.Namespace, np.dtype, scalar, old_name, *numbers]


@contextlib.contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except pickle.UnpicklingError as error:
        if _is_pickle(path) and any(word in str(error) for word in _REFUSALS):
            raise _unsafe(path) from error
        raise _damaged(path, error) from error
    except RuntimeError as error:
        if "TorchScript" in str(error):
            raise _unsafe(path, "it is a TorchScript program") from error
        raise _damaged(path, error) from error
    except (EOFError, OSError, ValueError, KeyError, AttributeError, TypeError, IndexError) as error:
        raise _damaged(path, error) from error


def _is_pickle(path: Path) -> bool:
    """Whether the file starts as a zip archive or a binary pickle; anything else is not even foreign code."""
    with path.open("rb") as file:
        return file.read(2)[:1] in (b"P", b"\x80")


def _unsafe(path: Path, why: str = "") -> WeightsUnsafe:
    return WeightsUnsafe(
        f"{path} holds more than tensors: {why or _named(path)}. It could run any code and was not opened.",
        hint=(
            "Prefer a safetensors file. If you trust its author, open it once on a machine without secrets "
            "by torch.load(..., weights_only=False), keep the entry 'state_dict', write it with "
            f"safetensors.torch.save_file(..., metadata={{'source_sha256': '{_sha256(path)}'}}), and give "
            "that file as the weights."
        ),
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _named(path: Path) -> str:
    try:
        with safe_globals(_harmless()):
            return ", ".join(sorted(get_unsafe_globals_in_checkpoint(path))) or "objects of unknown classes"
    except Exception:  # the listing is a courtesy; old files and odd opcodes have none
        return "objects of unknown classes"


def _damaged(path: Path, error: Exception) -> WeightsCorrupt:
    first_line = (str(error) or type(error).__name__).splitlines()[0]
    return WeightsCorrupt(
        f"{path} ({path.stat().st_size} bytes) is truncated or no PyTorch checkpoint: {first_line}",
        hint="Download it again.",
    )


def _unwrapped(content: object, path: Path) -> dict[str, Tensor]:
    if not isinstance(content, Mapping):
        raise WeightsCorrupt(f"{path} holds a {type(content).__name__}, expected a table of tensors.")
    for name in _WRAPPERS:
        if isinstance(content.get(name), Mapping):
            return _unwrapped(content[name], path)
    others = [str(name) for name, value in content.items() if not isinstance(value, Tensor)]
    if others or not content:
        raise WeightsCorrupt(
            f"{path} holds no table of tensors: found {', '.join(others[:8]) or 'nothing'}.",
            hint=f"Expected tensors by name, or one of the entries {', '.join(_WRAPPERS)}.",
        )
    return {str(name): value for name, value in content.items()}


def _without_module(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Remove the prefix that parallel training adds, if every tensor has it."""
    if all(name.startswith("module.") for name in state):
        return {name.removeprefix("module."): tensor for name, tensor in state.items()}
    return dict(state)
