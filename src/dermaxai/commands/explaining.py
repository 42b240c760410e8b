"""Commands that make or change cases: explain, query, contrast."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dermaxai.commands.checks import (
    MISSING,
    check_case,
    check_folder,
    exit_code,
    is_missing,
    tell_missing,
)
from dermaxai.commands.console import complain, give_notice, say, say_json, talk
from dermaxai.commands.options import Asked, CaseStyle, Choice, Style, grouped
from dermaxai.commands.watching import shown
from dermaxai.errors import DermaXAIError, SettingError, UnknownName, UsageError

if TYPE_CHECKING:
    from dermaxai.pipeline import Model
    from dermaxai.types import Case, Language

REPORT = "report.html"
CaseArgument = Annotated[Path, typer.Argument(help="Folder of a case.", show_default=False)]
MethodOption = Annotated[str, typer.Option("--method", "-m", help="A name of 'dermaxai methods'.")]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked of every photo; each field is an option of its name."""

    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method", "-m", help="Methods, with commas or repeated, or 'all'.", show_default="evidence"
        ),
    ] = None
    query: Annotated[
        list[str] | None, typer.Option("--query", help="Also show where the photo matches this text.")
    ] = None
    measure: Annotated[
        bool,
        typer.Option("--measure/--no-measure", help="Also say which maps are better than random ones; slow."),
    ] = False


@grouped
def explain(
    choice: Choice,
    style: Style,
    photos: Annotated[list[Path], typer.Argument(metavar="IMAGE", help="Photos.", show_default=False)],
    wanted: Wanted,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the cases.")] = Path("cases"),
) -> None:
    """Describe photos and show, for every word, the pixels it rests on.

    Each photo gives a case folder with a report that opens in a browser. An earlier case of the same photo is
    replaced. One bad photo does not stop the rest.
    """
    from dermaxai.questions import checked_text

    methods = read_methods(wanted.method or ["evidence"])
    queries = [checked_text(text) for text in wanted.query or []]
    choice.check()
    check_folder(output)
    missing = tell_missing(photos)
    model = None
    if len(missing) < len(photos):
        give_notice()
        model = choice.load()
    codes: list[int] = []
    for photo in photos:
        try:
            if model is None or photo in missing:
                raise missing[photo]
            with shown():
                case = model.explain(photo, methods, style.lang, queries, measure=wanted.measure)
            folder = _keep_new(case, output, style.lang, file=str(photo))
        except DermaXAIError as error:
            codes.append(MISSING if photo in missing else error.exit_code)
            _show_failure(photo, error, style, told=photo in missing)
        else:
            _show(case, folder, style, file=str(photo))
    if codes:
        talk(f"{len(codes)} of {len(photos)} photos failed.")
        raise typer.Exit(exit_code(codes))


def read_methods(given: list[str]) -> list[str]:
    """Names with commas taken apart. Raises: UsageError where there is none, UnknownName."""
    from dermaxai.questions import chosen_methods, named

    names = [[name.strip() for name in one.split(",") if name.strip()] for one in given]
    if not all(names):
        raise UsageError("An explanation method has no name.", hint="'dermaxai methods' lists them.")
    flat = named([name for one in names for name in one])
    chosen_methods(flat)
    return flat


@grouped
def query(
    choice: Choice,
    style: CaseStyle,
    case: CaseArgument,
    text: Annotated[str, typer.Argument(help="What to look for, in words.", show_default=False)],
    asked: Asked,
) -> None:
    """Add a map to a case: where the photo matches a text, or why the caption says some of its words."""
    from dermaxai.questions import default_method, find_method, plan_question

    before = read_case(case)
    target = plan_question(before.caption, text, asked.kind, asked.against)
    method = default_method(asked.kind) if asked.method is None else asked.method
    find_method(method).check_kinds([target])
    model = model_of(choice, before, case)
    after = model.ask(before, text, kind=asked.kind, against=asked.against, method=method)
    answer = style.of(before)
    _show_answer(after, keep_case(after, case, answer.lang), answer)


