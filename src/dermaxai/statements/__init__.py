"""What a caption can state, the sentences that state it in both languages, and the way back from a text.

Captions of the embedded model are made of these sentences, so that facts can be counted, compared between
languages, and told from broken text.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from dermaxai.types import Language

Source = Literal["label", "measurement", "metadata", "findings", "author"]
"""'findings': annotated signs; 'author': written by the publisher or a model of theirs."""
Slot = Literal["size", "symmetry", "border", "colour", "diagnosis"]
SLOTS: tuple[Slot, ...] = ("size", "symmetry", "border", "colour", "diagnosis")
OUTLINE_SLOTS: tuple[Slot, ...] = SLOTS[:3]
MEASURED_SLOTS: tuple[Slot, ...] = SLOTS[:4]

TERMS: Mapping[Slot, Mapping[str, Mapping[Language, str]]] = {
    "size": {
        "small": {"en": "small", "ru": "мелкое"},
        "medium": {"en": "medium-sized", "ru": "среднее"},
        "large": {"en": "large", "ru": "крупное"},
    },
    "symmetry": {
        "symmetric": {"en": "symmetric", "ru": "симметричное"},
        "asymmetric": {"en": "asymmetric", "ru": "асимметричное"},
    },
    "border": {
        "regular": {"en": "regular", "ru": "ровной"},
        "irregular": {"en": "irregular", "ru": "неровной"},
    },
    "colour": {
        "white": {"en": "white", "ru": "белый"},
        "red": {"en": "red", "ru": "красный"},
        "pink": {"en": "pink", "ru": "розовый"},
        "light brown": {"en": "light brown", "ru": "светло-коричневый"},
        "dark brown": {"en": "dark brown", "ru": "тёмно-коричневый"},
        "blue-grey": {"en": "blue-grey", "ru": "серо-голубой"},
        "black": {"en": "black", "ru": "чёрный"},
    },
    "diagnosis": {
        "akiec": {
            "en": "actinic keratosis or intraepithelial carcinoma",
            "ru": "актинический кератоз или внутриэпителиальная карцинома",
        },
        "bcc": {"en": "basal cell carcinoma", "ru": "базальноклеточный рак кожи"},
        "bkl": {"en": "benign keratosis", "ru": "доброкачественный кератоз"},
        "df": {"en": "dermatofibroma", "ru": "дерматофиброма"},
        "mel": {"en": "melanoma", "ru": "меланома"},
        "nv": {"en": "melanocytic nevus", "ru": "меланоцитарный невус"},
        "vasc": {"en": "vascular lesion", "ru": "сосудистое образование"},
    },
}
"""The words of each fact; diagnoses as in the unified vocabulary's HAM10000 rows."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a caption may state; None or () where a fact is unknown."""

    size: str | None = None
    symmetry: str | None = None
    border: str | None = None
    colours: tuple[str, ...] = ()
    diagnosis: str | None = None

    def value(self, slot: Slot) -> str | None:
        """The fact of one slot; for 'colour' the first, largest one."""
        if slot == "colour":
            return self.colours[0] if self.colours else None
        found: str | None = getattr(self, slot)
        return found


def wordings_of(facts: Facts, language: Language) -> list[tuple[list[str], Source]]:
    """For each sentence of a caption all its wordings, the plainest first, and the source of its facts."""
    table = _ENGLISH if language == "en" else _RUSSIAN
    sentences: list[tuple[list[str], Source]] = []
    if facts.size and facts.symmetry and facts.border:
        words: dict[str, str] = {
            slot: TERMS[slot][facts.value(slot) or ""][language] for slot in OUTLINE_SLOTS
        }
        article = "an" if facts.border == "irregular" else "a"
        filled = {**words, "Size": words["size"].capitalize(), "an": article}
        sentences.append(([wording.format(**filled) for wording in table["outline"]], "measurement"))
    else:
        sentences.append((list(table["unclear"]), "measurement"))
    if facts.colours:
        colours = table["and"][0].join(TERMS["colour"][name][language] for name in facts.colours)
        sentences.append(([wording.format(colours=colours) for wording in table["colour"]], "measurement"))
    if facts.diagnosis:
        name = TERMS["diagnosis"][facts.diagnosis][language]
        sentences.append(([wording.format(name=name) for wording in table["diagnosis"]], "label"))
    return sentences


def is_whole(text: str, language: Language) -> bool:
    """Whether a caption is exactly one of the wordings of the facts it states: nothing broken, nothing added.

    >>> is_whole("A lesion without a clear outline. Possible diagnosis: melanoma.", "en")
    True
    >>> is_whole("A lesion without a clear. Possible diagnosis: melanoma.", "en")
    False
    """
    choices = [options for options, _ in wordings_of(read_facts(text, language), language)]
    return any(text == " ".join(sentences) for sentences in itertools.product(*choices))


_ENGLISH: Mapping[str, Sequence[str]] = {
    "outline": (
        "A {size} {symmetry} lesion with {an} {border} border.",
        "A {size}, {symmetry} lesion whose border is {border}.",
        "The lesion is {size} and {symmetry} and has {an} {border} border.",
    ),
    "unclear": ("A lesion without a clear outline.", "The outline of the lesion is not clear."),
    "colour": ("The colour is {colours}.", "It is {colours}.", "Colour: {colours}."),
    "and": (" and ",),
    "diagnosis": (
        "Possible diagnosis: {name}.",
        "A possible diagnosis is {name}.",
        "Diagnosis to consider: {name}.",
    ),
}
_RUSSIAN: Mapping[str, Sequence[str]] = {
    "outline": (
        "{Size} {symmetry} образование с {border} границей.",
        "{Size}, {symmetry} образование с {border} границей.",
        "Видно {size} {symmetry} образование с {border} границей.",
    ),
    "unclear": ("Образование без чётких очертаний.", "Очертания образования нечёткие."),
    "colour": ("Цвет {colours}.", "Его цвет {colours}.", "Цвет: {colours}."),
    "and": (" и ",),
    "diagnosis": (
        "Возможный диагноз: {name}.",
        "Вероятный диагноз: {name}.",
        "Диагноз для рассмотрения: {name}.",
    ),
}


def read_facts(text: str, language: Language) -> Facts:
    """The facts a caption states, found by their words; the longest term wins where terms overlap.

    `read_facts(caption(facts, language), language) == facts` for all facts that `gather` can give.
    """
    folded = f" {text.lower()} "
    for mark in ".,:;":
        folded = folded.replace(mark, " ")
    found: dict[Slot, list[tuple[int, str]]] = {slot: [] for slot in SLOTS}
    for slot, terms in TERMS.items():
        rest = folded
        for value, names in sorted(terms.items(), key=lambda item: -len(item[1][language])):
            position = rest.find(f" {names[language]} ")
            if position >= 0:
                found[slot].append((position, value))
                blank = " " * len(names[language])
                rest = rest.replace(f" {names[language]} ", f" {blank} ")
    first = {slot: min(places)[1] if places else None for slot, places in found.items()}
    return Facts(
        first["size"],
        first["symmetry"],
        first["border"],
        tuple(value for _, value in sorted(found["colour"])),
        first["diagnosis"],
    )
