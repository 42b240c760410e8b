"""How well the measured outline covers the lesion that experts outlined: Dice over a folder of masks.

    python -m benchmarks.segmentation --images DIR --masks DIR

A mask is called like its photo with `_segmentation.png` behind, as the ISIC 2017 challenge ships them. Both
are compared in the measuring frame, the centred square at 224 px. Intervals are percentile bootstraps over
photos.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from dermaxai.data.appearance import segment, to_frame
from dermaxai.images import find_images, read_image

WHITE = 127
"""Values above it are lesion."""


def score_outlines(images: Path, masks: Path) -> np.ndarray:
    """Dice of each photo, by the order of the names."""
    scores = []
    for path in find_images([images]):
        found = segment(read_image(path).pixels).mask
        with Image.open(masks / f"{path.stem}_segmentation.png") as drawn:
            expert = to_frame(np.asarray(drawn.convert("RGB")))[..., 0] > WHITE
        scores.append(2 * (found & expert).sum() / max(found.sum() + expert.sum(), 1))
    return np.array(scores)


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, required=True, help="folder of photos")
    parser.add_argument("--masks", type=Path, required=True, help="folder of the experts' masks")
    arguments = parser.parse_args(words)
    scores = score_outlines(arguments.images, arguments.masks)
    if not len(scores):
        raise SystemExit(f"There are no photos in {arguments.images}.")

    from dermaxai.measure.intervals import interval

    print(f"{len(scores)} photos")
    for name, statistic in (("mean", np.mean), ("median", np.median)):
        value, low, high = interval(len(scores), lambda rows, s=statistic: float(s(scores[rows])))
        print(f"Dice {name:6} {value:.3f} (95 % interval {low:.3f} to {high:.3f})")


if __name__ == "__main__":
    main()
