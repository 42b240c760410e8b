"""Names of files from names for people."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import final

LONGEST = 80
"""Signs of a file's name."""


def slug(text: str) -> str:
    """Small Latin letters, digits and dashes; what is left out of other scripts is told apart by a hash.

    >>> slug("explanations, word, by skin_type")
    'explanations-word-by-skin-type'
    """
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    short = re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")
    lost = len(short) > LONGEST or any(sign.isalpha() and ord(sign) > 0x24F for sign in text)
    return f"{short[:LONGEST].strip('-')}-{key_of(text)}".strip("-") if lost or not short else short


def key_of(text: str) -> str:
    """Twelve hex digits that stand for a text."""
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:12]


@final
class Namer:
    """Gives each text a name of its own."""

    def __init__(self) -> None:
        self._used: set[str] = set()

    def name(self, text: str) -> str:
        """A name that was not given before."""
        wanted, number = slug(text), 1
        found = wanted
        while found in self._used:
            number += 1
            found = f"{wanted}-{number}"
        self._used.add(found)
        return found
