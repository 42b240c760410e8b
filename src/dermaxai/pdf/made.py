"""How a case was made, as the second page says it."""

from __future__ import annotations

import textwrap

from dermaxai.i18n import Catalogue
from dermaxai.report import THEN, commands_of, made_rows
from dermaxai.types import Case

CUT = "…"
PRINTED = (
    "photo", "sha256", "removed", "notes", "encoder", "captioner", "settings", "versions", "device", "seed",
    "licence",
)  # fmt: skip
"""Rows of 'How made' that paper has room for, in its order."""


def made_lines(case: Case, texts: Catalogue, longest: int, commands: int) -> list[tuple[str, str]]:
    """Key and value of each row that has one; values of at most `longest` signs, and so many commands."""
    told = commands_of(case.made_by)
    known = {key: "".join(piece.text for piece in pieces) for key, pieces in made_rows(case, texts)}
    rows = [(key, cut("; ".join(known[key].split("\n")), longest)) for key in PRINTED if key in known]
    lines = THEN.join(cut(one, longest) for one in told[:commands])
    rows.append(("command", lines + f"{THEN}{CUT}" * (len(told) > commands)))
    return [(key, value) for key, value in rows if value]


def cut(text: str, most: int) -> str:
    """At most so many signs, on one line, the cut shown.

    >>> cut("one two three", 9), cut("short", 9)
    ('one two…', 'short')
    """
    if len(text) <= most or " " not in text[:most]:
        return text[:most]
    return textwrap.shorten(text, most, placeholder=CUT)
