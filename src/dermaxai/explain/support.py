"""Whether a method can answer a question on a kind of tower, and whether the answer means something."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["supported", "doubtful", "impossible"]


@dataclass(frozen=True, slots=True)
class Support:
    """An entry of the table of methods and kinds of towers."""

    level: Level = "supported"
    why: str = ""
    """A sentence: what is doubtful or missing."""
    instead: str = ""
    """What to use, where it is impossible."""


SUPPORTED = Support()


class DoubtfulMap(UserWarning):
    """A map that can be made and should not be trusted; a case keeps the text."""
