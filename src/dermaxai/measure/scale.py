"""What a number of trust means: which direction is better, between what, in which unit."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Better = Literal["higher", "lower", "neither"]
"""'neither': descriptive, such as sparseness; more of it is no merit."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How one metric is read."""

    name: str
    """In files and tables: 'deletion', 'bleu_4'."""
    title: str
    """For people, English: 'Deletion', 'BLEU-4'."""
    better: Better
    unit: str
    """'share', 'rank correlation', 'nats', 'cosine', 'points', 'words', …"""
    low: float = 0.0
    """The smallest value there can be; -inf where there is none."""
    high: float = 1.0
    source: str = ""
    """Paper and equation."""

    @property
    def range(self) -> str:
        """The bounds in words.

        >>> Scale("bleu_1", "BLEU-1", "higher", "share").range
        '0 to 1'
        """
        if math.isinf(self.low) and math.isinf(self.high):
            return "any number"
        if math.isinf(self.high):
            return f"{self.low:g} or more"
        return f"{self.high:g} or less" if math.isinf(self.low) else f"{self.low:g} to {self.high:g}"

    def improvement(self, ours: float, theirs: float) -> float:
        """By how much `ours` is better than `theirs`: positive is better, whatever the direction."""
        return theirs - ours if self.better == "lower" else ours - theirs
