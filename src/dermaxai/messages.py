"""What the program says while it works, its errors and warnings, in another language than English.

As with gettext, the English sentence in the code is the key. `locale/ru/messages.json` holds each sentence
with `{}` for every value, beside its Russian, where a place is one of:

- `{}`, or `{0}`, `{1}` where the order differs: the value as it is;
- `{0:number}`: a number, with the language's own signs;
- `{0:method}`: a method by the name that readers know it under;
- `{0:word}`: a value that the catalogue may know as well, such as 'none';
- `{0:said}`: a message in turn; where that one is not known, neither is the whole.

Cases, jobs and the command line keep the English; who shows it to a reader asks here. A sentence that is not
known stays English, and is to be marked as such.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from dermaxai.i18n import LANGUAGES, SIGNS, catalogue
from dermaxai.types import Language

LONGEST = 2000
"""Characters; a longer text is no message of this program."""
SENTENCES = 8
"""At most, that are tried one by one."""
DEEPEST = 6
"""Messages within one another, at most; a longer nest is somebody's text, made to take long."""
NAMELESS = "The file"
"""What is said of a photo whose name is not told, in the place of its name in quotes."""
_UNNAMED = "\N{REPLACEMENT CHARACTER}"
_PLACE = re.compile(r"\{(\d*)(?::(number|method|word|said))?\}")


@dataclass(frozen=True, slots=True)
class Template:
    """A sentence of the code: what stands between its values, and the sentence in another language."""

    between: tuple[str, ...]
    other: str

    def values(self, text: str) -> tuple[str, ...] | None:
        """The values with which the code made `text`, or None where it is another sentence.

        >>> Template(("'", "' is empty."), "").values("'a.jpg' is empty.")
        ('a.jpg',)
        """
        first, *inner = self.between
        if not inner:
            return () if text == first else None
        if not text.startswith(first) or not text.endswith(inner[-1]):
            return None
        found, start, end = [], len(first), len(text) - len(inner[-1])
        for part in inner[:-1]:
            place = text.find(part, start, end)
            if place < 0:
                return None
            found.append(text[start:place])
            start = place + len(part)
        return (*found, text[start:end]) if start <= end else None


def translated(text: str, language: Language) -> str | None:
    """A message in `language`, or None where it is not known in it; several sentences are tried one by one.

    >>> translated("There is no case 'a1'.", "ru"), translated("'a1'?", "ru")
    ('Случая «a1» нет.', None)
    """
    if language == "en" or not text:
        return text
    best = _best(text, language, DEEPEST) if len(text) <= LONGEST else None
    return best and best[0]


def said(**parts: str) -> dict[Language, dict[str, str]]:
    """The parts of an error, `message`, `hint`, …, in every language but English, as far as they are known.

    >>> said(message="There is no case 'a1'.", hint="")
    {'ru': {'message': 'Случая «a1» нет.'}}
    """
    others = [language for language in LANGUAGES if language != "en"]
    told = {
        language: {
            name: other for name, text in parts.items() if text and (other := translated(text, language))
        }
        for language in others
    }
    return {language: known for language, known in told.items() if known}


