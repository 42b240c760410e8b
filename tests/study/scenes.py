"""Evaluations with known answers, for tests of claims."""

from pathlib import Path

import numpy as np

from dermaxai.data.samples import Sample
from dermaxai.evaluate.items import Evaluation, Item
from dermaxai.measure.columns import Column, mean_column
from dermaxai.measure.scale import Scale

SCALES = {
    "insertion": Scale("insertion", "Insertion", "higher", "share"),
    "deletion": Scale("deletion", "Deletion", "lower", "share"),
    "sparseness": Scale("sparseness", "Sparseness", "neither", "share"),
}


def item(number: int, cluster: str = "") -> Item:
    """A photo that is nowhere."""
    name = f"drawn/{number:03}"
    sample = Sample(id=name, dataset="drawn", path=None, place="nowhere", diagnosis="melanoma")
    return Item(name, Path(f"{number}.png"), f"{number:064x}", sample, cluster)


def column(contestant, values, metric="insertion", condition="word", is_baseline=False) -> Column:
    """One value per photo of `items`."""
    rows = [(f"drawn/{number:03}", float(value)) for number, value in enumerate(values)]
    return mean_column(contestant, condition, SCALES[metric], rows, is_baseline=is_baseline)


def evaluation(columns, count, clusters=None) -> Evaluation:
    """Of explanations, with as many photos."""
    items = tuple(item(number, clusters[number] if clusters else "") for number in range(count))
    return Evaluation(
        "explanations", tuple(columns), items, {"model": "drawn"}, "dermaxai evaluate explanations"
    )


def noise(seed: int, count: int = 40) -> np.ndarray:
    """Small, and the same for the same seed."""
    return np.random.default_rng(seed).normal(0, 0.05, count)
