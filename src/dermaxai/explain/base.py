"""What every explanation method is: questions about one encoded photo in, raw maps out."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, final

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn

from dermaxai.encoders.base import AbstractEncoder
from dermaxai.errors import NotSupported, ShapeError, UsageError
from dermaxai.explain.legible import check_legible
from dermaxai.registry import check_name
from dermaxai.types import Caption, Encoded, HeatMap, Target, TargetKind

if TYPE_CHECKING:
    from dermaxai.captioner.model import Captioner

Need = Literal["text tower", "captioner"]
WORDS: frozenset[TargetKind] = frozenset({"word", "caption"})
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


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What a method found, one row per target."""

    values: Float[Tensor, "targets n"]
    """Row-major over the patch grid, raw."""
    scalars: Sequence[str]
    """What was differentiated, per target."""
    layer: str


class AbstractMethod(ABC):
    """One way to explain; final subclasses answer a whole list of targets at once.

    A method leaves the models as they were: weights, gradients, flags and hooks, also after an error.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    signed: ClassVar[bool]
    """Whether negative values mean 'speaks against'."""
    answers: ClassVar[frozenset[TargetKind]]
    needs: ClassVar[Need | None]
    """The part of the model without which there is no answer, beside the vision tower."""
    variants: ClassVar[Mapping[str, Mapping[str, Any]]]
    """Name -> constructor options; the first is the default."""
    layer: ClassVar[str]
    """Where it reads the network."""

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
        grids = [to_grid(row, encoded.grid) for row in answer.values]
        seconds = (time.perf_counter() - begin) / len(targets)
        return [
            HeatMap(grid, self.name, target, encoded.placement, scalar, answer.layer, self.variant, seconds)
            for grid, target, scalar in zip(grids, targets, answer.scalars, strict=True)
        ]

    @final
    def check(self, model: Explained, encoded: Encoded, targets: Sequence[Target]) -> None:
        """Raise NotSupported, naming what to use instead, unless every target can be answered."""
        for target in targets:
            if target.kind not in self.answers:
                instead = "evidence" if target.kind in WORDS else "grad_eclip"
                raise NotSupported(
                    f"'{self.name}' answers questions of kind {', '.join(sorted(self.answers))}, "
                    f"not '{target.kind}' ('{target.text}').",
                    hint=f"Use '{instead}'.",
                )
        if encoded.encoder != model.encoder.card.name:
            raise NotSupported(
                f"The photo was encoded by '{encoded.encoder}', the model is '{model.encoder.card.name}'.",
                hint="Encode it again.",
            )
        if self.needs == "text tower" and not model.encoder.has_text:
            raise NotSupported(
                f"'{model.encoder.card.name}' has no text tower, so '{self.name}' cannot compare it.",
                hint="Ask about words of the caption with 'evidence', or choose an encoder with text.",
            )
        if self.needs == "captioner":
            speaker(model)


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
    embedded = encoder.encode_text(list(texts))
    found = []
    for text, against in rows:
        direction = _mean_direction(embedded[text])
        found.append(direction - _mean_direction(embedded[against]) if against else direction)
    return torch.stack(found)


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
