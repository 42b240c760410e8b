"""The concept tree: what a node holds, which nodes lie below another, and how a word leads to its node."""

from __future__ import annotations

import difflib
import functools
import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from types import MappingProxyType
from typing import Literal, TypeVar, final, get_args

from dermaxai.concepts.inflection import PhraseBook, folded
from dermaxai.errors import DataError, UnknownName
from dermaxai.types import Language

Kind = Literal["finding", "colour", "shape", "site", "artefact", "image", "diagnosis", "everyday", "group"]
KINDS: tuple[Kind, ...] = get_args(Kind)
ATOM_KINDS: tuple[Kind, ...] = tuple(kind for kind in KINDS if kind not in ("everyday", "group"))
"""What a photo of skin may be made of: no inner nodes without a look of their own, no distractors."""
LANGUAGES: tuple[Language, ...] = get_args(Language)
KEYS = frozenset({"id", "kind", "parents", "name", "definition", "synonyms"})

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class ConceptNode:
    """One concept: its names, a definition that says what it looks like, and other words for it."""

    id: str
    """Unique in the tree: 'pigment_network', or 'dog.n.01' from WordNet."""
    kind: Kind
    parents: tuple[str, ...]
    """Ids of the wider concepts; none for a root."""
    names: Mapping[Language, str]
    """English always; Russian in the tree of this package, elsewhere where it is known."""
    definitions: Mapping[Language, str]
    """The same languages as `names`."""
    synonyms: Mapping[Language, tuple[str, ...]]
    """The same languages as `names`; () where there is none."""
    source: str = field(default="", compare=False)
    """File it was read from."""


