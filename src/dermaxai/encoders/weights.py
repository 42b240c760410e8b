"""Weight files: found, hashed, read without running foreign code, and loaded key by key."""

from __future__ import annotations

import fnmatch
import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from dermaxai.encoders import hub
from dermaxai.encoders.cards import EncoderCard
from dermaxai.encoders.pickles import read_pickle
from dermaxai.errors import UsageError, WeightsCorrupt, WeightsMismatch, WeightsMissing

SUFFIXES = (".safetensors", ".bin", ".pt", ".pth")
"""Weight files, best first."""
RECORD = "dermaxai.json"
"""What `fetch` writes beside weights that are to be carried: where they came from."""
_SHOWN = 8
"""Keys listed in a message."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A weight file on this machine and the folder of its configuration and tokenizer."""

    folder: Path
    weights: Path
    sha256: str
    """Computed from the file, 64 hex digits."""
    revision: str = ""
    """Commit at the hub, 40 hex digits; empty where nothing says that it came from there."""


def resolve(card: EncoderCard, source: Path | None = None, *, offline: bool = False) -> Checkpoint:
    """Where the weights of `card` lie: in `source` (folder or file), in the package, or at the hub.

    The hub is asked only for what its cache does not hold, and never with `offline` or HF_HUB_OFFLINE.

    Raises: WeightsMissing, WeightsGated, WeightsOffline, WeightsCorrupt for a wrong hash.
    """
    if source is not None:
        weights = _given(card, Path(source))
    elif not card.repo_id:
        weights = _embedded(card)
    else:
        weights = hub.find(card) or hub.download(card, offline=offline).weights
    _check_not_a_stand_in(weights)
    sha256 = hash_file(weights)
    _check_hash(card, weights, sha256)
    revision = hub.revision_of(weights) or _recorded_revision(weights, sha256)
    return Checkpoint(weights.parent, weights, sha256, revision)


def resolve_tokenizer(card: EncoderCard, checkpoint: Checkpoint, *, offline: bool = False) -> Path | None:
    """The folder that holds the tokenizer: the checkpoint's own, else the card's; None if none is needed.

    Raises: as `resolve`.
    """
    if not card.tokenizer_repo or hub.has_tokenizer(checkpoint.folder):
        return checkpoint.folder if hub.has_tokenizer(checkpoint.folder) else None
    return hub.find_tokenizer(card) or hub.download_tokenizer(card, offline=offline)


def _recorded_revision(weights: Path, sha256: str) -> str:
    """The commit in the record beside the weights, if it speaks of this very file."""
    path = weights.with_name(RECORD)
    found = read_json(path) if path.is_file() else {}
    revision = str(found.get("revision", ""))
    known = found.get("sha256") == sha256 and re.fullmatch(r"[0-9a-f]{40}", revision)
    return revision if known else ""


def hash_file(path: Path) -> str:
    """sha256 of a file, 64 hex digits; remembered in memory while size and time stay."""
    state = path.stat()
    return _hash(path.resolve(), state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=64)
