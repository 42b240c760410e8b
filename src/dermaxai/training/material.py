"""What a training reads: patches of drawn photos, and what is said of them this time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, final

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from dermaxai.training.batches import Batches, BatchPlan, Draws
from dermaxai.training.sources import Patches
from dermaxai.training.texts import Described, Numbers, Texts
from dermaxai.types import Language


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """Photos and their captions; each photo has at least one, and they stand together."""

    patches: Float[Tensor, "photos n width"]
    numbers: Int[np.ndarray, "photos"]
    """Of the draws."""
    texts: tuple[str, ...]
    languages: tuple[Language, ...]
    photos: tuple[int, ...]
    """Which photo each text is of."""


class Material(Protocol):
    """Whatever a training can learn from or be measured on."""

    width: int
    """Of a patch."""

    def read(self, draws: Draws) -> Reading:
        """Patches and captions of drawn photos, the same whenever it is asked."""

    def plain(self, rows: Int[np.ndarray, "n"]) -> Reading:
        """Photos as they are with their plainest captions in every language."""


class Feed(Protocol):
    """What each process reads in each step."""

    plan: BatchPlan

    def read(self, step: int, *, rank: int, world: int) -> list[Reading]:
        """One process's part of each micro-batch of a step, the same whenever it is asked."""


@final
class DrawnFeed:
    """Photos drawn from a material, in any order."""

    def __init__(self, batches: Batches, material: Material) -> None:
        self.plan, self._batches, self._material = batches.plan, batches, material

    def read(self, step: int, *, rank: int, world: int) -> list[Reading]:
        """As the batches say."""
        return [self._material.read(draws) for draws in self._batches.share(step, rank=rank, world=world)]


class Shelf(Protocol):
    """Photos by row number; a manifest is one."""

    def samples(self, rows: Int[np.ndarray, "n"]) -> Sequence[Described]:
        """What is known of some photos."""


@final
class ManifestMaterial:
    """Photos of a manifest.

    Rows are places in `rows`, the manifest's row numbers that `patches` was opened with.
    Args: languages, the weights with which one is drawn per photo; None: every one in each step.
    """

    def __init__(
        self,
        shelf: Shelf,
        rows: Int[np.ndarray, "photos"],
        patches: Patches,
        texts: Texts,
        *,
        languages: Mapping[Language, float] | None = None,
        seed: int = 0,
    ) -> None:
        self._shelf, self._rows, self._patches, self._texts = shelf, rows, patches, texts
        self._languages, self._seed = languages, seed
        self.width = patches.width

    def read(self, draws: Draws) -> Reading:
        """Each photo in a drawn view, in a drawn language or in all, in drawn words."""
        numbers = [np.random.default_rng((self._seed, 4, int(number))) for number in draws.numbers]
        views = np.array([one.integers(self._patches.views) for one in numbers], dtype=np.int64)
        shares = self._patches.coverage(draws.rows, views)
        return self._reading(draws, self._patches.read(draws.rows, views), shares, numbers)

    def tell(self, draws: Draws, patches: Float[Tensor, "photos n width"]) -> Reading:
        """Patches that came another way, with what is said of the photos in drawn words."""
        numbers = [np.random.default_rng((self._seed, 4, int(number))) for number in draws.numbers]
        return self._reading(draws, patches, [None] * len(draws), numbers)

    def plain(self, rows: Int[np.ndarray, "n"]) -> Reading:
        """No view but the photo itself, no wording but the plainest."""
        draws = Draws(np.asarray(rows), np.asarray(rows))
        patches = self._patches.read(draws.rows, np.zeros(len(draws), dtype=np.int64))
        return self._reading(draws, patches, [None] * len(draws), [None] * len(draws))

    def _reading(
        self,
        draws: Draws,
        patches: Float[Tensor, "photos n width"],
        shares: Sequence[float | None],
        numbers: Sequence[Numbers],
    ) -> Reading:
        photos = self._shelf.samples(self._rows[draws.rows])
        told = [
            self._chosen(self._texts.of(photo, one, share), one)
            for photo, one, share in zip(photos, numbers, shares, strict=True)
        ]
        said = [(place, language, text) for place, one in enumerate(told) for language, text in one.items()]
        places, languages, texts = zip(*said, strict=True)
        return Reading(patches, draws.numbers, texts, languages, places)

    def _chosen(self, told: dict[Language, str], numbers: Numbers) -> dict[Language, str]:
        if self._languages is None or numbers is None or len(told) < 2:
            return told
        weights = np.array([self._languages[language] for language in told])
        language = list(told)[int(numbers.choice(len(told), p=weights / weights.sum()))]
        return {language: told[language]}
