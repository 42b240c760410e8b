"""Evaluations of generated numbers: a few contestants, metrics of every kind, photos with properties."""

from pathlib import Path

import numpy as np

from dermaxai.data.samples import Sample
from dermaxai.evaluate.items import Evaluation, Item
from dermaxai.measure.columns import Column, mean_column
from dermaxai.measure.estimates import Statistic
from dermaxai.measure.scale import Scale

DELETION = Scale("deletion", "Deletion", "lower", "share", source="Petsiuk et al. 2018")
INSERTION = Scale("insertion", "Insertion", "higher", "share")
SPARSENESS = Scale("sparseness", "Sparseness", "neither", "share")
SCALES = (DELETION, INSERTION, SPARSENESS)
SPREAD = Scale("spread", "Spread", "higher", "nats", 0.0, float("inf"))
MEDIAN = Statistic("median", of_rows=lambda rows: float(np.median(rows[:, 0])))
DIAGNOSES = ("melanoma", "melanocytic_nevus", "basal_cell_carcinoma")


def make_items(count, paths=()):
    """Two photos of each lesion; every fifth by itself, every fourth of unknown sex."""
    items = []
    for number in range(count):
        path = paths[number % len(paths)] if paths else Path(f"{number}.jpg")
        sample = Sample(
            f"ham10000/ISIC_{number:04d}",
            "ham10000",
            path,
            f"row {number}",
            diagnosis=DIAGNOSES[number % 3],
            sex=("female", "male", "female", None)[number % 4],
            age=20.0 + number % 60,
            skin_type=str(1 + number % 6),
            modality="dermoscopic",
        )
        cluster = "" if number % 5 == 0 else f"lesion {number // 2}"
        items.append(Item(sample.id, path, f"{number:064x}", sample, cluster))
    return items


def make_evaluation(
    count=40, contestants=("grad_cam", "grad_eclip"), conditions=("word",), *, paths=(), seed=0, **told
):
    """The later a contestant, the better it is; two baselines are worse than all."""
    generator = np.random.default_rng(seed)
    items = make_items(count, paths)
    names = (*contestants, "random map", "centred gaussian")
    columns = []
    for condition in conditions:
        for scale in SCALES:
            base = generator.normal(0.5, 0.1, count)
            for place, name in enumerate(names):
                is_baseline = place >= len(contestants)
                ahead = -0.2 if is_baseline else 0.06 * place
                sign = -1 if scale.better == "lower" else 1
                values = base + sign * ahead + generator.normal(0, 0.03, count)
                told_values = zip([item.id for item in items], values.tolist(), strict=True)
                columns.append(
                    mean_column(name, condition, scale, list(told_values), is_baseline=is_baseline)
                )
        rows = tuple(item.id for item in items)
        parts = generator.gamma(2.0, size=(count, 1))
        columns.append(Column(contestants[0], condition, SPREAD, rows, parts, MEDIAN))
    settings = {"model": "demo", "seed": "0"}
    values = {
        "kind": "explanations",
        "settings": settings,
        "command": "dermaxai evaluate …",
        "notes": ("A note.",),
    }
    return Evaluation(columns=tuple(columns), items=tuple(items), **(values | told))
