"""Commands of the reading room: agreement of readers, and everything they said as a table."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import uuid4

import typer

from dermaxai.commands.console import plain_table, say, say_json, say_table, talk
from dermaxai.commands.options import JsonOption
from dermaxai.errors import NotFound
from dermaxai.i18n import DASH, Catalogue, catalogue
from dermaxai.reading.forms import Format, What

if TYPE_CHECKING:
    from dermaxai.reading.agreement import Concord
    from dermaxai.reading.intervals import Interval
    from dermaxai.reading.summary import Summary
    from dermaxai.store.opening import Store

CasesOption = Annotated[Path, typer.Option("--cases", help="Folder of cases.", show_default="cases")]
StoreOption = Annotated[
    str, typer.Option("--store", help="URL of the database.", show_default="SQLite in the folder of cases")
]
LangOption = Annotated[str, typer.Option("--lang", help="Language of the table: en or ru.")]


def export(
    what: Annotated[What, typer.Argument(help="What to write.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="File to write.", show_default="stdout")
    ] = None,
    form: Annotated[Format, typer.Option("--format", help="csv or json.")] = "csv",
    cases: CasesOption = Path("cases"),
    store: StoreOption = "",
    bom: Annotated[
        bool, typer.Option("--bom", help="Mark CSV as UTF-8, for spreadsheets that need it.")
    ] = False,
) -> None:
    """Write all answers, blind readings, cases or events as one table, a row each.

    Pseudonyms, hashes and times are in it, file names are not. In CSV a text that a spreadsheet would
    calculate has an apostrophe before it.
    """
    from dermaxai.reading.export import export as pieces_of
    from dermaxai.store.audit import append
    from dermaxai.store.shelf import Shelf

    opened = _open(cases, store)
    try:
        with opened.write() as session:
            append(session, "local", "export.made", what, format=form)
        with opened.read() as session:
            _write(pieces_of(session, Shelf(opened.folder), what, form, bom=bom), output)
    finally:
        opened.close()
    if output is not None:
        talk(f"written  {output}")


def agreement(
    cases: CasesOption = Path("cases"),
    store: StoreOption = "",
    lang: LangOption = "en",
    as_json: JsonOption = False,
) -> None:
    """How far readers agree: Fleiss' kappa of their answers, Dice of their regions, and each method's maps.

    Intervals are 95 %, over resampled cases. A word with one reader only is left out of agreement.
    """
    from dermaxai.reading.summary import summarise_study
    from dermaxai.store.shelf import Shelf

    texts = catalogue(lang)
    opened = _open(cases, store)
    try:
        with opened.read() as session:
            found = summarise_study(session, Shelf(opened.folder))
    finally:
        opened.close()
    if as_json:
        say_json(found.as_json())
    else:
        _say(found, texts)


def _open(cases: Path, url: str) -> Store:
    """The store of a folder that is there already. Raises: NotFound, StoreError."""
    from dermaxai.store.opening import FILE, open_store

    if not cases.is_dir() or not (url or (cases / FILE).is_file()):
        raise NotFound(
            f"There is no store in '{cases}'.",
            hint="`dermaxai serve --cases DIR` makes one; give its folder.",
        )
    return open_store(cases, url)


def _write(pieces: Iterator[str], output: Path | None) -> None:
    """Text on stdout, or in a file that is there whole or not at all."""
    if output is None:
        for piece in pieces:
            sys.stdout.buffer.write(piece.encode())
        sys.stdout.buffer.flush()
        return
    output.parent.mkdir(parents=True, exist_ok=True)
    fresh = output.with_name(f".{output.name}.{uuid4().hex[:8]}")
    try:
        with fresh.open("wb") as file:
            file.writelines(piece.encode() for piece in pieces)
        os.replace(fresh, output)
    finally:
        fresh.unlink(missing_ok=True)


def _say(found: Summary, texts: Catalogue) -> None:
    """The study as tables."""
    answers = texts.count("reading.sum.answers", len(found.collected.given))
    readers = texts.count("reading.sum.readers", len(found.readers))
    say(f"{readers} · {texts.count('reading.sum.cases', found.cases)} · {answers}")
    for key, number in (("replaced", found.collected.replaced), ("outdated", found.collected.outdated)):
        if number:
            say(texts.count(f"reading.sum.{key}", number))
    for names in found.alike:
        say(texts.text("reading.sum.alike", names=", ".join(names)))
    if found.readers:
        table = plain_table(
            *(texts.text(f"reading.sum.{key}") for key in ("reader", "seen", "said", "alone"))
        )
        for one in found.readers:
            table.add_row(one.pseudonym, str(one.cases), str(one.answers), str(one.readings))
        say_table(table)
    _say_concord(found.words, texts, "words")
    if found.captions.items or found.captions.single:
        _say_concord(found.captions, texts, "captions")
    say(f"\n{texts.text('reading.sum.regions')}")
    pairs = texts.count("reading.sum.pairs", found.regions.dice.n)
    some = f"{_told(found.regions.dice, texts)}  {pairs}"
    say(some if found.regions.items else texts.text("reading.sum.regions.none"))
    if found.methods:
        _say_methods(found, texts)


def _say_concord(found: Concord, texts: Catalogue, what: str) -> None:
    say(f"\n{texts.text(f'reading.sum.{what}')}")
    say(texts.count("reading.sum.items", found.items))
    for key, number in (("single", found.single), ("mixed", found.mixed)):
        if number:
            say(texts.count(f"reading.sum.{key}", number))
    if found.undefined:
        say(texts.text(f"reading.sum.{found.undefined}"))
    if not found.items:
        return
    for key, value in (("agreement", found.agreement), ("kappa", found.kappa)):
        say(f"{texts.text(f'reading.sum.{key}')}  {_told(value, texts)}")
    whole = what == "captions"
    table = plain_table(*(texts.text(f"reading.sum.{key}") for key in ("answer", "share", "kappa")))
    for name in found.shares:
        if not (whole and name == "wrong_place" and not found.shares[name].value):
            label = texts.text(
                f"reading.caption.{name}" if whole and name != "wrong_place" else f"reading.{name}"
            )
            table.add_row(label, _told(found.shares[name], texts), _told(found.kappas[name], texts))
    say_table(table)


def _say_methods(found: Summary, texts: Catalogue) -> None:
    say(f"\n{texts.text('reading.sum.methods')}")
    answers = ("agree", "wrong_place", "wrong_word")
    keys = ("sum.method", "sum.said", *answers, "sum.energy", "sum.chance", "sum.marked")
    table = plain_table(*(texts.text(f"reading.{key}") for key in keys))
    for one in found.methods:
        name = texts.name("method", one.method) if one.method else texts.text("reading.sum.no_map")
        shares = [_told(one.shares[answer], texts) for answer in answers]
        energies = _told(one.energy, texts), _told(one.chance, texts), str(one.energy.n)
        table.add_row(name, str(one.answers), *shares, *energies)
    say_table(table)


def _told(found: Interval, texts: Catalogue) -> str:
    """A value with its interval; a dash where it is not defined."""
    if found.value is None:
        return DASH
    value = texts.number(found.value)
    if found.low is None or found.high is None:
        return value
    return f"{value} ({texts.number(found.low)} – {texts.number(found.high)})"