def with_said(fault: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """An error as the API sends it, {error, message, hint}, with `said`; None stays None."""
    if fault is None:
        return None
    return {**fault, "said": said(message=str(fault.get("message", "")), hint=str(fault.get("hint", "")))}


def said_lists(**lists: Sequence[str]) -> dict[Language, dict[str, list[str | None]]]:
    """Lists of messages in every language but English; None for a message that is not known in it.

    Lists of which nothing is known, and languages without a list, are left out.
    """
    found: dict[Language, dict[str, list[str | None]]] = {}
    for language in [one for one in LANGUAGES if one != "en"]:
        told = {name: [translated(text, language) for text in texts] for name, texts in lists.items()}
        known = {name: texts for name, texts in told.items() if any(texts)}
        found |= {language: known} if known else {}
    return found


def for_reader(texts: Sequence[str], language: Language) -> list[tuple[str, Language]]:
    """Messages for a reader of `language`, each with the language it is in: English where it is not known.

    >>> for_reader(["There is no case 'a1'.", "'a1'?"], "ru")
    [('Случая «a1» нет.', 'ru'), ("'a1'?", 'en')]
    """
    return [(own, language) if (own := translated(text, language)) else (text, "en") for text in texts]


@functools.cache
def templates(language: Language) -> tuple[Template, ...]:
    """Every sentence that is known in `language`."""
    return tuple(Template(tuple(key.split("{}")), other) for key, other in _table(language).items())


def catalogues() -> list[bytes]:
    """The catalogues of all languages as they lie on disk."""
    return [_read(language) for language in LANGUAGES if language != "en"]


@functools.cache
def _table(language: Language) -> dict[str, str]:
    table: dict[str, str] = json.loads(_read(language))
    return table


def _read(language: Language) -> bytes:
    return resources.files("dermaxai").joinpath(f"locale/{language}/messages.json").read_bytes()


def places(sentence: str) -> list[tuple[int, str]]:
    """The values that a sentence holds, in its order: their number, and what is done with them.

    >>> places("{} of {}"), places("{1:said}: {0}")
    ([(0, ''), (1, '')], [(1, 'said'), (0, '')])
    """
    found = enumerate(_PLACE.finditer(sentence))
    return [(int(place[1] or number), place[2] or "") for number, place in found]


Told = tuple[str, int]
"""A message in another language, and how many of its signs are those of values."""


@functools.lru_cache(maxsize=4096)
def _best(text: str, language: Language, depth: int) -> Told | None:
    """The reading of `text` that takes least of it for values: as a whole, or sentence by sentence.

    `depth`: how many messages may lie within one another.
    """
    known = [*_wholes(text, language, depth), *_apart(text, language, depth)]
    return min(known, key=lambda told: told[1], default=None)


def _wholes(text: str, language: Language, depth: int) -> Iterator[Told]:
    """Every sentence of the code that `text` may be."""
    unnamed = text.startswith(f"{NAMELESS} ")
    for one in [text, text.replace(NAMELESS, f"'{_UNNAMED}'", 1)] if unnamed else [text]:
        for template in templates(language):
            values = template.values(one)
            told = None if values is None else _filled(template.other, values, language, depth)
            if told is not None:
                yield told[0].replace(f"«{_UNNAMED}»", _table(language)[NAMELESS]), told[1]


def _apart(text: str, language: Language, depth: int) -> Iterator[Told]:
    """The first sentence and the rest, where both are known."""
    ends = [found.end() for found in re.finditer(r"[.?!](?= )", text)]
    for end in ends if len(ends) < SENTENCES else ():
        first = min(_wholes(text[:end], language, depth), key=lambda told: told[1], default=None)
        rest = _best(text[end + 1 :], language, depth) if first else None
        if first and rest:
            yield f"{first[0]} {rest[0]}", first[1] + rest[1]


def _filled(other: str, values: Sequence[str], language: Language, depth: int) -> Told | None:
    """The sentence `other` with its values; None where one of them is a message that is not known."""
    found: list[str] = []
    signs = 0
    for number, kind in places(other):
        told = _value(values[number], kind, language, depth)
        if told is None:
            return None
        found.append(told[0])
        signs += told[1]
    return _PLACE.sub(lambda _: found.pop(0), other), signs


def _value(value: str, kind: str, language: Language, depth: int) -> Told | None:
    is_message = kind in ("word", "said") and value and depth > 0
    known = _best(value, language, depth - 1) if is_message else None
    if known is None and kind == "said" and value:
        return None
    if kind == "number":
        return _number(value, language), len(value)
    return known or (_method(value, language) if kind == "method" else value, len(value))


def _method(value: str, language: Language) -> str:
    """A method by its readable name, with its variant where that is told.

    >>> _method("grad_eclip:reference", "ru")
    'Grad-ECLIP (reference)'
    """
    name, _, variant = value.partition(":")
    known = catalogue(language).name("method", name)
    return f"{known} ({variant})" if variant else known


def _number(value: str, language: Language) -> str:
    r"""A number as the language writes it; what is none stays.

    >>> _number("61.2", "ru"), _number("1,000,000", "ru"), _number("many", "ru")
    ('61,2', '1\xa0000\xa0000', 'many')
    """
    return value.translate(SIGNS[language]) if re.fullmatch(r"-?[\d,]+(\.\d+)?", value) else value
