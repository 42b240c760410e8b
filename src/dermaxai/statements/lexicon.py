"""Which words stand for which fact: books of phrases for the sentences of templates and for free text.

English free text is read by names, aliases, plurals and a few everyday words; Russian free text by the
nominative of every name and the genitive of findings, that is, by what our own sentences contain.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

from dermaxai.statements import TERMS, Facts, wordings_of
from dermaxai.statements.phrases import PhraseBook
from dermaxai.statements.templates import MODALITIES, TEMPLATES, Kind
from dermaxai.statements.words import FINDINGS, SITES, spoken_diagnoses
from dermaxai.types import Language
from dermaxai.vocabulary import diagnoses, findings, sites

Polarity = Literal["stated", "negated", "uncertain"]
FactSlot = Literal[
    "size",
    "symmetry",
    "border",
    "outline",
    "colour",
    "finding",
    "site",
    "modality",
    "age",
    "sex",
    "diagnosis",
    "other diagnosis",
]
Meaning = tuple[FactSlot, str]
Book = PhraseBook[Meaning]


@dataclass(frozen=True, slots=True)
class Frame:
    """What follows the beginning of a template's sentence."""

    book: Book
    slot: FactSlot
    polarity: Polarity


_MARKS = (",", ";", ".", "!", "?", "/")
GLUE: Mapping[Language, frozenset[str]] = {
    "en": frozenset({*_MARKS, "and", "or", "nor", "not", "any", "colour", "in", "the", "photo"}),
    "ru": frozenset({*_MARKS, "и", "или", "ни", "не", "цвета"}),
}
"""Between the facts of a list."""
LESION: Mapping[Language, frozenset[str]] = {
    "en": frozenset({"lesion", "lesions", "mole"}),
    "ru": frozenset({"образование", "очаг"}),
}
"""Words of a sentence in which size and symmetry are those of the lesion."""
BORDER: Mapping[Language, frozenset[str]] = {
    "en": frozenset({"border", "borders", "margin", "margins"}),
    "ru": frozenset({"границей", "граница", "границами"}),
}

_KINDS: Mapping[Kind, tuple[str, FactSlot, Polarity]] = {
    "site": ("site", "site", "stated"),
    "site name": ("site", "site", "stated"),
    "sign": ("finding", "finding", "stated"),
    "look": ("finding", "finding", "stated"),
    "distribution": ("finding", "finding", "stated"),
    "hue": ("finding", "finding", "stated"),
    "beside": ("finding", "finding", "stated"),
    "no sign": ("genitive", "finding", "negated"),
    "no hue": ("genitive", "finding", "negated"),
    "no beside": ("genitive", "finding", "negated"),
    "no look": ("finding", "finding", "negated"),
    "no distribution": ("finding", "finding", "negated"),
    "group": ("group", "diagnosis", "uncertain"),
    "other": ("diagnosis", "other diagnosis", "uncertain"),
    "others": ("diagnosis", "other diagnosis", "uncertain"),
    "other group": ("group", "other diagnosis", "uncertain"),
    "other groups": ("group", "other diagnosis", "uncertain"),
}


@cache
def frames(language: Language) -> PhraseBook[Frame]:
    """The beginnings of all templates' sentences that have one of their own."""
    books = {name: PhraseBook(entries) for name, entries in _lists(language).items()}
    found = [
        (wording.partition("{x}")[0], Frame(books[book], slot, polarity))
        for kind, (book, slot, polarity) in _KINDS.items()
        for wording in TEMPLATES[language][kind]
    ]
    for slot, beginning in _shared_beginnings(language):
        polarity: Polarity = "uncertain" if slot == "diagnosis" else "stated"
        found.append((beginning, Frame(books[slot], slot, polarity)))
    return PhraseBook(found)


def _shared_beginnings(language: Language) -> Iterator[tuple[FactSlot, str]]:
    """Of the sentences that are the embedded model's."""
    shared: tuple[tuple[FactSlot, Facts, str], ...] = (
        ("diagnosis", Facts(diagnosis="mel"), TERMS["diagnosis"]["mel"][language]),
        ("colour", Facts(colours=("red",)), TERMS["colour"]["red"][language]),
    )
    for slot, facts, word in shared:
        yield from ((slot, wording.partition(word)[0]) for wording in wordings_of(facts, language)[1][0])


def _lists(language: Language) -> dict[str, list[tuple[str, Meaning]]]:
    """What may follow in each kind of frame."""
    named = [(words.name[language], ("finding", name)) for name, words in FINDINGS.items()]
    of = [(words.genitive, ("finding", name)) for name, words in FINDINGS.items() if words.genitive]
    found: dict[str, list[tuple[str, Meaning]]] = {
        "finding": [(text, ("finding", value)) for text, (_, value) in named],
        "genitive": [(text, ("finding", value)) for text, (_, value) in (named if language == "en" else of)],
        "site": [
            *_site_phrases(language),
            *((one.name[language], ("site", one.id)) for one in sites().values()),
        ],
        "colour": list(_terms("colour", language)),
    }
    for book, groups in (("diagnosis", False), ("group", True)):
        spoken = spoken_diagnoses(language, groups=groups)
        found[book] = [(text, ("diagnosis", name)) for name, text in spoken.items()]
    return found


def _terms(
    slot: Literal["size", "symmetry", "border", "colour"], language: Language
) -> Iterator[tuple[str, Meaning]]:
    return ((names[language], (slot, value)) for value, names in TERMS[slot].items())


