"""How a case was made, as the second page says it."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

from dermaxai.i18n import Catalogue
from dermaxai.messages import for_reader
from dermaxai.report import THEN, commands_of
from dermaxai.types import Case

CUT = "…"


def made_lines(case: Case, texts: Catalogue, longest: int, commands: int) -> list[tuple[str, str]]:
    """Key and value of each row that has one; values of at most `longest` signs, and so many commands."""
    told = commands_of(case.made_by)
    rows = [(key, cut(value, longest)) for key, value in _rows(case, texts).items()]
    lines = THEN.join(cut(one, longest) for one in told[:commands])
    rows.append(("command", lines + f"{THEN}{CUT}" * (len(told) > commands)))
    return [(key, value) for key, value in rows if value]


def _rows(case: Case, texts: Catalogue) -> Mapping[str, str]:
    made, image = case.made_by, case.image
    height, width = image.pixels.shape[:2]
    settings = (f"{texts.name('setting', key)} = {value}" for key, value in sorted(made.settings.items()))
    return {
        "photo": f"{width} × {height} {image.format}".strip(),
        "sha256": image.sha256,
        "removed": ", ".join(image.removed),
        "notes": "; ".join(text for text, _ in for_reader(image.notes, texts.language)),
        "encoder": f"{made.encoder}  {made.encoder_sha256}".strip(),
        "captioner": f"{made.captioner}  {made.captioner_sha256}".strip(),
        "settings": "; ".join(settings),
        "versions": "; ".join(f"{key} {value}" for key, value in sorted(made.versions.items())),
        "device": made.device,
        "seed": str(made.seed),
        "licence": made.licence,
    }


def cut(text: str, most: int) -> str:
    """At most so many signs, on one line, the cut shown.

    >>> cut("one two three", 9), cut("short", 9)
    ('one two…', 'short')
    """
    if len(text) <= most or " " not in text[:most]:
        return text[:most]
    return textwrap.shorten(text, most, placeholder=CUT)
