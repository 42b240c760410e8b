"""What decides the demo encoder, and how a recipe's tables are read."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from dermaxai.errors import SettingError

Recipe = TypeVar("Recipe")


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of training at one resolution."""

    steps: int
    batch: int
    pixels: int
    """Side of the photo, a multiple of the patch size."""
    keep: float
    """Share of patches the tower sees while training. Source: FLIP (arXiv:2212.00794), section 3."""


@dataclass(frozen=True, slots=True)
class EncoderRecipe:
    """Everything that decides the demo encoder."""

    layers: int = 6
    width: int = 192
    text_layers: int = 2
    text_width: int = 128
    embed: int = 128
    vocabulary: int = 700
    context: int = 48
    block_rate: float = 3e-3
    """Learning rate of the matrices inside transformer blocks, which Muon trains."""
    learning_rate: float = 1e-3
    """Of everything else, which AdamW trains."""
    weight_decay: float = 0.05
    warmup: int = 150
    average: float = 0.99
    """Decay of the running mean of the weights, which is what is saved."""
    phases: tuple[Phase, ...] = (Phase(1500, 64, 112, 1.0), Phase(1000, 40, 224, 0.5))
    seed: int = 0
    save_every: int = 100

    @property
    def steps(self) -> int:
        """Of all phases."""
        return sum(phase.steps for phase in self.phases)

    def phase_at(self, step: int) -> Phase:
        """The phase that holds `step`."""
        for phase in self.phases:
            if step < phase.steps:
                return phase
            step -= phase.steps
        return self.phases[-1]


def read_recipe(path: Path) -> dict[str, Any]:
    """The recipe's TOML. Raises: SettingError if it is missing or not TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise SettingError(f"The recipe {path} cannot be read: {error}.") from error


def read_stage(kind: type[Recipe], recipe: Mapping[str, Any], stage: str) -> Recipe:
    """One table of a recipe, with the recipe's seed. Raises: SettingError naming unknown or missing keys."""
    if stage not in recipe:
        raise SettingError(f"The recipe has no table [{stage}].")
    values = {**recipe[stage], "seed": recipe.get("seed", 0)}
    if "phases" in values:
        values["phases"] = tuple(_build(Phase, phase, f"{stage}.phases") for phase in values["phases"])
    return _build(kind, values, stage)


def _build(kind: type[Recipe], values: Mapping[str, Any], where: str) -> Recipe:
    known = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    unknown = [name for name in values if name not in known]
    if unknown:
        raise SettingError(f"[{where}]: unknown {', '.join(unknown)}. Known: {', '.join(known)}.")
    try:
        return kind(**values)
    except TypeError as error:
        raise SettingError(f"[{where}]: {error}.") from error


def fingerprint(*parts: object) -> str:
    """Sha256 of what decides a stage: recipes, hashes of the stages before, photos."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def check_same(found: object, expected: str, path: Path) -> None:
    """Refuse to go on from another training's state. Raises: SettingError."""
    if found != expected:
        raise SettingError(
            f"{path} was left by a training with another recipe, other photos or another stage before it.",
            hint=f"Delete {path.name} to begin this stage anew, or give another --out.",
        )