def _site_phrases(language: Language) -> Iterator[tuple[str, Meaning]]:
    return ((phrases[language], ("site", name)) for name, phrases in SITES.items())


@cache
def outline_book(language: Language) -> Book:
    """Size and symmetry of a lesion."""
    return PhraseBook([*_terms("size", language), *_terms("symmetry", language)])


@cache
def border_book(language: Language) -> Book:
    """Borders of a lesion."""
    return PhraseBook(_terms("border", language))


@cache
def free_book(language: Language, *, diagnosing: bool) -> Book:
    """Everything else that free text may state; some words name a finding and a diagnosis.

    `diagnosing`: in a sentence that speaks of a diagnosis they mean the diagnosis.
    """
    first, second = list(_finding_phrases(language)), list(_diagnosis_phrases(language))
    if diagnosing:
        first, second = second, first
    plain = [*_plain_phrases(language), *_site_phrases(language), *_terms("colour", language)]
    return PhraseBook([*plain, *first, *second])


_UNCLEAR: Mapping[Language, tuple[str, ...]] = {
    "en": ("without a clear outline", "outline of the lesion is not clear"),
    "ru": ("без чётких очертаний", "очертания образования нечёткие"),
}
_SEXES: Mapping[Language, Mapping[str, str]] = {
    "en": {"female": "female", "woman": "female", "male": "male", "man": "male"},
    "ru": {"женского пола": "female", "женщина": "female", "мужского пола": "male", "мужчина": "male"},
}
_PHOTOS: Mapping[Language, tuple[str, ...]] = {
    "en": ("{x} photo", "{x} image", "{x} photograph"),
    "ru": ("{x} снимок", "вид снимка: {x}"),
}


def _plain_phrases(language: Language) -> Iterator[tuple[str, Meaning]]:
    yield from ((text, ("outline", "unclear")) for text in _UNCLEAR[language])
    yield from ((text, ("sex", value)) for text, value in _SEXES[language].items())
    for value, names in MODALITIES.items():
        yield from ((one.format(x=names[language]), ("modality", value)) for one in _PHOTOS[language])


EVERYDAY: Mapping[str, str] = {
    "erythematous": "erythema",
    "redness": "erythema",
    "blister": "bulla",
    "papular": "papule",
    "macular": "macule",
    "nodular": "nodule",
    "vesicular": "vesicle",
    "pustular": "pustule",
    "crusting": "crust",
    "scaling": "scale",
    "ulceration": "ulcer",
    "scarring": "scar",
    "hyperpigmentation": "brown_hyperpigmentation",
    "hyperpigmented": "brown_hyperpigmentation",
    "hypopigmentation": "white_hypopigmentation",
    "hypopigmented": "white_hypopigmentation",
    "grey": "gray",
    "dry skin": "xerosis",
    "haemorrhage": "hemorrhage",
    "tumour": "tumor",
}
"""English words for findings that are no names of the vocabulary."""


def _finding_phrases(language: Language) -> Iterator[tuple[str, Meaning]]:
    for name, words in FINDINGS.items():
        yield words.name[language], ("finding", name)
        yield findings()[name].name[language], ("finding", name)
    for name, words in FINDINGS.items():
        if language == "ru":
            yield words.genitive, ("finding", name)
        elif words.part == "sign":
            yield plural(words.name["en"]), ("finding", name)
    if language == "en":
        for text, name in EVERYDAY.items():
            yield text, ("finding", name)
            yield plural(text), ("finding", name)


SHORTEST_ALIAS = 4
"""Shorter aliases ('mel', 'df', '0') are codes of tables and words of other meanings."""


def _diagnosis_phrases(language: Language) -> Iterator[tuple[str, Meaning]]:
    spoken = spoken_diagnoses(language, groups=False)
    yield from ((text, ("diagnosis", name)) for name, text in spoken.items())
    yield from ((diagnoses()[name].name[language], ("diagnosis", name)) for name in spoken)
    if language == "en":
        for name, text in spoken.items():
            aliases = [alias for alias in diagnoses()[name].aliases if len(alias) >= SHORTEST_ALIAS]
            yield from _with_plurals([text, *_turned(text), *aliases], name)


def _turned(name: str) -> list[str]:
    """'basal cell carcinoma, nodular' as texts say it: 'nodular basal cell carcinoma'."""
    noun, comma, form = name.partition(", ")
    return [f"{form} {noun}"] if comma and form.isalpha() else []


def _with_plurals(texts: Iterable[str], name: str) -> Iterator[tuple[str, Meaning]]:
    for text in texts:
        yield text, ("diagnosis", name)
        yield plural(text), ("diagnosis", name)


_PLURALS = {"us": "i", "is": "es", "la": "lae", "do": "dones", "sh": "shes", "ch": "ches", "ss": "sses"}


def plural(phrase: str) -> str:
    """The English plural of a phrase's last word.

    >>> plural("papule"), plural("bulla"), plural("actinic keratosis"), plural("blue nevus")
    ('papules', 'bullae', 'actinic keratoses', 'blue nevi')
    """
    if phrase[-2:] in _PLURALS:
        return phrase[:-2] + _PLURALS[phrase[-2:]]
    return f"{phrase[:-1]}ies" if phrase[-1:] == "y" and phrase[-2:-1] not in "aeou" else f"{phrase}s"
