"""What is true of a photo, and whether a mention agrees with it.

Truth is what is `known`; where that is silent it is what the references say, and any of them will do.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from dermaxai.measure.clinical.kinship import related
from dermaxai.measure.clinical.stated import Stated
from dermaxai.statements.clinical import ClinicalFacts
from dermaxai.statements.lexicon import FactSlot, Polarity
from dermaxai.statements.reading import Mention, Reading
from dermaxai.vocabulary import sites

AGE_SLACK = 5
"""Years by which a stated age may differ: publishers round ages to five years."""
_SINGLE: tuple[FactSlot, ...] = ("size", "symmetry", "border", "site", "modality", "sex")
DIAGNOSES: tuple[FactSlot, ...] = ("diagnosis", "other diagnosis")


def values_of(facts: ClinicalFacts, slot: FactSlot) -> tuple[str, ...]:
    """What facts hold in a slot, the first one first; findings are those present, diagnoses all of them."""
    if slot in DIAGNOSES:
        named = facts.diagnosis
        return (*([named] if named else []), *facts.other_diagnoses)
    if slot == "colour":
        return facts.colours
    if slot == "finding":
        return facts.present
    if slot == "age":
        return () if facts.age is None else (str(facts.age),)
    if slot == "outline":
        return ("unclear",) if facts.unclear else ()
    value = getattr(facts, slot) if slot in _SINGLE else None
    return (value,) if value else ()


@lru_cache(8192)
def facts_in(reading: Reading) -> ClinicalFacts:
    """The facts of a reading, which metrics ask for again and again."""
    return reading.facts


def truths(one: Stated, slot: FactSlot) -> tuple[tuple[str, ...], ...]:
    """What may rightly be said in a slot: one list if it is known, else one of each reference that says it.

    () where nobody says anything.
    """
    known = values_of(one.known, slot)
    if known:
        return (known,)
    told = (values_of(facts_in(reference), slot) for reference in one.references)
    return tuple(values for values in told if values)


def diagnoses_said(reading: Reading) -> tuple[str, ...]:
    """Diagnoses that a text names, possible ones too, ruled-out ones not; the main one first."""
    return values_of(facts_in(reading), "diagnosis")


def polarities(reading: Reading) -> dict[str, Polarity]:
    """The findings of a text; of several mentions a plain one counts, then a negated, then a possible one."""
    order: tuple[Polarity, ...] = ("uncertain", "negated", "stated")
    said = [one for one in reading.mentions if one.slot == "finding"]
    return {one.value: one.polarity for one in sorted(said, key=lambda one: order.index(one.polarity))}


def asserted(mention: Mention) -> bool:
    """Whether a mention claims something: what is plainly stated, and a diagnosis also as a possibility."""
    return mention.polarity == "stated" or (mention.polarity == "uncertain" and mention.slot in DIAGNOSES)


def claims(reading: Reading) -> Iterator[tuple[int, Mention]]:
    """What a text claims, each fact once, with the place of its first mention; denials are left out."""
    seen = set()
    for place, mention in enumerate(reading.mentions):
        slot = "diagnosis" if mention.slot in DIAGNOSES else mention.slot
        if asserted(mention) and (slot, mention.value) not in seen:
            seen.add((slot, mention.value))
            yield place, mention


def support(mention: Mention, one: Stated) -> bool | None:
    """Whether a mention agrees with what is known or referred to; None where nothing is, or it is hedged.

    A diagnosis or site that is coarser or finer than the truth agrees with it; an age within `AGE_SLACK`.
    """
    if mention.slot == "finding":
        return _finding_support(mention, one)
    if not asserted(mention):
        return None
    if mention.slot == "outline":
        measured = any(truths(one, slot) for slot in ("size", "symmetry", "border"))
        return False if measured else True if truths(one, "outline") else None
    found = truths(one, mention.slot)
    if not found:
        return None
    return any(_agrees(mention, value) for values in found for value in values)


def _agrees(mention: Mention, value: str) -> bool:
    if mention.slot in DIAGNOSES:
        return related(mention.value, value)
    if mention.slot == "site":
        return same_place(mention.value, value)
    if mention.slot == "age":
        return abs(int(mention.value) - int(value)) <= AGE_SLACK
    return mention.value == value


def same_place(one: str, other: str) -> bool:
    """Whether two sites are the same, or one is the region of the other."""
    return one == other or sites()[one].group == other or sites()[other].group == one


def _finding_support(mention: Mention, one: Stated) -> bool | None:
    """Annotations speak for the findings they name; a reference for what it leaves out as well."""
    name, denied = mention.value, mention.polarity == "negated"
    if mention.polarity == "uncertain":
        return None
    if name in one.known.present or name in one.known.absent:
        return (name in one.known.absent) == denied
    told = [polarities(reference) for reference in one.references]
    said = {findings[name] for findings in told if name in findings}
    if denied:
        return True if "negated" in said else False if said else None
    if said:
        return said != {"negated"}
    return False if any(told) else None
