"""Drawn lesions on disk as items with outlines, diagnoses, findings and captions."""

import hashlib
from pathlib import Path

import numpy as np
from PIL import Image

from dermaxai.data.samples import Sample, SampleCaption, Sentence
from dermaxai.evaluate.items import Item
from dermaxai.phantom import draw_phantom, sample_plans

DIAGNOSES = ("melanoma", "melanocytic_nevus", "benign_keratosis")


def draw_items(folder: Path, count: int, *, dataset: str = "ham10000", **told) -> list[Item]:
    """`count` dermoscopic photos, each a cluster of its own; diagnoses in turn, every second with crust."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "masks").mkdir(exist_ok=True)
    items = []
    for number, plan in enumerate(sample_plans(count, seed=5)):
        drawn = draw_phantom(plan, seed=number)
        path, mask = folder / f"photo_{number}.png", folder / "masks" / f"photo_{number}.png"
        Image.fromarray(np.ascontiguousarray(drawn.image.pixels)).save(path)
        Image.fromarray(drawn.mask).save(mask)
        text = drawn.captions["en"]
        fields = {
            "diagnosis": DIAGNOSES[number % len(DIAGNOSES)],
            "present": ("crust",) if number % 2 else (),
            "absent": () if number % 2 else ("crust",),
            "modality": "dermoscopic",
            "captions": (SampleCaption("en", (Sentence(text, "measurement"),), "composed"),),
        }
        sample = Sample(f"{dataset}/photo_{number}", dataset, path, f"row {number}", **(fields | told))
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        items.append(Item(sample.id, path, sha256, sample, f"cluster {number}", mask))
    return items
