"""SpLiCE: a few clinical concepts whose directions add up to the image embedding, and where they rest."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, final

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from dermaxai.concepts.glossary import english_of
from dermaxai.concepts.tree import ATOM_KINDS, ConceptNode, ConceptTree
from dermaxai.errors import NotSupported, SettingError
from dermaxai.explain.base import AbstractMethod, Answer, Explained, Found
from dermaxai.explain.concept_dictionary import (
    MERGED,
    ConceptDictionary,
    Names,
    Prompts,
    concept_dictionary,
)
from dermaxai.explain.grad_eclip import GradEclip
from dermaxai.explain.image_mean import ImageKind, ImageMean, find_mean
from dermaxai.explain.pooling import shared_pooling
from dermaxai.explain.support import DoubtfulMap
from dermaxai.types import Caption, Concept, ConceptFit, Encoded, Target

if TYPE_CHECKING:
    from dermaxai.encoders.base import AbstractEncoder

PENALTY = 0.15
"""Leaves about 5 to 15 concepts of a dermoscopic photo; the published code weighs the same norm alike."""
ROUNDING = 1e-6
"""Distance of two embeddings of unit length in single precision below which they are the same."""
LONGEST_NAME = 6
"""Words of a caption that may say one concept together."""


@dataclass(frozen=True, slots=True, eq=False)
class Mixture:
    """One embedding as a sum of atoms."""

    dictionary: ConceptDictionary
    mean: ImageMean
    weights: Float[Tensor, "atoms"]
    """0 or more."""
    point: Float[Tensor, "embed"]
    """The embedding after the mean is taken out, unit length."""
    distance: float
    """Of embedding and mean."""


@final
class Splice(AbstractMethod):
    """Concepts w >= 0 that minimise ||z - wC||^2 + penalty * sum(w); their maps explain the weights.

    z is the image embedding without the mean image, C the centred directions of the concept tree (see
    `concept_dictionary`), both of unit length. Weights are relative to the average photo, and weight 0 says
    'not needed', never 'absent'.

    The map of a concept is that of its weight: on the support S, w_S = (C_S C_S^T)^-1 (C_S z - penalty / 2),
    so that each weight has a direction of change in the embedding space, which Grad-ECLIP carries to the
    patches with the model's own heads and attention. The shares of all tokens sum to dw/do . o, o the
    attention output. Another concept of the dictionary than those found has an empty map.

    `reference` is the published setting: bare names, none left out or merged, penalty 0.25 as in its README.

    Source: SpLiCE (arXiv:2402.10376), equation 4; its code weighs the norm by `penalty`, the paper by twice
    that. The maps are this project's.
    """

    name = "splice"
    title = "SpLiCE"
    signed = True
    answers = frozenset({"concept"})
    layer = "attention before the embedding"
    variants = {  # noqa: RUF012 - a ClassVar in the base
        "concepts it reads": {},
        "all names": {"names": "all"},
        "reference": {"names": "all", "prompts": "plain", "merge": 1.0, "penalty": 0.25},
    }

    def __init__(
        self,
        *,
        penalty: float = PENALTY,
        names: Names = "words",
        prompts: Prompts = "card",
        merge: float = MERGED,
        kind: ImageKind = "dermoscopic",
        mean: Path | ImageMean | None = None,
    ) -> None:
        """Choose the form; `mean` overrules what is found for the `kind` of photo. Raises: SettingError."""
        if not 0 <= penalty < float("inf"):
            raise SettingError(f"The penalty of SpLiCE is 0 or more, not {penalty}.")
        if names not in ("words", "all") or prompts not in ("card", "plain") or not 0 < merge <= 1:
            raise SettingError(
                "SpLiCE knows names words, all; prompts card, plain; merge above 0 and up to 1; "
                f"not names '{names}', prompts '{prompts}', merge {merge}."
            )
        self.penalty, self.names, self.prompts, self.merge = penalty, names, prompts, merge
        self.kind, self.mean = kind, mean

    @property
    def variant(self) -> str:
        """The names that are atoms; whatever else differs from the named variants is added."""
        own = {"names": self.names, "prompts": self.prompts, "merge": self.merge}
        plain = {"names": "words", "prompts": "card", "merge": MERGED, "penalty": PENALTY}
        for name, changes in self.variants.items():
            options = plain | dict(changes)
            penalty = options.pop("penalty")
            if options == own:
                return name if penalty == self.penalty else f"{name}, penalty {self.penalty:g}"
        return f"{self.names} names, {self.prompts} prompts, merge {self.merge:g}, penalty {self.penalty:g}"

    def find(self, model: Explained, encoded: Encoded) -> Found:
        """The concepts by falling weight, with the words of the caption that say them.

        Raises: NotSupported without a text tower or without a mean image of the encoder.
        """
        mixture = self.decompose(model, encoded)
        dictionary = mixture.dictionary
        if dictionary.read < dictionary.considered and self.names == "words":
            warnings.warn(
                f"'{self.name}': '{model.encoder.card.name}' reads {dictionary.read} of "
                f"{dictionary.considered} concept names as words; the others are not looked for.",
                DoubtfulMap,
                stacklevel=2,
            )
        said = spoken_concepts(model.caption, dictionary.tree) if model.caption else {}
        order = mixture.weights.argsort(descending=True, stable=True).tolist()
        concepts = tuple(
            Concept(
                dictionary.atoms[index].name,
                float(mixture.weights[index]),
                tuple(
                    sorted({word for node in dictionary.atoms[index].nodes for word in said.get(node.id, ())})
                ),
                dictionary.atoms[index].kind,
            )
            for index in order
            if mixture.weights[index] > 0
        )
        return Found(concepts, self._fit(mixture, encoded.pooled.cpu().double()))

    def decompose(self, model: Explained, encoded: Encoded) -> Mixture:
        """The mixture of atoms for one photo, made once. Raises: as `find`."""
        mean = (
            self.mean if isinstance(self.mean, ImageMean) else find_mean(model.encoder, self.kind, self.mean)
        )
        key = (self.name, self.names, self.prompts, self.merge, self.penalty, mean.sha256)
        return model.shared.once(encoded, key, lambda: self._decompose(model.encoder, encoded, mean))

    def _decompose(self, encoder: AbstractEncoder, encoded: Encoded, mean: ImageMean) -> Mixture:
        if mean.encoder_sha256 != encoder.sha256:
            raise NotSupported(
                f"The mean image was made by '{mean.encoder}', the model is '{encoder.card.name}'."
            )
        dictionary = concept_dictionary(encoder, names=self.names, prompts=self.prompts, merge=self.merge)
        point, distance = without_mean(encoded.pooled.detach().cpu().double(), mean.vector)
        weights = dictionary.solver.solve(point[None], [self.penalty])[0, 0]
        return Mixture(dictionary, mean, weights, point, float(distance))

    def _fit(self, mixture: Mixture, embedding: Float[Tensor, "embed"]) -> ConceptFit:
        centred, whole = reconstruct(mixture.weights, mixture.dictionary.directions, mixture.mean.vector)
        return ConceptFit(
            method=self.name,
            penalty=self.penalty,
            atoms=len(mixture.weights),
            cosine=float(centred @ mixture.point),
            cosine_with_mean=float(whole @ embedding),
            cosine_of_mean=float(functional.normalize(mixture.mean.vector, dim=0) @ embedding),
            mean=mixture.mean.title,
        )

    def _answer(self, model: Explained, encoded: Encoded, targets: Sequence[Target]) -> Answer:
        mixture = self.decompose(model, encoded)
        slopes = weight_directions(mixture)
        rows = [slopes[self._atom(mixture.dictionary, model, target.text)] for target in targets]
        for index, target in enumerate(targets):
            if target.against is not None:
                rows[index] = rows[index] - slopes[self._atom(mixture.dictionary, model, target.against)]
        pooled = shared_pooling(model, encoded)
        shares = GradEclip(weighting="attention").contributions(
            pooled, torch.stack(rows).to(pooled.embedding)
        )
        scalars = ["concept weight difference" if one.against else "concept weight" for one in targets]
        return Answer(shares[:, pooled.first_patch :], scalars, self.layer)

    def _atom(self, dictionary: ConceptDictionary, model: Explained, text: str) -> int:
        index = dictionary.find(text)
        if index is None:
            raise NotSupported(
                f"'{text}' is none of the {len(dictionary.atoms)} concepts in SpLiCE's dictionary of "
                f"'{model.encoder.card.name}'.",
                hint="Use 'grad_eclip'.",
            )
        return index


def without_mean(
    embedding: Float[Tensor, "*points embed"], mean: Float[Tensor, "embed"]
) -> tuple[Float[Tensor, "*points embed"], Float[Tensor, "*points"]]:
    """What is decomposed: unit embedding minus mean image, unit length again; and its length before.

    Both are zero where nothing but rounding is left.
    """
    rest = functional.normalize(embedding, dim=-1) - mean
    distance = rest.norm(dim=-1)
    there = distance > ROUNDING
    return functional.normalize(rest, dim=-1) * there[..., None], distance * there


def weight_directions(mixture: Mixture) -> Float[Tensor, "atoms embed"]:
    """dw/dz of every atom for the embedding z of unit length, at a fixed support; zero outside.

    The chain: z without the mean, brought to unit length, then the equations of the support.
    """
    slopes = mixture.dictionary.solver.slopes(mixture.weights)
    across = slopes - (slopes @ mixture.point)[:, None] * mixture.point
    return across / mixture.distance if mixture.distance > 0 else torch.zeros_like(across)


def reconstruct(
    weights: Float[Tensor, "*points atoms"],
    directions: Float[Tensor, "atoms embed"],
    mean: Float[Tensor, "embed"],
) -> tuple[Float[Tensor, "*points embed"], Float[Tensor, "*points embed"]]:
    """The sum of atoms, unit length, without the mean image and with it added back as published."""
    centred = functional.normalize(weights @ directions, dim=-1)
    return centred, functional.normalize(centred + mean, dim=-1)


def spoken_concepts(caption: Caption, tree: ConceptTree) -> dict[str, tuple[int, ...]]:
    """Which words of a caption say which concept: its id and indices of words.

    Read from left to right, the longest name first, so that in 'dark brown' nothing says 'brown'. Russian
    words may be inflected; what the tree does not know is looked up in the glossary of captions.
    """
    found: dict[str, tuple[int, ...]] = {}
    start = 0
    while start < len(caption.words):
        stop, nodes = _longest(caption, tree, start)
        for node in nodes:
            found[node.id] = (*found.get(node.id, ()), *range(start, stop))
        start = stop
    return found


def _longest(caption: Caption, tree: ConceptTree, start: int) -> tuple[int, list[ConceptNode]]:
    """Where the longest name that begins with a word ends, and what it names."""
    words = caption.words
    for stop in range(min(len(words), start + LONGEST_NAME), start, -1):
        some = words[start:stop]
        text = caption.text[some[0].start : some[-1].stop]
        if text.split() != [word.text for word in some]:
            continue
        english = english_of(text) if caption.language == "ru" else None
        nodes = tree.matches(text, caption.language) or (tree.matches(english, "en") if english else ())
        if atoms := [node for node in nodes if node.kind in ATOM_KINDS]:
            return stop, atoms
    return start + 1, []
