"""The options that several commands share."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import typer

if TYPE_CHECKING:
    from dermaxai.pipeline import Model

PANEL = "Model"

JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object per line on stdout.")]


@dataclass(frozen=True, slots=True)
class Choice:
    """Which model, on which device; each field is an option of its name."""

    model: Annotated[
        str,
        typer.Option(help="Name of 'models list', or folder.", rich_help_panel=PANEL, show_default="demo"),
    ] = ""
    source: Annotated[
        str, typer.Option(help="Folder or file of the encoder's weights.", rich_help_panel=PANEL)
    ] = ""
    captioner: Annotated[
        str, typer.Option(help="Folder of a captioner trained on this encoder.", rich_help_panel=PANEL)
    ] = ""
    device: Annotated[
        str,
        typer.Option(help="auto, cpu, cuda or mps.", rich_help_panel=PANEL, show_default="auto"),
    ] = ""
    seed: Annotated[
        int | None, typer.Option(help="Of whatever draws random numbers.", rich_help_panel=PANEL)
    ] = None
    threads: Annotated[
        int | None, typer.Option(help="CPU threads; 0 leaves the choice.", rich_help_panel=PANEL)
    ] = None
    offline: Annotated[bool, typer.Option("--offline", help="Touch no network.", rich_help_panel=PANEL)] = (
        False
    )

    def load(self) -> Model:
        """The chosen model. Raises: as `pipeline.load`."""
        from dermaxai.settings import read_settings

        changes: dict[str, Any] = {"device": self.device or None, "seed": self.seed, "threads": self.threads}
        settings = read_settings(offline=self.offline or None, **changes)
        from dermaxai.pipeline import load

        name, source, captioner = self.model or "demo", self.source or None, self.captioner or None
        return load(name, source=source, captioner=captioner, settings=settings)


@dataclass(frozen=True, slots=True)
class Style:
    """How a command answers."""

    lang: Annotated[Literal["en", "ru"], typer.Option(help="Language of caption and table.")] = "en"
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per line on stdout.")] = False


GROUPS: tuple[type, ...] = (Choice, Style)


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """Let parameters of type `Choice` and `Style` stand for the options that are their fields."""
    shape = inspect.signature(command, eval_str=True)
    groups = {
        name: entry.annotation for name, entry in shape.parameters.items() if entry.annotation in GROUPS
    }

    @functools.wraps(command)
    def run(**given: Any) -> None:  # noqa: ANN401 - whatever the options hold
        made = {
            name: group(**{field.name: given.pop(field.name) for field in fields(group)})
            for name, group in groups.items()
        }
        command(**made, **given)

    own = [entry for name, entry in shape.parameters.items() if name not in groups]
    shared = [entry for group in groups.values() for entry in _options_of(group)]
    parameters = [entry.replace(kind=inspect.Parameter.KEYWORD_ONLY) for entry in (*own, *shared)]
    described = cast(Any, run)
    described.__signature__ = shape.replace(parameters=parameters)
    described.__annotations__ = {entry.name: entry.annotation for entry in parameters}
    return run


def _options_of(group: type) -> list[inspect.Parameter]:
    hints = inspect.get_annotations(group, eval_str=True)
    kind = inspect.Parameter.KEYWORD_ONLY
    return [
        inspect.Parameter(field.name, kind, default=field.default, annotation=hints[field.name])
        for field in fields(group)
    ]
