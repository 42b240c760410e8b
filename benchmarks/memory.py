"""Memory of `dermaxai describe` over many photos: flat, or not.

    python -m benchmarks.memory [--photos 500] [--folder PHOTOS]

Runs the real command in a child process and samples its resident memory; prints the peak over the second and
the last quarter of the photos and their ratio. Without --folder a dozen drawn photos are copied under many
names.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from dermaxai.images import find_images, write_photo
from dermaxai.phantom import draw_phantom, sample_plans


def fill(folder: Path, count: int) -> None:
    for number, plan in enumerate(sample_plans(min(count, 12), seed=8)):
        write_photo(draw_phantom(plan, seed=number).image, folder / f"photo-{number:04}.png")
    drawn = sorted(folder.iterdir())
    for number in range(len(drawn), count):
        shutil.copy(drawn[number % len(drawn)], folder / f"photo-{number:04}.png")


def resident_megabytes(process: int) -> float:
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


def watch(folder: Path, out: Path) -> list[tuple[int, float]]:
    command = [
        str(Path(sys.executable).with_name("dermaxai")),
        "describe",
        str(folder),
        "--json",
        "-o",
        str(out),
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    samples = []
    while process.poll() is None:
        time.sleep(0.2)
        done = out.read_bytes().count(b"\n") if out.exists() else 0
        try:
            samples.append((done, resident_megabytes(process.pid)))
        except FileNotFoundError:
            break
    if process.wait():
        raise SystemExit(f"describe ended with {process.returncode}")
    return samples


def measure(photos: int, folder: Path | None) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as place:
        source = folder or Path(place) / "photos"
        if folder is None:
            source.mkdir()
            fill(source, photos)
        count = len(find_images([source]))
        begun = time.perf_counter()
        samples = watch(source, Path(place) / "captions.jsonl")
        seconds = time.perf_counter() - begun
    second = max((rss for done, rss in samples if count / 4 <= done < count / 2), default=0.0)
    last = max((rss for done, rss in samples if done >= count * 3 / 4), default=0.0)
    return {
        "photos": count,
        "photos per second": count / seconds,
        "peak MB, second quarter": second,
        "peak MB, last quarter": last,
        "last / second": last / second if second else float("nan"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=500)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--json", type=Path, help="also write the figures there")
    arguments = parser.parse_args()
    figures = measure(arguments.photos, arguments.folder)
    for name, value in figures.items():
        print(f"{name:26} {value:9.2f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
