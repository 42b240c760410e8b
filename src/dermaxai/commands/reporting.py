"""The command report: a case or a folder of cases, as a file to open, print or pass on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from dermaxai.commands.checks import check_case, check_file
from dermaxai.commands.console import give_notice, say, say_json, talk
from dermaxai.commands.explaining import REPORT, read_case
from dermaxai.commands.options import JsonOption, grouped
from dermaxai.errors import StoreError, UsageError

if TYPE_CHECKING:
    from dermaxai.types import Case, Language

PLACE = "report.html in the folder"


@dataclass(frozen=True, slots=True)
class OfCase:
    """Options for one case."""

    pdf: Annotated[bool, typer.Option("--pdf", help="Two printed pages instead of the live page.")] = False
    readings: Annotated[
        bool, typer.Option("--readings/--no-readings", help="With what readers said, from the store.")
    ] = True
    store: Annotated[
        str, typer.Option("--store", help="URL of the database.", show_default="SQLite in the folder above")
    ] = ""


@dataclass(frozen=True, slots=True)
class OfFolder:
    """Options for a folder of cases."""

    groups: Annotated[
        Path | None,
        typer.Option(help="CSV with a column case or sha256; its other columns group the results."),
    ] = None
    seed: Annotated[int, typer.Option(help="Of the resampling for intervals.")] = 0
    reports: Annotated[
        bool, typer.Option("--reports", help="Also write the reports that single cases lack.")
    ] = False


@grouped
def report(
    case: Annotated[Path, typer.Argument(help="Folder of a case, or of cases.", show_default=False)],
    of_case: OfCase,
    of_folder: OfFolder,
    lang: Annotated[
        Literal["en", "ru"] | None,
        typer.Option("--lang", help="Language of the page.", show_default="that of the caption"),
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File.", show_default=PLACE)] = None,
    as_json: JsonOption = False,
) -> None:
    """Write the report of a case, or of a folder of cases: a file that opens without any network.

    Of a case it is the live page, or with --pdf two printed pages; what readers said of it on the page is in
    both. Of a folder it is a page with results, intervals, worst and best cases and text for a paper, and two
    CSV files beside it.
    """
    check_case(case)
    if _holds_cases(case):
        if of_case.pdf:
            raise UsageError(
                f"'{case}' is a folder of cases; two pages are made of one case.",
                hint="Name a case, or print the page from the browser.",
            )
        if of_folder.reports:
            check_file(output or case / REPORT)
            _write_missing(case, of_case, lang)
        _report_folder(case, of_folder, lang, output, as_json=as_json)
        return
    if of_folder != OfFolder():
        raise UsageError(
            "--groups, --seed and --reports are for a folder of cases.", hint=f"'{case}' is one case."
        )
    _report_case(case, of_case, lang, output, as_json=as_json)


def _holds_cases(folder: Path) -> bool:
    """Whether cases lie below a folder that is no case itself."""
    from dermaxai.collection.entries import case_folders

    return folder.is_dir() and not (folder / "case.json").is_file() and bool(case_folders(folder))


def _report_case(
    case: Path, chosen: OfCase, lang: Language | None, output: Path | None, *, as_json: bool
) -> None:
    from dermaxai.pdf import write_pdf
    from dermaxai.report import write_report

    pdf, before = chosen.pdf, read_case(case)
    target = output or (case / REPORT).with_suffix(".pdf" if pdf else ".html")
    if pdf != (target.suffix.lower() == ".pdf"):
        raise UsageError(
            f"'{target.name}' does not fit {'--pdf' if pdf else 'a page; a PDF is made with --pdf'}.",
            hint=f"Name a file that ends in {'.pdf' if pdf else '.html'}.",
        )
    check_file(target)
    give_notice()
    readings = _readings(case, before, chosen)
    write = write_pdf if pdf else write_report
    path = write(before, target, language=lang or before.caption.language, readings=readings)
    if as_json:
        say_json({"case": str(case), "report": str(path), "readings": len(readings)})
    else:
        say(str(path))


def _readings(folder: Path, case: Case, chosen: OfCase) -> list[dict[str, Any]]:
    """What readers said of the case; a store that cannot be read costs the readings, not the report."""
    from dermaxai.reading.beside import readings_beside

    if not chosen.readings:
        return []
    try:
        return readings_beside(folder, case.caption.text, chosen.store)
    except StoreError as error:
        talk(f"What readers said is left out. {error}")
        return []


def _report_folder(
    home: Path, chosen: OfFolder, lang: Language | None, output: Path | None, *, as_json: bool
) -> None:
    from dermaxai.collection.writing import write_collection

    target = output or home / REPORT
    check_file(target)
    give_notice()
    written = write_collection(
        home, target, language=lang, groups=chosen.groups, seed=chosen.seed, tell=_tell
    )
    for name, why in written.skipped:
        talk(f"{name}: left out. {why}")
    places = {name: str(getattr(written, name)) for name in ("report", "results", "cases")}
    if as_json:
        say_json({"folder": str(home), **places, "skipped": [name for name, _ in written.skipped]})
        return
    for name, place in places.items():
        say(f"{name:8}{place}")


def _write_missing(home: Path, chosen: OfCase, lang: Language | None) -> None:
    """The report of each case that has none; damaged cases are told later, with the others."""
    from dermaxai.cases import load_case
    from dermaxai.collection.entries import case_folders
    from dermaxai.errors import DataError
    from dermaxai.report import write_report

    for place in case_folders(home):
        if not (place / REPORT).exists():
            try:
                found = load_case(place)
            except DataError:
                continue
            readings = _readings(place, found, chosen)
            write_report(found, place / REPORT, language=lang or found.caption.language, readings=readings)


def _tell(done: int, total: int) -> None:
    if done % 100 == 0 or (done == total and total > 100):
        talk(f"{done} of {total} cases read.")
