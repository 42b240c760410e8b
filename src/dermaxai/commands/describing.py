"""The command that describes many photos."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, final

import typer

from dermaxai.commands.checks import FAILED, MISSING, check_file, exit_code, tell_missing
from dermaxai.commands.console import give_notice, say, talk, talk_console
from dermaxai.commands.options import Choice, Style, grouped
from dermaxai.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from dermaxai.bulk import Kind, Row, RowFile
    from dermaxai.pipeline import Model
    from dermaxai.types import Language


@final
class Printed:
    """Rows on stdout; the counterpart of `bulk.RowFile`."""

    def __init__(self, kind: Kind) -> None:
        from dermaxai.bulk import format_row, header_of

        self._kind, self._format = kind, format_row
        if header_of(kind):
            say(header_of(kind))

    def has(self, path: Path, lang: Language) -> bool:
        """Nothing printed is remembered."""
        return False

    def check_weights(self, model: Model) -> None:
        """Rows on stdout come from one model."""

    def write(self, row: Row) -> None:
        """One line."""
        say(self._format(row, self._kind))

    def close(self) -> None:
        """Nothing to finish."""


@grouped
def describe(
    choice: Choice,
    style: Style,
    photos: Annotated[list[Path], typer.Argument(metavar="IMAGE|FOLDER", help="Photos.", show_default=False)],
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV with a header line.")] = False,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File instead of stdout.")] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Continue the output file: photos in it, known by their resolved path, are left out, failed "
            "ones are tried again. Rows of other weights are an error.",
        ),
    ] = False,
) -> None:
    """Write a caption for every photo; one bad file does not stop the rest."""
    from dermaxai.bulk import RowFile
    from dermaxai.images import find_images

    kind = _kind(output, as_json=style.as_json, as_csv=as_csv)
    if resume and output is None:
        raise UsageError("--resume continues a file.", hint="Name it with -o.")
    found = find_images(photos)
    if not found:
        raise UsageError("There is no photo in what was given.", hint="Name photos, or a folder of photos.")
    choice.check()
    if output:
        check_file(output)
    rows = RowFile(output, kind, resume=resume) if output else Printed(kind)
    try:
        codes = _describe(choice, rows, found, style.lang)
    finally:
        rows.close()
    if codes:
        talk(f"{len(codes)} photo(s) failed.")
        raise typer.Exit(exit_code(codes))


def _kind(output: Path | None, *, as_json: bool, as_csv: bool) -> Kind:
    """Chosen, else by the ending of the output file. Raises: UsageError."""
    if as_json and as_csv:
        raise UsageError("--json and --csv exclude each other.", hint="Give one of them.")
    if as_csv or (output and not as_json and output.suffix.lower() == ".csv"):
        return "csv"
    return "json" if as_json or output else "text"


def _describe(choice: Choice, rows: RowFile | Printed, found: list[Path], lang: Language) -> list[int]:
    """An exit code for every photo that failed."""
    from dermaxai.bulk import describe_photos, error_row

    waiting = [path for path in found if not rows.has(path, lang)]
    missing = tell_missing(waiting)
    if len(missing) == len(found):
        for path, error in missing.items():
            rows.write({"file": str(path)} | error_row(lang, error))
        return [MISSING] * len(missing)
    give_notice()
    codes: list[int] = []
    model = choice.load()
    rows.check_weights(model)
    if len(waiting) < len(found):
        talk(f"{len(found) - len(waiting)} of {len(found)} photos are described already.")
    with _counted(len(waiting), hidden=isinstance(rows, Printed) and sys.stdout.isatty()) as advance:
        for row in describe_photos(model, waiting, lang=lang):
            rows.write(row)
            absent = Path(row["file"]) in missing
            if "error" in row:
                codes.append(MISSING if absent else FAILED)
            if not absent:
                _comment(row)
            advance()
    return codes


def _comment(row: Row) -> None:
    """What a reader should know about a row, on stderr."""
    if "error" in row:
        talk(f"{row['file']}: {row['error']}")
    elif row["outside"]:
        talk(f"{row['file']}: unlike the photos that the model knows; read its caption as a guess.")


@contextmanager
def _counted(total: int, *, hidden: bool) -> Iterator[Callable[[], None]]:
    """A progress bar on stderr; where the rows themselves scroll by, none."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("describing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=talk_console(), disable=hidden, redirect_stdout=False) as bar:
        task = bar.add_task("describing", total=total)
        yield lambda: bar.advance(task)
