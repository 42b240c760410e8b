"""GELU or QuickGELU: which activation a checkpoint was trained with, judged by labelled photos.

The activation has no parameters, so a wrong one loads without an error and costs accuracy in silence.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dermaxai.encoders import load_encoder
from dermaxai.encoders.base import AbstractEncoder
from dermaxai.encoders.cards import EncoderCard
from dermaxai.errors import DataError, NotSupported, ShapeError, UsageError
from dermaxai.images import find_images, read_image
from dermaxai.types import SkinImage

Choice = Literal["gelu", "quick_gelu"]
Photos = Sequence[SkinImage] | Sequence[Path]
"""Paths are read when their turn comes, so that any number of them fits into memory."""
SURE = 3.0
"""Standard errors. With two, drawn photos let a model trained with GELU be taken for one with QuickGELU."""
_CHOICE = (("openclip", "clip"), ("openclip", "custom_text"), ("openclip", "unimed"), ("hf", "clip"))
"""Adapters and kinds of cards whose vision tower may have either activation."""


@dataclass(frozen=True, slots=True)
class LabelledPhotos:
    """Photos, each with the text that is right for it."""

    photos: tuple[Path, ...]
    texts: tuple[str, ...]
    labels: tuple[int, ...]
    """One per photo: the index of its text in `texts`."""


def read_labelled(place: Path, template: str = "{}") -> LabelledPhotos:
    """Labelled photos from a folder of folders, or from a CSV table with the columns `file` and `text`.

    A folder's name, put into `template`, is the text of the photos in it. In a table, paths count from where
    it lies, and the text is taken as it stands.
    Raises: UsageError, DataError.
    """
    if place.is_dir():
        pairs = _pairs_of_folder(place, template)
    elif place.is_file():
        pairs = _pairs_of_table(place)
    else:
        raise UsageError(
            f"There is no folder or table {place}.",
            hint="Give a folder with one folder of photos for each diagnosis, or a CSV file.",
        )
    texts = tuple(dict.fromkeys(text for _, text in pairs))
    if len(texts) < 2:
        raise DataError(f"{place} holds photos of {len(texts)} text(s); a comparison needs at least two.")
    return LabelledPhotos(
        tuple(photo for photo, _ in pairs), texts, tuple(texts.index(text) for _, text in pairs)
    )


def _pairs_of_folder(folder: Path, template: str) -> list[tuple[Path, str]]:
    classes = sorted(entry for entry in folder.iterdir() if entry.is_dir() and entry.name[0] != ".")
    named = [(entry, template.format(entry.name.replace("_", " "))) for entry in classes]
    return [(photo, text) for entry, text in named for photo in find_images([entry])]


def _pairs_of_table(path: Path) -> list[tuple[Path, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        columns = reader.fieldnames or []
        if not {"file", "text"} <= set(columns):
            raise DataError(
                f"{path} has the columns {', '.join(columns) or 'none'}; expected file and text.",
                hint="Name the columns in the first line.",
            )
        return [(path.parent / row["file"], row["text"]) for row in reader if row["file"] and row["text"]]


@dataclass(frozen=True, slots=True)
class ActivationVerdict:
    """Which activation explains the pairs better, by how much, and whether that is more than chance."""

    better: Choice
    gelu: float
    """Mean log-likelihood of the right text, nats per photo; 0 is perfect."""
    quick_gelu: float
    chance: float
    """The same for a model that knows nothing: -log(number of texts)."""
    pairs: int
    error: float
    """Standard error of the mean difference between the two, over photos; nats."""

    @property
    def margin(self) -> float:
        """Nats per photo between the two, 0 or more."""
        return abs(self.gelu - self.quick_gelu)

    @property
    def decided(self) -> bool:
        """Whether the margin is above `SURE` standard errors, and the better one above chance."""
        return self.margin > SURE * self.error and max(self.gelu, self.quick_gelu) > self.chance

    def __str__(self) -> str:
        verdict = f"{self.better} fits better" if self.decided else "undecided, take more photos"
        return (
            f"{verdict}; {self.pairs} pairs: log-likelihood {self.gelu:.4f} with gelu, {self.quick_gelu:.4f} "
            f"with quick_gelu, difference {self.margin:.4f} ± {self.error:.4f} (chance {self.chance:.4f})"
        )


def check_activation(
    card: EncoderCard,
    images: Photos,
    texts: Sequence[str],
    labels: Sequence[int],
    *,
    source: Path | None = None,
    offline: bool = False,
) -> ActivationVerdict:
    """Load the checkpoint with either activation and compare them on photos with known texts.

    `labels[i]` is the index in `texts` that is right for `images[i]`.
    Raises: ShapeError for labels that do not fit; NotSupported for an encoder without a text tower or without
    the choice; ImageError; as `load_encoder`.
    """
    _check_choice(card)

    def load(choice: Choice) -> AbstractEncoder:
        return load_encoder(replace(card, activation=choice), source, offline=offline)

    return compare_activations(load, images, texts, labels)


def _check_choice(card: EncoderCard) -> None:
    """Before anything is loaded. PanDerm, timm's towers and SigLIP have an activation of their own."""
    if not card.has_text:
        raise NotSupported(
            f"'{card.name}' is a vision-only encoder; its activation cannot be judged by texts.",
            hint="Compare it with the authors' own features.",
        )
    if (card.adapter, card.kind) not in _CHOICE:
        raise NotSupported(
            f"'{card.name}' is of kind '{card.kind}', which is never built with QuickGELU.",
            hint="There is nothing to compare.",
        )


def compare_activations(
    load: Callable[[Choice], AbstractEncoder],
    images: Photos,
    texts: Sequence[str],
    labels: Sequence[int],
) -> ActivationVerdict:
    """As `check_activation`, for any way to load; one encoder is in memory at a time."""
    if len(labels) != len(images) or not images or not all(0 <= label < len(texts) for label in labels):
        raise ShapeError(
            f"{len(images)} images need as many labels, each an index of one of {len(texts)} texts; "
            f"came {len(labels)} labels."
        )
    wanted = torch.tensor(labels)
    gelu, quick = (
        matching_likelihood(load(choice), images, texts, wanted) for choice in ("gelu", "quick_gelu")
    )
    means = float(gelu.mean()), float(quick.mean())
    better: Choice = "gelu" if means[0] >= means[1] else "quick_gelu"
    spread = float((gelu - quick).std()) if len(images) > 1 else math.inf
    return ActivationVerdict(
        better, *means, -math.log(len(texts)), len(images), spread / math.sqrt(len(images))
    )


def matching_likelihood(
    encoder: AbstractEncoder,
    images: Photos,
    texts: Sequence[str],
    labels: Int[Tensor, "images"],
    *,
    batch: int = 16,
) -> Float[Tensor, "images"]:
    """For each photo log softmax(exp(logit_scale) * cosine) at the right text, in nats; 0 or less.

    Source: the image-to-text half of CLIP's loss, arXiv:2103.00020, figure 3.
    """
    words = encoder.encode_text(texts)
    pooled = [
        encoded.pooled
        for start in range(0, len(images), batch)
        for encoded in encoder.encode([_opened(photo) for photo in images[start : start + batch]])
    ]
    logits: Float[Tensor, "images texts"] = encoder.logit_scale * (torch.stack(pooled) @ words.T)
    return logits.log_softmax(dim=-1).gather(1, labels.to(logits.device)[:, None])[:, 0]


def _opened(photo: SkinImage | Path) -> SkinImage:
    return read_image(photo) if isinstance(photo, Path) else photo