@final
class ConceptTree:
    """Concepts and which is a kind of which: a graph without circles, whose nodes may have several parents.

    Raises: DataError for an id given twice, a parent that is not there, or a circle.
    """

    def __init__(self, nodes: Iterable[ConceptNode]) -> None:
        table: dict[str, ConceptNode] = {}
        for node in nodes:
            if node.id in table:
                raise DataError(
                    f"{node.source}: the id '{node.id}' is given twice, first in {table[node.id].source}.",
                    hint="Rename one of them.",
                )
            table[node.id] = node
        self.nodes: Mapping[str, ConceptNode] = MappingProxyType(table)
        """From id to node, in the order of the files."""
        self._parents = {node.id: list(node.parents) for node in table.values()}
        self._children: dict[str, list[str]] = {name: [] for name in table}
        for node in table.values():
            for parent in node.parents:
                if parent not in table:
                    raise DataError(f"{node.source}: the parent '{parent}' of '{node.id}' is no concept.")
                self._children[parent].append(node.id)
        self._check_circles()

    @property
    def roots(self) -> tuple[ConceptNode, ...]:
        """Nodes without parents."""
        return tuple(node for node in self.nodes.values() if not node.parents)

    @property
    def leaves(self) -> tuple[ConceptNode, ...]:
        """Nodes without children."""
        return tuple(node for node in self.nodes.values() if not self._children[node.id])

    def children(self, name: str) -> tuple[ConceptNode, ...]:
        """The nodes directly below the id `name`. Raises: UnknownName."""
        return tuple(self.nodes[child] for child in self._children[self._known(name)])

    def descendants(self, name: str) -> tuple[ConceptNode, ...]:
        """The node with the id `name` and all below it, each once, the nearest first. Raises: UnknownName."""
        return self._reached([self._known(name)], self._children)

    def ancestors(self, name: str) -> tuple[ConceptNode, ...]:
        """All nodes above the id `name`, not itself, each once, the nearest first. Raises: UnknownName."""
        return self._reached(self._parents[self._known(name)], self._parents)

    def atoms(self, kinds: Collection[Kind] = ATOM_KINDS) -> tuple[ConceptNode, ...]:
        """Nodes that an image may be decomposed into: those of `kinds`, in the order of the tree."""
        return tuple(node for node in self.nodes.values() if node.kind in kinds)

    def find(self, text: str, language: Language | None = None) -> ConceptNode:
        """The node with the id, name or synonym `text`, in one language or any.

        Ids come before names, names before synonyms, skin before everyday things; of equals the first in
        the tree. A Russian text may be inflected. Raises: UnknownName with the nearest known names.
        """
        found = self.matches(text, language)
        if not found:
            raise self._unknown(text, language)
        return found[0]

    def matches(self, text: str, language: Language | None = None) -> tuple[ConceptNode, ...]:
        """All nodes that fit `text` equally well, as `find` ranks them; () where none does."""
        levels = self._spelled.get(folded(text), [])
        exact = [
            (level, node) for level, spoken, node in levels if language is None or spoken in (None, language)
        ]
        if not exact and language != "en":
            exact = self._inflected.find(text)
        best = min((level for level, _ in exact), default=())
        return tuple({node.id: node for level, node in exact if level == best}.values())

    @functools.cached_property
    def _spelled(self) -> dict[str, list[tuple[tuple[int, ...], Language | None, ConceptNode]]]:
        """Rank, language (None for ids) and node of everything that can be found, folded."""
        table: dict[str, list[tuple[tuple[int, ...], Language | None, ConceptNode]]] = {}
        for node in self.nodes.values():
            table.setdefault(folded(node.id), []).append(((0,), None, node))
            for language in node.names:
                for level, text in _spoken(node, language):
                    table.setdefault(folded(text), []).append((level, language, node))
        return table

    @functools.cached_property
    def _inflected(self) -> PhraseBook[tuple[tuple[int, ...], ConceptNode]]:
        return PhraseBook(
            (text, (level, node))
            for node in self.nodes.values()
            if "ru" in node.names
            for level, text in _spoken(node, "ru")
        )

    def _reached(self, start: list[str], links: Mapping[str, list[str]]) -> tuple[ConceptNode, ...]:
        queue = list(dict.fromkeys(start))
        seen = set(queue)
        for name in queue:
            fresh = [other for other in dict.fromkeys(links[name]) if other not in seen]
            seen.update(fresh)
            queue.extend(fresh)
        return tuple(self.nodes[name] for name in queue)

    def _check_circles(self) -> None:
        """Take away nodes whose parents are all gone; what stays lies on or below a circle."""
        open_parents = {node.id: len(node.parents) for node in self.nodes.values()}
        ready = [name for name, count in open_parents.items() if not count]
        for name in ready:
            for child in self._children[name]:
                open_parents[child] -= 1
                if not open_parents[child]:
                    ready.append(child)
        left = {name for name, count in open_parents.items() if count}
        if left:
            raise self._circle(left)

    def _circle(self, left: set[str]) -> DataError:
        path = [next(name for name in self.nodes if name in left)]
        while path.count(path[-1]) < 2:
            path.append(next(parent for parent in self.nodes[path[-1]].parents if parent in left))
        circle = path[path.index(path[-1]) :]
        return DataError(
            f"{self.nodes[circle[0]].source}: '{circle[0]}' is above itself: {' → '.join(circle)}.",
            hint="Take one of these parents away.",
        )

    def _known(self, name: str) -> str:
        if name not in self.nodes:
            raise self._unknown(name, None)
        return name

    def _unknown(self, text: str, language: Language | None) -> UnknownName:
        near = difflib.get_close_matches(folded(text), self._spelled, n=3)
        guess = f" Did you mean {', '.join(repr(name) for name in near)}?" if near else ""
        spoken = f" in '{language}'" if language else ""
        return UnknownName(
            f"None of the {len(self.nodes)} concepts is called '{text}'{spoken}.{guess}",
            hint="A concept is found by its id, its name or a synonym, in English or Russian.",
        )


def bare(name: str) -> str:
    """A name without what it adds in brackets.

    >>> bare("brown(hyperpigmentation)"), bare("папула (узелок)")
    ('brown', 'папула')
    """
    return re.sub(r"\s*\([^)]*\)", "", name).strip()


