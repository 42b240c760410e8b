"""Which photos a step sees: a pure function of (seed, step), so that no place in the data need be kept.

Draws are numbered from 0 over the whole training; step s sees `batch` of them. Draw d is the d-th photo of
epochs strung together. An epoch of n photos holds each photo floor(n p) or ceil(n p) times, where p is its
chance: exactly once where all are equally likely, more often where rare diagnoses are lifted. With weights
for datasets, draws are dealt to datasets in cycles that keep the weights exactly, and every dataset has
epochs of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import final

import numpy as np
from jaxtyping import Float, Int

from dermaxai.errors import SettingError

CYCLE = 1000
"""Draws in which the weights of datasets hold exactly, to a thousandth."""


@dataclass(frozen=True, slots=True, eq=False)
class Draws:
    """Some photos of one step, and the numbers of their draws, on which random choices about them hang."""

    rows: Int[np.ndarray, "n"]
    numbers: Int[np.ndarray, "n"]

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """The photos that may be drawn."""

    rows: Int[np.ndarray, "n"]
    """Row numbers, whatever they number."""
    chances: Float[np.ndarray, "n"]
    """Sum 1."""

    def __len__(self) -> int:
        return len(self.rows)


def balanced(rows: Int[np.ndarray, "n"], classes: Sequence[str], balance: float) -> Pool:
    """A pool in which a class with c photos has a share of c ** (1 - balance).

    Args: classes of `rows`, '' where unknown, which is a class too. Raises: SettingError for no rows.
    """
    if not len(rows):
        raise SettingError("There is no photo to draw from.", hint="Check data.train and data.datasets.")
    _, member, counts = np.unique(np.asarray(classes, dtype=str), return_inverse=True, return_counts=True)
    weights = counts[member].astype(float) ** -balance
    return Pool(np.asarray(rows), weights / weights.sum())


@final
class Epochs:
    """The draws of one pool, epoch after epoch."""

    def __init__(self, pool: Pool, seed: tuple[int, ...]) -> None:
        self.pool, self._seed = pool, seed
        self._epoch = lru_cache(maxsize=2)(self._order)

    def rows(self, numbers: Int[np.ndarray, "n"]) -> Int[np.ndarray, "n"]:
        """The photos of the given draws."""
        epochs, places = np.divmod(numbers, len(self.pool))
        found = np.empty(len(numbers), dtype=np.int64)
        for epoch in np.unique(epochs):
            here = epochs == epoch
            found[here] = self._epoch(int(epoch))[places[here]]
        return found

    def _order(self, epoch: int) -> Int[np.ndarray, "n"]:
        """Source: systematic resampling (Carpenter, Clifford and Fearnhead 1999), over a shuffled pool."""
        random = np.random.default_rng((*self._seed, epoch))
        order = random.permutation(len(self.pool))
        ends = np.cumsum(self.pool.chances[order]) * len(order)
        # Points in the middle of unit steps fall on each photo once where all chances are equal.
        points = np.arange(len(order)) + (0.5 if np.ptp(self.pool.chances) == 0 else random.random())
        picked = np.minimum(np.searchsorted(ends, points), len(order) - 1)
        return random.permutation(self.pool.rows[order[picked]])


@final
class Mixture:
    """Draws from several pools with exact shares."""

    def __init__(self, pools: Mapping[str, Pool], weights: Mapping[str, float], seed: int) -> None:
        names = sorted(pools)
        self._counts = _apportion([weights[name] for name in names])
        self._epochs = [Epochs(pools[name], (seed, 1, index)) for index, name in enumerate(names)]
        self._seed = seed
        self._cycle = lru_cache(maxsize=2)(self._order)

    def rows(self, numbers: Int[np.ndarray, "n"]) -> Int[np.ndarray, "n"]:
        """The photos of the given draws."""
        cycles, places = np.divmod(numbers, CYCLE)
        found = np.empty(len(numbers), dtype=np.int64)
        for cycle in np.unique(cycles):
            pool_of, rank_of = self._cycle(int(cycle))
            for index, epochs in enumerate(self._epochs):
                here = (cycles == cycle) & (pool_of[places] == index)
                found[here] = epochs.rows(cycle * self._counts[index] + rank_of[places[here]])
        return found

    def _order(self, cycle: int) -> tuple[Int[np.ndarray, "c"], Int[np.ndarray, "c"]]:
        """For each place of a cycle its pool, and how many draws of that pool come before it."""
        dealt = np.repeat(np.arange(len(self._counts)), self._counts)
        pool_of = np.random.default_rng((self._seed, 2, cycle)).permutation(dealt)
        rank_of = np.empty(CYCLE, dtype=np.int64)
        for index, count in enumerate(self._counts):
            rank_of[pool_of == index] = np.arange(count)
        return pool_of, rank_of


def _apportion(weights: Sequence[float]) -> Int[np.ndarray, "pools"]:
    """Whole draws per cycle by largest remainder; none gets nothing."""
    exact = np.asarray(weights) / sum(weights) * CYCLE
    counts = np.maximum(np.floor(exact).astype(np.int64), 1)
    short = CYCLE - int(counts.sum())
    for index in np.argsort(-(exact - counts))[: max(short, 0)]:
        counts[index] += 1
    for _ in range(max(-short, 0)):
        counts[counts.argmax()] -= 1
    return counts


@dataclass(frozen=True, slots=True)
class BatchPlan:
    """How draws become steps and micro-batches."""

    batch: int
    """Photos per step, over all processes."""
    accumulate: int = 1
    """Micro-batches per step."""
    bucket_steps: int = 1
    """Steps whose photos are sorted by length together."""
    seed: int = 0


@final
class Batches:
    """Steps of micro-batches, the same whatever the number of processes that share them.

    Within the photos of `bucket_steps` steps, those of similar length form a micro-batch, and micro-batches
    are dealt to steps at random: no photo comes more or less often for its length.
    Args: lengths of captions by row number; their unit does not matter.
    """

    def __init__(
        self, draws: Epochs | Mixture, plan: BatchPlan, lengths: Int[np.ndarray, "rows"] | None = None
    ) -> None:
        self._draws, self.plan, self._lengths = draws, plan, lengths

    def step(self, step: int) -> list[Draws]:
        """The micro-batches of one step, over all processes."""
        plan = self.plan
        bucket, place = divmod(step, plan.bucket_steps)
        size = plan.batch * plan.bucket_steps
        numbers = np.arange(bucket * size, (bucket + 1) * size)
        rows = self._draws.rows(numbers)
        if self._lengths is not None:
            order = np.argsort(self._lengths[rows], kind="stable")
            rows, numbers = rows[order], numbers[order]
        parts = np.arange(size).reshape(plan.accumulate * plan.bucket_steps, -1)
        dealt = np.random.default_rng((plan.seed, 3, bucket)).permutation(len(parts))
        own = parts[dealt[place * plan.accumulate : (place + 1) * plan.accumulate]]
        return [Draws(rows[part], numbers[part]) for part in own]

    def share(self, step: int, *, rank: int = 0, world: int = 1) -> list[Draws]:
        """One process's part of every micro-batch: each world-th photo, so that lengths are shared evenly."""
        return [Draws(part.rows[rank::world], part.numbers[rank::world]) for part in self.step(step)]


def check_world(plan: BatchPlan, world: int) -> None:
    """Raise SettingError where micro-batches cannot be shared out evenly to `world` processes."""
    micro = plan.batch // plan.accumulate
    if micro % world:
        raise SettingError(
            f"Micro-batches of {micro} photos (batch {plan.batch}, accumulate {plan.accumulate}) cannot be "
            f"shared by {world} processes evenly.",
            hint=f"Let training.batch be a multiple of {plan.accumulate * world}.",
        )


def spread(count: int, most: int) -> Iterator[int]:
    """At most `most` of `count` places, evenly spread.

    >>> list(spread(10, 3))
    [1, 5, 8]
    """
    chosen = min(count, most)
    return ((2 * index + 1) * count // (2 * chosen) for index in range(chosen))
