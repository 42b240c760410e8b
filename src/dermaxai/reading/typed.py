"""What a reader typed: free text, made safe to keep in any database and to show anywhere."""

from __future__ import annotations

import unicodedata

from dermaxai.errors import UsageError

COMMENT = 2000
"""Characters of a comment at most."""
FINDINGS = 4000
"""Characters of a reader's own findings at most."""
DIAGNOSIS = 500
"""Characters of a reader's own diagnosis at most."""
_KEPT = "\n\t"


def clean_text(text: str, limit: int, what: str) -> str:
    r"""The text without signs that cannot be seen or stored, lines ended one way, no space around it.

    Raises: UsageError for more than `limit` characters.

    >>> clean_text(" dark\r\n border\x00 ", 2000, "A comment")
    'dark\n border'
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    seen = "".join(sign for sign in lines if sign in _KEPT or unicodedata.category(sign) not in ("Cc", "Cs"))
    seen = seen.strip()
    if len(seen) > limit:
        raise UsageError(f"{what} has at most {limit} characters, not {len(seen)}.", hint="Shorten it.")
    return seen
