"""What every explanation method is: questions about one encoded photo in, raw maps out."""

from __future__ import annotations

import threading
import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Self, final
from weakref import WeakKeyDictionary

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn

from dermaxai.encoders.base import AbstractEncoder, Pooling
from dermaxai.errors import NotSupported, ShapeError, UsageError
from dermaxai.explain.legible import check_legible
from dermaxai.explain.shared import Shared
from dermaxai.explain.support import SUPPORTED, DoubtfulMap, Support
from dermaxai.progress import beat
from dermaxai.registry import check_name
from dermaxai.types import (
    Caption,
    Concept,
    ConceptFit,
    Encoded,
    HeatMap,
    Target,
    TargetKind,
    TextMap,
    TextShare,
)

if TYPE_CHECKING:
    from dermaxai.captioner.model import Captioner

WORDS: frozenset[TargetKind] = frozenset({"word", "phrase", "caption"})
"""Questions to the text decoder: why was this said?"""
SIMILARITY: frozenset[TargetKind] = frozenset({"query", "concept", "diagnosis"})
"""Questions to the two towers: where does the image match this text?"""


@dataclass(frozen=True, slots=True, eq=False)
class Explained:
    """The models that are explained, and what they said; similarity questions need the encoder only."""

    encoder: AbstractEncoder
    captioner: Captioner | None = None
    caption: Caption | None = None
    mean_patches: Float[Tensor, "*n width"] | None = None
    """Mean patch features of the training photos, (n, width) or (width,); None: the captioner's own."""
    shared: Shared = field(default_factory=Shared)
    """What methods that are asked about the same photo share."""


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What a method found, one row per target."""

    values: Float[Tensor, "targets n"]
    """Row-major over the patch grid, raw."""
    scalars: Sequence[str]
    """What was differentiated, per target."""
    layer: str | Sequence[str]
    """One for all targets, or one per target."""


@dataclass(frozen=True, slots=True, eq=False)
class TextAnswer:
    """What a method found in the texts of its targets, one entry per target."""

    shares: Sequence[tuple[TextShare, ...]]
    scalars: Sequence[str]
    layer: str


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """Concepts that a method found by itself."""

    concepts: tuple[Concept, ...]
    """By falling weight."""
    fit: ConceptFit


class AbstractMethod(ABC):
    """One way to explain; final subclasses answer a whole list of targets at once.

    A method leaves the models as they were: weights, gradients, flags and hooks, also after an error.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    signed: ClassVar[bool]
    """Whether negative values mean 'speaks against'."""
    answers: ClassVar[frozenset[TargetKind]]
    variants: ClassVar[Mapping[str, Mapping[str, Any]]]
    """Name -> constructor options; the first is the default."""
    layer: ClassVar[str]
    """Where it reads the network."""
    reads_question: ClassVar[bool] = True
    """False: one map for every question, which must be said wherever it is shown."""
    reads_text: ClassVar[bool] = False
    """Whether it also tells which words of the question count."""

    @classmethod
    def of_variant(cls, variant: str) -> Self:
        """The method in one of its named variants. Raises: UnknownName."""
        check_name(f"variant of {cls.name}", variant, cls.variants)
        return cls(**cls.variants[variant])

    @property
    @abstractmethod
    def variant(self) -> str:
        """Goes into every map: which of the method's forms was used."""

    @abstractmethod
    def _answer(self, model: Explained, encoded: Encoded, targets: Sequence[Target]) -> Answer:
        """Raw maps of targets that were checked; autograd is on."""

    def support(self, pooling: Pooling, kind: TargetKind) -> Support:
        """Whether towers that pool this way can be asked this kind of question; `answers` comes first."""
        return SUPPORTED

    def find(self, model: Explained, encoded: Encoded) -> Found | None:
        """Concepts that the method finds without being asked for any; None if it finds none of its own."""
        return None

    def _answer_text(self, model: Explained, encoded: Encoded, targets: Sequence[Target]) -> TextAnswer:
        """Shares of the words of each target's text; autograd is on."""
        raise NotSupported(f"'{self.name}' does not look into the text.", hint="Use 'grad_eclip'.")

    @final
    def explain_text(self, model: Explained, encoded: Encoded, targets: Sequence[Target]) -> list[TextMap]:
        """Which words of each question's text made the similarity; as `explain`.

        Raises: NotSupported if the method does not read texts, or cannot on this text tower; as `explain`.
        """
        self._check_asked(model, encoded, targets)
        if not targets:
            return []
        with with_graph():
            answer = self._answer_text(model, encoded, targets)
        return [
            TextMap(shares, self.name, target, scalar, answer.layer, self.variant)
            for shares, target, scalar in zip(answer.shares, targets, answer.scalars, strict=True)
        ]

    @final
    def explain(self, model: Explained, encoded: Encoded, targets: Sequence[Target]) -> list[HeatMap]:
        """One map per target, in order; `seconds` is each map's equal share of the time.

        Raises: NotSupported if the method cannot answer a target or the model lacks a part,
        UsageError if a target names a word that the caption has not, ShapeError.
        """
        self.check(model, encoded, targets)
        if not targets:
            return []
        begin = time.perf_counter()
        with with_graph():
            answer = self._answer(model, encoded, targets)
        layers = [answer.layer] * len(targets) if isinstance(answer.layer, str) else answer.layer
        grids = [to_grid(row, encoded.grid) for row in answer.values]
        seconds = (time.perf_counter() - begin) / len(targets)
        return [
            HeatMap(grid, self.name, target, encoded.placement, scalar, layer, self.variant, seconds)
            for grid, target, scalar, layer in zip(grids, targets, answer.scalars, layers, strict=True)
        ]

    @final
    def check(self, model: Explained, encoded: Encoded, targets: Sequence[Target]) -> None:
        """Raise NotSupported, naming what to use instead, unless every target can be answered."""
        self._check_asked(model, encoded, targets)
        self._check_support(model.encoder, targets)

    def _check_asked(self, model: Explained, encoded: Encoded, targets: Sequence[Target]) -> None:
        """All but `support`, which speaks of the image tower and not of the text side of a question."""
        self.check_kinds(targets)
        if encoded.encoder != model.encoder.card.name:
            raise NotSupported(
                f"The photo was encoded by '{encoded.encoder}', the model is '{model.encoder.card.name}'.",
                hint="Encode it again.",
            )
        similarity = any(target.kind in SIMILARITY for target in targets)
        if similarity and self.reads_question and not model.encoder.has_text:
            raise NotSupported(
                f"'{model.encoder.card.name}' has no text tower, so '{self.name}' cannot compare it.",
                hint="Ask about words of the caption with 'evidence', or choose an encoder with text.",
            )
        if any(target.kind in WORDS for target in targets):
            speaker(model)

    @final
    def check_kinds(self, targets: Sequence[Target]) -> None:
        """Raise NotSupported, naming what to use instead, for a kind of question it never answers."""
        for target in targets:
            if target.kind not in self.answers:
                instead = "evidence" if target.kind in WORDS else "grad_eclip"
                raise NotSupported(
                    f"'{self.name}' answers questions of kind {', '.join(sorted(self.answers))}, "
                    f"not '{target.kind}' ('{target.text}').",
                    hint=f"Use '{instead}'.",
                )

    def _check_support(self, encoder: AbstractEncoder, targets: Sequence[Target]) -> None:
        pooling = encoder.tower.pooling
        for kind in dict.fromkeys(target.kind for target in targets):
            found = self.support(pooling, kind)
            if found.level == "impossible":
                hint = f"Use '{found.instead}'." if found.instead else ""
                raise NotSupported(f"'{self.name}' on '{encoder.card.name}': {found.why}", hint=hint)
            if found.level == "doubtful":
                warnings.warn(f"'{self.name}': {found.why}", DoubtfulMap, stacklevel=2)