def read_tree(path: Path | None = None) -> ConceptTree:
    """The tree of this package; or that of one JSON file, or of all `*.json` of a folder, in its place.

    A file is `{"concepts": [{"id", "kind", "parents", "name", "definition", "synonyms"}, …]}`, the last three
    by language: both in this package, at least English elsewhere. Raises: DataError naming file and id.

    >>> read_tree().find("пигментной сети").id
    'pigment_network'
    """
    if path is None:
        return _package_tree()
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    if not files:
        raise DataError(f"No concept file (*.json) in {path}.")
    return ConceptTree(node for file in files for node in _read_nodes(file, LANGUAGES[:1]))


@functools.cache
def _package_tree() -> ConceptTree:
    folder = resources.files("dermaxai.concepts")
    files = sorted(
        (entry for entry in folder.iterdir() if entry.name.endswith(".json")), key=lambda entry: entry.name
    )
    return ConceptTree(node for file in files for node in _read_nodes(file, LANGUAGES))


def _spoken(node: ConceptNode, language: Language) -> list[tuple[tuple[int, ...], str]]:
    """Rank and text of a node's name, then of its synonyms and of the name without its brackets."""
    name, everyday = node.names[language], int(node.kind == "everyday")
    others = dict.fromkeys((bare(name), *node.synonyms[language]))
    return [((1 + everyday, 0), name), *(((1 + everyday, 1), text) for text in others)]


def _read_nodes(file: Traversable, needed: Collection[Language]) -> list[ConceptNode]:
    try:
        read = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{file.name} is no readable JSON file: {error}") from error
    rows = read.get("concepts") if isinstance(read, dict) else None
    if not isinstance(rows, list):
        raise DataError(f'{file.name}: expected {{"concepts": […]}}.')
    return [_node(row, file.name, needed) for row in rows]


def _node(row: object, file: str, needed: Collection[Language]) -> ConceptNode:
    name = row.get("id") if isinstance(row, dict) else None
    if not isinstance(row, dict) or not isinstance(name, str) or not name.strip():
        raise DataError(f"{file}: a concept without an id: {str(row)[:80]}")
    where = f"{file}: '{name}'"
    if row.keys() != KEYS:
        missing, strange = sorted(KEYS - row.keys()), sorted(row.keys() - KEYS)
        raise DataError(
            f"{where} has the keys {sorted(row)}.", hint=f"Missing: {missing}, unknown: {strange}."
        )
    if row["kind"] not in KINDS:
        raise DataError(f"{where} is of the kind '{row['kind']}'.", hint=f"Kinds: {', '.join(KINDS)}.")
    definitions = _by_language(row["definition"], f"{where}, definition", needed)
    names = _by_language(row["name"], f"{where}, name", definitions)
    if names.keys() != definitions.keys():
        raise DataError(f"{where} has names in {sorted(names)}, definitions in {sorted(definitions)}.")
    synonyms = row["synonyms"] if isinstance(row["synonyms"], dict) else {}
    if not set(needed) <= synonyms.keys() <= names.keys():
        raise DataError(f"{where} has synonyms in {sorted(synonyms)}.", hint=f"Expected: {sorted(names)}.")
    spoken = {language: _texts(synonyms.get(language, []), f"{where}, synonyms") for language in names}
    parents = _texts(row["parents"], f"{where}, parents")
    return ConceptNode(name, row["kind"], parents, names, definitions, spoken, file)


def _by_language(given: object, where: str, needed: Collection[Language]) -> dict[Language, str]:
    """The languages of a text in their usual order; all of `needed` must be there and none unknown."""
    texts = given if isinstance(given, dict) else {}
    for language in needed:
        if not isinstance(texts.get(language), str) or not texts[language].strip():
            raise DataError(f"{where}: no text in '{language}'.")
    _texts(list(texts.values()), where)
    if strange := texts.keys() - set(LANGUAGES):
        raise DataError(
            f"{where}: unknown language {sorted(strange)}.", hint=f"Known: {', '.join(LANGUAGES)}."
        )
    return {language: texts[language] for language in LANGUAGES if language in texts}


def _texts(given: object, where: str) -> tuple[str, ...]:
    if not isinstance(given, list) or not all(isinstance(text, str) and text.strip() for text in given):
        raise DataError(f"{where}: expected a list of texts, got {str(given)[:80]}.")
    return tuple(given)
