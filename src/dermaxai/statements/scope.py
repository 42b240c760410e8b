"""Negation and uncertainty in free text: which cue reaches which mention."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

from dermaxai.statements.lexicon import FactSlot, Polarity
from dermaxai.statements.phrases import PhraseBook
from dermaxai.types import Language

REACH = 4
"""Words between a cue and the first thing it speaks of, at most."""
LIST_REACH = 1
"""Words, beside commas and 'and', between the things of one list, at most."""

Direction = Literal["before", "behind", "end"]
"""Where a cue stands: before what it speaks of, or behind it; 'end' ends what an earlier one speaks of."""
Cue = tuple[Direction, Polarity]

_CUES: Mapping[Language, Mapping[Cue, str]] = {
    "en": {
        ("before", "negated"): "no|not|without|absence of|absent|denies|lacks|lacking|free of|negative for"
        "|no evidence of|no sign of|no signs of|never|neither",
        ("behind", "negated"): "is absent|are absent|absent|is not seen|are not seen|not seen|not visible"
        "|not present|is not present|are not present|is excluded|excluded|ruled out",
        ("before", "uncertain"): "possible|possibly|probable|probably|suggestive of|suggesting|suggests"
        "|suspicious for|suspicion of|suspected|likely|consistent with|compatible with|may|might|could be"
        "|cannot exclude|can not exclude|cannot rule out|rule out|differential|differential diagnosis"
        "|not excluded|diagnosis to consider|consider",
        ("behind", "uncertain"): "is possible|is suspected|cannot be excluded|cannot be ruled out|is likely"
        "|not excluded|to be considered",
        ("end", "stated"): "but|however|except|although|though|which|while|not only|only",
    },
    "ru": {
        ("before", "negated"): "нет|без|не|не видно|нет признаков|отсутствие|отсутствует|отсутствуют|ни"
        "|исключен|исключена",
        ("behind", "negated"): "отсутствует|отсутствуют|не видно|не видна|не виден|не видны|не выявлено"
        "|не выявлена|не отмечается|исключена|исключен|нет",
        ("before", "uncertain"): "возможно|возможный|возможная|возможные|возможное|вероятно|вероятный"
        "|вероятная|вероятное|вероятные|подозрение на|предположительно|нельзя исключить|не исключена"
        "|не исключен|не исключено|похоже на|диагноз для рассмотрения",
        ("behind", "uncertain"): "возможна|возможен|возможно|под вопросом|не исключена|не исключен"
        "|не исключено|нельзя исключить",
        ("end", "stated"): "но|однако|кроме|хотя|а|который|которая|не только",
    },
}


@cache
def cues(language: Language) -> PhraseBook[tuple[Cue, ...]]:
    """Phrases and what they do; one phrase may work in both directions."""
    found: dict[str, list[Cue]] = {}
    for cue, phrases in _CUES[language].items():
        for phrase in phrases.split("|"):
            found.setdefault(phrase, []).append(cue)
    return PhraseBook((phrase, tuple(both)) for phrase, both in found.items())


@dataclass(frozen=True, slots=True)
class Mention:
    """A fact in a text."""

    slot: FactSlot
    value: str
    """Id in the vocabulary, key of `TERMS`, or the number of years."""
    polarity: Polarity
    start: int
    """First character in the text."""
    stop: int
    """One behind the last character."""


@dataclass(frozen=True, slots=True)
class Step:
    """A part of a sentence: a mention, a cue, or a word; `glue` joins the things of a list."""

    mention: Mention | None = None
    cue: tuple[Cue, ...] = ()
    glue: bool = False


def judge(steps: Sequence[Step]) -> list[Mention]:
    """The mentions of a sentence, each with the polarity that the cues around it give it.

    A cue reaches findings and diagnoses in one list; 'no scale on the face' does not negate the face.
    """
    found: list[Mention] = []
    before: Polarity | None = None
    left = gap = 0
    kind = ""
    for step in steps:
        if step.mention:
            if kind and kind != _kind(step.mention):
                before = None
            kind = _kind(step.mention)
            found.append(replace(step.mention, polarity=before or "stated"))
            left, gap = LIST_REACH, 0
        elif step.cue:
            behind = _cue(step.cue, "behind")
            if behind and found and before is None and gap <= LIST_REACH:
                found[-1:] = [replace(found[-1], polarity=behind)]
            else:
                before, left, kind = _cue(step.cue, "before"), REACH, ""
        elif not step.glue:
            left, gap = left - 1, gap + 1
            before = before if left >= 0 else None
    return found


def _kind(mention: Mention) -> str:
    return "sign" if mention.slot in ("finding", "diagnosis") else mention.slot


def _cue(cue: Iterable[Cue], direction: Direction) -> Polarity | None:
    return next((polarity for way, polarity in cue if way == direction), None)
