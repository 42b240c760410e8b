"""A text as words with their places, and a book of phrases that finds the longest one at a place."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar, final

Meaning = TypeVar("Meaning")
_WORD = re.compile(r"[^\W_]+(?:[-'][^\W_]+)*|[^\w\s]")
_ALIKE = str.maketrans({"ё": "е", "Ё": "е", "’": "'", "‘": "'", "–": "-", "—": "-", "‐": "-", "‑": "-"})


@dataclass(frozen=True, slots=True)
class Token:
    """A word or one mark, small letters, 'ё' as 'е' and every dash as a hyphen."""

    text: str
    start: int
    """First character in the text."""
    stop: int
    """One behind the last character."""


def tokens_of(text: str) -> list[Token]:
    """The words and marks of a text.

    >>> [token.text for token in tokens_of("Тёмно-коричневый, 6,5 мм.")]
    ['темно-коричневый', ',', '6', ',', '5', 'мм', '.']
    """
    folded = text.translate(_ALIKE).lower()
    if len(folded) != len(text):
        folded = "".join(one if len(small := one.lower()) != 1 else small for one in text.translate(_ALIKE))
    return [Token(found[0], *found.span()) for found in _WORD.finditer(folded)]


def sentences_of(text: str) -> list[list[Token]]:
    """The tokens of each sentence, its last mark included; a mark inside a number ends none."""
    sentences: list[list[Token]] = [[]]
    for token in tokens_of(text):
        sentences[-1].append(token)
        if token.text in ".!?" and text[token.stop : token.stop + 1].strip() == "":
            sentences.append([])
    return [sentence for sentence in sentences if sentence]


@final
class PhraseBook(Generic[Meaning]):
    """Phrases and what they mean, found word by word."""

    def __init__(self, phrases: Iterable[tuple[str, Meaning]]) -> None:
        """Of two meanings of one phrase the first stays."""
        self._longest_first: dict[str, list[tuple[tuple[str, ...], Meaning]]] = {}
        known = set()
        for phrase, meaning in phrases:
            words = tuple(token.text for token in tokens_of(phrase))
            if words and words not in known:
                known.add(words)
                self._longest_first.setdefault(words[0], []).append((words, meaning))
        for entries in self._longest_first.values():
            entries.sort(key=lambda entry: -len(entry[0]))

    def at(self, words: Sequence[str], place: int) -> tuple[int, Meaning] | None:
        """How many words the longest phrase that begins at a place has, and what it means."""
        return next(self.all_at(words, place), None)

    def all_at(self, words: Sequence[str], place: int) -> Iterator[tuple[int, Meaning]]:
        """Every phrase that begins at a place, the longest first."""
        for phrase, meaning in self._longest_first.get(words[place], ()):
            if tuple(words[place : place + len(phrase)]) == phrase:
                yield len(phrase), meaning
