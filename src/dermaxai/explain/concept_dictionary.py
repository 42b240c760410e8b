"""The atoms of a decomposition: clinical concepts as directions in one encoder's embedding space."""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, final

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from dermaxai.concepts.tree import ConceptNode, ConceptTree, bare, read_tree
from dermaxai.errors import NotSupported
from dermaxai.explain.base import embed_texts
from dermaxai.explain.sparse import SparseSolver

if TYPE_CHECKING:
    from dermaxai.encoders.base import AbstractEncoder

Names = Literal["words", "all"]
Prompts = Literal["card", "plain"]

SKIN_TEMPLATES = (
    "a photo of skin showing {}",
    "this is a skin image of {}",
    "this is a dermatology image of {}",
)
"""For encoders whose card knows no prompts."""
SPELLED = 3.0
"""Median of pieces per word of all names above which a text tower spells rather than reads."""
READ = 1.5
"""Pieces per word up to which such a tower has met the words of a name."""
MERGED = 0.95
"""Cosine of two centred atoms above which they are one."""
REMEMBERED = 8
"""Dictionaries that are kept in memory."""


@dataclass(frozen=True, slots=True)
class Atom:
    """One direction, and every concept that this encoder cannot tell from it."""

    nodes: tuple[ConceptNode, ...]
    """The first gives name, kind and direction."""

    @property
    def name(self) -> str:
        """English."""
        return self.nodes[0].names["en"]

    @property
    def names(self) -> tuple[str, ...]:
        """English, of all its concepts."""
        return tuple(node.names["en"] for node in self.nodes)

    @property
    def kind(self) -> str:
        """Of the concept tree."""
        return self.nodes[0].kind


@dataclass(frozen=True, slots=True, eq=False)
class ConceptDictionary:
    """Atoms of one encoder, and the solver over them."""

    atoms: tuple[Atom, ...]
    directions: Float[Tensor, "atoms embed"]
    """Centred, unit length, double precision, on the CPU."""
    considered: int
    """Names that could have become atoms."""
    read: int
    """Names among them that the text tower reads as words."""
    solver: SparseSolver = field(repr=False)
    tree: ConceptTree = field(repr=False)

    def find(self, text: str) -> int | None:
        """The atom that stands for a name or synonym in any language; None if there is none."""
        for index, atom in enumerate(self.atoms):
            if text in atom.names:
                return index
        wanted = {node.id for node in self.tree.matches(text)}
        fits = (index for index, atom in enumerate(self.atoms) if wanted & {node.id for node in atom.nodes})
        return next(fits, None)


@final
class _Memory:
    """The dictionaries made last, by encoder and options."""

    def __init__(self) -> None:
        self._made: OrderedDict[tuple[object, ...], ConceptDictionary] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: tuple[object, ...]) -> ConceptDictionary | None:
        with self._lock:
            if key in self._made:
                self._made.move_to_end(key)
            return self._made.get(key)

    def put(self, key: tuple[object, ...], made: ConceptDictionary) -> None:
        with self._lock:
            self._made[key] = made
            while len(self._made) > REMEMBERED:
                self._made.popitem(last=False)


_MEMORY = _Memory()


def concept_dictionary(
    encoder: AbstractEncoder, *, names: Names = "words", prompts: Prompts = "card", merge: float = MERGED
) -> ConceptDictionary:
    """The dictionary of an encoder over the concept tree of this package, made once per encoder and options.

    Each name is put into the card's prompts, whose embeddings are averaged; atoms are centred by their mean.
    `names="words"` leaves out what a tower with a small vocabulary can only spell: such a direction follows
    letters, not meaning. Towers that read most names as words keep all. `prompts="plain"` takes bare names.
    Atoms whose cosine is above `merge` after centring become one; before centring all texts of one field
    are alike, so that a limit there would say nothing. 1 merges none.

    Raises: NotSupported without a text tower, and where fewer than two names are left.
    Source: SpLiCE (arXiv:2402.10376), section 4: centring; merging and words are this project's.
    """
    card = encoder.card
    key = (encoder.sha256, card.name, card.templates, str(encoder.dtype), names, prompts, merge)
    found = _MEMORY.get(key)
    if found is None:
        found = _make(encoder, read_tree(), names, templates_of(encoder, prompts), merge)
        _MEMORY.put(key, found)
    return found


