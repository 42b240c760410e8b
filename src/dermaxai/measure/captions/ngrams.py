"""Runs of one to four words of many texts, counted at once: what BLEU, CIDEr and distinct-n share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from dermaxai.measure.captions.ptb_tokens import words_of
from dermaxai.measure.captions.written import Written

LONGEST = 4
Integers = NDArray[np.int64]
Words = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cut:
    """Captions and their references as words; a reference without words is left out."""

    captions: list[Words]
    references: list[list[Words]]
    """Per caption; may be empty."""


def cut(written: Sequence[Written]) -> Cut:
    """Every text as words, each distinct text cut once."""
    return Cut(
        [words_of(one.text, one.language) for one in written],
        [[words for text in one.references if (words := words_of(text, one.language))] for one in written],
    )


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """How often each run of n words stands in each text; one row per text and run, in that order."""

    text: Int[np.ndarray, "rows"]
    run: Int[np.ndarray, "rows"]
    """Number of the run among all that were counted together."""
    count: Int[np.ndarray, "rows"]
    place: Int[np.ndarray, "runs"]
    """Where each run stands for the first time, an index into `Numbered.words`."""

    @property
    def runs(self) -> int:
        """Different ones among all that were counted together."""
        return len(self.place)


@dataclass(frozen=True, slots=True, eq=False)
class Numbered:
    """Texts as numbers of words, one after another, and where each run of words starts that they hold."""

    lengths: Int[np.ndarray, "texts"]
    words: Int[np.ndarray, "all"]
    vocabulary: tuple[str, ...]

    @classmethod
    def of(cls, texts: Iterable[Words]) -> Numbered:
        """Words get numbers in the order in which they are met."""
        known: dict[str, int] = {}
        kept = list(texts)
        found = [known.setdefault(word, len(known)) for text in kept for word in text]
        lengths = [len(text) for text in kept]
        return cls(np.array(lengths, np.int64), np.array(found, np.int64), tuple(known))

    def spell(self, place: int, n: int) -> str:
        """The run of `n` words that starts at a place, a space between them."""
        return " ".join(self.vocabulary[word] for word in self.words[place : place + n])

    def count(self, longest: int = LONGEST) -> list[Counts]:
        """Counts of runs of 1 to `longest` words."""
        texts = np.repeat(np.arange(len(self.lengths)), self.lengths)
        ends = np.repeat(np.cumsum(self.lengths), self.lengths)
        start = np.arange(len(self.words))
        run, found = np.zeros(len(self.words), np.int64), []
        size = int(self.words.max(initial=0)) + 1
        for n in range(1, longest + 1):
            inside = start + n <= ends
            texts, ends, start, run = texts[inside], ends[inside], start[inside], run[inside]
            ends_with = run * size + self.words[start + n - 1]
            _, first, run = np.unique(ends_with, return_index=True, return_inverse=True)
            runs = max(len(first), 1)
            keys, count = np.unique(texts * runs + run, return_counts=True)
            found.append(Counts(keys // runs, keys % runs, count, start[first]))
        return found


def look_up(keys: Integers, values: NDArray[np.float64], wanted: Integers) -> Float[np.ndarray, "wanted"]:
    """The value of each wanted key, 0 where it is not among the sorted keys."""
    if not len(keys):
        return np.zeros(len(wanted))
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    found: Float[np.ndarray, "wanted"] = np.where(keys[place] == wanted, values[place], 0.0)
    return found
