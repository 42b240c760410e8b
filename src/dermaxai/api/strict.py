"""What a body may not hold, said in one fault: to tell thousands one by one would hold up everybody."""

from __future__ import annotations

import unicodedata
from collections.abc import Container

SHOWN = 3
"""Unknown fields that are named."""


def one_line(text: str) -> str:
    """The text as it is. Raises: ValueError for control characters, which nobody sees."""
    if any(unicodedata.category(sign) == "Cc" for sign in text):
        raise ValueError("a text of one line without control characters is expected")
    return text


def only_known(given: object, fields: Container[str]) -> object:
    """The body as it is. Raises: ValueError for fields that are not among `fields`."""
    strange = [name for name in given if name not in fields] if isinstance(given, dict) else []
    if strange:
        named = ", ".join(str(name)[:40] for name in strange[:SHOWN])
        raise ValueError(f"{len(strange)} unknown: {named}")
    return given
