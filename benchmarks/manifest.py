"""A manifest of a million generated rows: time to build, peak memory, time to open.

    python -m benchmarks.manifest [--rows 1000000] [--json FIGURES]

Rows come from six made-up datasets that overlap as the real ones do, without any file: photos' hashes are
drawn like those of dark spots on skin (the pairs that agree in the samples of bits are as many as in
HAM10000), an eighth of the photos are in two datasets, re-encoded, and captions are composed as in a real
build. Reading real photos is measured by `dermaxai data build` itself.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import resource
import tempfile
import time
from collections import Counter
from pathlib import Path
from unittest.mock import patch

import numpy as np

from dermaxai.data import building
from dermaxai.data.appearance import Appearance
from dermaxai.data.duplicates import find_near
from dermaxai.data.hashing import BITS, Signature, to_words
from dermaxai.data.manifest import Manifest
from dermaxai.data.reading import DatasetFolder
from dermaxai.data.samples import Sample, SampleCaption, Sentence
from dermaxai.data.scanning import Scan
from dermaxai.registry import Table

SHARES = {
    "isic2019": 0.25, "ham10000": 0.1, "bcn20000": 0.1, "derm1m": 0.4, "fitzpatrick17k": 0.1, "skincap": 0.05,
}  # fmt: skip
WITHIN = {"ham10000": "isic2019", "bcn20000": "isic2019", "skincap": "fitzpatrick17k"}
"""The dataset whose photos a dataset shows again, re-encoded, half of it."""
DIAGNOSES = ("melanoma", "melanocytic_nevus", "basal_cell_carcinoma", "psoriasis", "atopic_dermatitis")
SITES = ("back", "chest", "face", "forearm", "thigh", None)
COLOURS = ("light brown", "dark brown", "black", "red")
READERS = Table("dataset", {name: f"{__name__}:read_{name}" for name in SHARES})
DERMOSCOPIC = ("isic2019", "ham10000", "bcn20000")


def draw_hashes(count: int, seed: int = 0) -> np.ndarray:
    """Hashes (count, 32) of blurred spots at many places and of many sizes, under noise of natural images."""
    random, found = np.random.default_rng(seed), []
    pairs = sorted((r + c, r, c) for r in range(64) for c in range(64) if r or c)[:BITS]
    _, rows, columns = np.array(pairs, np.float32).T
    frequency = rows**2 + columns**2
    for start in range(0, count, 20_000):
        size = min(20_000, count - start)
        y, x = (0.5 + random.normal(0, 0.05, (2, size, 1))).astype(np.float32)
        radius = random.uniform(0.06, 0.3, (size, 1)).astype(np.float32)
        spot = 6 * radius**2 * np.exp(-frequency * (np.pi * radius) ** 2 / 8)
        spot *= np.cos(np.pi * rows * y) * np.cos(np.pi * columns * x)
        noise = random.standard_normal((size, BITS), np.float32) * 0.35 / (1 + np.sqrt(frequency)) ** 1.3
        found.append(np.packbits(noise > spot, axis=1))
    return np.concatenate(found)


class Generated:
    """Rows of all datasets, and what their photos would tell."""

    def __init__(self, total: int) -> None:
        self.sizes = {name: int(total * share) for name, share in SHARES.items()}
        self.start = dict(zip(self.sizes, np.cumsum([0, *self.sizes.values()]), strict=False))
        self.hashes = draw_hashes(sum(self.sizes.values()))
        random = np.random.default_rng(1)
        for name, other in WITHIN.items():
            again = self.start[name] + np.arange(self.sizes[name] // 2)
            shown = self.start[other] + again - self.start[name]
            if name == "bcn20000":
                shown += self.sizes["isic2019"] // 6 * 3  # Lesions have three photos each.
            self.hashes[again] = self.hashes[shown]
            bits = random.integers(0, BITS, (len(again), 6))
            for bit in bits.T:
                self.hashes[again, bit // 8] ^= (128 >> bit % 8).astype(np.uint8)
        self.thumbnails = random.integers(0, 256, (4096, 256), np.uint8)

    def scan(self, paths, *, measured, on_progress=None):
        return sum(1 for _ in paths)

    def find(self, paths):
        return [self.tell(int(path.stem)) for path in paths]

    def tell(self, number: int) -> Scan:
        signature = Signature(self.hashes[number].tobytes(), self.thumbnails[number % 4096].tobytes())
        area = 0.05 + number % 997 / 2000
        appearance = Appearance(area, area / 2, 1 + area, ((COLOURS[number % 4], 0.9),), 30.0, 0.0)
        return Scan(hashlib.sha256(str(number).encode()).hexdigest(), 600, 450, signature, appearance)

    def read(self, folder: DatasetFolder):
        name = folder.root.name
        start, real = int(self.start[name]), name in ("derm1m", "skincap")
        for row in range(self.sizes[name]):
            number = start + row
            said = f"An erythematous plaque with scale on the leg, seen {number % 9999} days ago."
            yield Sample(
                id=f"{name}/{row}",
                dataset=name,
                path=folder.root / f"{number}.jpg",
                place=f"{name}.csv, line {row + 2}",
                licence="CC BY-NC 4.0",
                captions=(SampleCaption("en", (Sentence(said, "author"),), "caption"),) if real else (),
                diagnosis=DIAGNOSES[number % 5],
                label=DIAGNOSES[number % 5],
                site=SITES[number % 6],
                age=float(number % 18 * 5),
                sex=("female", "male", None)[number % 3],
                modality="dermoscopic" if name in DERMOSCOPIC else "clinical",
                groups=(f"{name}/lesion/{row // 3}", f"{name}/photo/{row}"),
                official_split="test" if name == "isic2019" and row % 17 == 0 else None,
            )


WORLD: list[Generated] = []


def _reader(folder: DatasetFolder):
    return WORLD[0].read(folder)


read_isic2019 = read_ham10000 = read_bcn20000 = read_derm1m = read_fitzpatrick17k = read_skincap = _reader


def peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(rows: int) -> dict[str, float]:
    WORLD[:] = [Generated(rows)]
    before = peak_megabytes()
    steps: Counter[str] = Counter()
    last = [("start", time.perf_counter())]

    def tell(what: str, done: int, total: int) -> None:
        steps[what] += time.perf_counter() - last[0][1]
        last[0] = (what, time.perf_counter())

    with tempfile.TemporaryDirectory() as place:
        folders = [(name, Path(place) / name) for name in SHARES]
        for _, folder in folders:
            folder.mkdir()
        sources = [(name, DatasetFolder(folder)) for name, folder in folders]
        out = Path(place) / "million.parquet"
        begun, begun_cpu = time.perf_counter(), time.process_time()
        with patch.object(building, "READERS", READERS):
            report = building.build(sources, out, photos=WORLD[0], on_progress=tell)
        seconds, cpu = time.perf_counter() - begun, time.process_time() - begun_cpu
        peak, size = peak_megabytes(), out.stat().st_size / 1e6
        begun = time.perf_counter()
        manifest = Manifest.open(out)
        assert len(manifest) == sum(WORLD[0].sizes.values())
        opened = time.perf_counter() - begun
        begun = time.perf_counter()
        train = manifest.rows("train")
        chosen = time.perf_counter() - begun
        begun = time.perf_counter()
        manifest.samples(train[:1])
        loaded = time.perf_counter() - begun
        begun = time.perf_counter()
        random = np.random.default_rng(0)
        for _ in range(20):
            manifest.samples(random.choice(train, 64))
        batch = (time.perf_counter() - begun) / 20
    return {
        "rows": report.joined.photos,
        "clusters": report.joined.clusters,
        "largest cluster": report.joined.largest,
        "fewer by near-duplicates": report.joined.by_near,
        "build, s": seconds,
        "build, s of CPU": cpu,
        **{f"  {name}, s": took for name, took in steps.items()},
        "peak MB": peak,
        "of it the generated photos, MB": before,
        "file MB": size,
        "open, s": opened,
        "rows of a split, s": chosen,
        "first sample, s": loaded,
        "64 random samples, s": batch,
    }


def recall(rows: int) -> dict[str, float]:
    """How many of planted copies with a given number of flipped bits the samples of bits find."""
    random = np.random.default_rng(2)
    hashes = draw_hashes(rows, seed=3)
    figures = {}
    for flips in (8, 16, 24, 32):
        copies = hashes[:500].copy()
        for place, copy in enumerate(copies):
            for bit in random.choice(BITS, flips, replace=False):
                copies[place, bit // 8] = copy[bit // 8] ^ (128 >> bit % 8)
        words = to_words([*map(bytes, hashes), *map(bytes, copies)])
        found = {tuple(pair) for pair in find_near(words).tolist()}
        hit = sum((place, rows + place) in found for place in range(len(copies)))
        figures[f"recall at {flips} random flips"] = hit / len(copies)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--json", type=Path, help="also write the figures there")
    arguments = parser.parse_args()
    figures = measure(arguments.rows) | recall(20_000)
    for name, value in figures.items():
        print(f"{name:34} {value:14,.3f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
