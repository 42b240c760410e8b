"""How large a cache will be and how long it takes, before anything starts."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from dermaxai.errors import ImageError, NotSupported
from dermaxai.features.index import ENTRY
from dermaxai.features.key import Dtype, Pooling, token_grid
from dermaxai.features.quantise import record_bytes
from dermaxai.images import read_image

if TYPE_CHECKING:
    from dermaxai.encoders.base import AbstractEncoder
    from dermaxai.encoders.cards import EncoderCard
    from dermaxai.features.extracting import Photo

POOLED = 7
"""Rows and columns of the pooled option that is pointed out: 49 tokens."""
SPARE = 0.05
"""Of its own size, what must be free beside a cache."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A cache that might be written."""

    images: int
    grid: tuple[int, int]
    """Rows and columns of the encoder's patches."""
    width: int
    """Of a patch."""
    embed: int
    """Of the image embedding."""
    pooling: Pooling = "all"
    dtype: Dtype = "float16"
    views: int = 1

    @property
    def tokens(self) -> int:
        """Stored for each image and view."""
        rows, columns = token_grid(self.grid, self.pooling)
        return rows * columns

    @property
    def stored_width(self) -> int:
        """Of a token."""
        return self.embed if self.pooling == "class" else self.width

    @property
    def bytes(self) -> int:
        """On disk, the index included."""
        record = record_bytes(self.tokens, self.stored_width, self.dtype)
        return self.images * self.views * (record + ENTRY.itemsize)


def plan_by_card(card: EncoderCard, images: int) -> Plan:
    """All patches in float16, without any weights.

    Raises: NotSupported for a card that leaves the geometry to its folder.

    >>> from dermaxai.encoders.cards import read_card
    >>> plan_by_card(read_card("dermlip-vit-b16"), 403_563).bytes / 1e9
    121.517662056
    """
    if not (card.patch_size and card.width and card.embed):
        raise NotSupported(
            f"The card of '{card.name}' does not say how many patches there are; its weights do.",
            hint="Bring the weights here, or name their folder (--source).",
        )
    return Plan(images, card.grid, card.width, card.embed)


def plan_by_encoder(encoder: AbstractEncoder, images: int) -> Plan:
    """All patches in float16."""
    return Plan(images, encoder.grid, encoder.width, encoder.card.embed)


def choices(plan: Plan) -> list[Plan]:
    """The same photos and views stored in every way worth considering, largest first."""
    cells = min(POOLED, *plan.grid)
    poolings: tuple[Pooling, ...] = ("all", cells, "class")
    ways = [
        replace(plan, pooling=pooling, dtype=dtype) for pooling in poolings for dtype in ("float16", "int8")
    ]
    return sorted(ways, key=lambda way: -way.bytes)


def free_bytes(place: Path) -> int:
    """On the disk of a folder that may not be there yet."""
    place = place.absolute()
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free


def largest_that_fits(ways: Sequence[Plan], free: int) -> Plan | None:
    """The first of `choices` that leaves room; None where none does."""
    return next((way for way in ways if way.bytes * (1 + SPARE) <= free), None)


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds for one view, measured."""

    encode: float
    """By the encoder, in a batch."""
    read: float = 0.0
    """Until a photo is prepared, in one thread; 0 where no photo was given."""

    def seconds(self, views: int, threads: int) -> float:
        """For so many: reading and encoding go on side by side, and the slower one decides."""
        return views * max(self.encode, self.read / max(threads, 1))

    def in_words(self, views: int, threads: int) -> str:
        """For a reader."""
        reading = f", reading a photo {self.read * 1000:.1f} ms" if self.read else ""
        return (
            f"Encoding a photo takes {self.encode * 1000:.1f} ms here{reading}: "
            f"{time_in_words(self.seconds(views, threads))} for {views:,}."
        )


def time_encoder(encoder: AbstractEncoder, batch: int, photos: Sequence[Photo] = ()) -> Pace:
    """Seconds for a view: a batch to warm up, then one that counts, then the photos, one by one."""
    import torch

    side = encoder.card.image_size
    pixels = torch.zeros(batch, 3, side, side, device=encoder.device, dtype=encoder.dtype)
    encoder.forward(pixels).pooled.cpu()
    begun = time.perf_counter()
    encoder.forward(pixels).pooled.cpu()
    encode = (time.perf_counter() - begun) / batch
    return Pace(encode, _time_reading(encoder, photos))


def _time_reading(encoder: AbstractEncoder, photos: Sequence[Photo]) -> float:
    """Mean over the photos that can be read, 0 without any."""
    taken = []
    for photo in photos:
        begun = time.perf_counter()
        try:
            encoder.preprocess(read_image(photo.path or ""))
        except ImageError:
            continue  # `extract` reports it
        taken.append(time.perf_counter() - begun)
    return sum(taken) / len(taken) if taken else 0.0


def advise(ways: Sequence[Plan], free: int) -> str:
    """What of `choices` the disk holds, in words; where all patches do not fit, the pooled form too."""
    fitting = [way for way in ways if largest_that_fits([way], free)]
    if not fitting:
        return "No form fits: free some room, or choose another disk."
    if fitting[0] is ways[0]:
        return "All patches in float16 fit."
    pooled = next((way for way in fitting if isinstance(way.pooling, int)), fitting[0])
    named = [f"--pool {way.pooling} --dtype {way.dtype} ({size_in_words(way.bytes)})" for way in fitting]
    chosen = [named[0]] if pooled is fitting[0] else [named[0], named[fitting.index(pooled)]]
    lost = " Means lose the place of small details." if isinstance(pooled.pooling, int) else ""
    return f"What fits: {', or '.join(chosen)}.{lost}"


def arithmetic(plan: Plan) -> str:
    """How the size of all patches in float16 comes about, in words."""
    whole = replace(plan, pooling="all", dtype="float16")
    token = size_in_words(plan.images * plan.views * plan.width * 2)
    return (
        f"{plan.images:,} images x {plan.views} x {whole.tokens} patches x {plan.width} x 2 bytes: "
        f"{size_in_words(whole.bytes)}. A class token would add {token}; no bridge reads it, so none is kept."
    )


def size_in_words(count: int) -> str:
    """Bytes for a reader.

    >>> size_in_words(121_517_662_056), size_in_words(52_000)
    ('121.5 GB', '0.1 MB')
    """
    return f"{count / 1e9:.1f} GB" if count >= 10**9 else f"{count / 1e6:.1f} MB"


def time_in_words(seconds: float) -> str:
    """For a reader.

    >>> time_in_words(42), time_in_words(5000), time_in_words(82_000)
    ('42 s', '83 min', '22.8 h')
    """
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