def templates_of(encoder: AbstractEncoder, prompts: Prompts) -> tuple[str, ...]:
    """The sentences that names are put into.

    A card made from a folder holds `{}` alone, which is no prompt.
    """
    if prompts == "plain":
        return ("{}",)
    return tuple(one for one in encoder.card.templates if one != "{}") or SKIN_TEMPLATES


def _make(
    encoder: AbstractEncoder, tree: ConceptTree, names: Names, templates: Sequence[str], merge: float
) -> ConceptDictionary:
    if not encoder.has_text:
        raise NotSupported(
            f"'{encoder.card.name}' has no text tower, so no concept has a direction in it.",
            hint="Choose an encoder with text.",
        )
    every = tree.atoms()
    words = read_as_words(encoder, [bare(node.names["en"]) for node in every])
    # A plain name comes before one with an explanation in brackets: it stands for both if they are merged.
    nodes = sorted(
        (node for node, known in zip(every, words, strict=True) if known or names == "all"),
        key=lambda node: node.names["en"] != bare(node.names["en"]),
    )
    if len(nodes) < 2:
        raise NotSupported(
            f"The text tower of '{encoder.card.name}' spells all but {len(nodes)} of {len(every)} concept "
            "names letter by letter, so they have no meaning to it.",
            hint="The variant 'all names' takes them nevertheless.",
        )
    raw = embed_names(encoder, [bare(node.names["en"]) for node in nodes], templates)
    groups = merge_alike(raw, merge)
    directions = centred(raw[[group[0] for group in groups]])
    atoms = tuple(Atom(tuple(nodes[index] for index in group)) for group in groups)
    return ConceptDictionary(atoms, directions, len(every), sum(words), SparseSolver(directions), tree)


def embed_names(
    encoder: AbstractEncoder, names: Sequence[str], templates: Sequence[str]
) -> Float[Tensor, "names embed"]:
    """Mean embedding of each name in all templates, unit length, double precision, on the CPU."""
    texts = [template.format(name) for name in names for template in templates]
    embedded = embed_texts(encoder, texts).cpu().double()
    return functional.normalize(embedded.reshape(len(names), len(templates), -1).mean(1), dim=1)


def centred(directions: Float[Tensor, "atoms embed"]) -> Float[Tensor, "atoms embed"]:
    """Directions without what all of them share, unit length again."""
    unit = functional.normalize(directions, dim=1)
    return functional.normalize(unit - unit.mean(0), dim=1)


def merge_alike(directions: Float[Tensor, "atoms embed"], limit: float) -> list[list[int]]:
    """Groups of rows, each led by its first; no two leaders have a cosine above `limit` when centred.

    A row joins the leader that it is nearest to. Leaving rows out moves the centre, so this is repeated.
    """
    groups = [[index] for index in range(len(directions))]
    while limit < 1:
        leaders = centred(directions[[group[0] for group in groups]])
        cosines = (leaders @ leaders.T).numpy()
        kept: list[int] = []
        for index, near in enumerate(cosines):
            nearest = kept[int(near[kept].argmax())] if kept else index
            if nearest != index and near[nearest] > limit:
                groups[nearest] += groups[index]
            else:
                kept.append(index)
        if len(kept) == len(groups):
            break
        groups = [groups[index] for index in kept]
    return groups


def read_as_words(encoder: AbstractEncoder, names: Sequence[str]) -> list[bool]:
    """Which names a text tower has met as words; all, unless its vocabulary is too small for most of them.

    CLIP's tokenizer cuts a word of the tree's names into 2 pieces in the median, one that was made for the
    captions of a single collection into 5.
    """
    pieces = pieces_per_word(encoder, names)
    if pieces is None or float(pieces.median()) <= SPELLED:
        return [True] * len(names)
    return [float(one) <= READ for one in pieces]


def pieces_per_word(encoder: AbstractEncoder, names: Sequence[str]) -> Float[Tensor, "names"] | None:
    """Tokens of each name by the number of its words; None where the text tower cannot be looked into."""
    try:
        tokenize = encoder.text_tower.tokenize
    except NotSupported:
        return None
    ids = tokenize(["", *names])
    used = (ids != ids[0, -1]).sum(1)
    words = torch.tensor([max(len(re.findall(r"\w+", name)), 1) for name in names])
    return (used[1:] - used[0]).cpu() / words
