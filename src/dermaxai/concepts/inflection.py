"""Which Russian words are forms of one word, by their endings.

A word is cut into stem and ending in every way that the table of endings allows; two words are forms of one
if they share a stem within one declension. Declensions are kept apart because stems alone mix words up:
'кисти' (hands) and 'киста' (a cyst) share 'кист', but no declension has both endings.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Generic, TypeVar, final

Value = TypeVar("Value")

DECLENSIONS: Mapping[str, tuple[str, ...]] = {
    name: tuple("" if ending == "-" else ending for ending in endings.split())
    for name, endings in {
        "красный": "ый ой ая ое ые ого ому ую ым ом ых ыми ою",
        "синий": "ий яя ее ие его ему ей юю им ем их ими",
        "сосуд": "- а у ом е ы ов ам ами ах",
        "пузырь": "ь я ю ем е и ей ям ями ях",
        "край": "й я ю ем е и ев ям ями ях",
        "бугорок": "ок ка ку ком ке ки ков кам ками ках",
        "пузырёк": "ек ька ьку ьком ьке ьки ьков ькам ьками ьках",
        "рубец": "ец ца цу цом це цы цов цам цами цах",
        "палец": "ец ьца ьцу ьцем ьце ьцы ьцев ьцам ьцами ьцах",
        "узел": "ел ла лу лом ле лы лов лам лами лах",
        "ноготь": "оть тя тю тем те ти тей тям тями тях",
        "папула": "а ы е у ой ою - ам ами ах",
        "шея": "я и е ю ей ею й ям ями ях",
        "эрозия": "ия ии ию ией ий иям иями иях",
        "кисть": "ь и ью ей ям ями ях",
        "корка": "ка ки ке ку кой кою ок ек кам ками ках",
        "чешуйка": "йка йки йке йку йкой йкою ек йкам йками йках",
        "веко": "о а у ом е - ам ами ах",
        "пятно": "но на ну ном не ен нам нами нах",
        "очертание": "ие ия ию ием ии ий иям иями иях",
    }.items()
}
"""Endings of each declension, named by an example; 'ё' counts as 'е'."""

SHORTEST_STEM = 2
HUSHED = "жчшщц"
NO_Y = "гкхжчшщ"
"""After these letters 'ы' is spelled 'и'."""


def folded(text: str) -> str:
    """A text as it is compared: case, 'ё', hyphens, underscores and white space make no difference.

    >>> folded("Тёмно-Коричневый ")
    'темно коричневый'
    """
    return " ".join(re.sub(r"[-_‐‑–—]", " ", text.casefold().replace("ё", "е")).split())


def words_of(text: str) -> list[str]:
    """The words of a text, lower case, without punctuation; hyphens stay inside.

    >>> words_of("Тёмно-коричневый, чёрный.")
    ['темно-коричневый', 'черный']
    """
    return re.findall(r"\w+(?:-\w+)*", text.casefold().replace("ё", "е"))


@functools.cache
def cuts(word: str) -> frozenset[tuple[str, str]]:
    """Every (stem, declension) that a folded word may have; itself with '' for words that do not change.

    >>> ("границ", "папула") in cuts("границей")
    True
    """
    found = {(word, "")}
    for length in range(SHORTEST_STEM, len(word) + 1):
        stem, ending = word[:length], _as_after_a_hard_sound(word[:length], word[length:])
        found |= {(stem, name) for name, endings in DECLENSIONS.items() if ending in endings}
    return frozenset(found)


def _as_after_a_hard_sound(stem: str, ending: str) -> str:
    """An ending without the spelling rules: 'ей' after 'ц' is the 'ой' of others, 'и' after 'к' the 'ы'."""
    if stem[-1] in HUSHED and len(ending) > 1 and ending[0] == "е":
        return "о" + ending[1:].replace("е", "о")
    if stem[-1] in NO_Y and ending[:1] == "и":
        return "ы" + ending[1:]
    return ending


def same_word(first: str, second: str) -> bool:
    """Whether two folded words are forms of one.

    >>> same_word("неровной", "неровные"), same_word("кисти", "киста")
    (True, False)
    """
    return first == second or not cuts(first).isdisjoint(cuts(second))


@final
class PhraseBook(Generic[Value]):
    """Phrases that are found again in any of their inflected forms."""

    def __init__(self, phrases: Iterable[tuple[str, Value]]) -> None:
        self._entries: dict[tuple[str, str], list[tuple[int, list[str], Value]]] = {}
        for place, (phrase, value) in enumerate(phrases):
            words = words_of(phrase)
            for cut in cuts(words[0]) if words else ():
                self._entries.setdefault(cut, []).append((place, words, value))

    def find(self, phrase: str) -> list[Value]:
        """The values of all phrases with the same words, in the order given.

        >>> PhraseBook([("пигментная сеть", 1), ("сеть", 2)]).find("Пигментной сетью")
        [1]
        """
        words = words_of(phrase)
        return [value for _, value in sorted(dict(self._near(words)).items(), key=lambda entry: entry[0])]

    def _near(self, words: list[str]) -> Iterator[tuple[int, Value]]:
        for cut in cuts(words[0]) if words else ():
            for place, known, value in self._entries.get(cut, ()):
                if len(known) == len(words) and all(map(same_word, known, words)):
                    yield place, value
