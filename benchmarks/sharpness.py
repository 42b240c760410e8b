"""How often a sharp photo is called blurred, which blur is found, and how other measures do.

    python -m benchmarks.sharpness --ham10000 DIR --isic2017 DIR --pad-ufes-20 DIR [--sheet FILE]

The first `SEEN` photos of HAM10000, in the order of the hashes of their names, served to choose the
measure; they are left out. Photos of more than `LONGEST` pixels on the shorter side are shrunk before all.
A blur's width is in percent of the photo's shorter side; noise and JPEG come after it, as in a camera.
Intervals of shares are Wilson's, those of AUC percentile bootstraps over lesions (HAM10000), photos (ISIC) or
patients (PAD-UFES-20). Prints Markdown.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from scipy.stats import rankdata

from benchmarks.blurring import LEVELS, RIVALS
from dermaxai.colour import to_frame
from dermaxai.embedded.outside import wilson
from dermaxai.images import find_images, read_image
from dermaxai.measure.estimates import Statistic, estimate
from dermaxai.phantom import draw_phantom, sample_plans
from dermaxai.sharpness import THRESHOLD, measure_blur

SEEN, PLAIN, BLURRED, COMPARED = 1600, 1500, 60, 40
LONGEST = 300
FALSE_FLAGS = 0.01
"""At which the measures are compared."""
SHOWN = (
    "blur 0.5 %",
    "blur 1 %",
    "motion 4 %",
    "blur 1 %, noise 3",
    "blur 1 %, JPEG 20",
    "not blurred: soft corners",
)


@dataclass(frozen=True, slots=True)
class Photos:
    """Some photos of a set, and which of them belong together."""

    name: str
    pixels: list[np.ndarray]
    names: list[str]
    owners: np.ndarray


def take(name: str, paths: Sequence[Path], owner: Callable[[str], str]) -> Photos:
    names = [path.stem for path in paths]
    owners = np.unique([owner(one) for one in names], return_inverse=True)[1]
    return Photos(name, [_shrunk(read_image(path).pixels) for path in paths], names, owners)


def _shrunk(pixels: np.ndarray) -> np.ndarray:
    scale = LONGEST / min(pixels.shape[:2])
    if scale >= 1:
        return pixels
    size = [round(scale * side) for side in pixels.shape[1::-1]]
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))


def read_sets(ham: Path, isic: Path, pad: Path) -> Iterator[Photos]:
    unseen = sorted(find_images([ham]), key=lambda path: hashlib.sha256(path.stem.encode()).hexdigest())
    # Where there is one photo per lesion, its name stands for the lesion.
    yield take("HAM10000", unseen[SEEN : SEEN + PLAIN], str)
    yield take("ISIC 2017", find_images([isic]), str)
    yield take("PAD-UFES-20", find_images([pad]), lambda name: "_".join(name.split("_")[:2]))
    plans = sample_plans(200, 5000)
    drawn = [draw_phantom(plan, 5000 + number).image.pixels for number, plan in enumerate(plans)]
    yield Photos("phantoms (drawn)", drawn, [str(number) for number in range(len(drawn))], np.arange(200))


def auc(rows: np.ndarray) -> float:
    """Of (value, blurred) rows: how often a blurred photo has the larger value; ties count half."""
    blurred = rows[:, 1] > 0
    many, few = int(blurred.sum()), int((~blurred).sum())
    if not many or not few:
        return float("nan")
    return float((rankdata(rows[:, 0])[blurred].sum() - many * (many + 1) / 2) / (many * few))


def share(flags: np.ndarray) -> str:
    low, high = wilson(int(flags.sum()), len(flags))
    return f"{flags.mean():.3f} ({low:.3f}–{high:.3f})"


def print_plain(sets: Sequence[Photos], plain: Mapping[str, np.ndarray]) -> None:
    print("| photos as they are | called blurred | share (95 % interval) | 95th percentile, % | largest, % |")
    print("|---|---:|---|---:|---:|")
    for one in sets:
        values = plain[one.name]
        flags = values > THRESHOLD
        told = f"{int(flags.sum())} of {len(flags)} | {share(flags)}"
        print(f"| {one.name} | {told} | {np.quantile(values, 0.95):.2f} | {values.max():.2f} |")


def print_levels(sets: Sequence[Photos], plain: Mapping[str, np.ndarray]) -> None:
    heads = [f"{one.name} (n = {min(BLURRED, len(one.pixels))}) | AUC" for one in sets]
    print(f"\n| made of a photo | {' | '.join(heads)} |\n|---|{'---|---|' * len(sets)}")
    for name, change in LEVELS.items():
        cells = [_level(one, plain[one.name], change) for one in sets]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def _level(one: Photos, plain: np.ndarray, change: Callable[[np.ndarray, int], np.ndarray]) -> str:
    chosen = range(min(BLURRED, len(one.pixels)))
    made = np.array([measure_blur(change(one.pixels[number], number)) for number in chosen])
    rows = np.stack([np.concatenate([plain[: len(made)], made]), np.repeat([0.0, 1.0], len(made))], 1)
    owners = np.tile(one.owners[: len(made)], 2)
    found = estimate(rows, Statistic("auc", of_rows=auc), owners)
    return f"{share(made > THRESHOLD)} | {found.value:.3f} ({found.low:.3f}–{found.high:.3f})"


def print_rivals(photos: Photos, phantoms: Photos) -> None:
    print(f"\n| measure | {' | '.join(SHOWN)} | phantoms |\n|---|{'---:|' * (len(SHOWN) + 1)}")
    frames = [to_frame(pixels) for pixels in photos.pixels[:COMPARED]]
    for name, measure in {"re-blurred edges (used)": measure_blur, **RIVALS}.items():
        plain = np.array([measure(to_frame(pixels)) for pixels in photos.pixels[: 4 * COMPARED]])
        limit = np.quantile(plain, 1 - FALSE_FLAGS)
        rates = [
            np.mean([measure(LEVELS[level](frame, number)) > limit for number, frame in enumerate(frames)])
            for level in SHOWN
        ]
        rates.append(np.mean([measure(to_frame(pixels)) > limit for pixels in phantoms.pixels[:COMPARED]]))
        print(f"| {name} | {' | '.join(f'{rate:.2f}' for rate in rates)} |", flush=True)


def draw_sheet(one: Photos, values: np.ndarray, file: Path, *, columns: int = 8, rows: int = 4) -> None:
    """The photos with the largest blur, and how much."""
    side = 224
    sheet = Image.new("RGB", (columns * side, rows * (side + 16)), "white")
    pen = ImageDraw.Draw(sheet)
    for place, number in enumerate(np.argsort(-values)[: columns * rows]):
        left, top = place % columns * side, place // columns * (side + 16)
        sheet.paste(Image.fromarray(to_frame(one.pixels[number])), (left, top))
        pen.text((left + 2, top + side + 2), f"{one.names[number]} {values[number]:.2f}", fill="black")
    sheet.save(file)


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("ham10000", "isic2017", "pad-ufes-20"):
        parser.add_argument(f"--{name}", type=Path, required=True, help="folder of photos")
    parser.add_argument("--sheet", type=Path, help="PNG of the photos with the largest blur")
    given = parser.parse_args(words)
    sets = list(read_sets(given.ham10000, given.isic2017, given.pad_ufes_20))
    plain = {one.name: np.array([measure_blur(pixels) for pixels in one.pixels]) for one in sets}
    print_plain(sets, plain)
    if given.sheet is not None:
        draw_sheet(sets[0], plain[sets[0].name], given.sheet)
    print_levels(sets[:3], plain)
    print_rivals(sets[0], sets[3])


if __name__ == "__main__":
    main()
