"""Filling a cache: photos are read ahead in threads, encoded in batches, and written batch by batch."""

from __future__ import annotations

import os
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from dermaxai.encoders.weights import hash_file
from dermaxai.errors import DataError, DermaXAIError, SettingError
from dermaxai.features.key import FeatureKey, make_key
from dermaxai.features.pooling import pool_patches
from dermaxai.features.quantise import RoundingError
from dermaxai.features.store import FeatureCache
from dermaxai.features.views import View, make_views
from dermaxai.features.writing import FeatureWriter
from dermaxai.images import Limits, read_image

if TYPE_CHECKING:
    from dermaxai.data.manifest import Manifest
    from dermaxai.encoders.base import AbstractEncoder, Features

MEASURED = 256
"""Photos and views on which the loss of rounding is measured."""
ABSENT = "the photo is not on disk"
_AT_ONCE = 10_000
"""Samples of a manifest in memory."""
MOST_THREADS = 8
"""More would wait for Python's own lock."""


@dataclass(frozen=True, slots=True)
class Photo:
    """What is encoded."""

    path: Path | None
    """None where the photo is not on disk; it is reported."""
    sha256: str = ""
    """Of the file; computed where empty, and a file of another hash is reported."""
    measured: bool = False
    """Whether the lesion of its augmented views is outlined; only dermoscopic photos bear that."""
    id: str = ""
    """For messages, where the path does not say enough."""

    @property
    def name(self) -> str:
        """For messages."""
        return self.id or str(self.path or self.sha256)


@dataclass(frozen=True, slots=True)
class Extraction:
    """How photos are encoded; none of it changes a number but for the last bits."""

    views: int = 1
    """Of each photo; the first is the photo itself."""
    batch: int = 64
    """Views encoded and written at once; what a killed run loses at most."""
    limits: Limits = field(default_factory=Limits)
    """Of a photo."""

    def __post_init__(self) -> None:
        if self.views < 1 or self.batch < 1:
            raise SettingError(f"views is {self.views} and batch {self.batch}; expected 1 or more of both.")


@dataclass(slots=True)
class Extracted:
    """What a run did."""

    written: int = 0
    """Photos times views."""
    present: int = 0
    """That were there before."""
    failed: list[tuple[str, str]] = field(default_factory=list)
    """Photos that could not be used, and why."""
    seconds: float = 0.0


Progress = Callable[[int, int], None]
"""Called with photos times views that the cache holds, and how many were asked for."""


def photos_of(manifest: Manifest, limit: int | None = None) -> Iterator[Photo]:
    """The files of a manifest, the first `limit` if given; those with a trusted outline are `measured`.

    A photo that two datasets ship as two files is encoded twice: a training may know either.
    """
    rows = manifest.rows(unique=False)[:limit]
    known: set[str] = set()
    for start in range(0, len(rows), _AT_ONCE):
        for entry in manifest.samples(rows[start : start + _AT_ONCE]):
            sample, appearance = entry.sample, entry.appearance
            if sample.sha256 and sample.sha256 in known:
                continue
            known.add(sample.sha256)
            trusted = appearance is not None and appearance.trusted
            yield Photo(sample.path, sample.sha256, trusted, sample.id)


def extract(
    encoder: AbstractEncoder,
    photos: Iterable[Photo],
    cache: FeatureCache,
    how: Extraction = Extraction(),
    on_progress: Progress | None = None,
) -> Extracted:
    """Write what the cache does not hold yet; a photo that cannot be read is reported and passed over.

    Run again after an interruption, it goes on where it was.
    Raises: DataError for a cache of another key or a full disk, UsageError while another process writes,
    SettingError for a batch that the device's memory does not hold.
    """
    cache.key.check(make_key_like(cache.key, encoder), cache.folder)
    begun, told = time.perf_counter(), Extracted()
    # Reading a photo silences warnings for its own time, which threads would do across each other.
    with FeatureWriter(cache) as writer, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tasks = find_missing(photos, cache, how.views, told)
        total = told.present + sum(len(task.views) for task in tasks)
        loss = RoundingError(cache.key.dtype)
        for batch in _batches(_prepare_ahead(tasks, encoder, cache.key.seed, how, told), how.batch):
            _write(batch, encoder, cache.key, writer, told, loss)
            if on_progress:
                on_progress(told.present + told.written, total)
        if cache.loss is None and loss.count:
            writer.tell_loss(loss.relative_rms, loss.count)
    cache.refresh()
    told.seconds = time.perf_counter() - begun
    return told


def make_key_like(key: FeatureKey, encoder: AbstractEncoder) -> FeatureKey:
    """The key of this encoder's features, pooled, stored and seeded as another key says."""
    return make_key(encoder, pooling=key.asked_pooling, dtype=key.dtype, seed=key.seed)


@dataclass(frozen=True, slots=True)
class Task:
    """Views of one photo that the cache lacks."""

    photo: Photo
    views: tuple[int, ...]


