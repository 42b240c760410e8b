"""Words of the interface in English and Russian.

A folder per language in `locale/`, in it a JSON file per room, read alike by Python and by the page: the
standard library's gettext reads compiled catalogues only, and those would need a build step. A sentence with
a number holds its plural forms under the categories of the Unicode CLDR: one, other in English; one, few,
many in Russian.
"""

from __future__ import annotations

import functools
import json
import math
import re
from collections.abc import Mapping
from importlib import resources
from typing import Literal

from dermaxai.errors import NotSupported, UsageError
from dermaxai.types import Blur, Evidence, Language

Plural = Literal["one", "few", "many", "other"]

LANGUAGES: tuple[Language, ...] = ("en", "ru")
ROOMS = ("case", "page", "reading", "errors", "print")
"""Strings of a case and its report; of the served page; of the reading room; of errors; of what is printed,
and of the report of a folder of cases."""
DASH = "–"
SIGNS: Mapping[Language, Mapping[int, str]] = {
    "en": str.maketrans({"-": "−"}),
    "ru": str.maketrans({"-": "−", ".": ",", ",": "\N{NO-BREAK SPACE}"}),
}
"""What stands in a number for Python's minus, point and mark between thousands."""


class Catalogue:
    """All interface strings of one language."""

    def __init__(self, language: Language, entries: Mapping[str, str | Mapping[str, str]]) -> None:
        self.language = language
        self.entries = entries

    def text(self, key: str, **values: object) -> str:
        """The string `key` with `{name}` places filled. Raises: UsageError for an unknown key.

        >>> catalogue("ru").text("figure.word", word="граница")
        '«граница»'
        """
        entry = self._entry(key)
        if not isinstance(entry, str):
            raise UsageError(f"'{key}' has plural forms.", hint="Ask for it with `count`.")
        return _fill(entry, values)

    def count(self, key: str, number: int, **values: object) -> str:
        """The plural form of `key` for `number`, which also fills `{number}`. Raises: UsageError.

        >>> [catalogue("ru").count("words", n) for n in (1, 3, 11, 25)]
        ['1 слово', '3 слова', '11 слов', '25 слов']
        """
        entry = self._entry(key)
        if isinstance(entry, str):
            raise UsageError(f"'{key}' has no plural forms.", hint="Ask for it with `text`.")
        told = self.number(number, 0)
        return _fill(entry[plural(self.language, number)], {"number": told, **values})

    def name(self, kind: str, name: str) -> str:
        """The readable name of a method, metric, scalar, layer or setting; itself where none is known.

        >>> catalogue("en").name("method", "grad_eclip"), catalogue("en").name("method", "my_own")
        ('Grad-ECLIP', 'my_own')
        """
        return str(self.entries.get(f"{kind}.{name}", name))

    def number(self, value: float, digits: int = 2, *, signed: bool = False) -> str:
        """A number as people of this language write it, with so many digits behind its mark; a dash for NaN.

        A real minus, but none before zero. `signed`: with a plus above zero.

        >>> catalogue("ru").number(-0.126), catalogue("en").number(0.5, 1, signed=True)
        ('−0,13', '+0.5')
        """
        if not math.isfinite(value):
            return DASH
        text = f"{value:{'+' if signed else ''},.{digits}f}"
        if not any(sign in "123456789" for sign in text):
            text = text.lstrip("+-")
        return self.signs(text)

    def signs(self, number: str) -> str:
        r"""A number as Python writes it, in whatever form, with the language's own signs.

        >>> catalogue("ru").signs(f"{1234.5:,.6g}"), catalogue("en").signs("-1e-05")
        ('1\xa0234,5', '−1e−05')
        """
        return number.translate(SIGNS[self.language])

    def percent(self, share: float, digits: int = 0) -> str:
        r"""A share in percent, its sign on the same line; a dash for NaN.

        >>> catalogue("ru").percent(0.125, 1), catalogue("en").percent(0.5)
        ('12,5\xa0%', '50\xa0%')
        """
        return f"{self.number(100 * share, digits)}\N{NO-BREAK SPACE}%" if math.isfinite(share) else DASH

    def values_in(self, key: str, sentence: str) -> dict[str, str] | None:
        """The values with which the string `key` makes `sentence`, or None where it does not make it.

        >>> catalogue("en").values_in("figure.against", "“dark” rather than “pale”")
        {'word': 'dark', 'other': 'pale'}
        """
        pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>.+?)", re.escape(self.text(key)))
        found = re.fullmatch(pattern, sentence)
        return found.groupdict() if found else None

    def _entry(self, key: str) -> str | Mapping[str, str]:
        if key not in self.entries:
            raise UsageError(f"The {self.language} catalogue has no string '{key}'.")
        return self.entries[key]


@functools.cache
def catalogue(language: str) -> Catalogue:
    """The strings of one language. Raises: NotSupported.

    >>> catalogue("en").count("words", 1)
    '1 word'
    """
    known = next((entry for entry in LANGUAGES if entry == language), None)
    if known is None:
        raise NotSupported(f"The interface speaks {', '.join(LANGUAGES)}, not '{language}'.")
    entries = {key: entry for room in ROOMS for key, entry in _read_room(known, room).items()}
    return Catalogue(known, entries)


def keys_of(room: str) -> tuple[str, ...]:
    """The keys of one room's strings, in their order; a report needs those of cases only."""
    return tuple(_read_room("en", room))


@functools.cache
def _read_room(language: Language, room: str) -> dict[str, str | dict[str, str]]:
    file = resources.files("dermaxai").joinpath(f"locale/{language}/{room}.json")
    entries: dict[str, str | dict[str, str]] = json.loads(file.read_text("utf-8"))
    return entries


def prior_key(entry: Evidence, place: Literal["word", "figure"] = "word") -> str:
    """Key of the text that says why a word has no map; '' for a word that comes from the image.

    `place`: 'word' for a sentence, 'figure' for a few words.

    >>> prior_key(Evidence(0, 0.02, False)), prior_key(Evidence(0, -1.5, False), "figure")
    ('word.expected', 'figure.despite')
    """
    return f"{place}.{entry.prior}" if entry.prior else ""


def plural(language: Language, number: int) -> Plural:
    """CLDR category of a whole number.

    >>> [plural("ru", n) for n in (1, 2, 5, 11, 12, 21, 104)]
    ['one', 'few', 'many', 'many', 'many', 'one', 'few']
    """
    if language == "en":
        return "one" if number == 1 else "other"
    ones, tens = number % 10, number % 100
    if ones == 1 and tens != 11:
        return "one"
    return "few" if 2 <= ones <= 4 and not 12 <= tens <= 14 else "many"


def _fill(pattern: str, values: Mapping[str, object]) -> str:
    """Known `{name}` places filled in one pass, so that braces inside a value stay what they are."""
    return re.sub(r"\{(\w+)\}", lambda place: str(values.get(place[1], place[0])), pattern)


def blurred_text(blur: Blur | None, texts: Catalogue) -> str:
    """What is said under `blurred` of a photo whose blur is beyond the limit; '' of any other.

    >>> blurred_text(Blur(0.2, 0.45), catalogue("en")), blurred_text(Blur(1.2, 0.45), catalogue("ru"))[:53]
    ('', 'Даже самые резкие края растянуты на 1,20 % его меньше')
    """
    if blur is None or blur.width <= blur.threshold:
        return ""
    return texts.text("blurred.text", width=texts.number(blur.width), threshold=texts.number(blur.threshold))
