"""Data go to stdout, talk goes to stderr."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from dermaxai.errors import DermaXAIError

PIPED_WIDTH = 200
"""Columns of a table that no terminal bounds."""


def prepare_streams() -> None:
    """Any name and any language can be printed, whatever the terminal's encoding."""
    for stream in (sys.stdout, sys.stderr):
        change = getattr(stream, "reconfigure", None)
        if change is not None:
            change(errors="backslashreplace", **({} if stream.isatty() else {"encoding": "utf-8"}))


def talk(message: str) -> None:
    """One line for the reader, on stderr."""
    sys.stderr.write(f"{message}\n")
    sys.stderr.flush()


def say(text: str) -> None:
    """One line of data, on stdout."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def say_json(document: Any) -> None:  # noqa: ANN401 - anything JSON holds
    """One JSON object on one line of stdout."""
    say(json.dumps(document, ensure_ascii=False, allow_nan=False))


def say_table(table: Table) -> None:
    """A table on stdout, as wide as the terminal, or wide enough for a file."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else PIPED_WIDTH
    Console(file=sys.stdout, width=width, highlight=False, markup=False, emoji=False).print(table)


def plain_table(*headers: str) -> Table:
    """A table without lines, easy to read and to cut."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for header in headers:
        table.add_column(header, overflow="fold")
    return table


def talk_console() -> Console:
    """For progress bars."""
    from rich.console import Console

    return Console(stderr=True)


def give_notice() -> None:
    """What a caption is not, on stderr, in every language: whoever reads it may know only one."""
    from dermaxai.i18n import LANGUAGES, catalogue

    for language in LANGUAGES:
        talk(f"DermaXAI: {catalogue(language).text('notice.caption')}.")


def complain(error: DermaXAIError, about: str = "") -> None:
    """An error as one readable message on stderr."""
    talk(f"{about + ': ' if about else 'Error: '}{error}")
