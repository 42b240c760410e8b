"""Finding a photo's caption among all captions, and a caption's photo among all photos."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from dermaxai.errors import ShapeError
from dermaxai.evaluate.items import Item
from dermaxai.measure.columns import Column
from dermaxai.measure.estimates import MEAN, Numbers, Statistic, mean_parts
from dermaxai.measure.scale import Scale

DEPTHS = (1, 5, 10)
Written = Literal["real", "composed"]
CANDIDATES_AT_ONCE = 2**24
"""Likenesses of photos and texts held at a time."""


def captions_of(items: Sequence[Item], written: Written) -> dict[str, str]:
    """The first English caption of each item that somebody wrote, or that this program composed; by id."""
    found = {}
    for item in items:
        texts = [
            caption.text
            for caption in item.sample.captions
            if caption.language == "en"
            and caption.is_weak == (written == "composed")
            and caption.text.strip()
        ]
        if texts:
            found[item.id] = texts[0]
    return found


def normalised(text: str) -> str:
    """Texts that differ only by case, spaces and a last full stop are one.

    >>> normalised("A  mole. ") == normalised("a mole")
    True
    """
    return " ".join(text.casefold().split()).rstrip(" .")


def ranks_both_ways(
    images: Float[np.ndarray, "items embed"], texts: Float[np.ndarray, "items embed"], names: Sequence[str]
) -> tuple[Float[np.ndarray, "items"], Float[np.ndarray, "items"]]:
    """Rank of each photo's text among the different texts, and of each text's photo among all photos.

    1 is the first place; candidates as alike as the right one count half. `names` says which texts are the
    same: a text that several photos share is one candidate for a photo, and each of its photos is a hit for
    it. Raises: ShapeError.
    """
    if not len(images) == len(texts) == len(names):
        raise ShapeError(
            f"{len(images)} photos, {len(texts)} texts and {len(names)} names of texts were given."
        )
    _, first, group = np.unique(np.asarray(names), return_index=True, return_inverse=True)
    to_text = _ranks(images, texts[first], group, np.arange(len(first)))
    to_photo = _ranks(texts[first], images, np.arange(len(first)), group)
    return to_text, to_photo[group]


def _ranks(
    asked: Float[np.ndarray, "asked embed"],
    candidates: Float[np.ndarray, "candidates embed"],
    own: Int[np.ndarray, "asked"],
    groups: Int[np.ndarray, "candidates"],
) -> Float[np.ndarray, "asked"]:
    """Rank of the best candidate of the own group among those of other groups."""
    step = max(1, CANDIDATES_AT_ONCE // max(len(candidates), 1))
    found = [
        _places(asked[start : start + step] @ candidates.T, own[start : start + step, None] == groups[None])
        for start in range(0, len(asked), step)
    ]
    return np.concatenate(found) if found else np.zeros(0)


def _places(
    likeness: Float[np.ndarray, "asked candidates"], right: Bool[np.ndarray, "asked candidates"]
) -> Float[np.ndarray, "asked"]:
    best = np.where(right, likeness, -np.inf).max(1, keepdims=True)
    others = np.where(right, -np.inf, likeness)
    places: Float[np.ndarray, "asked"] = 1.0 + (others > best).sum(1) + (others == best).sum(1) / 2
    return places


def _median(parts: Numbers) -> float:
    return float(np.median(parts[:, 0])) if len(parts) else float("nan")


MEDIAN = Statistic("median", of_rows=_median)
DIRECTIONS = {"image_to_text": "Photo to text", "text_to_image": "Text to photo"}


def scales() -> list[Scale]:
    """Of all numbers, in the order of the columns."""
    return [
        scale for name, title in DIRECTIONS.items() for scale in (*_recalls(name, title), _rank(name, title))
    ]


def _recalls(name: str, title: str) -> list[Scale]:
    return [
        Scale(f"{name}_recall_{depth}", f"{title}: recall at {depth}", "higher", "share") for depth in DEPTHS
    ]


def _rank(name: str, title: str) -> Scale:
    return Scale(f"{name}_median_rank", f"{title}: median rank", "lower", "places", 1.0, float("inf"))


def retrieval_columns(
    contestant: str,
    condition: str,
    rows: Sequence[str],
    ranks: tuple[Float[np.ndarray, "rows"], Float[np.ndarray, "rows"]],
    *,
    is_baseline: bool = False,
) -> list[Column]:
    """Recall among the first 1, 5 and 10 and the median rank, both ways."""
    columns = []
    for (name, title), places in zip(DIRECTIONS.items(), ranks, strict=True):
        scored = [
            (scale, mean_parts((places <= depth).astype(np.float64)), MEAN)
            for scale, depth in zip(_recalls(name, title), DEPTHS, strict=True)
        ]
        scored.append((_rank(name, title), places[:, None], MEDIAN))
        columns += [
            Column(contestant, condition, scale, tuple(rows), parts, statistic, is_baseline)
            for scale, parts, statistic in scored
        ]
    return columns
