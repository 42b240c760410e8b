"""Time per photo on this machine: encoder, decoder, explanation of all words; and their ratios.

    python -m benchmarks.photo [--photos 8] [--threads 2] [--model demo]

The bar: all word maps of one caption cost less than 1.5 encoder forwards plus one backward per word through
the decoder. Everything is measured side by side in one run, medians of repeats; absolute times are of this
machine only.
"""

from __future__ import annotations

import argparse
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
from dermaxai.types import Caption, Encoded, Target


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
    rows: list[dict[str, float]] = []
    for plan in sample_plans(photos, seed=5):
        image = draw_phantom(plan, seed=5).image
        encoded = model.encoder.encode([image])[0]
        caption = model.captioner.describe(encoded, "en")[0]
        explained = Explained(model.encoder, model.captioner, caption)
        targets = [Target("word", word.text, index) for index, word in enumerate(caption.words)]
        row = {
            "words": float(len(targets)),
            "encoder forward": median_seconds(lambda i=image: model.encoder.encode([i]), repeats),
            "decoder": median_seconds(lambda e=encoded: model.captioner.describe(e, "en"), repeats),
            "all word maps": median_seconds(
                lambda m=explained, e=encoded, t=targets: WordEvidence().explain(m, e, t), repeats
            ),
            "visual evidence": median_seconds(
                lambda e=encoded, c=caption: visual_evidence(model.captioner, e, c), repeats
            ),
            "one backward per word": backward_seconds(model, encoded, caption, repeats),
        }
        row["allowed"] = 1.5 * row["encoder forward"] + row["words"] * row["one backward per word"]
        row["maps / allowed"] = row["all word maps"] / row["allowed"]
        row["maps / encoder forward"] = row["all word maps"] / row["encoder forward"]
        rows.append(row)
    return {name: float(np.median([row[name] for row in rows])) for name in rows[0]}


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
