"""A captioner as a folder: config, weights as safetensors, tokenizer, adapters, card; every file hashed.

captioner.json      config, and the sha256 of every other file
bridge.safetensors
statistics.safetensors      what the training photos looked like; absent when nobody measured it
t5/                 config.json, model.safetensors; absent when the base is named by hub id and revision
adapter/            the default adapter as PEFT writes it; others in adapter/<name>/
tokenizer/
card.md
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from dermaxai.captioner.adapters import read_adapter, write_adapter
from dermaxai.captioner.config import ADAPTER, CaptionerConfig, config_from_json, config_to_json
from dermaxai.captioner.decoder import T5Base, build_t5, load_t5, load_tokenizer, read_t5_config, save_t5
from dermaxai.captioner.model import Captioner
from dermaxai.captioner.sources import read_weights
from dermaxai.encoders.base import AbstractEncoder
from dermaxai.encoders.weights import hash_file, load_strictly, read_json, read_state_dict
from dermaxai.errors import NotSupported, WeightsCorrupt, WeightsMismatch, WeightsMissing

FORMAT = 1
"""Raised when an older program could not read the folder."""
_CONFIG, _BRIDGE, _STATISTICS = "captioner.json", "bridge.safetensors", "statistics.safetensors"


@dataclass(frozen=True, slots=True)
class Packing:
    """How a captioner is stored."""

    embed_t5: bool = True
    """Store the T5 base; False: name it by hub id, revision and hash."""
    t5_dtype: torch.dtype | None = None
    """float16 halves the base; None keeps its own."""
    bridge_dtype: torch.dtype | None = None
    data: str = "not stated"
    """What it was trained on, for the card."""
    licence: str = "not stated"
    notes: str = ""
    """More Markdown for the card."""


def save_captioner(captioner: Captioner, folder: str | Path, packing: Packing | None = None) -> str:
    """Write the folder at once or not at all, replacing an old one; gives the captioner's sha256.

    Raises: SettingError for weights that do not fit the storage type, WeightsMissing for a base
    that is to be named but has no revision.
    """
    packing, target = packing or Packing(), Path(folder)
    target.parent.mkdir(parents=True, exist_ok=True)
    was_merged = captioner.adapters.merged
    captioner.adapters.unmerge()
    staging = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        captioner.sha256 = _write(captioner, staging, packing)
        _swap(staging, target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        if was_merged:
            captioner.adapters.merge()
    return captioner.sha256


def _write(captioner: Captioner, folder: Path, packing: Packing) -> str:
    config = captioner.config
    state = {
        name: value.cpu().to(packing.bridge_dtype or value.dtype) for name, value in _bridge_state(captioner)
    }
    save_file(state, folder / _BRIDGE, {"format": "pt"})
    _write_statistics(captioner, folder)
    sha256 = captioner.base_sha256
    if packing.embed_t5:
        sha256 = save_t5(captioner.t5, folder / "t5", dtype=packing.t5_dtype)
    elif not (config.t5_revision and sha256):
        raise WeightsMissing(f"T5 '{config.t5}' has no revision at the hub.", hint="Store it: embed_t5=True.")
    captioner.tokenizer.save_pretrained(str(folder / "tokenizer"))
    for name in captioner.adapters.settings:
        place = folder / "adapter" / ("" if name == "default" else name)
        write_adapter(captioner.adapters, name, place, base=config.t5, revision=config.t5_revision)
    (folder / "card.md").write_text(_card(captioner, packing), encoding="utf-8")
    table = {
        "format": FORMAT,
        "config": config_to_json(config.with_changes(adapters=dict(captioner.adapters.settings))),
        "t5": {"embedded": packing.embed_t5, "sha256": sha256},
        "files": _hashes(folder),
    }
    return _write_table(table, folder)


def save_statistics(captioner: Captioner, folder: str | Path) -> str:
    """Replace the statistics of the stored captioner and nothing else; gives its new sha256.

    Raises: WeightsMissing if no captioner is stored there.
    """
    place = Path(folder)
    table = _read_table(place)
    if captioner.statistics:
        _write_statistics(captioner, place)
        table["files"][_STATISTICS] = hash_file(place / _STATISTICS)
    captioner.sha256 = _write_table(table, place)
    return captioner.sha256


def _write_statistics(captioner: Captioner, folder: Path) -> None:
    if captioner.statistics:
        measured = {name: value.cpu().contiguous() for name, value in captioner.statistics.items()}
        save_file(measured, folder / _STATISTICS, {"format": "pt"})


def _write_table(table: dict[str, Any], folder: Path) -> str:
    text = json.dumps(table, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    (folder / _CONFIG).write_text(text, encoding="utf-8")
    return hash_file(folder / _CONFIG)


def _bridge_state(captioner: Captioner) -> list[tuple[str, torch.Tensor]]:
    return [(name, value.detach().contiguous()) for name, value in captioner.bridge.state_dict().items()]


def _hashes(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != _CONFIG)
    return {path.relative_to(folder).as_posix(): hash_file(path) for path in files}


def _swap(staging: Path, target: Path) -> None:
    """Put the finished folder in place; a reader finds the old one or the new one, never a half."""
    staging.chmod(0o755)
    old = target.with_name(f".{target.name}-old-{os.getpid()}")
    if target.exists():
        target.rename(old)
    staging.rename(target)
    shutil.rmtree(old, ignore_errors=True)


def _card(captioner: Captioner, packing: Packing) -> str:
    config = captioner.config
    trained = {"bridge (Q-Former, projection)": sum(value.numel() for value in captioner.bridge.parameters())}
    for name in captioner.adapters.settings:
        state = captioner.adapters.state(name)
        trained[f"LoRA adapter `{name}`"] = sum(value.numel() for value in state.values())
    base = sum(value.numel() for name, value in captioner.t5.named_parameters() if "lora_" not in name)
    lines = ["# Captioner", "", "| part | parameters | training |", "|---|---:|---|"]
    lines += [f"| {part} | {count:,} | trainable |" for part, count in trained.items()]
    lines += [f"| T5 base `{config.t5}` | {base:,} | frozen |"]
    lines += [f"| encoder `{config.encoder}` | not in here | frozen |", ""]
    lines += [f"Trainable: {sum(trained.values()):,}. Frozen: {base:,}, and the encoder.", ""]
    lines += [f"Data: {packing.data}", "", f"Licence of the weights: {packing.licence}", ""]
    lines += [f"Languages: {', '.join(config.languages)}.", "", packing.notes]
    return "\n".join(lines).rstrip() + "\n"


def load_captioner(
    folder: str | Path,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    encoder: AbstractEncoder | None = None,
    merge: bool = False,
    offline: bool = False,
) -> Captioner:
    """Read a captioner, every file against its hash; `merge` folds the active adapter into the T5.

    Raises: WeightsMissing, WeightsCorrupt, WeightsMismatch, NotSupported if `encoder` is not its own.
    """
    place = Path(folder)
    table = _read_table(place)
    config = config_from_json(table["config"])
    if encoder is not None:
        check_encoder(config, encoder)
    _verify(place, table["files"])
    base = _load_base(place, config, table["t5"], offline=offline)
    captioner = Captioner(config.with_changes(adapters={}), base)
    load_strictly(captioner.bridge, read_state_dict(place / _BRIDGE), what=f"'{_BRIDGE}'")
    for name in config.adapters:
        read_adapter(captioner.adapters, name, place / "adapter" / ("" if name == "default" else name))
    active = config.tables.get(ADAPTER, "default")
    captioner.adapters.use(active if active in config.adapters else None)
    captioner.config, captioner.sha256 = config, hash_file(place / _CONFIG)
    captioner.requires_grad_(False).eval().to(device, dtype)
    if (place / _STATISTICS).is_file():
        stored = read_state_dict(place / _STATISTICS)
        captioner.statistics = {name: value.clone() for name, value in stored.items()}
    if merge:
        captioner.adapters.merge()
    return captioner


def check_encoder(config: CaptionerConfig, encoder: AbstractEncoder) -> None:
    """Raise WeightsMismatch for another width or other weights, NotSupported for another encoder."""
    if encoder.card.name != config.encoder:
        raise NotSupported(
            f"The captioner reads encoder '{config.encoder}', not '{encoder.card.name}'.",
            hint=f"Load '{config.encoder}', or train a captioner for '{encoder.card.name}'.",
        )
    if encoder.width != config.encoder_width:
        raise WeightsMismatch(
            f"The captioner reads patches {config.encoder_width} wide, "
            f"'{encoder.card.name}' gives {encoder.width}."
        )
    if config.encoder_sha256 and encoder.sha256 != config.encoder_sha256:
        raise WeightsMismatch(
            f"The captioner was trained on weights {config.encoder_sha256[:12]}… of '{config.encoder}', "
            f"these are {encoder.sha256[:12] or 'unknown'}….",
            hint="Load the encoder at the revision its card names.",
        )


def _read_table(folder: Path) -> dict[str, Any]:
    path = folder / _CONFIG
    if not path.is_file():
        raise WeightsMissing(
            f"No '{_CONFIG}' in '{folder}'.", hint="Give the folder that `save_captioner` wrote."
        )
    table: dict[str, Any] = read_json(path)
    if table.get("format") != FORMAT:
        raise NotSupported(
            f"The captioner folder has format {table.get('format')}, this program reads {FORMAT}.",
            hint="Update dermaxai.",
        )
    return table


def _verify(folder: Path, files: dict[str, str]) -> None:
    for name, sha256 in files.items():
        path = folder / name
        if not path.is_file():
            raise WeightsMissing(f"'{name}' is not in '{folder}'.", hint="Copy the whole folder again.")
        came = hash_file(path)
        if came != sha256:
            raise WeightsCorrupt(
                f"'{name}' has sha256 {came[:12]}…, expected {sha256[:12]}….", hint="Copy the folder again."
            )


def _load_base(folder: Path, config: CaptionerConfig, entry: dict[str, Any], *, offline: bool) -> T5Base:
    if entry["embedded"]:
        state, sha256 = read_weights(folder / "t5")
        model = build_t5(read_t5_config(folder / "t5"), state)
        return T5Base(model, load_tokenizer(folder / "tokenizer"), config.t5, config.t5_revision, sha256)
    base = load_t5(config.t5, revision=config.t5_revision, offline=offline)
    if base.sha256 != entry["sha256"]:
        raise WeightsMismatch(
            f"T5 '{config.t5}' has sha256 {base.sha256[:12]}…, "
            f"the captioner was trained on {entry['sha256'][:12]}…."
        )
    return T5Base(base.model, load_tokenizer(folder / "tokenizer"), base.source, base.revision, base.sha256)
