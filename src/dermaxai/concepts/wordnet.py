"""The nouns of WordNet as a concept tree, read from its own database files.

Source: the manual page wndb(5) of WordNet 3.0 and 3.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from dermaxai.concepts.tree import ConceptNode, ConceptTree
from dermaxai.errors import DataError, UnknownName

DATA = "data.noun"
INDEX = "index.noun"
HYPERNYMS = ("@", "@i")
"""Pointers to a wider concept: of a class, and of a single instance such as a city."""


class Synset(NamedTuple):
    """One line of `data.noun`."""

    offset: str
    words: tuple[str, ...]
    parents: tuple[str, ...]
    """Offsets."""
    definition: str
    line: int


def read_wordnet(folder: Path, keep: Sequence[str] | None = None) -> ConceptTree:
    """The noun synsets of the WordNet database in `folder`, as nodes of the kind 'everyday'.

    Ids are as in 'dog.n.01': first word and number of the sense. Names, synonyms and definitions are English
    only; a definition is the gloss up to its first example. With `keep` (ids, or nouns in their first sense)
    only these and all that lies above them stay. Nodes are in the order of sense numbers.
    Raises: DataError naming file and line; UnknownName for a noun of `keep` that is not there.
    Source: ConVis (arXiv 2405.14563), where the set of concepts is made in this way.
    """
    senses = dict(_read_index(folder / INDEX))
    synsets = {synset.offset: synset for synset in _read_data(folder / DATA)}
    ids = {synset.offset: _id_of(synset, senses) for synset in synsets.values()}
    if keep is not None:
        offsets = {name: offset for offset, name in ids.items()}
        start = [offsets.get(text) or _first_sense(text, senses) for text in keep]
        synsets = {offset: synsets[offset] for offset in _upward(start, synsets)}
    number = {offset: int(ids[offset].rpartition(".")[2]) for offset in synsets}
    order = sorted(synsets, key=lambda offset: (number[offset], offset))
    return ConceptTree(_node(synsets[offset], ids) for offset in order)


def _read_index(file: Path) -> Iterator[tuple[str, list[str]]]:
    """Each lower-case noun with the offsets of its senses, the most frequent first."""
    for line, fields in _lines(file):
        count = _number(fields[2:3], 10, file, line)
        offsets = fields[len(fields) - count :]
        if len(fields) < 4 + count or not all(re.fullmatch(r"\d{8}", offset) for offset in offsets):
            raise DataError(f"{file.name}, line {line}: expected {count} offsets of eight digits at its end.")
        yield fields[0], offsets


def _read_data(file: Path) -> Iterator[Synset]:
    for line, fields in _lines(file):
        words = 2 * _number(fields[3:4], 16, file, line)
        pointers = 4 * _number(fields[4 + words : 5 + words], 10, file, line)
        behind = fields[5 + words + pointers :]
        if not words or behind[:1] != ["|"] or not re.fullmatch(r"\d{8}", fields[0]):
            raise DataError(f"{file.name}, line {line}: its words and pointers are not as many as it says.")
        pointing = fields[5 + words : 5 + words + pointers]
        wider = zip(pointing[::4], pointing[1::4], strict=True)
        yield Synset(
            fields[0],
            tuple(fields[4 : 4 + words : 2]),
            tuple(offset for symbol, offset in wider if symbol in HYPERNYMS),
            _definition(" ".join(behind[1:])),
            line,
        )


def _lines(file: Path) -> Iterator[tuple[int, list[str]]]:
    """Number and fields of each line; those that begin with two spaces hold the licence."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"{file} cannot be read: {error}",
            hint=f"WordNet's folder holds {DATA} and {INDEX}; Debian has it in the package wordnet-base.",
        ) from error
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.startswith("  "):
            yield number, line.split()


def _number(field: Sequence[str], base: int, file: Path, line: int) -> int:
    try:
        return int(field[0], base)
    except (IndexError, ValueError) as error:
        raise DataError(f"{file.name}, line {line}: expected a count, got {list(field)}.") from error


def _definition(gloss: str) -> str:
    """A gloss up to its first example.

    >>> _definition('a domestic animal; occurs in many breeds; "the dog barked all night"')
    'a domestic animal; occurs in many breeds'
    """
    return re.split(r'[;:,]\s*"', gloss, maxsplit=1)[0].strip(" ;") or gloss


def _id_of(synset: Synset, senses: Mapping[str, list[str]]) -> str:
    lemma = synset.words[0].lower()
    if synset.offset not in senses.get(lemma, ()):
        raise DataError(f"{DATA}, line {synset.line}: {INDEX} has no sense {synset.offset} of '{lemma}'.")
    return f"{lemma}.n.{senses[lemma].index(synset.offset) + 1:02d}"


def _first_sense(text: str, senses: Mapping[str, list[str]]) -> str:
    lemma = text.lower().replace(" ", "_")
    if lemma not in senses:
        raise UnknownName(f"WordNet has no noun '{text}'.", hint="Expected a noun, or an id like 'dog.n.01'.")
    return senses[lemma][0]


def _upward(start: Sequence[str], synsets: Mapping[str, Synset]) -> list[str]:
    """Offsets of `start` and of all above, each once."""
    queue = list(dict.fromkeys(start))
    seen = set(queue)
    for offset in queue:
        fresh = [parent for parent in synsets[offset].parents if parent not in seen]
        seen.update(fresh)
        queue.extend(fresh)
    return queue


def _node(synset: Synset, ids: Mapping[str, str]) -> ConceptNode:
    name, *others = [word.replace("_", " ") for word in synset.words]
    parents = tuple(dict.fromkeys(ids.get(parent, parent) for parent in synset.parents))
    return ConceptNode(
        ids[synset.offset],
        "everyday",
        parents,
        {"en": name},
        {"en": synset.definition},
        {"en": tuple(others)},
        DATA,
    )
