"""Checkpoints of a training: each one file, named by its own hash, written at once or not at all.

`step-00000500-<hash>.safetensors` holds the weights that train, the optimiser's moments, and in its header
where the training stands. `best-00000400-<hash>.safetensors` holds the best state's weights. Frozen weights
are in neither: the fingerprint names them by their hashes.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, final

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from dermaxai.encoders.weights import hash_file
from dermaxai.errors import SettingError, WeightsCorrupt

Fingerprint = Mapping[str, str]
"""Everything that decides a training, by name."""
_HASH = 16
"""Digits of the hash in a name."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a training stands."""

    step: int = 0
    """Steps done; the next one has this number."""
    best: float | None = None
    """Best goal so far, higher is better."""
    best_step: int = 0
    best_file: str = ""
    idle: int = 0
    """Checks since the best one."""
    made_from: dict[str, str] = field(default_factory=dict)


@final
class Checkpoints:
    """The checkpoints of one run folder."""

    def __init__(self, folder: Path, *, keep: int = 2) -> None:
        self.folder, self._keep = folder, keep

    def exist(self) -> bool:
        """Whether any training has left something here."""
        return any(self.folder.glob("step-*.safetensors"))

    def save(self, standing: Standing, weights: Mapping[str, Tensor], moments: Mapping[str, Tensor]) -> Path:
        """Write one, then delete what is older than the last ones."""
        tensors = {f"weights/{name}": value for name, value in weights.items()}
        tensors |= {f"moments/{name}": value for name, value in moments.items()}
        path = self._write("step", standing.step, tensors, json.dumps(asdict(standing)))
        self._prune()
        return path

    def save_best(self, step: int, weights: Mapping[str, Tensor]) -> str:
        """Write the best state; gives its file's name, for the next `Standing`."""
        return self._write("best", step, weights, "{}").name

    def load(self, made_from: Fingerprint) -> tuple[Standing, dict[str, Tensor], dict[str, Tensor]] | None:
        """The newest whole checkpoint with its weights and moments; None where there is none.

        A damaged one is passed over with a warning. Raises: SettingError for one of another training,
        naming what differs; WeightsCorrupt where none of them is whole.
        """
        paths = sorted(self.folder.glob("step-*.safetensors"), reverse=True)
        for path in paths:
            try:
                standing, tensors = _read(path)
                self._check_best(standing)
            except WeightsCorrupt as error:
                warnings.warn(f"{error} The checkpoint before it is tried.", stacklevel=2)
                continue
            check_same(standing.made_from, made_from, self.folder)
            return standing, _below(tensors, "weights/"), _below(tensors, "moments/")
        if paths:
            raise WeightsCorrupt(
                f"All {len(paths)} checkpoints in '{self.folder}' are damaged.",
                hint="Begin anew in another folder.",
            )
        return None

    def load_best(self, standing: Standing) -> dict[str, Tensor]:
        """Weights of the best state. Raises: WeightsCorrupt."""
        return _tensors(self.folder / standing.best_file)[1]

    def _check_best(self, standing: Standing) -> None:
        if standing.best_file:
            _verify(self.folder / standing.best_file)

    def _write(self, kind: str, step: int, tensors: Mapping[str, Tensor], header: str) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        part = self.folder / f".{kind}-{os.getpid()}.part"
        stored = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
        # One entry only: the library writes several in any order, and the name is the file's hash.
        save_file(stored, part, {"standing": header})
        path = self.folder / f"{kind}-{step:08}-{hash_file(part)[:_HASH]}.safetensors"
        sync(part)
        part.replace(path)
        sync(self.folder)
        return path

    def _prune(self) -> None:
        """Keep the last checkpoints, and the best states that they name."""
        paths = sorted(self.folder.glob("step-*.safetensors"), key=lambda path: path.name[:13])
        kept = paths[-self._keep :]
        named = {_header(path).best_file for path in kept}
        old = [path for path in self.folder.glob("best-*.safetensors") if path.name not in named]
        for path in [*paths[: -self._keep], *old, *self._leftovers()]:
            path.unlink(missing_ok=True)

    def _leftovers(self) -> Iterable[Path]:
        """Parts of writers that were killed."""
        own = f"-{os.getpid()}.part"
        return [path for path in self.folder.glob(".*.part") if not path.name.endswith(own)]


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def check_same(found: Fingerprint, wanted: Fingerprint, folder: Path) -> None:
    """Raise SettingError naming what differs between two trainings."""
    names = sorted(name for name in found.keys() | wanted.keys() if found.get(name) != wanted.get(name))
    if names:
        told = [
            f"{name} was {found.get(name, 'not set')}, is {wanted.get(name, 'not set')}" for name in names
        ]
        raise SettingError(
            f"'{folder}' holds another training:" + "".join(f"\n  - {one}" for one in told) + "\n",
            hint="Resume with the recipe and data it began with, or give another folder.",
        )


