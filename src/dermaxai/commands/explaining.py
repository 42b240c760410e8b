"""Commands that make or change cases: explain, query, contrast, report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from dermaxai.commands.console import complain, give_notice, say, say_json, talk
from dermaxai.commands.options import Choice, JsonOption, Style, grouped
from dermaxai.errors import DermaXAIError, SettingError, UsageError

if TYPE_CHECKING:
    from dermaxai.pipeline import Model
    from dermaxai.types import Case, Language

REPORT = "report.html"
CaseArgument = Annotated[Path, typer.Argument(help="Folder of a case.", show_default=False)]
MethodOption = Annotated[str, typer.Option("--method", "-m", help="A name of 'dermaxai methods'.")]


@grouped
def explain(
    choice: Choice,
    style: Style,
    photos: Annotated[list[Path], typer.Argument(metavar="IMAGE", help="Photos.", show_default=False)],
    method: Annotated[
        list[str] | None,
        typer.Option("--method", "-m", help="Methods, with commas or repeated.", show_default="evidence"),
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the cases.")] = Path("cases"),
    query: Annotated[
        list[str] | None, typer.Option("--query", help="Also show where the photo matches this text.")
    ] = None,
) -> None:
    """Describe photos and show, for every word, the pixels it rests on.

    Each photo gives a case folder with a report that opens in a browser.
    """
    give_notice(style.lang)
    named = (name.strip() for given in method or ["evidence"] for name in given.split(","))
    methods = list(dict.fromkeys(filter(None, named)))
    model = choice.load()
    failed: list[DermaXAIError] = []
    for photo in photos:
        try:
            case = model.explain(photo, methods, style.lang, query or [])
            folder = keep_case(case, output / case.image.sha256[:8], style.lang)
        except DermaXAIError as error:
            if len(photos) == 1 or isinstance(error, UsageError):
                raise
            complain(error, photo.name)
            failed.append(error)
        else:
            _show(case, folder, style, file=str(photo))
    if failed:
        talk(f"{len(failed)} of {len(photos)} photos failed.")
        raise typer.Exit(1)


@grouped
def query(
    choice: Choice,
    style: Style,
    case: CaseArgument,
    text: Annotated[str, typer.Argument(help="What to look for, in words.", show_default=False)],
    method: MethodOption = "grad_eclip",
) -> None:
    """Add a map to a case: where the photo matches a text."""
    from dermaxai.cases import load_case

    before = load_case(case)
    after = _model_of(choice, before).query(before, text, method)
    _show(after, keep_case(after, case, style.lang), style)


@grouped
def contrast(
    choice: Choice,
    style: Style,
    case: CaseArgument,
    word: Annotated[str, typer.Option(help="A word of the caption.", show_default=False)],
    against: Annotated[str, typer.Option(help="The word it is compared with.", show_default=False)],
) -> None:
    """Add a signed map to a case: why this word of the caption rather than another."""
    from dermaxai.cases import load_case

    before = load_case(case)
    after = _model_of(choice, before).contrast(before, word=word, against=against)
    _show(after, keep_case(after, case, style.lang), style)


def report(
    case: CaseArgument,
    lang: Annotated[
        Literal["en", "ru"] | None,
        typer.Option("--lang", help="Language of the page.", show_default="that of the caption"),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File.", show_default="report.html in the case")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write the report of a case: one HTML file that opens without any network."""
    from dermaxai.cases import load_case

    path = load_case(case).report(output or case / REPORT, lang)
    if as_json:
        say_json({"case": str(case), "report": str(path)})
    else:
        say(str(path))


def keep_case(case: Case, folder: Path, lang: Language) -> Path:
    """Save a case and its report. Raises: SettingError where the place cannot be written."""
    try:
        case.save(folder)
        case.report(folder / REPORT, lang)
    except OSError as error:
        raise SettingError(
            f"'{folder}' cannot be written: {error.strerror}.", hint="Choose another folder with -o."
        ) from error
    return folder


def _model_of(choice: Choice, case: Case) -> Model:
    """The model that made the case, unless another is named."""
    from dataclasses import replace

    return (choice if choice.model else replace(choice, model=case.made_by.encoder)).load()


def _show(case: Case, folder: Path, style: Style, *, file: str = "") -> None:
    from dermaxai.commands.tables import explained_row, show_case, show_doubts

    places = {"case": str(folder), "report": str(folder / REPORT)}
    if style.as_json:
        say_json(({"file": file} if file else {}) | explained_row(case, style.lang) | places)
        show_doubts(case, style.lang)
        return
    if file:
        say(file)
    show_case(case, style.lang)
    for name, place in places.items():
        say(f"{name:8}{place}")
