"""How well borders, rulers and hairs are found on phantoms, where they are known, and how fast.

    python -m benchmarks.artefacts [-n PHANTOMS]

A pixel counts as found or as right within `NEAR` pixels, since hairs are a few pixels wide. Precision and
recall are over the pixels of all phantoms that have the artefact; `beside` is the share of the photo, and of
the lesion, that is called an artefact on phantoms without it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from dermaxai.measure.artefact_finding import ARTEFACTS, Artefact, Mask, find_artefacts
from dermaxai.phantom import Phantom, draw_phantom, sample_plans

NEAR = 2
SIZES = ((450, 600), (448, 448), (224, 224))
SEED = 4000


@dataclass(frozen=True, slots=True)
class Found:
    """Of one kind of artefact at one size; shares of pixels, means over phantoms for the last two."""

    kind: Artefact
    with_it: int
    precision: float
    recall: float
    area: float
    """Found pixels over drawn ones: the energy on an artefact grows with it."""
    beside: float
    on_lesion: float


def judge(kind: Artefact, drawn: Sequence[Phantom], found: Sequence[dict[Artefact, Mask]]) -> Found:
    """Compare masks with what was drawn; hairs and rulers only where no dark corner hides them."""
    right = seen = hit = there = marked = 0
    beside, on_lesion = [], []
    for phantom, masks in zip(drawn, found, strict=True):
        visible = np.ones(phantom.mask.shape, bool)
        if kind != "border" and "border" in phantom.artefact_masks:
            visible = ~phantom.artefact_masks["border"]
        answer = masks[kind] & visible
        if kind not in phantom.artefact_masks:
            beside.append(answer.mean())
            on_lesion.append((answer & phantom.mask).sum() / phantom.mask.sum())
            continue
        truth = phantom.artefact_masks[kind] & visible
        right += (answer & ndimage.binary_dilation(truth, iterations=NEAR)).sum()
        seen += answer.sum()
        hit += (truth & ndimage.binary_dilation(answer, iterations=NEAR)).sum()
        there += truth.sum()
        marked += 1
    return Found(
        kind,
        marked,
        right / max(seen, 1),
        hit / max(there, 1),
        seen / max(there, 1),
        *(float(np.mean(shares)) if shares else float("nan") for shares in (beside, on_lesion)),
    )


def main() -> None:
    """Print one table per size."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-n", type=int, default=100, help="phantoms per size")
    count = parser.parse_args().n
    for height, width in SIZES:
        plans = sample_plans(count, SEED)
        drawn = [draw_phantom(plan, SEED + i, height=height, width=width) for i, plan in enumerate(plans)]
        begin = time.process_time()
        found = [find_artefacts(phantom.image) for phantom in drawn]
        spent = (time.process_time() - begin) / count
        print(f"{width} x {height} pixels, {count} phantoms, {1000 * spent:.0f} ms of one core per photo")
        print("kind    with it  precision  recall  area found/drawn  beside  on lesions without it")
        for kind in ARTEFACTS:
            one = judge(kind, drawn, found)
            print(
                f"{kind:7} {one.with_it:7}  {one.precision:9.3f}  {one.recall:6.3f}  {one.area:16.2f}  "
                f"{one.beside:6.4f}  {one.on_lesion:.4f}"
            )


if __name__ == "__main__":
    main()