def _hash(path: Path, size: int, changed: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _given(card: EncoderCard, source: Path) -> Path:
    if source.is_file():
        return source
    if not source.is_dir():
        raise WeightsMissing(
            f"There is no file or folder {source}.",
            hint=f"Give a folder with '{card.weights}', or the file itself.",
        )
    for name in (card.weights, *card.alternatives):
        if (source / name).is_file():
            return source / name
    return _only_weights(card, source)


def _only_weights(card: EncoderCard, folder: Path) -> Path:
    """The one weight file of a folder whose names the card does not know."""
    for suffix in SUFFIXES:
        found = sorted(folder.glob(f"*{suffix}"))
        if len(found) == 1:
            return found[0]
        if found:
            names = ", ".join(path.name for path in found)
            raise WeightsMissing(f"{folder} holds several weight files: {names}.", hint="Name one of them.")
    there = ", ".join(sorted(path.name for path in folder.iterdir())[:_SHOWN]) or "nothing"
    raise WeightsMissing(
        f"No weights of '{card.name}' in {folder}: expected '{card.weights}', found {there}.",
        hint=f"Put the file there, or run 'dermaxai fetch {card.name}'.",
    )


def _embedded(card: EncoderCard) -> Path:
    folder = Path(str(files("dermaxai"))) / card.name / "encoder"
    if (folder / card.weights).is_file():
        return folder / card.weights
    if not folder.is_dir():
        digest = f" Its sha256 is {card.sha256}." if card.sha256 else ""
        size = hub.size_in_words(card.megabytes * 10**6)
        raise WeightsMissing(
            f"The weights of '{card.name}' ('{card.weights}', {size}) are not at the hub.{digest}",
            hint=" ".join(card.notes[:1]),
        )
    raise WeightsMissing(f"The package lacks {folder / card.weights}.", hint="Install it again.")


def _check_hash(card: EncoderCard, weights: Path, sha256: str) -> None:
    """Compare with the card; a converted file is judged by the hash of its source, kept in its metadata."""
    if not card.sha256:
        return
    if weights.suffix == Path(card.weights).suffix:
        came = sha256
    elif weights.suffix == ".safetensors":
        came = metadata(weights).get("source_sha256", "")
    else:
        return
    if came != card.sha256:
        raise WeightsCorrupt(
            f"{weights} is not the file that the card '{card.name}' names: expected sha256 {card.sha256}, "
            f"came {came or 'a file that does not say what it was converted from'}.",
            hint="Download it again; for other weights of this architecture write a card of their own.",
        )


def _check_not_a_stand_in(path: Path) -> None:
    """Small texts often stand where weights should be: Git LFS pointers, the web page of a download."""
    with path.open("rb") as file:
        start = file.read(256).lstrip().lower()
    if not start:
        raise WeightsCorrupt(f"{path} is empty.", hint="Download it again.")
    if start.startswith(b"version https://git-lfs"):
        raise WeightsCorrupt(
            f"{path} is a Git LFS pointer, not the weights.", hint="Run 'git lfs pull' there."
        )
    if start.startswith((b"<!doctype html", b"<html")):
        raise WeightsCorrupt(f"{path} is a web page, not the weights.", hint="Download the file itself.")


def metadata(path: Path) -> dict[str, str]:
    """The texts in the head of a safetensors file. Raises: WeightsCorrupt."""
    try:
        with safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise _damaged(path, error) from error


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """All tensors of a weight file on the CPU; `state_dict` or `model` unwrapped, leading `module.` removed.

    Raises: WeightsCorrupt for a damaged file, WeightsUnsafe for a pickle that needs more than tensors.
    """
    _check_not_a_stand_in(path)
    if path.suffix != ".safetensors":
        return read_pickle(path)
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except (SafetensorError, OSError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> WeightsCorrupt:
    return WeightsCorrupt(
        f"{path} is no whole safetensors file ({path.stat().st_size} bytes): {error}.",
        hint="Download it again.",
    )


def rename_prefixes(state: Mapping[str, Tensor], renamed: Mapping[str, str]) -> dict[str, Tensor]:
    """The same tensors, each name's first matching prefix replaced.

    >>> list(rename_prefixes({"text_encoder.proj": torch.zeros(1)}, {"text_encoder.": "text."}))
    ['text.proj']
    """
    return {_renamed(name, renamed): tensor for name, tensor in state.items()}


def _renamed(name: str, renamed: Mapping[str, str]) -> str:
    for old, new in renamed.items():
        if name.startswith(old):
            return new + name[len(old) :]
    return name


def load_strictly(
    module: nn.Module, state: Mapping[str, Tensor], *, dropped: Sequence[str] = (), what: str
) -> None:
    """Fill every tensor of `module` from `state`, and use every tensor of `state` but the `dropped` ones.

    `dropped` holds names or patterns with `*`. A module on the meta device takes the tensors over; dtypes of
    the module stay. Single numbers may differ in shape ([] and [1]); nothing else may. `what` names the
    checkpoint in messages.

    Raises: WeightsMismatch listing keys and shapes, WeightsCorrupt naming tensors with NaN or infinity.
    """
    kept = {name: tensor for name, tensor in state.items() if not _matches(name, dropped)}
    expected = module.state_dict()
    faults = list(_differences(expected, kept))
    if faults:
        raise WeightsMismatch(
            f"{what} does not fit the architecture, {len(faults)} difference(s):{_listed(faults)}",
            hint="Check that the card's kind and the configuration beside the weights belong to this file.",
        )
    _check_finite(kept, what)
    fitted = {name: kept[name].reshape(there.shape).to(there.dtype) for name, there in expected.items()}
    module.load_state_dict(fitted, strict=True, assign=any(there.is_meta for there in expected.values()))


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def _differences(expected: Mapping[str, Tensor], came: Mapping[str, Tensor]) -> Iterator[str]:
    for name, tensor in expected.items():
        shape = tuple(tensor.shape)
        if name not in came:
            yield f"missing: {name} {shape}"
        elif tuple(came[name].shape) != shape and not (came[name].numel() == tensor.numel() == 1):
            yield f"shape: {name}, expected {shape}, came {tuple(came[name].shape)}"
    for name in came.keys() - expected.keys():
        yield f"unexpected: {name} {tuple(came[name].shape)}"


def _listed(faults: Sequence[str]) -> str:
    """Up to `_SHOWN` faults, each kind in turn, so that no kind hides another."""
    order = {"shape": 0, "missing": 1, "unexpected": 2}
    ranked: dict[str, list[str]] = {kind: [] for kind in order}
    for fault in sorted(faults):
        ranked[fault.partition(":")[0]].append(fault)
    shown: list[str] = []
    for position in range(_SHOWN):
        shown += [group[position] for group in ranked.values() if position < len(group)]
    rest = len(faults) - len(shown[:_SHOWN])
    return "".join(f"\n  {fault}" for fault in shown[:_SHOWN]) + (f"\n  and {rest} more." if rest else "\n ")


def _check_finite(state: Mapping[str, Tensor], what: str) -> None:
    bad = [name for name, tensor in state.items() if tensor.is_floating_point() and not _is_finite(tensor)]
    if bad:
        rest = f" and {len(bad) - _SHOWN} more" if len(bad) > _SHOWN else ""
        raise WeightsCorrupt(
            f"{what} holds NaN or infinite values in {len(bad)} tensor(s): {', '.join(bad[:_SHOWN])}{rest}.",
            hint="The training that wrote it diverged, or the file is damaged; take another checkpoint.",
        )


def _is_finite(tensor: Tensor) -> bool:
    return bool(torch.isfinite(tensor).all())


def convert(source: Path, target: Path) -> Path:
    """Write the tensors of a pickle as safetensors, with the source's name and sha256 in the metadata.

    The pickle is read for its tensors alone; one that holds anything else is refused here as everywhere.
    Raises: UsageError, WeightsMissing, WeightsCorrupt, WeightsUnsafe.
    """
    if source.suffix == ".safetensors" or target.suffix != ".safetensors":
        raise UsageError(
            f"A pickle becomes a .safetensors file; came '{source.name}' and '{target.name}'.",
            hint="Name a .pt, .pth or .bin first, and the new file second.",
        )
    if not source.is_file():
        raise WeightsMissing(f"There is no file {source}.", hint="Check the path.")
    state = {name: tensor.contiguous().clone() for name, tensor in read_state_dict(source).items()}
    made = {"source": source.name, "source_sha256": hash_file(source), "format": "pt"}
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(target.name + ".part")
    save_file(state, partial, metadata=made)
    partial.replace(target)
    return target


def read_json(path: Path) -> dict[str, object]:
    """A configuration beside the weights. Raises: WeightsCorrupt unless it is a JSON table."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsCorrupt(f"{path} is no readable JSON: {error}.", hint="Download it again.") from error
    if not isinstance(values, dict):
        raise WeightsCorrupt(f"{path} holds a {type(values).__name__}, expected a JSON table.")
    return values
