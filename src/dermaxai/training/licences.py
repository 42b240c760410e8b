"""What may be done with weights that learned from photos under several licences."""

from __future__ import annotations

import re
from collections.abc import Iterable

_OPEN = ("cc 0", "public domain", "pddl")


def strictest(licences: Iterable[str]) -> str:
    """The strictest of some licences; several where none is stricter than the others.

    Terms that are no Creative Commons licence count as stricter than any, and those that nobody stated too.

    >>> strictest(["CC BY 4.0", "CC BY-NC 4.0", "CC0"])
    'CC BY-NC 4.0'
    >>> strictest(["CC BY-NC 4.0", ""])
    'not stated for some photos; CC BY-NC 4.0 for others'
    """
    found = sorted(set(licences))
    named = [licence for licence in found if licence]
    if not named:
        return "not stated"
    most = max(map(_strictness, named))
    told = "; ".join(licence for licence in named if _strictness(licence) == most)
    return told if "" not in found else f"not stated for some photos; {told} for others"


def _strictness(licence: str) -> int:
    words = re.findall(r"[a-z]+|\d+", licence.casefold())
    if any(name in " ".join(words) for name in _OPEN):
        return 0
    if "cc" not in words or "agreement" in words:
        return 9
    return 1 + 4 * ("nc" in words) + 2 * ("nd" in words) + ("sa" in words)
