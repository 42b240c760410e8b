"""Where each method's maps lie: on phantoms whose answer is known, and on photos with experts' masks.

    python -m benchmarks.sense [ENCODER] [-m METHOD ...] [--phantoms 16] [--images DIR --masks DIR]

Prints Markdown. A mask is called like its photo with `_segmentation.png` behind, as the ISIC 2017 challenge
ships them. On phantoms every lesion is asked for by its colour; with two lesions of different colours the
column `right lesion` tells how much of the energy on both lies on the one that was asked for, and whether a
method that claims to follow the text does. Photos are asked for "a pigmented skin lesion". Maps that know
nothing stand beside: uniform noise and a Gaussian in the middle.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from dermaxai.encoders import load_encoder
from dermaxai.encoders.base import AbstractEncoder
from dermaxai.explain.base import AbstractMethod
from dermaxai.images import find_images, read_image
from dermaxai.measure.known_answers import (
    GAUSSIAN,
    RANDOM,
    Known,
    Row,
    colour_phantoms,
    lesion_phantoms,
    measure_methods,
)
from dermaxai.questions import chosen_methods

QUESTION = "a pigmented skin lesion"
WHITE = 127
"""Values above it are lesion."""


def photos(images: Path, masks: Path) -> Iterator[Known]:
    for path in find_images([images]):
        with Image.open(masks / f"{path.stem}_segmentation.png") as drawn:
            yield Known(read_image(path), QUESTION, np.asarray(drawn.convert("L")) > WHITE)


def tables(encoder: AbstractEncoder, methods: Sequence[AbstractMethod], known: Sequence[Known]) -> list[Row]:
    """One method at a time, so that the time of each can be told."""
    rows: list[Row] = []
    for method in methods:
        begun = time.perf_counter()
        found = measure_methods(encoder, [method], known)
        seconds = (time.perf_counter() - begun) / len(known)
        rows += [row for row in found if row.method == method.name]
        if method is methods[-1]:
            rows += [row for row in found if row.method in (RANDOM, GAUSSIAN)]
        print(f"<!-- {method.name}: {seconds:.2f} s per question -->", flush=True)
    return rows


def to_markdown(title: str, rows: Sequence[Row]) -> str:
    metrics = list(dict.fromkeys(row.metric for row in rows))
    lines = [f"| {title} | variant | n | {' | '.join(metrics)} |", "|---" * (3 + len(metrics)) + "|"]
    cells = {(row.method, row.variant, row.metric): row for row in rows}
    named = dict.fromkeys((row.method, row.variant) for row in rows)
    for method, variant in sorted(named, key=lambda one: -cells[*one, "energy"].value):
        found = [cells[method, variant, metric] for metric in metrics]
        told = " | ".join(f"{one.value:.2f} ({one.low:.2f}–{one.high:.2f}) {one.verdict}" for one in found)
        lines.append(f"| {method} | {variant} | {found[0].n} | {told} |")
    chance = ", ".join(f"{metric} {cells[*next(iter(named)), metric].chance:.2f}" for metric in metrics)
    return "\n".join([*lines, f"\nChance: {chance}.\n"])


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("encoder", nargs="?", default="demo")
    parser.add_argument("--method", "-m", nargs="+", default=["all"])
    parser.add_argument("--phantoms", type=int, default=16, help="of each kind")
    parser.add_argument("--images", type=Path)
    parser.add_argument("--masks", type=Path)
    options = parser.parse_args(words)
    methods = [method for method in chosen_methods(options.method) if "query" in method.answers]
    encoder = load_encoder(options.encoder, offline=True)
    kinds = {
        "phantoms, one colour asked": list(lesion_phantoms(options.phantoms)),
        "phantoms, two lesions": list(colour_phantoms(options.phantoms)),
    }
    if options.images and options.masks:
        kinds["photos with experts' masks"] = list(photos(options.images, options.masks))
    for title, known in kinds.items():
        print(to_markdown(title, tables(encoder, methods, known)), flush=True)


if __name__ == "__main__":
    main()
