"""The stem of a word: 'lesions' and 'lesion' are one. Snowball's rules for English and Russian.

Source: Porter, snowballstem.org/algorithms/english and /russian, written from the descriptions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from dermaxai.types import Language

VOWELS = "aeiouy"
DOUBLES = ("bb", "dd", "ff", "gg", "mm", "nn", "pp", "rr", "tt")
LI = tuple("cdeghkmnrt")
"""Letters behind which 'li' is an ending."""
IRREGULAR = {
    "skis": "ski", "skies": "sky", "dying": "die", "lying": "lie", "tying": "tie", "idly": "idl",
    "gently": "gentl", "ugly": "ugli", "early": "earli", "only": "onli", "singly": "singl",
}  # fmt: skip
UNCHANGED = frozenset({"sky", "news", "howe", "atlas", "cosmos", "bias", "andes"})
UNCHANGED_WITHOUT_S = frozenset(
    {"inning", "outing", "canning", "herring", "earring", "proceed", "exceed", "succeed"}
)
SECOND = {
    "ational": "ate", "fulness": "ful", "iveness": "ive", "ization": "ize", "ousness": "ous",
    "biliti": "ble", "lessli": "less", "tional": "tion", "alism": "al", "aliti": "al", "ation": "ate",
    "entli": "ent", "fulli": "ful", "iviti": "ive", "ousli": "ous", "abli": "able", "alli": "al",
    "anci": "ance", "ator": "ate", "enci": "ence", "izer": "ize", "bli": "ble", "ogi": "og", "li": "",
}  # fmt: skip
THIRD = {
    "ational": "ate", "tional": "tion", "alize": "al", "icate": "ic", "iciti": "ic", "ative": "",
    "ical": "ic", "ness": "", "ful": "",
}  # fmt: skip
FOURTH = (
    "ement", "ance", "ence", "able", "ible", "ment", "ant", "ent", "ism", "ate", "iti", "ous", "ive", "ize",
    "ion", "al", "er", "ic",
)  # fmt: skip
_FIRST_REGION = re.compile(r"(?:gener|commun|arsen|.*?[aeiouy][^aeiouy])")
_REGION = re.compile(r".*?[aeiouy][^aeiouy]")
_SHORT = re.compile(r"(?:.*[^aeiouy])?[aeiouy][^aeiouywxY]|[aeiouy][^aeiouy]")


@lru_cache(maxsize=1 << 15)
def stem(word: str, language: Language = "en") -> str:
    """The stem of a word in small letters.

    >>> [stem(word) for word in ("lesions", "pigmented", "asymmetry", "symmetric")]
    ['lesion', 'pigment', 'asymmetri', 'symmetr']
    >>> [stem(word, "ru") for word in ("очаги", "неровными", "коричневый")]
    ['очаг', 'неровн', 'коричнев']
    """
    return _russian(word) if language == "ru" else _english(word)


def _english(word: str) -> str:
    if len(word) <= 2:
        return word
    word = word.removeprefix("'")
    if word in IRREGULAR or word in UNCHANGED:
        return IRREGULAR.get(word, word)
    word = re.sub(r"^y|(?<=[aeiouy])y", "Y", word)
    first, second = _regions(word)
    word = _without_plural(re.sub(r"'s?'?$", "", word))
    if word in UNCHANGED_WITHOUT_S:
        return word
    word = _without_past(word, first)
    if len(word) > 2 and word[-1] in "yY" and word[-2] not in VOWELS:
        word = word[:-1] + "i"
    word = _second_step(word, first)
    word = _third_step(word, first, second)
    return _last_steps(word, first, second).lower()


def _regions(word: str) -> tuple[int, int]:
    """Where the two regions begin in which endings may be cut: behind a vowel and a consonant, and again."""
    found = _FIRST_REGION.match(word)
    first = found.end() if found else len(word)
    again = _REGION.match(word, first)
    return first, again.end() if again else len(word)


def _without_plural(word: str) -> str:
    if word.endswith("sses"):
        return word[:-2]
    if word.endswith(("ied", "ies")):
        return word[:-2] if len(word) > 4 else word[:-1]
    if word.endswith("s") and not word.endswith(("us", "ss")) and re.search("[aeiouy]", word[:-2]):
        return word[:-1]
    return word


def _without_past(word: str, first: int) -> str:
    ending = _ending(word, ("eedly", "ingly", "edly", "eed", "ing", "ed"))
    if not ending:
        return word
    rest = word[: -len(ending)]
    if ending in ("eed", "eedly"):
        return rest + "ee" if len(rest) >= first else word
    if not re.search("[aeiouy]", rest):
        return word
    if rest.endswith(("at", "bl", "iz")):
        return rest + "e"
    if rest.endswith(DOUBLES):
        return rest[:-1]
    return rest + "e" if first >= len(rest) and _SHORT.fullmatch(rest) else rest


def _second_step(word: str, first: int) -> str:
    ending = _ending(word, SECOND)
    rest = word[: len(word) - len(ending)]
    if not ending or len(rest) < first:
        return word
    if (ending == "li" and rest[-1:] not in LI) or (ending == "ogi" and rest[-1:] != "l"):
        return word
    return rest + SECOND[ending]


def _third_step(word: str, first: int, second: int) -> str:
    ending = _ending(word, THIRD)
    rest = word[: len(word) - len(ending)]
    if not ending or len(rest) < (second if ending == "ative" else first):
        return word
    return rest + THIRD[ending]


def _last_steps(word: str, first: int, second: int) -> str:
    ending = _ending(word, FOURTH)
    rest = word[: len(word) - len(ending)]
    if ending and len(rest) >= second and (ending != "ion" or rest[-1:] in ("s", "t")):
        word = rest
    short = word[:-1]
    is_cut = len(short) >= second or (len(short) >= first and not _SHORT.fullmatch(short))
    if word.endswith("e") and is_cut:
        return short
    return short if word.endswith("ll") and len(short) >= second else word


def _ending(word: str, endings: Iterable[str]) -> str:
    """The longest of the endings that a word has; '' for none."""
    return max((ending for ending in endings if word.endswith(ending)), key=len, default="")


ENDINGS = {
    "gerund": "ив ивши ившись ыв ывши ывшись",
    "gerund behind a": "в вши вшись",
    "participle": "ивш ывш ующ",
    "participle behind a": "ем нн вш ющ щ",
    "verb": "ила ыла ена ейте уйте ите или ыли ей уй ил ыл им ым ен ило ыло ено ят ует уют ит ыт ены ить ыть "
    "ишь ую ю",
    "verb behind a": "ла на ете йте ли й л ем н ло но ет ют ны ть ешь нно",
    "adjective": "ее ие ые ое ими ыми ей ий ый ой ем им ым ом его ого ему ому их ых ую юю ая яя ою ею",
    "noun": "а ев ов ие ье е иями ями ами еи ии и ией ей ой ий й иям ям ием ем ам ом о у ах иях ях ы ь ию ью "
    "ю ия ья я",
}
"""Of Russian; those 'behind a' count only behind 'а' or 'я', which stay."""
_ENDINGS = {kind: tuple(endings.split()) for kind, endings in ENDINGS.items()}


def _russian(word: str) -> str:
    word = word.replace("ё", "е")
    vowel = re.search("[аеиоуыэюя]", word)
    if not vowel:
        return word
    begin, rest = word[: vowel.end()], word[vowel.end() :]
    region = re.match(r"(?:.*?[аеиоуыэюя][^аеиоуыэюя]){2}", word)
    second = region.end() - len(begin) if region else len(rest)
    rest = _without_form(rest).removesuffix("и")
    ending = _ending(rest, ("ост", "ость"))
    if ending and len(rest) - len(ending) >= second:
        rest = rest.removesuffix(ending)
    superlative = _ending(rest, ("ейш", "ейше"))
    if superlative or rest.endswith("нн"):
        rest = rest.removesuffix(superlative)
        rest = rest[:-1] if rest.endswith("нн") else rest
    else:
        rest = rest.removesuffix("ь")
    return begin + rest


def _without_form(rest: str) -> str:
    """Without the ending of a gerund; else of a participle or an adjective, a verb, or a noun."""
    shorter = _cut(rest, "gerund")
    if shorter != rest:
        return shorter
    rest = rest.removesuffix("ся") if rest.endswith("ся") else rest.removesuffix("сь")
    shorter = _cut(rest, "adjective")
    if shorter != rest:
        return _cut(shorter, "participle")
    shorter = _cut(rest, "verb")
    return shorter if shorter != rest else _cut(rest, "noun")


def _cut(rest: str, kind: str) -> str:
    behind_a = _ENDINGS.get(f"{kind} behind a", ())
    ending = _ending(rest, (*behind_a, *_ENDINGS[kind]))
    shorter = rest[: len(rest) - len(ending)]
    return rest if ending in behind_a and not shorter.endswith(("а", "я")) else shorter
