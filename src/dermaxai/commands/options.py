"""The options that several commands share."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import typer

from dermaxai.errors import WeightsMissing

if TYPE_CHECKING:
    from dermaxai.pipeline import Model
    from dermaxai.settings import Settings
    from dermaxai.types import Case

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
    beams: Annotated[
        int | None,
        typer.Option(help="Width of the caption search.", rich_help_panel=PANEL, show_default="1, greedy"),
    ] = None
    dtype: Annotated[
        Literal["float32", "bfloat16"] | None,
        typer.Option(help="Of the weights.", rich_help_panel=PANEL, show_default="float32"),
    ] = None
    offline: Annotated[bool, typer.Option("--offline", help="Touch no network.", rich_help_panel=PANEL)] = (
        False
    )

    def load(self) -> Model:
        """The chosen model. Raises: as `pipeline.load`."""
        settings = self._settings()
        from dermaxai.pipeline import load

        name, source, captioner = self.model or "demo", self.source or None, self.captioner or None
        return load(name, source=source, captioner=captioner, settings=settings)

    def check(self) -> None:
        """What can be known before anything is loaded. Raises: SettingError, UnknownName, WeightsMissing."""
        from dermaxai.encoders.cards import is_hub_id, read_card

        self._settings()
        if self.captioner and not (Path(self.captioner) / "captioner.json").is_file():
            raise WeightsMissing(
                f"There is no captioner in '{self.captioner}': captioner.json is missing.",
                hint="Give the folder of one (--captioner).",
            )
        if self.source and not Path(self.source).exists():
            raise WeightsMissing(
                f"There is nothing at '{self.source}'.", hint="Give a folder or file of weights (--source)."
            )
        if self.model and not (Path(self.model).is_dir() or is_hub_id(self.model)):
            read_card(self.model)

    def _settings(self) -> Settings:
        """Defaults and environment, overruled by the options. Raises: SettingError."""
        from dermaxai.settings import read_settings

        names = ("seed", "threads", "beams", "dtype")
        changes: dict[str, Any] = {name: getattr(self, name) for name in names}
        return read_settings(offline=self.offline or None, device=self.device or None, **changes)


@dataclass(frozen=True, slots=True)
class Style:
    """How a command answers."""

    lang: Annotated[Literal["en", "ru"], typer.Option(help="Language of caption and table.")] = "en"
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per line on stdout.")] = False


@dataclass(frozen=True, slots=True)
class CaseStyle:
    """How a command about a case answers."""

    lang: Annotated[
        Literal["en", "ru"] | None,
        typer.Option(help="Language of the answer and the report.", show_default="that of the caption"),
    ] = None
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per line on stdout.")] = False

    def of(self, case: Case) -> Style:
        """The same with the language decided."""
        return Style(self.lang or case.caption.language, self.as_json)


@dataclass(frozen=True, slots=True)
class Asked:
    """What kind of question a text is, and who is asked."""

    kind: Annotated[
        Literal["query", "concept", "diagnosis", "word", "phrase", "caption"],
        typer.Option(help="What the text is: a description, a concept or diagnosis, words of the caption."),
    ] = "query"
    against: Annotated[str | None, typer.Option(help="What it is compared with.", show_default=False)] = None
    method: Annotated[
        str | None,
        typer.Option("--method", "-m", help="A name of 'dermaxai methods'.", show_default="fits the kind"),
    ] = None


@dataclass(frozen=True, slots=True)
class PhotoKind:
    """Which photos a mean is of."""

    kind: Annotated[Literal["dermoscopic", "clinical"], typer.Option(help="What the photos are.")] = (
        "dermoscopic"
    )
    without: Annotated[
        Path | None,
        typer.Option(help="File with names of photos to leave out, one a line, without ending."),
    ] = None
    about: Annotated[str, typer.Option(help="Which photos, in words; kept in the file.")] = ""


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """Let parameters that are dataclasses stand for the options that are their fields."""
    shape = inspect.signature(command, eval_str=True)
    groups: dict[str, type] = {
        name: kind
        for name, entry in shape.parameters.items()
        if isinstance(kind := entry.annotation, type) and is_dataclass(kind)
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
