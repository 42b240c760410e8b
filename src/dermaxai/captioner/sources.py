"""Where a T5's files come from: a folder, or the hub's cache at a pinned revision."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor

from dermaxai.encoders.hub import is_offline
from dermaxai.encoders.weights import hash_file, read_state_dict
from dermaxai.errors import UsageError, WeightsCorrupt, WeightsGated, WeightsMissing, WeightsOffline

_SMALL_FILES = ["*.json", "*.model", "*.txt"]
_LAYOUTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)


def folder_of(source: str | Path, *, revision: str = "", offline: bool = False) -> tuple[Path, str]:
    """The folder that holds `source`, and the commit it is at ('' for a plain folder).

    Safetensors are preferred; `.bin` files are fetched only where there are none.
    Raises: UsageError, WeightsMissing, WeightsGated, WeightsOffline.
    """
    if Path(source).is_dir():
        return Path(source), ""
    if str(source).count("/") != 1 or str(source).startswith((".", "/", "~")):
        raise UsageError(f"'{source}' is neither a folder nor a hub id such as 'google-t5/t5-small'.")
    folder = _snapshot(str(source), revision, [*_SMALL_FILES, "model*.safetensors"], offline=offline)
    if not any((folder / name).is_file() for name in _LAYOUTS):
        folder = _snapshot(str(source), revision, [*_SMALL_FILES, "pytorch_model*.bin"], offline=offline)
    return folder, folder.name


def _snapshot(source: str, revision: str, patterns: list[str], *, offline: bool) -> Path:
    from huggingface_hub import errors, snapshot_download

    try:
        return Path(
            snapshot_download(
                source,
                revision=revision or None,
                allow_patterns=patterns,
                local_files_only=is_offline(offline=offline),
            )
        )
    except errors.GatedRepoError as error:
        raise WeightsGated(
            f"The hub wants an agreement before it gives out '{source}'.",
            hint=f"Accept it at https://huggingface.co/{source}, then `hf auth login`.",
        ) from error
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError) as error:
        raise WeightsMissing(
            f"The hub has no '{source}' at revision '{revision or 'main'}'.", hint="Check the spelling."
        ) from error
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled) as error:
        raise WeightsOffline(
            f"'{source}' is not in this machine's cache, and the hub cannot be asked.",
            hint="Connect once, or give a local folder.",
        ) from error


def read_weights(folder: Path) -> tuple[dict[str, Tensor], str]:
    """All tensors of a transformers folder and the sha256 over its weight files.

    Safetensors first; `.bin` files are read with `weights_only=True`.
    Raises: WeightsMissing, WeightsCorrupt, WeightsUnsafe.
    """
    paths = _weight_files(folder)
    state: dict[str, Tensor] = {}
    for path in paths:
        state.update(read_state_dict(path))
    broken = [name for name, tensor in state.items() if not torch.isfinite(tensor).all()]
    if broken:
        raise WeightsCorrupt(
            f"'{broken[0]}' in '{folder.name}' holds NaN or infinite values.", hint="Get the file again."
        )
    return state, hash_of_files(paths)


def _weight_files(folder: Path) -> list[Path]:
    for name in _LAYOUTS:
        path = folder / name
        if not path.is_file():
            continue
        if path.suffix != ".json":
            return [path]
        table = json.loads(path.read_text(encoding="utf-8"))["weight_map"]
        shards = [folder / file for file in sorted(set(table.values()))]
        for shard in shards:
            if not shard.is_file():
                raise WeightsMissing(f"'{name}' names '{shard.name}', which is not in '{folder}'.")
        return shards
    raise WeightsMissing(
        f"No weights in '{folder}'.",
        hint=f"Expected one of {', '.join(_LAYOUTS)}; other formats are not read.",
    )


def hash_of_files(paths: Iterable[Path]) -> str:
    """The sha256 of one file, or of the lines 'name hash' of several."""
    hashes = {path.name: hash_file(path) for path in paths}
    if len(hashes) == 1:
        return next(iter(hashes.values()))
    lines = "".join(f"{name} {value}\n" for name, value in sorted(hashes.items()))
    return hashlib.sha256(lines.encode()).hexdigest()