def _read(path: Path) -> tuple[Standing, dict[str, Tensor]]:
    header, tensors = _tensors(path)
    return _standing(header, path), tensors


def _tensors(path: Path) -> tuple[str, dict[str, Tensor]]:
    _verify(path)
    try:
        with safe_open(path, "pt") as file:
            header = (file.metadata() or {}).get("standing", "")
            return header, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except (OSError, SafetensorError) as error:
        raise WeightsCorrupt(f"'{path.name}' cannot be read: {error}.") from error


def _verify(path: Path) -> None:
    if not path.is_file():
        raise WeightsCorrupt(f"'{path.name}' is missing.")
    if hash_file(path)[:_HASH] != path.stem.rpartition("-")[2]:
        raise WeightsCorrupt(f"'{path.name}' is damaged.")


def _header(path: Path) -> Standing:
    try:
        with safe_open(path, "pt") as file:
            return _standing((file.metadata() or {}).get("standing", ""), path)
    except (OSError, SafetensorError, WeightsCorrupt):
        return Standing()


def _standing(text: str, path: Path) -> Standing:
    try:
        values = json.loads(text)
        return Standing(**{one.name: values[one.name] for one in fields(Standing)})
    except (ValueError, KeyError, TypeError) as error:
        raise WeightsCorrupt(f"'{path.name}' does not say where its training stands.") from error


def _below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def weights_of(module: nn.Module) -> dict[str, Tensor]:
    """The parameters that train, by name."""
    return {name: value.detach() for name, value in module.named_parameters() if value.requires_grad}


def put_weights(module: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Copy values into the parameters that train. Raises: WeightsCorrupt for other names or shapes."""
    own = weights_of(module)
    if {name: value.shape for name, value in own.items()} != {k: v.shape for k, v in weights.items()}:
        raise WeightsCorrupt("The checkpoint holds other weights than those that train.")
    for name, value in own.items():
        value.copy_(weights[name])


def moments_of(optimizer: torch.optim.Optimizer, module: nn.Module) -> dict[str, Tensor]:
    """What the optimiser keeps of each parameter that trains, as 'name/kind'."""
    names: dict[Tensor, str] = {value: name for name, value in module.named_parameters()}
    return {
        f"{names[parameter]}/{kind}": value
        for parameter, state in optimizer.state.items()
        for kind, value in state.items()
    }


def put_moments(optimizer: torch.optim.Optimizer, module: nn.Module, moments: Mapping[str, Tensor]) -> None:
    """The inverse of `moments_of`."""
    named = dict(module.named_parameters())
    for key, value in moments.items():
        name, _, kind = key.rpartition("/")
        parameter = named[name]
        state: dict[str, Any] = optimizer.state[parameter]
        # AdamW counts its steps on the CPU, whatever the device of the weights.
        state[kind] = value.clone() if kind == "step" else value.to(parameter.device, copy=True)
