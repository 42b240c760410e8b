"""Match the words of Derm1M's text columns to the vocabulary, and count those that nothing matches."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from typing import final

from dermaxai.data.cleaning import SENTINELS
from dermaxai.data.reading import DatasetFolder, FaultKind, known
from dermaxai.vocabulary import diagnoses, findings, labels, sites

_NOT_TOLD = frozenset(sentinel.casefold() for sentinel in SENTINELS)
_TOO_WIDE = frozenset(
    {"regular", "swollen", "dermatitis", "dermoscopy", "edema", "oedema", "sun aging", "crest syndrome"}
)
"""Prompts of the publisher's term list that say something else than the sign they were written for."""


def told(text: str) -> str | None:
    """The cell, or None where it is empty or one of Derm1M's ways to say nothing.

    >>> told("No age information"), told("chest, back")
    (None, 'chest, back')
    """
    stripped = known(text)
    return None if stripped is None or stripped.casefold() in _NOT_TOLD else stripped


@lru_cache(maxsize=65_536)
def match_diagnoses(text: str, path: str = "") -> tuple[tuple[str, str | None], ...]:
    """The labels in `disease_label` in order, each with the id of its diagnosis or None.

    Labels and names both hold commas: of the readings possible the one with the longest name first is
    taken. Where no label matches, the last node of the ontology path stands in, unless it is a category.

    >>> match_diagnoses("angioma, hemangioma, sparkle")
    (('angioma, hemangioma', 'hemangioma'), ('sparkle', None))
    """
    found = tuple(pair for pair in _split(text) if told(pair[0]) is not None)
    if found and all(diagnosis is None for _, diagnosis in found):
        node = _last_node(path)
        return ((text.strip(), node),) if node else found
    return found


def _split(text: str) -> Iterator[tuple[str, str | None]]:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    start = 0
    while start < len(parts):
        for stop in range(len(parts), start, -1):
            name = ", ".join(parts[start:stop])
            diagnosis = _look_up(name)
            if diagnosis is not None or stop == start + 1:
                yield name, diagnosis
                start = stop
                break


def _last_node(path: str) -> str | None:
    parts = path.split(",")
    found = (_look_up(",".join(parts[start:])) for start in range(len(parts)))
    node = next((each for each in found if each is not None), None)
    return None if node is None or diagnoses()[node].malignancy == "category" else node


def _look_up(name: str) -> str | None:
    key = _squeeze(name)
    return _nodes().get(key) or _nodes().get(key.removesuffix("s"))


def _squeeze(text: str) -> str:
    return "".join(text.split()).casefold().replace("’", "'").replace("–", "-")


@cache
def _nodes() -> Mapping[str, str]:
    """Ontology nodes, the synonyms within a node, then all names of the vocabulary, squeezed."""
    found: dict[str, str] = {}
    nodes = {name: label.diagnosis for name, label in labels("derm1m")["ontology node"].items()}
    for name, diagnosis in nodes.items():
        found.setdefault(_squeeze(name.strip(", ")), diagnosis)
    for name, diagnosis in nodes.items():
        for synonym in filter(str.strip, name.split(",")):
            found.setdefault(_squeeze(synonym), diagnosis)
    for each in diagnoses().values():
        for name in filter(known, (each.name["en"], *each.aliases)):
            found.setdefault(_squeeze(name), each.id)
    return found


@lru_cache(maxsize=65_536)
def match_findings(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Ids of the signs in `skin_concept`, in order and once each, and its words that match none.

    >>> match_findings("vesicle, patch, redness, sparkle")
    (('vesicle', 'patch', 'erythema'), ('sparkle',))
    """
    found: dict[str, None] = {}
    unknown = []
    for word in (part.strip() for part in text.split(",")):
        if told(word) is None:
            continue
        finding = _signs().get(word.casefold()) or _signs().get(word.casefold().removesuffix("s"))
        if finding is None:
            unknown.append(word)
        else:
            found.setdefault(finding)
    return tuple(found), tuple(unknown)


@cache
def _signs() -> Mapping[str, str]:
    """Names of signs, then the publisher's terms that stand for one sign only and are no diagnosis."""
    found: dict[str, str] = {}
    for each in findings().values():
        for name in (each.name["en"], each.skincon, *re.split(r"[/()]", each.name["en"])):
            if name:
                found.setdefault(name.casefold(), each.id)
    owners: dict[str, list[str]] = {}
    for each in findings().values():
        for term in dict.fromkeys(each.derm1m):
            owners.setdefault(term.casefold(), []).append(each.id)
    for term, ids in owners.items():
        if len(ids) == 1 and term not in _TOO_WIDE and _look_up(term) is None:
            found.setdefault(term, ids[0])
    return found


_IRREGULAR = {"feet": "foot"}


def match_site(text: str) -> str | None:
    """Id of the body site that `text` names in English, plural and 'the' allowed; None for anything else.

    >>> match_site("Arms"), match_site("left arm")
    ('arm', None)
    """
    name = text.casefold().removeprefix("the ").strip()
    name = _IRREGULAR.get(name, name)
    return _sites().get(name) or _sites().get(name.removesuffix("s"))


@cache
def _sites() -> Mapping[str, str]:
    return {site.name["en"].casefold(): site.id for site in sites().values()}


@final
class Unmatched:
    """Words that nothing matches: each is reported once, with its rows counted and the first one's place."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], tuple[str, int]] = {}

    def note(self, column: str, word: str, place: str) -> None:
        """Count one row."""
        first, count = self._seen.get((column, word), (place, 0))
        self._seen[column, word] = (first, count + 1)

    def report(self, folder: DatasetFolder, told_as: Mapping[str, tuple[FaultKind, str]]) -> None:
        """Tell the folder; `told_as` has per column the kind of fault, and what became of those rows."""
        for (column, word), (first, count) in self._seen.items():
            kind, consequence = told_as[column]
            folder.report(kind, first, f"{column}={word!r}: {consequence} ({count} in all).")
