"""Time per photo on this machine: encoder, decoder, explanation of all words; and their ratios.

    python -m benchmarks.photo [--photos 8] [--threads 2] [--model demo]

The bar: all word maps of one caption, with the evidence that says which words get one, cost less than 1.5
encoder forwards plus one backward per word through the decoder. `explain, whole` is the command's work on
one photo, both languages and the check for strange photos included. Everything is measured side by side in
one run, medians of repeats; absolute times are of this machine only.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

import dermaxai
from dermaxai.explain.base import Explained
from dermaxai.explain.evidence import WordEvidence, visual_evidence
from dermaxai.phantom import draw_phantom, sample_plans
from dermaxai.types import Caption, Encoded, SkinImage, Target


def median_seconds(run: Callable[[], object], repeats: int) -> float:
    run()
    times = []
    for _ in range(repeats):
        begun = time.perf_counter()
        run()
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


def backward_seconds(model: dermaxai.Model, encoded: Encoded, caption: Caption, repeats: int) -> float:
    """One backward pass of one word's log-probability through decoder and bridge, forward excluded."""
    patches = encoded.patches[None].clone().requires_grad_(True)
    ids = torch.tensor([caption.token_ids])
    logprobs = model.captioner.logits(patches, ids, caption.language).log_softmax(-1)
    chosen = logprobs[0, torch.arange(ids.shape[1]), ids[0]]
    word = caption.words[len(caption.words) // 2]

    def run() -> None:
        torch.autograd.grad(chosen[list(word.tokens)].sum(), patches, retain_graph=True)

    return median_seconds(run, repeats)


def measure(model: dermaxai.Model, photos: int, repeats: int) -> dict[str, float]:
    plans = sample_plans(photos, seed=5)
    rows = [measure_photo(model, draw_phantom(plan, seed=5).image, repeats) for plan in plans]
    return {name: float(np.median([row[name] for row in rows])) for name in rows[0]}


def measure_photo(model: dermaxai.Model, image: SkinImage, repeats: int) -> dict[str, float]:
    encoded = model.encoder.encode([image])[0]
    first, *others = model.languages
    captioner, caption = model.captioner, model.captioner.describe(encoded, first)[0]
    explained = Explained(model.encoder, captioner, caption)
    targets = [Target("word", word.text, index) for index, word in enumerate(caption.words)]

    def describe_others() -> None:
        for language in others:
            captioner.describe(encoded, language)

    parts: dict[str, Callable[[], object]] = {
        "encoder forward": lambda: model.encoder.encode([image]),
        "decoder": lambda: captioner.describe(encoded, first),
        "second-language caption": describe_others,
        "all word maps": lambda: WordEvidence().explain(explained, encoded, targets),
        "visual evidence": lambda: visual_evidence(captioner, encoded, caption),
        # A fresh copy, since a model remembers the photo it encoded last.
        "explain, whole": lambda: model.explain(dataclasses.replace(image), lang=first),
    }
    row = {name: median_seconds(run, repeats) for name, run in parts.items()}
    row["one backward per word"] = backward_seconds(model, encoded, caption, repeats)
    return {"words": float(len(targets))} | row | compare(row, len(targets))


def compare(row: dict[str, float], words: int) -> dict[str, float]:
    """Sums and ratios of the times of one photo."""
    maps, evidence = row["all word maps"], row["visual evidence"]
    allowed = 1.5 * row["encoder forward"] + words * row["one backward per word"]
    return {
        "caption + all word maps": row["encoder forward"] + row["decoder"] + evidence + maps,
        "allowed": allowed,
        "maps / allowed": maps / allowed,
        "maps + evidence / allowed": (maps + evidence) / allowed,
        "maps / encoder forward": maps / row["encoder forward"],
    }


def command_seconds(*command: str, repeats: int = 5) -> float:
    return median_seconds(lambda: subprocess.run(command, check=True, capture_output=True), repeats)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--model", default="demo")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    figures = measure(dermaxai.load(arguments.model), arguments.photos, arguments.repeats)
    figures["import dermaxai"] = command_seconds(sys.executable, "-c", "import dermaxai")
    figures["python alone"] = command_seconds(sys.executable, "-c", "pass")
    figures["dermaxai --help"] = command_seconds(str(Path(sys.executable).with_name("dermaxai")), "--help")
    print(f"{platform.machine()}, {arguments.threads} threads, torch {torch.__version__}, median per photo")
    for name, value in figures.items():
        unit = "" if "/" in name or name == "words" else " ms"
        print(f"{name:26} {value if not unit else value * 1000:9.2f}{unit}")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
