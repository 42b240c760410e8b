"""Deletion and insertion: how fast a score falls while the hottest patches go, or rises while they come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from dermaxai.measure.maps.base import AbstractMapMetric, Subject, tie_order
from dermaxai.measure.maps.checked import check_measurable
from dermaxai.measure.maps.probe import asks_words, probe_of
from dermaxai.measure.scale import Scale
from dermaxai.progress import part
from dermaxai.types import HeatMap, Target

UNIT = "cosine or probability"
"""Of similarity and of words; with a rival, a difference of two, so that scores reach from -2 to 2."""
RISE = "RISE (arXiv:1806.07421), section 4.3; here over patches and the whole range"


@dataclass(frozen=True, slots=True, eq=False)
class Curves:
    """What one map's order does to the score of its question."""

    fractions: Float[np.ndarray, "points"]
    """Of the patches that are gone (deletion) or there (insertion), from 0 to 1."""
    deletion: Float[np.ndarray, "points"]
    """Scores while the hottest patches are taken away, from the untouched photo to nothing."""
    insertion: Float[np.ndarray, "points"]
    """Scores while the hottest patches are put back, from nothing to the untouched photo."""

    @property
    def deletion_auc(self) -> float:
        """Mean height of the deletion curve (trapezoids), in units of the score."""
        return float(np.trapezoid(self.deletion, self.fractions))

    @property
    def insertion_auc(self) -> float:
        """Mean height of the insertion curve (trapezoids), in units of the score."""
        return float(np.trapezoid(self.insertion, self.fractions))


def shares(patches: int, steps: int) -> Int[np.ndarray, "points"]:
    """How many patches are gone after 0, 1, … `steps` equal shares; none twice.

    Mirrored around the middle, so that what is gone after s shares is what is left before the last s.

    >>> shares(9, 4).tolist()
    [0, 2, 4, 7, 9]
    """
    first = [round(step * patches / steps) for step in range(steps // 2 + 1)]
    last = [patches - count for count in first[: (steps + 1) // 2]]
    return np.unique([*first, *last])


def curves_of(subject: Subject, maps: Sequence[HeatMap]) -> list[Curves]:
    """Both curves of every map, for the question of each; computed once per photo, map and protocol.

    All maps are shown together: a deletion that has taken away s shares and an insertion that has put back
    all but s keep equally many patches, both ends are the same for all, and equal masks are seen once.
    Equal values are ordered at random with the protocol's seed. Raises: as `Probe.scores`, NotSupported.
    Source: RISE (arXiv:1806.07421), section 4.3.
    """
    check_measurable(subject, maps)
    known: dict[HeatMap, Curves] = subject.model.shared.once(
        subject.encoded, ("curves", probe_of(subject), subject.protocol), dict
    )
    fresh = [heat for heat in dict.fromkeys(maps) if heat not in known]
    if fresh:
        known.update(zip(fresh, _fresh_curves(subject, fresh), strict=True))
    return [known[heat] for heat in maps]


def _fresh_curves(subject: Subject, maps: Sequence[HeatMap]) -> list[Curves]:
    orders = np.stack([tie_order(heat, subject.protocol.seed) for heat in maps])
    counts = shares(orders.shape[1], subject.protocol.steps)
    targets = [heat.target for heat in maps]
    probe = probe_of(subject)
    kept = masks_of(orders, counts)
    with part(0.0, 0.5):
        seen = probe.see(kept.flatten(0, 2), read=asks_words(targets))
    each = [target for target in targets for _ in range(2 * len(counts))]
    with part(0.5, 1.0):
        scores = probe.scores_of(seen, each).double().numpy().reshape(len(maps), 2, len(counts))
    fractions = counts / counts[-1]
    return [Curves(fractions, *both) for both in scores]


def masks_of(
    orders: Int[np.ndarray, "maps n"], counts: Int[np.ndarray, "points"]
) -> Bool[Tensor, "maps 2 points n"]:
    """Which patches are there after each share: first while they are taken away, then while they come."""
    places = np.argsort(orders, axis=1)
    gone = places[:, None, :] < counts[None, :, None]
    return torch.from_numpy(np.stack([~gone, gone], 1))


def random_aucs(
    subject: Subject, targets: Sequence[Target]
) -> tuple[Float[np.ndarray, "targets random"], Float[np.ndarray, "targets random"]]:
    """Deletion and insertion AUC of `Protocol.random_maps` random orders, for every question.

    Orders are drawn in pairs, one the reverse of the other: what one has deleted the other has inserted, so
    that every mask serves both curves, and all questions. Column i of both arrays is the same order; the
    mean over a pair is free of what is linear in the patches, so that few pairs give the expectation.
    Raises: as `curves_of`.
    """
    probe, protocol = probe_of(subject), subject.protocol
    read = asks_words(targets)
    orders = random_orders(probe.patches, protocol.random_maps, protocol.seed)
    counts = shares(probe.patches, protocol.steps)
    kept = masks_of(orders, counts)
    with part(0.0, 0.5):
        seen = subject.model.shared.once(
            subject.encoded,
            ("random orders", probe, protocol, read),
            lambda: probe.see(kept.flatten(0, 2), read=read),
        )
    with part(0.5, 1.0):
        scores = probe.scores(seen, targets).double().numpy().reshape(*kept.shape[:3], len(targets))
    areas = np.trapezoid(scores, counts / counts[-1], axis=2).transpose(1, 2, 0)
    return areas[0], areas[1]


def random_orders(patches: int, count: int, seed: int) -> Int[np.ndarray, "count n"]:
    """Random orders, every second one the reverse of the one before; the first do not depend on `count`."""
    generator = np.random.default_rng([seed, patches, 1])
    drawn = [generator.permutation(patches) for _ in range((count + 1) // 2)]
    return np.stack([one for order in drawn for one in (order, order[::-1])][:count])


@final
class Deletion(AbstractMapMetric):
    """Mean score while the hottest patches are taken away first: low where they carried it.

    Source: RISE (arXiv:1806.07421), section 4.3.
    """

    scale: ClassVar[Scale] = Scale("deletion", "Deletion", "lower", UNIT, -2.0, 2.0, RISE)

    def measure(self, subject: Subject, maps: Sequence[HeatMap]) -> list[float]:
        """Area under the deletion curve."""
        return [curves.deletion_auc for curves in curves_of(subject, maps)]


@final
class Insertion(AbstractMapMetric):
    """Mean score while the hottest patches are put back first: high where they carry it.

    Source: RISE (arXiv:1806.07421), section 4.3.
    """

    scale: ClassVar[Scale] = Scale("insertion", "Insertion", "higher", UNIT, -2.0, 2.0, RISE)

    def measure(self, subject: Subject, maps: Sequence[HeatMap]) -> list[float]:
        """Area under the insertion curve."""
        return [curves.insertion_auc for curves in curves_of(subject, maps)]


@final
class InsertionMinusDeletion(AbstractMapMetric):
    """Insertion minus deletion: 0 is what random maps give, whatever the question's score is.

    Source: the difference of both areas of RISE (arXiv:1806.07421), section 4.3.
    """

    scale: ClassVar[Scale] = Scale(
        "insertion_minus_deletion", "Insertion − deletion", "higher", UNIT, -4.0, 4.0, RISE
    )

    def measure(self, subject: Subject, maps: Sequence[HeatMap]) -> list[float]:
        """The difference of both areas."""
        return [curves.insertion_auc - curves.deletion_auc for curves in curves_of(subject, maps)]