def speaker(model: Explained) -> tuple[Captioner, Caption]:
    """The captioner and the caption to explain. Raises: NotSupported."""
    captioner, caption = model.captioner, model.caption
    if captioner is None or caption is None:
        raise NotSupported("There is no caption to explain.", hint="Describe the photo first.")
    if captioner.config.encoder != model.encoder.card.name:
        raise NotSupported(
            f"This captioner reads '{captioner.config.encoder}', the encoder is '{model.encoder.card.name}'."
        )
    return captioner, caption


def text_directions(encoder: AbstractEncoder, targets: Sequence[Target]) -> Float[Tensor, "targets embed"]:
    """What the image embedding is compared with; cosine with the target is the dot product with its row.

    A query is taken as typed. Concepts and diagnoses are put into the card's prompt templates, whose
    embeddings are averaged. With `against`, the other text's row is subtracted: cosine difference.
    Raises: UsageError for an empty text, NotSupported for one with characters that the tower cannot read.
    """
    texts: dict[str, int] = {}
    rows = [
        [[texts.setdefault(text, len(texts)) for text in _prompts(encoder, target, name)] for name in names]
        for target, names in ((one, [one.text, one.against]) for one in targets)
    ]
    check_legible(encoder, [name for one in targets for name in (one.text, one.against) if name])
    embedded = embed_texts(encoder, list(texts))
    found = []
    for text, against in rows:
        direction = _mean_direction(embedded[text])
        found.append(direction - _mean_direction(embedded[against]) if against else direction)
    return torch.stack(found)


