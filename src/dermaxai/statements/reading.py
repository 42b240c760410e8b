"""The facts that a text states, in the unified vocabulary, each with its polarity and its place.

Sentences of our own templates are read back exactly. In free text the longest name wins, and a cue ('no',
'without', 'possible', 'нет', 'возможно') reaches the next fact and the list that it begins; a comma does not
end a list. Russian free text is read by nominatives and, for findings, genitives only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dermaxai.statements.clinical import ClinicalFacts
from dermaxai.statements.lexicon import (
    BORDER,
    GLUE,
    LESION,
    FactSlot,
    Frame,
    Meaning,
    border_book,
    frames,
    free_book,
    outline_book,
)
from dermaxai.statements.lexicon import Polarity as Polarity
from dermaxai.statements.phrases import Token, sentences_of
from dermaxai.statements.scope import Mention as Mention
from dermaxai.statements.scope import Step, cues, judge
from dermaxai.types import Language

_AGE: Mapping[Language, re.Pattern[str]] = {
    "en": re.compile(r"\b(\d{1,3})(?:-year-old| years? old)\b", re.IGNORECASE),
    "ru": re.compile(r"\b(\d{1,3}) (?:год|года|лет)\b", re.IGNORECASE),
}
_DIAGNOSING: Mapping[Language, re.Pattern[str]] = {
    "en": re.compile(
        r"diagnos|suggest|consistent with|compatible with|suspicious for|suspected", re.IGNORECASE
    ),
    "ru": re.compile(r"диагноз|подозрение на|исключить", re.IGNORECASE),
}
"""From here on a word that names a finding and a diagnosis means the diagnosis."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a text states, in the order of the text."""

    mentions: tuple[Mention, ...]

    @property
    def facts(self) -> ClinicalFacts:
        """The facts of the text.

        A diagnosis counts also where it is only possible, anything else only where it is plainly stated; what
        is negated is kept for findings. The first diagnosis is the diagnosis.
        """
        named = self._values("diagnosis", "stated", "uncertain")
        others = [*named[1:], *self._values("other diagnosis", "stated", "uncertain")]
        size, symmetry, border, age, sex, modality, site = (
            next(iter(self._values(slot, "stated")), None)
            for slot in ("size", "symmetry", "border", "age", "sex", "modality", "site")
        )
        present = self._values("finding", "stated")
        absent = [name for name in self._values("finding", "negated") if name not in present]
        return ClinicalFacts(
            size,
            symmetry,
            border,
            unclear=bool(self._values("outline", "stated")) and not (size or symmetry or border),
            colours=tuple(self._values("colour", "stated")),
            diagnosis=named[0] if named else None,
            other_diagnoses=tuple(name for name in dict.fromkeys(others) if name not in named[:1]),
            present=tuple(present),
            absent=tuple(absent),
            site=site,
            modality=modality,  # type: ignore[arg-type]
            age=None if age is None else int(age),
            sex=sex,  # type: ignore[arg-type]
        )

    def _values(self, slot: FactSlot, *polarities: Polarity) -> list[str]:
        found = (one.value for one in self.mentions if one.slot == slot and one.polarity in polarities)
        return list(dict.fromkeys(found))


def read_clinical(text: str, language: Language) -> Reading:
    """The facts of a text in one language; `read_clinical(caption, language).facts` are a caption's facts.

    >>> found = read_clinical("A papule without ulcer or crust, suggestive of basal cell carcinoma.", "en")
    >>> [(one.value, one.polarity) for one in found.mentions]  # doctest: +NORMALIZE_WHITESPACE
    [('papule', 'stated'), ('ulcer', 'negated'), ('crust', 'negated'),
     ('basal_cell_carcinoma', 'uncertain')]
    """
    found = [mention for sentence in sentences_of(text) for mention in _read(sentence, text, language)]
    ages = [Mention("age", one[1], "stated", *one.span(1)) for one in _AGE[language].finditer(text)]
    return Reading(tuple(sorted([*found, *ages], key=lambda one: one.start) if ages else found))


def _read(sentence: Sequence[Token], text: str, language: Language) -> list[Mention]:
    words = [token.text for token in sentence]
    for length, frame in frames(language).all_at(words, 0):
        framed = _in_frame(sentence, words, length, frame, language)
        if framed:
            return framed
    return judge(_free_steps(sentence, words, text, language))


def _in_frame(
    sentence: Sequence[Token], words: Sequence[str], place: int, frame: Frame, language: Language
) -> list[Mention]:
    """The list behind a template's beginning; empty where anything else follows."""
    found = []
    while place < len(words):
        known = frame.book.at(words, place)
        if known:
            found.append(_mention(sentence, place, known, frame.polarity, frame.slot))
        elif words[place] not in GLUE[language]:
            return []
        place += known[0] if known else 1
    return found


def _free_steps(sentence: Sequence[Token], words: Sequence[str], text: str, language: Language) -> list[Step]:
    """Every fact, cue and word of a sentence of any kind."""
    diagnosing = _DIAGNOSING[language].search(text, sentence[0].start, sentence[-1].stop)
    turn = diagnosing.start() if diagnosing else len(text)
    books = [border_book(language)] if not BORDER[language].isdisjoint(words) else []
    books += [outline_book(language)] if not LESION[language].isdisjoint(words) else []
    steps, place = [], 0
    while place < len(words):
        free = free_book(language, diagnosing=sentence[place].start >= turn)
        known = next((one for book in (*books, free) if (one := book.at(words, place))), None)
        cue = cues(language).at(words, place)
        if known and (cue is None or known[0] >= cue[0]):
            steps.append(Step(_mention(sentence, place, known)))
            place += known[0]
        elif cue:
            steps.append(Step(cue=cue[1]))
            place += cue[0]
        else:
            steps.append(Step(glue=words[place] in GLUE[language]))
            place += 1
    return steps


def _mention(
    sentence: Sequence[Token],
    place: int,
    known: tuple[int, Meaning],
    polarity: Polarity = "stated",
    slot: FactSlot | None = None,
) -> Mention:
    length, (own, value) = known
    return Mention(slot or own, value, polarity, sentence[place].start, sentence[place + length - 1].stop)
