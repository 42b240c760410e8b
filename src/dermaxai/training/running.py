"""A recipe from its first check to a trained captioner."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from dermaxai.settings import choose_device
from dermaxai.training.assembling import assemble
from dermaxai.training.checking import check_recipe
from dermaxai.training.checkpoints import Standing
from dermaxai.training.loop import Listener, Training, check_folder
from dermaxai.training.recipe import Recipe
from dermaxai.training.survey import Progress
from dermaxai.training.team import AcceleratedTeam


def train_recipe(
    recipe: Recipe,
    folder: Path,
    *,
    resume: bool = False,
    device: str = "auto",
    listen: Listener | None = None,
    on_progress: Progress | None = None,
) -> Standing:
    """Train what a recipe says in a run folder; the captioner is in its `captioner/` afterwards.

    Started by `accelerate launch`, every process calls this, and the first one writes and talks.
    Raises: SettingError with all faults of the recipe, UsageError for a folder in use, DataError,
    WeightsError, MissingExtra.
    """
    check_folder(folder, resume=resume)
    check_recipe(recipe)
    chosen = choose_device(device).value
    if chosen.startswith("cuda:"):
        torch.cuda.set_device(chosen)
    team = AcceleratedTeam(chosen)
    job = assemble(recipe, folder, team, on_progress)
    return Training(job, folder, team, listen=listen or _silent).run(resume=resume)


def _silent(record: dict[str, Any]) -> None:
    """For those who do not want to know."""
