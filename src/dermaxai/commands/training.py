"""The commands that train a captioner, check the recipe of a training, and pack its photos."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from dermaxai.commands.console import say, talk

RecipeArgument = Annotated[
    Path, typer.Argument(metavar="RECIPE.toml", help="What to do.", show_default=False)
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Another value, as training.steps=10; as often as needed.",
        show_default=False,
    ),
]


def train(
    recipe: RecipeArgument,
    changes: SetOption = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder of the run.", show_default="runs/NAME OF THE RECIPE"),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where the run was broken off, if it was begun.")
    ] = False,
    threads: Annotated[
        int | None, typer.Option(help="CPU threads; 0 leaves the choice.", show_default=False)
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.", show_default="auto")] = "",
) -> None:
    """Train a captioner on a frozen encoder; its folder is printed at the end.

    Several processes or machines: accelerate launch -m dermaxai.cli train RECIPE.toml.
    """
    from dermaxai.settings import read_settings
    from dermaxai.training.recipe import read_recipe

    read = read_recipe(recipe, changes or [])
    settings = read_settings(threads=threads, device=device or None)
    if settings.threads:
        import torch

        torch.set_num_threads(settings.threads)
    from dermaxai.training.running import train_recipe

    folder = out or Path("runs") / recipe.stem
    standing = train_recipe(
        read, folder, resume=resume, device=settings.device, listen=_comment, on_progress=_count
    )
    if _leads():
        talk(f"{standing.step} steps done; the best state is that of step {standing.best_step}.")
        say(str(folder / "captioner"))


def validate(recipe: RecipeArgument, changes: SetOption = None) -> None:
    """Look for faults in a recipe and in what it names, all at once; print what it would do."""
    from dermaxai.training.recipe import read_recipe

    read = read_recipe(recipe, changes or [])
    from dermaxai.training.checking import check_recipe
    from dermaxai.training.plan import plan_of

    check_recipe(read, recipe.name)
    plan = plan_of(read)
    say("OK")
    for line in plan.lines():
        say(line)


def _leads() -> bool:
    """Whether this is the first, or the only, of the processes."""
    from accelerate import PartialState

    return bool(PartialState().is_main_process)


def _count(done: int, total: int) -> None:
    if done == total or done % 100_000 == 0:
        talk(f"captions: {done:,} of {total:,} photos")


def _comment(record: dict[str, Any]) -> None:
    """One line on stderr for each record of the log."""
    if record["kind"] == "parts":
        talk(f"{record['parts']}; {record['steps']} steps on {record['processes']} x {record['device']}")
    elif record["kind"] == "train":
        talk(
            f"step {record['step']}: loss {record['loss']:.4f}, {record['tokens_per_second']:,.0f} tokens/s, "
            f"{record['memory_mb']:,.0f} MB"
        )
    else:
        figures = {name: value for name, value in record.items() if name in ("loss", "facts")}
        talk(f"step {record['step']}: validation {', '.join(f'{k} {v:.4f}' for k, v in figures.items())}")