_EMBEDDED: WeakKeyDictionary[AbstractEncoder, dict[str, Tensor]] = WeakKeyDictionary()
REMEMBERED = 4096
"""Texts whose embeddings are kept per encoder; words come back from caption to caption."""
TEXTS_AT_ONCE = 128


def embed_texts(encoder: AbstractEncoder, texts: Sequence[str]) -> Float[Tensor, "texts embed"]:
    """`encode_text`, each text once; the tower is frozen, so its answers can be kept."""
    known = _EMBEDDED.setdefault(encoder, {})
    found = {text: known[text] for text in texts if text in known}
    fresh = [text for text in dict.fromkeys(texts) if text not in found]
    for first in range(0, len(fresh), TEXTS_AT_ONCE):
        beat()
        some = fresh[first : first + TEXTS_AT_ONCE]
        found.update(zip(some, encoder.encode_text(some), strict=True))
    if len(known) + len(fresh) > REMEMBERED:
        known.clear()
    known.update((text, found[text]) for text in fresh)
    return torch.stack([found[text] for text in texts])


def _prompts(encoder: AbstractEncoder, target: Target, text: str | None) -> list[str]:
    if text is None:
        return []
    if not text.strip():
        raise UsageError("There is no text to look for.")
    if target.kind == "query" or not encoder.card.templates:
        return [text]
    return [template.format(text) for template in encoder.card.templates]


def _mean_direction(embedded: Float[Tensor, "prompts embed"]) -> Float[Tensor, "embed"]:
    return embedded[0] if len(embedded) == 1 else nn.functional.normalize(embedded.mean(0), dim=0)


def to_grid(values: Float[Tensor, "n"], grid: tuple[int, int]) -> Float32[np.ndarray, "rows columns"]:
    """Patch values as the photo sees them. Raises: ShapeError."""
    if values.numel() != grid[0] * grid[1]:
        raise ShapeError(f"{values.numel()} values do not fill a grid of {grid[0]} x {grid[1]} patches.")
    return values.detach().float().cpu().reshape(grid).numpy()


@contextmanager
def with_graph() -> Iterator[None]:
    """Autograd is on inside, whatever the caller has switched off."""
    with torch.inference_mode(False), torch.enable_grad():
        yield


@contextmanager
def watching(module: nn.Module, see: Callable[[Any], None]) -> Iterator[None]:
    """Show `see` every output of `module` of this thread; the hook goes in any case."""
    here = threading.get_ident()

    def hook(_module: nn.Module, _inputs: tuple[Any, ...], output: Any) -> None:  # noqa: ANN401 - as torch has it
        # A server may describe another photo at the same time.
        if threading.get_ident() == here:
            see(output)

    handle = module.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def without_dropout(module: nn.Module) -> Iterator[None]:
    """Eval mode inside; the mode of every submodule is put back."""
    training = [part for part in module.modules() if part.training]
    for part in training:
        part.training = False
    try:
        yield
    finally:
        for part in training:
            part.training = True
