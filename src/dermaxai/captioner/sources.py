"""Where a T5's files come from: a folder, or the hub's cache at a pinned revision."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor

from dermaxai.encoders.cards import is_hub_id
from dermaxai.encoders.hub import Wanted, is_offline, translated
from dermaxai.encoders.weights import hash_file, read_json, read_state_dict
from dermaxai.errors import UsageError, WeightsCorrupt, WeightsMissing

_SMALL_FILES = ["*.json", "*.model", "*.txt"]
_LAYOUTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)


def folder_of(source: str | Path, *, revision: str = "", offline: bool = False) -> tuple[Path, str]:
    """The folder that holds `source`, and the commit it is at ('' for a plain folder).

    Safetensors are preferred; `.bin` files are fetched only where there are none, at the same commit.
    Raises: UsageError, WeightsMissing, WeightsGated, WeightsOffline.
    """
    if Path(source).is_dir():
        return Path(source), ""
    if not is_hub_id(str(source)) or "@" in str(source):
        raise UsageError(f"'{source}' is neither a folder nor a hub id such as 'google-t5/t5-small'.")
    folder = _snapshot(str(source), revision, [*_SMALL_FILES, "model*.safetensors"], offline=offline)
    if not _has_weights(folder):
        patterns = [*_SMALL_FILES, "pytorch_model*.bin"]
        folder = _snapshot(str(source), folder.name, patterns, offline=offline)
    if not _has_weights(folder):
        raise WeightsMissing(
            f"'{source}' holds no weights at {folder.name}; expected one of {', '.join(_LAYOUTS)}.",
            hint=f"See https://huggingface.co/{source}; other formats are not read.",
        )
    return folder, folder.name


def _has_weights(folder: Path) -> bool:
    return any((folder / name).is_file() for name in _LAYOUTS)


def _snapshot(source: str, revision: str, patterns: list[str], *, offline: bool) -> Path:
    from huggingface_hub import snapshot_download

    wanted = Wanted(source, revision, source, "weights and tokenizer", "Connect, or give a local folder.")
    with translated(wanted):
        folder = snapshot_download(
            source,
            revision=revision or None,
            allow_patterns=patterns,
            local_files_only=is_offline(offline=offline),
        )
    return Path(folder)


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
        shards = sorted(set(weight_map(path).values()))
        for shard in shards:
            if not shard.is_file():
                raise WeightsMissing(f"'{name}' names '{shard.name}', which is not in '{folder}'.")
        return shards
    raise WeightsMissing(
        f"No weights in '{folder}'.",
        hint=f"Expected one of {', '.join(_LAYOUTS)}; other formats are not read.",
    )


def weight_map(index: Path) -> dict[str, Path]:
    """Which file holds which tensor, as the index of a sharded checkpoint says. Raises: WeightsCorrupt."""
    table = read_json(index).get("weight_map")
    if not isinstance(table, dict) or not table or not all(map(_is_plain_name, table.values())):
        raise WeightsCorrupt(
            f"{index} holds no 'weight_map' from tensors to files beside it.", hint="Download it again."
        )
    return {str(name): index.parent / file for name, file in table.items()}


def _is_plain_name(file: object) -> bool:
    return isinstance(file, str) and file not in ("", "..") and Path(file).name == file


def hash_of_files(paths: Iterable[Path]) -> str:
    """The sha256 of one file, or of the lines 'name hash' of several."""
    hashes = {path.name: hash_file(path) for path in paths}
    if len(hashes) == 1:
        return next(iter(hashes.values()))
    lines = "".join(f"{name} {value}\n" for name, value in sorted(hashes.items()))
    return hashlib.sha256(lines.encode()).hexdigest()