def find_missing(photos: Iterable[Photo], cache: FeatureCache, views: int, told: Extracted) -> list[Task]:
    """What is left to do, each photo once; `told` gains what is there and what has no file."""
    named = {photo.sha256: photo for photo in _named(photos, told)}
    there = np.stack([cache.locate(list(named), view) >= 0 for view in range(views)], axis=-1)
    told.present += int(there.sum())
    tasks = []
    for photo, held in zip(named.values(), there, strict=True):
        if held.all():
            continue
        if photo.path is None:
            told.failed.append((photo.name, ABSENT))
        else:
            tasks.append(Task(photo, tuple(np.flatnonzero(~held).tolist())))
    return tasks


def _named(photos: Iterable[Photo], told: Extracted) -> Iterator[Photo]:
    """Photos with their hash."""
    for photo in photos:
        if photo.sha256:
            yield photo
        elif photo.path is None:
            told.failed.append((photo.name, ABSENT))
        else:
            try:
                yield replace(photo, sha256=hash_file(photo.path))
            except OSError as error:
                told.failed.append((photo.name, error.strerror or str(error)))


Prepared = tuple[str, View]
"""Hash of the photo's file, and a view of it."""


def _prepare_ahead(
    tasks: Iterable[Task], encoder: AbstractEncoder, seed: int, how: Extraction, told: Extracted
) -> Iterator[Prepared]:
    """Views in order, read while the encoder works; not more of them than two batches ahead."""
    threads, left = count_threads(), iter(tasks)

    def start(task: Task) -> tuple[Task, Future[list[View]]]:
        return task, pool.submit(_prepare, task, encoder, seed, how.limits)

    pool = ThreadPoolExecutor(threads, thread_name_prefix="photos")
    try:
        waiting = deque(start(task) for task in islice(left, threads + 2 * how.batch // how.views))
        while waiting:
            task, future = waiting.popleft()
            waiting.extend(start(task) for task in islice(left, 1))
            try:
                yield from ((task.photo.sha256, view) for view in future.result())
            except DermaXAIError as error:
                told.failed.append((task.photo.name, str(error)))
    finally:
        pool.shutdown(cancel_futures=True)


def _prepare(task: Task, encoder: AbstractEncoder, seed: int, limits: Limits) -> list[View]:
    """Raises: ImageError; DataError for a file that has changed."""
    path, sha256 = task.photo.path, task.photo.sha256
    assert path is not None  # find_missing keeps no other
    image = read_image(path, limits=limits)
    if image.sha256 != sha256:
        raise DataError(
            f"'{path.name}' has changed: sha256 {sha256[:12]}… was expected, {image.sha256[:12]}… came.",
            hint="Build the manifest again.",
        )
    return make_views(image, task.views, encoder, seed, measured=task.photo.measured)


def count_threads() -> int:
    """That read photos."""
    return min(MOST_THREADS, os.cpu_count() or 1)


def _batches(items: Iterable[Prepared], size: int) -> Iterator[list[Prepared]]:
    left = iter(items)
    while batch := list(islice(left, size)):
        yield batch


def _write(
    batch: Sequence[Prepared],
    encoder: AbstractEncoder,
    key: FeatureKey,
    writer: FeatureWriter,
    told: Extracted,
    loss: RoundingError,
) -> None:
    """Encode and store a batch; features that are not finite are reported instead."""
    tokens = encode(encoder, torch.stack([view.pixels for _, view in batch]), key)
    finite = tokens.half().isfinite().flatten(1).all(dim=1).cpu()
    told.failed += [
        (name, "its features are not finite in float16")
        for (name, _), fine in zip(batch, finite, strict=True)
        if not fine
    ]
    kept = [entry for entry, fine in zip(batch, finite, strict=True) if fine]
    if not kept:
        return
    if loss.count < MEASURED:
        loss.add(tokens[finite])
    names, views = zip(*kept, strict=True)
    writer.append(names, [view.number for view in views], tokens[finite], [view.coverage for view in views])
    told.written += len(kept)


def encode(
    encoder: AbstractEncoder, pixels: Float[Tensor, "batch 3 height width"], key: FeatureKey
) -> Float[Tensor, "batch tokens width"]:
    """What the cache of `key` holds of these inputs, float32, on the encoder's device.

    Raises: SettingError for a batch that the device's memory does not hold.
    """
    try:
        found = encoder.forward(pixels.to(encoder.device, encoder.dtype))
        return reduce(found, encoder.grid, key)
    except torch.OutOfMemoryError:
        raise SettingError(
            f"A batch of {len(pixels)} does not fit into the memory of {encoder.device}.",
            hint="Choose a smaller one (--batch).",
        ) from None


def reduce(features: Features, grid: tuple[int, int], key: FeatureKey) -> Float[Tensor, "batch tokens width"]:
    """The tokens that a key asks for, float32."""
    if key.layer == "embedding":
        return features.pooled[:, None].float()
    if key.pooling == "all":
        return features.patches.float()
    return pool_patches(features.patches, grid, key.rows)
