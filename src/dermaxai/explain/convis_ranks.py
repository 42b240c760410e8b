"""At which place a concept comes when all definitions of a tree are sorted by their likeness to an image."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dermaxai.errors import UsageError
from dermaxai.explain.legible import check_legible
from dermaxai.progress import beat

if TYPE_CHECKING:
    from dermaxai.concepts.tree import ConceptTree
    from dermaxai.encoders.base import AbstractEncoder

TEXTS_AT_ONCE = 128
LIKENESSES_AT_ONCE = 2**24
"""Of images and definitions."""

_embedded: weakref.WeakKeyDictionary[
    AbstractEncoder, weakref.WeakKeyDictionary[ConceptTree, Float[Tensor, "definitions embed"]]
] = weakref.WeakKeyDictionary()
"""Weights never change, so a model's definitions hold as long as the model is held."""


@dataclass(frozen=True, slots=True, eq=False)
class RankTable:
    """The definitions of a tree, with those texts added that the tree does not know."""

    embeddings: Float[Tensor, "definitions_and_texts embed"]
    """Unit length; those of the tree come first."""
    definitions: int
    """How many are the tree's."""
    rows: Sequence[Int[Tensor, "own"]]
    """For each text: its node and all below it, or the row that was added for it."""

    def counted(self, text: int) -> int:
        """Among how many definitions the text with this number is ranked: the tree's and its own."""
        return self.definitions + self._is_added(text)

    def ranks(self, images: Float[Tensor, "images embed"]) -> Int[Tensor, "texts images"]:
        """Rank of each text's best definition, 0 for the most alike; equals share the better rank.

        That is the number of definitions of the tree that are more alike than the best of its own.
        """
        return torch.cat(list(self._ranks(images)), 1)

    def shares(self, images: Float[Tensor, "images embed"]) -> Float[Tensor, "texts images"]:
        """Share of the other definitions that are not more alike: 1 for the first rank, 0 for the last."""
        others = torch.tensor([max(self.counted(text) - 1, 1) for text in range(len(self.rows))])
        return 1 - self.ranks(images) / others[:, None].to(images.device)

    def _ranks(self, images: Float[Tensor, "images embed"]) -> Iterator[Int[Tensor, "texts some"]]:
        step = max(1, LIKENESSES_AT_ONCE // len(self.embeddings))
        for start in range(0, len(images), step):
            beat()
            # One product for all: a definition must not be more alike than itself by rounding.
            likeness = images[start : start + step].to(self.embeddings) @ self.embeddings.T
            known = likeness[:, : self.definitions]
            best = [likeness[:, own].amax(1, keepdim=True) for own in self.rows]
            yield torch.stack([(known > one).sum(1) for one in best])

    def _is_added(self, text: int) -> bool:
        return int(self.rows[text][0]) >= self.definitions


def rank_table(encoder: AbstractEncoder, tree: ConceptTree, texts: Sequence[str]) -> RankTable:
    """What `texts` are ranked among; a text that the tree does not know is a definition of its own.

    It is found by id, name or synonym, in English or Russian, and then stands for its node and all below.
    Raises: UsageError for an empty text or tree, NotSupported for characters that the tower cannot read.
    """
    if not tree.nodes:
        raise UsageError("The concept tree is empty, so there is nothing to rank a text among.")
    if not all(text.strip() for text in texts):
        raise UsageError("There is no text to look for.")
    places = {name: place for place, name in enumerate(tree.nodes)}
    added: list[str] = []
    rows = []
    for text in texts:
        found = tree.matches(text)
        if found:
            rows.append(torch.tensor([places[node.id] for node in tree.descendants(found[0].id)]))
        else:
            rows.append(torch.tensor([len(places) + len(added)]))
            added.append(text)
    embeddings = definition_embeddings(encoder, tree)
    if added:
        check_legible(encoder, added)
        embeddings = torch.cat([embeddings, _embed(encoder, added)])
    return RankTable(embeddings, len(places), [own.to(embeddings.device) for own in rows])


def definition_embeddings(encoder: AbstractEncoder, tree: ConceptTree) -> Float[Tensor, "definitions embed"]:
    """The English definitions of all nodes, embedded as they are, without a prompt; unit length.

    Made once per encoder and tree and kept as long as both are. Source: ConVis (arXiv:2405.14563).
    """
    of_encoder = _embedded.setdefault(encoder, weakref.WeakKeyDictionary())
    if tree not in of_encoder:
        of_encoder[tree] = _embed(encoder, [node.definitions["en"] for node in tree.nodes.values()])
    return of_encoder[tree]


def _embed(encoder: AbstractEncoder, texts: Sequence[str]) -> Float[Tensor, "texts embed"]:
    found = []
    for start in range(0, len(texts), TEXTS_AT_ONCE):
        beat()
        found.append(encoder.encode_text(texts[start : start + TEXTS_AT_ONCE]))
    return torch.cat(found)