@grouped
def contrast(
    choice: Choice,
    style: CaseStyle,
    case: CaseArgument,
    word: Annotated[
        str, typer.Option(help="A word of the caption, or several in a row.", show_default=False)
    ],
    against: Annotated[str, typer.Option(help="What it is compared with.", show_default=False)],
    method: MethodOption = "evidence",
) -> None:
    """Add a signed map to a case: why this word of the caption rather than another."""
    from dermaxai.questions import find_method, plan_phrase

    before = read_case(case)
    find_method(method).check_kinds([plan_phrase(before.caption, word, against)])
    after = model_of(choice, before, case).contrast(before, word, against, method)
    answer = style.of(before)
    _show_answer(after, keep_case(after, case, answer.lang), answer)


def read_case(folder: Path) -> Case:
    """Raises: typer.Exit where there is none, DataError."""
    from dermaxai.cases import load_case

    check_case(folder)
    return load_case(folder)


def _keep_new(case: Case, home: Path, lang: Language, *, file: str) -> Path:
    """Save a new case below `home`, and say where it takes the place of an earlier one."""
    from dermaxai.cases import find_place

    folder = find_place(home, case.image.sha256)
    earlier = not is_missing(folder / "case.json")
    keep_case(case, folder, lang)
    if earlier:
        talk(f"{file}: replaced the earlier case '{folder}'.")
    return folder


def keep_case(case: Case, folder: Path, lang: Language) -> Path:
    """Save a case and its report. Raises: SettingError where the place cannot be written."""
    try:
        case.save(folder)
        case.report(folder / REPORT, lang)
    except OSError as error:
        raise SettingError(
            f"'{folder}' cannot be written: {error.strerror or error}.",
            hint="Choose another folder with -o.",
        ) from error
    return folder


def model_of(choice: Choice, case: Case, folder: Path) -> Model:
    """The model that made the case in `folder`, unless another is named.

    Raises: UnknownName for a case of a model that is a folder; UsageError where `folder` cannot be written.
    """
    from dataclasses import replace

    from dermaxai.cases import check_place

    choice.check()
    check_place(folder)
    check_folder(folder.parent)
    give_notice()
    if choice.model:
        return choice.load()
    try:
        return replace(choice, model=case.made_by.encoder).load()
    except UnknownName as error:
        raise UnknownName(
            f"The case was made by '{case.made_by.encoder}', which is no name of 'dermaxai models list'.",
            hint="Name the folder of that model with --model.",
        ) from error


def _show(case: Case, folder: Path, style: Style, *, file: str) -> None:
    from dermaxai.commands.tables import explained_row, show_case, show_doubts

    places = places_of(folder)
    if style.as_json:
        say_json({"file": file} | explained_row(case, style.lang) | places)
        show_doubts(case, style.lang)
        return
    say(file)
    show_case(case, style.lang)
    say_places(places)


def _show_failure(photo: Path, error: DermaXAIError, style: Style, *, told: bool) -> None:
    """A message, unless it was `told`, and for `--json` a row."""
    from dermaxai.commands.tables import failed_row

    if not told:
        complain(error, str(photo))
    if style.as_json:
        say_json({"file": str(photo)} | failed_row(style.lang, error) | dict.fromkeys(places_of(photo)))


def _show_answer(case: Case, folder: Path, style: Style) -> None:
    """The newest map first, then what it was asked about."""
    from dermaxai.commands.tables import explained_row, map_row, show_answer, show_doubts

    places = places_of(folder)
    newest = next(heat for heat in reversed(case.maps) if heat.method not in ("consensus", "spread"))
    if style.as_json:
        say_json({"answer": map_row(newest, style.lang)} | explained_row(case, style.lang) | places)
        show_doubts(case, style.lang)
        return
    show_answer(case, newest, style.lang)
    say_places(places)


def places_of(folder: Path) -> dict[str, Any]:
    """Where a case and its report are, for `--json`."""
    return {"case": str(folder), "report": str(folder / REPORT)}


def say_places(places: dict[str, Any]) -> None:
    """The same for the terminal."""
    for name, place in places.items():
        say(f"{name:8}{place}")
