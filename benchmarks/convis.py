"""ConVis: windows in batches and in bfloat16 against one by one, and what stands for them in about one pass.

    python -m benchmarks.convis [--encoder demo] [--windows 64] [--photos 3] [--threads 2]

Times are medians of repeats on one drawn photo, in units of one forward pass of the encoder. The bar for
bfloat16 is 1.8 times the speed of window by window in the model's precision, on machines that have units
for it. Agreement is Spearman's correlation with the map of all windows over the patches, mean over
photos and texts.
"""

from __future__ import annotations

import argparse
import platform
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from benchmarks.photo import median_seconds
from dermaxai.encoders import load_encoder
from dermaxai.encoders.base import AbstractEncoder
from dermaxai.explain.agreement import compare_maps
from dermaxai.explain.base import Explained
from dermaxai.explain.convis import GRIDS, ConVis, agreement_with_windows
from dermaxai.explain.convis_ranks import rank_table
from dermaxai.explain.convis_windows import cut_windows, plan_windows, see_windows, with_margin
from dermaxai.explain.dense import PATHS, patch_embeddings
from dermaxai.explain.shared import input_pixels
from dermaxai.phantom import draw_phantom, sample_plans
from dermaxai.types import Encoded, Target

TEXTS = ["brown", "red", "blue", "black", "white", "border", "lesion", "skin", "hair", "a dark brown spot"]
TARGETS = [Target("concept", text) for text in TEXTS]
SEED = 11
"""Of the photos; the layouts of cells were chosen on others."""
APPROXIMATIONS = ("quick", "cells", "dense")


def encode_photos(encoder: AbstractEncoder, photos: int) -> list[Encoded]:
    plans = sample_plans(photos, seed=SEED)
    return encoder.encode([draw_phantom(plan, seed=number).image for number, plan in enumerate(plans)])


def window_seconds(
    encoder: AbstractEncoder, encoded: Encoded, arguments: argparse.Namespace
) -> dict[str, float]:
    """Seconds per window of the large size."""
    grid = plan_windows(encoder.card.image_size, *GRIDS["windows"])
    canvas = with_margin(encoder, input_pixels(encoder, encoded), grid.margin, seed=0)
    corners, size = grid.corners()[0][: arguments.windows], grid.sizes[0]
    ways = {
        "one by one, model's precision": (1, "model"),
        "batched, model's precision": (arguments.batch, "model"),
        "batched, bfloat16": (arguments.batch, "bfloat16"),
    }
    return {
        name: median_seconds(
            lambda at_once=at_once, dtype=dtype: see_windows(
                encoder, cut_windows(canvas, corners, size, at_once), dtype
            ),
            arguments.repeats,
        )
        / len(corners)
        for name, (at_once, dtype) in ways.items()
    }


def map_seconds(encoder: AbstractEncoder, encoded: Encoded, repeats: int) -> dict[str, float]:
    """Seconds for the maps of all texts, with a fresh memory each time; definitions are embedded before."""
    methods = {look: ConVis(look=look) for look in ("cells", "dense", "patches")}
    return {
        look: median_seconds(
            lambda method=method: method.explain(Explained(encoder), encoded, TARGETS), repeats
        )
        for look, method in methods.items()
    }


def print_speed(encoder: AbstractEncoder, encoded: Encoded, arguments: argparse.Namespace) -> None:
    pixels = input_pixels(encoder, encoded)
    forward = median_seconds(lambda: encoder.forward(pixels), 3 * arguments.repeats)
    print(f"one forward pass: {forward * 1000:.1f} ms\n\nper window, in forward passes")
    seconds = window_seconds(encoder, encoded, arguments)
    slowest = next(iter(seconds.values()))
    for name, one in seconds.items():
        print(f"  {name:32} {one / forward:6.2f}   {slowest / one:5.2f} times as fast as one by one")
    if not has_bfloat16(encoder.device):
        print("  this machine has no units for bfloat16, so that it gains nothing here")
    grid = plan_windows(encoder.card.image_size, *GRIDS["windows"])
    needed = sum(len(some) for some in grid.corners())
    published = len(grid.sizes) * len(range(0, grid.side + 2 * grid.margin, grid.stride)) ** 2
    print(f"  {needed} windows touch the photo; the published grid encodes {published}")
    print(f"\nmaps of {len(TARGETS)} texts, in forward passes")
    for look, one in map_seconds(encoder, encoded, arguments.repeats).items():
        print(f"  {look:32} {one / forward:6.2f}")


def print_agreement(encoder: AbstractEncoder, photos: list[Encoded], batch: int) -> None:
    found: dict[str, list[list[float]]] = {}
    for encoded in photos:
        model = Explained(encoder)
        for look in APPROXIMATIONS:
            method = ConVis(look=look, batch=batch)
            rows = agreement_with_windows(model, encoded, TARGETS, method=method)
            found.setdefault(look, []).append(rows)
        for path, rows in path_agreements(model, encoded, batch).items():
            found.setdefault(f"patches by '{path}'", []).append(rows)
    print(f"\nagreement with all windows, {len(photos)} drawn photos x {len(TARGETS)} texts: mean (lowest)")
    for look, rows in found.items():
        print(f"  {look:32} {np.nanmean(rows):6.2f} ({np.nanmin(rows):.2f})")


def path_agreements(model: Explained, encoded: Encoded, batch: int) -> dict[str, list[float]]:
    """What the ranks of single patches would agree by each way through the last block."""
    method = ConVis(batch=batch)
    wanted = method.explain(model, encoded, TARGETS)
    table = rank_table(model.encoder, method.tree, TEXTS)
    found: dict[str, list[float]] = {}
    for path in PATHS:
        shares = table.shares(patch_embeddings(model.encoder, encoded.tail_input, path=path)).cpu().numpy()
        maps = [
            replace(one, values=row.reshape(encoded.grid)) for one, row in zip(wanted, shares, strict=True)
        ]
        pairs = zip(maps, wanted, strict=True)
        found[path] = [compare_maps(one.target, [one, other]).correlations[1] for one, other in pairs]
    return found


def has_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    told = Path("/proc/cpuinfo")
    return platform.machine() == "arm64" or (told.is_file() and "bf16" in told.read_text())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--encoder", default="demo")
    parser.add_argument("--windows", type=int, default=64)
    parser.add_argument("--photos", type=int, default=3)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    encoder = load_encoder(arguments.encoder)
    photos = encode_photos(encoder, arguments.photos)
    print(f"{encoder.card.name}, {encoder.device}, {arguments.threads} threads, torch {torch.__version__}")
    print_speed(encoder, photos[0], arguments)
    print_agreement(encoder, photos, arguments.batch)


if __name__ == "__main__":
    main()
