"""Photos whose right answer is known, and where maps lie on them, beside maps that know nothing."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Bool, Float

from dermaxai.encoders.base import AbstractEncoder
from dermaxai.errors import NotSupported
from dermaxai.explain.base import AbstractMethod, Explained
from dermaxai.explain.localisation import energy_inside, mask_share, points_inside
from dermaxai.explain.support import DoubtfulMap
from dermaxai.measure.intervals import interval
from dermaxai.measure.maps.baselines import GAUSSIAN, RANDOM, gaussian_values
from dermaxai.phantom import PhantomPlan, draw_phantom, sample_plans
from dermaxai.types import Encoded, HeatMap, SkinImage, Target

SIDE = 448
"""Of the phantoms, in pixels; square, so that every encoder sees all of them."""
LESIONS, COLOURS = 31, 32
"""Added to seeds, so that the two kinds of phantoms are no copies of each other or of other drawings."""
FEWEST = 5
"""Photos below which nothing is decided."""
PAIRS = (("black", "red"), ("dark brown", "pink"), ("black", "light brown"), ("dark brown", "white"))
"""Colours far apart, so that the right lesion is no matter of taste."""

Mask = Bool[np.ndarray, "height width"]
Metrics = Mapping[str, float]


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """A photo, a question and the place of its answer."""

    image: SkinImage
    text: str
    mask: Mask
    """Where the answer lies."""
    rival: Mask | None = None
    """Where a map lies that mistakes one lesion for the other."""


@dataclass(frozen=True, slots=True)
class Row:
    """One method on one kind of photo: means over photos, each with its 95 % interval."""

    method: str
    variant: str
    metric: str
    """'pointing', 'energy' or 'right lesion'; all 0 to 1, more is better."""
    value: float
    low: float
    high: float
    chance: float
    """What a map that knows nothing gets: the mask's share of the area, or 0.5 of two lesions."""
    n: int
    gain: tuple[float, float] = (0.0, 0.0)
    """95 % interval of the difference to chance, photo by photo."""

    @property
    def verdict(self) -> str:
        """'better' or 'worse' where the interval of the difference excludes 0; of few photos 'undecided'."""
        low, high = self.gain
        if self.n < FEWEST:
            return "undecided"
        return "better" if low > 0 else "worse" if high < 0 else "undecided"


def lesion_phantoms(count: int, seed: int = 0) -> Iterator[Known]:
    """Phantoms with lesions, asked for by colour; the answer is every lesion."""
    seed += LESIONS
    for number, plan in enumerate(sample_plans(count, seed)):
        drawn = draw_phantom(plan, seed + number, height=SIDE, width=SIDE)
        yield Known(drawn.image, f"a {plan.colours[0]} lesion", drawn.mask)


def colour_phantoms(count: int, seed: int = 0) -> Iterator[Known]:
    """Phantoms with two lesions of different colours, each asked for once: two questions per phantom."""
    seed += COLOURS
    for number in range(count):
        colours = PAIRS[number % len(PAIRS)]
        plan = PhantomPlan("medium", "symmetric", "regular", colours, lesions=2, apart=True)
        drawn = draw_phantom(plan, seed + number, height=SIDE, width=SIDE)
        masks = [drawn.colour_masks[colour] for colour in colours]
        for colour, mask, rival in zip(colours, masks, masks[::-1], strict=True):
            yield Known(drawn.image, f"a {colour} lesion", mask, rival)


def measure_methods(
    encoder: AbstractEncoder, methods: Sequence[AbstractMethod], known: Iterable[Known]
) -> list[Row]:
    """Where the maps of every method lie, and those of the two baselines.

    Questions about the same photo count as one, since they are not independent. Methods that cannot be asked
    on this encoder are left out; `DoubtfulMap` warnings are not repeated.
    """
    found: dict[tuple[str, str], list[Metrics]] = {}
    for number, (image, questions) in enumerate(_by_photo(known)):
        encoded = encoder.encode([image])[0]
        model = Explained(encoder)
        answers = [_maps(method, model, encoded, questions) for method in methods]
        for base in baselines(encoded, number):
            answers.append([base] * len(questions))
        for maps in filter(None, answers):
            judged = [judge_map(heat, one) for heat, one in zip(maps, questions, strict=True)]
            means = {name: float(np.mean([one[name] for one in judged])) for name in judged[0]}
            found.setdefault((maps[0].method, maps[0].variant), []).append(means)
    return [row for (method, variant), rows in found.items() for row in _rows(method, variant, rows)]


def judge_map(heat: HeatMap, known: Known) -> Metrics:
    """'pointing', 'energy' and 'area' of one map; 'right lesion' where there is a wrong one.

    right lesion: of the positive energy on both lesions, the share on the right one, each counted per area;
    0.5 where there is none.
    """
    energy, area = energy_inside(heat, known.mask)
    judged = {"pointing": points_inside(heat, known.mask), "energy": energy, "area": area}
    if known.rival is None:
        return judged
    right, wrong = (_density(heat, mask) for mask in (known.mask, known.rival))
    return {**judged, "right lesion": right / (right + wrong) if right + wrong > 0 else 0.5}


def baselines(encoded: Encoded, seed: int) -> list[HeatMap]:
    """A map of uniform noise, and a Gaussian in the middle of the photo."""
    drawn = {
        RANDOM: np.random.default_rng(seed).random(encoded.grid),
        GAUSSIAN: gaussian_values(encoded.grid),
    }
    return [
        HeatMap(values.astype(np.float32), name, Target("query", ""), encoded.placement, "none", "none")
        for name, values in drawn.items()
    ]


def _maps(
    method: AbstractMethod, model: Explained, encoded: Encoded, questions: Sequence[Known]
) -> list[HeatMap]:
    if "query" not in method.answers:
        return []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DoubtfulMap)
            return method.explain(model, encoded, [Target("query", one.text) for one in questions])
    except NotSupported:
        return []


def _by_photo(known: Iterable[Known]) -> Iterator[tuple[SkinImage, list[Known]]]:
    """Questions about the same photo together, so that it is encoded once."""
    together: list[Known] = []
    for one in known:
        if together and together[0].image is not one.image:
            yield together[0].image, together
            together = []
        together.append(one)
    if together:
        yield together[0].image, together


def _density(heat: HeatMap, mask: Mask) -> float:
    """Positive energy per area on a mask."""
    covered = mask_share(heat, mask)
    positive = np.maximum(heat.values.astype(np.float64), 0)
    return float((positive * covered).sum() / covered.sum()) if covered.sum() > 0 else 0.0


def _rows(method: str, variant: str, judged: Sequence[Metrics]) -> Iterator[Row]:
    areas = np.array([one["area"] for one in judged])
    for metric, chance in (
        ("pointing", areas),
        ("energy", areas),
        ("right lesion", np.full(len(areas), 0.5)),
    ):
        if metric in judged[0]:
            values = np.array([one[metric] for one in judged])
            numbers = interval(len(values), partial(_mean, values))
            _, *gain = interval(len(values), partial(_mean, values - chance))
            yield Row(
                method, variant, metric, *numbers, float(chance.mean()), len(values), (gain[0], gain[1])
            )


def _mean(values: Float[np.ndarray, "photos"], rows: np.ndarray) -> float:
    return float(values[rows].mean())
