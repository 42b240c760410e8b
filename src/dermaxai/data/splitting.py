"""One split for all datasets: a whole cluster is in one part, the strictest that anybody asks for."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from jaxtyping import Bool, Int8, Int64

from dermaxai.data.grouping import Clusters, Keys
from dermaxai.data.rows import Column, arrow
from dermaxai.data.samples import PARTS, Part
from dermaxai.errors import SettingError

UNTOLD = -1
"""Beside the places in `PARTS`, which go from the least strict to the strictest."""

TRAIN, VALIDATION = PARTS.index("train"), PARTS.index("validation")
Fractions = tuple[float, float, float]
"""Of train, validation and test; they sum to 1."""
Reason = Literal["cluster", "not kept", "no validation"]
"""Why a photo is not where its publisher had it: its cluster is asked for in a stricter part; that split
leaks, or none is wanted; or the publisher keeps nothing for validation, which is drawn from its training."""


@dataclass(frozen=True, slots=True)
class SplitOptions:
    """How photos come to their parts."""

    fractions: Fractions = (0.8, 0.1, 0.1)
    """Of clusters in train, validation and test that nothing else places."""
    seed: int = 0
    honour_official: bool = True
    """Keep what publishers placed."""
    leaking: frozenset[str] = frozenset()
    """Datasets whose official split is known to leak, and is not honoured."""
    pinned: Mapping[str, Part] = field(default_factory=dict)
    """Parts by group key or by sample id: published splits."""

    def __post_init__(self) -> None:
        told = self.fractions
        if len(told) != 3 or min(told) < 0 or not math.isclose(sum(told), 1, abs_tol=1e-6):
            raise SettingError(
                f"Fractions of train, validation, test are {told}; three that sum to 1 are wanted."
            )
        if unknown := sorted(set(self.pinned.values()) - set(PARTS)):
            raise SettingError(f"Pinned to {', '.join(unknown)}; parts are {', '.join(PARTS)}.")


@dataclass(frozen=True, slots=True)
class Overlap:
    """How much of one dataset another holds too."""

    dataset: str
    other: str
    same: int
    """Photos of `dataset` that `other` shows too."""
    joined: int
    """Photos of `dataset` in a cluster with photos of `other`: the same photo, lesion, patient or source."""


@dataclass(frozen=True, slots=True)
class Overruled:
    """Photos that are in another part than their publisher placed them in."""

    dataset: str
    official: Part
    given: Part
    photos: int
    reason: Reason = "cluster"


@dataclass(frozen=True, slots=True)
class JoinReport:
    """What was joined, and what that did to the parts."""

    photos: int
    parts: Mapping[Part, int]
    """Photos in each."""
    clusters: int
    largest: int
    """Photos in the largest cluster."""
    by_near: int
    """How many clusters fewer there are because of near-duplicates."""
    repeated: int
    """Photos that another row before shows too."""
    pinned: int
    """Photos that are in the part that a published split or a pin asks for."""
    pinned_elsewhere: int
    """Photos that are in a stricter part than that, with their cluster."""
    overlaps: tuple[Overlap, ...]
    overruled: tuple[Overruled, ...]


Placed = tuple[Int8[np.ndarray, " n"], Sequence[str], Int64[np.ndarray, " n"]]
"""Official parts as places in `PARTS` or `UNTOLD`, names of datasets, and the dataset of each photo."""


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """The part of each photo."""

    of: Int8[np.ndarray, " n"]
    """Place in `PARTS`."""
    pinned: Int8[np.ndarray, " n"]
    """What published splits and pins ask for, `UNTOLD` where nothing."""
    honoured: Int8[np.ndarray, " n"]
    """What publishers ask for, as far as it counts."""
    divided: Bool[np.ndarray, " n"]
    """Photos asked for in training only, by publishers that keep nothing for validation."""


def split(clusters: Clusters, keys: Keys, ids: Column, placed: Placed, options: SplitOptions) -> Parts:
    """The part of each photo: one for its whole cluster.

    A cluster goes to the strictest part that any of its photos is pinned to or officially in; others by the
    SHA-256 of seed and name, whatever else there is. So, between training and validation, do clusters that
    only publishers without a validation part ask for in training.
    """
    honoured, pinned = _honoured(placed, options), _pinned(keys, ids, options.pinned)
    strictest = np.full(len(clusters), UNTOLD, np.int8)
    np.maximum.at(strictest, clusters.of, np.maximum(honoured, pinned))
    divided = (strictest == TRAIN) & ~_kept_in_training(clusters, honoured, pinned, placed)
    open_to = {False: options.fractions, True: _without_test(options.fractions)}
    drawn = np.array(
        [
            _draw(name, options.seed, open_to[some])
            for name, some in zip(clusters.names, divided.tolist(), strict=True)
        ],
        np.int8,
    )
    part = np.where((strictest == UNTOLD) | divided, drawn, strictest)
    return Parts(part[clusters.of], pinned, honoured, divided[clusters.of])


def _kept_in_training(
    clusters: Clusters,
    honoured: Int8[np.ndarray, " n"],
    pinned: Int8[np.ndarray, " n"],
    placed: Placed,
) -> Bool[np.ndarray, " c"]:
    """Clusters with a photo that is pinned to training, or in it by a publisher that also validates."""
    official, datasets, dataset = placed
    validates = np.bincount(dataset[official == VALIDATION], minlength=len(datasets)) > 0
    kept = np.zeros(len(clusters), bool)
    kept[clusters.of[(pinned == TRAIN) | ((honoured == TRAIN) & validates[dataset])]] = True
    return kept


def _without_test(fractions: Fractions) -> Fractions:
    train, validation, _ = fractions
    both = train + validation
    return (train / both, 1 - train / both, 0) if both else (1, 0, 0)


def _honoured(placed: Placed, options: SplitOptions) -> Int8[np.ndarray, " n"]:
    """The official parts that count."""
    official, datasets, dataset = placed
    if not options.honour_official:
        return np.full_like(official, UNTOLD)
    leaks = np.array([name in options.leaking for name in datasets], bool)
    return np.where(leaks[dataset], np.int8(UNTOLD), official)


def _pinned(keys: Keys, ids: Column, told: Mapping[str, Part]) -> Int8[np.ndarray, " n"]:
    found = np.full(keys.photos, UNTOLD, np.int8)
    if told:
        np.maximum.at(found, keys.photo, _look_up(keys.texts, told)[keys.key])
        found = np.maximum(found, _look_up(ids, told))
    return found


def _look_up(texts: Column, told: Mapping[str, Part]) -> Int8[np.ndarray, " m"]:
    places = {part: place for place, part in enumerate(PARTS)}
    return np.array([places[told[text]] if text in told else UNTOLD for text in texts.to_pylist()], np.int8)


def _draw(name: str, seed: int, fractions: Fractions) -> int:
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    share = int.from_bytes(digest[:8], "big") / 2**64
    train, validation, _ = fractions
    return 0 if share < train else 1 if share < train + validation else 2


def report_joins(
    clusters: Clusters, parts: Parts, first: Int64[np.ndarray, " n"], placed: Placed
) -> JoinReport:
    """What was joined; `first` as `grouping.same_photo` gives it."""
    return JoinReport(
        photos=len(clusters.of),
        parts=dict(zip(PARTS, np.bincount(parts.of, minlength=len(PARTS)).tolist(), strict=True)),
        clusters=len(clusters),
        largest=int(np.bincount(clusters.of).max(initial=0)),
        by_near=clusters.by_near,
        repeated=int((first != np.arange(len(first))).sum()),
        pinned=int(((parts.pinned != UNTOLD) & (parts.pinned == parts.of)).sum()),
        pinned_elsewhere=int(((parts.pinned != UNTOLD) & (parts.pinned != parts.of)).sum()),
        overlaps=_overlaps(placed, first, clusters.of),
        overruled=_overruled(placed, parts),
    )


def _overlaps(
    placed: Placed, first: Int64[np.ndarray, " n"], cluster: Int64[np.ndarray, " n"]
) -> tuple[Overlap, ...]:
    _, datasets, dataset = placed
    shown, joined = (_shared(len(datasets), dataset, group) for group in (first, cluster))
    return tuple(
        Overlap(datasets[one], datasets[other], int(shown[one, other]), int(joined[one, other]))
        for one, other in np.argwhere(joined).tolist()
        if one != other
    )


def _shared(
    count: int, dataset: Int64[np.ndarray, " n"], group: Int64[np.ndarray, " n"]
) -> Int64[np.ndarray, "d d"]:
    """Photos of one dataset (row) in groups that hold photos of another (column)."""
    holds = np.zeros((group.max(initial=-1) + 1, count), bool)
    holds[group, dataset] = True
    return np.array([holds[group[dataset == one]].sum(axis=0) for one in range(count)]).reshape(count, count)


def _overruled(placed: Placed, parts: Parts) -> tuple[Overruled, ...]:
    official, datasets, dataset = placed
    changed = np.flatnonzero((official != UNTOLD) & (official != parts.of))
    reasons = np.where(
        parts.honoured == UNTOLD, "not kept", np.where(parts.divided, "no validation", "cluster")
    )
    rows = zip(*(values[changed].tolist() for values in (dataset, official, parts.of, reasons)), strict=True)
    return tuple(
        Overruled(datasets[one], PARTS[was], PARTS[now], count, reason)
        for (one, was, now, reason), count in sorted(Counter(rows).items())
    )


def to_places(column: Column) -> Int8[np.ndarray, " n"]:
    """The places in `PARTS` of a column of their names; `UNTOLD` for null."""
    pa = arrow()
    found = pa.compute.index_in(column, value_set=pa.array(list(PARTS), pa.string()))
    return np.asarray(pa.compute.fill_null(found, UNTOLD).to_numpy().astype(np.int8))
