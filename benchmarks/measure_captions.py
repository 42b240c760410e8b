"""Time of all metrics of words on generated captions, beside the COCO evaluation's Python parts.

    python -m benchmarks.measure_captions [--captions 10000] [--repeats 3] [--json FIGURES]

Captions and one or two references are composed by the project's own sentences, a part of the words replaced
or left out, so that texts repeat as little as in a real set. Both sides get the same words; what
pycocoevalcap does in Java (cutting into words, METEOR) has no counterpart there. It is not a dependency:

    python -m venv COCO && COCO/bin/pip install numpy && COCO/bin/pip install --no-deps pycocoevalcap==1.2
    PYTHONPATH=COCO/lib/python3.11/site-packages python -m benchmarks.measure_captions

One process; seconds of processor time, the least of the repeats, caches empty at the start of each.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import io
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from dermaxai.measure.captions import CAPTION_METRICS, meteor, ptb_tokens, stemming
from dermaxai.measure.captions.ngrams import cut
from dermaxai.measure.captions.written import Tools, Written
from dermaxai.measure.estimates import estimate, evaluate_all
from dermaxai.phantom import caption_plan, sample_plans

OF_WORDS = ("bleu", "rouge_l", "meteor", "cider_d", "length", "distinct")
CACHES = (
    ptb_tokens.words_of, ptb_tokens._cut, stemming.stem, meteor.compare, meteor.parted, meteor.function_words,
)  # fmt: skip
COMPARED = {"bleu": "bleu_4", "rouge_l": "rouge_l", "cider_d": "cider_d"}


def generate(captions: int, seed: int = 0) -> list[Written]:
    """Captions of two drawn lesions, whose references describe the same ones in other words."""
    random = np.random.default_rng(seed)
    said = [caption_plan(plan, "en") for plan in sample_plans(2 * captions, seed=seed)]
    texts = [" ".join(two) for two in zip(said[::2], said[1::2], strict=True)]
    words = sorted({word for text in texts for word in text.split()})

    def vary(text: str) -> str:
        kept = [word for word in text.split() if random.random() > 0.1]
        return " ".join(str(random.choice(words)) if random.random() < 0.1 else word for word in kept)

    return [
        Written(str(row), vary(text), tuple(vary(text) for _ in range(1 + row % 2)))
        for row, text in enumerate(texts)
    ]


def fastest(run: Callable[[], object], repeats: int, prepare: Callable[[], object] = lambda: None) -> float:
    """The least time of `run`; caches are emptied and `prepare` is run before each, untimed."""
    times = []
    for _ in range(repeats):
        for cache in CACHES:
            cache.cache_clear()
        prepare()
        begun = time.process_time()
        run()
        times.append(time.process_time() - begun)
    return min(times)


def measure(written: list[Written], repeats: int) -> dict[str, float]:
    metrics = {name: CAPTION_METRICS.load(name) for name in OF_WORDS}
    texts = sum(1 + len(one.references) for one in written)

    def run_all() -> None:
        for metric in metrics.values():
            metric(written, Tools())

    figures = {
        "captions": float(len(written)),
        "texts": float(texts),
        "words per text": len([word for one in written for word in one.text.split()]) / len(written),
        "cutting into words, s": fastest(lambda: cut(written), repeats),
    }
    for name, metric in metrics.items():
        figures[f"{name}, words cut before, s"] = fastest(
            lambda metric=metric: metric(written, Tools()), repeats, lambda: cut(written)
        )
    figures["all metrics of words, s"] = fastest(run_all, repeats)
    bleu_4 = metrics["bleu"](written, Tools())[-1]
    begun = time.process_time()
    estimate(bleu_4.parts, bleu_4.statistic)
    figures["interval of BLEU-4 by 2000 resamples, s"] = time.process_time() - begun
    return figures


def compare(written: list[Written], repeats: int) -> dict[str, float]:
    """The same words through pycocoevalcap: seconds, its time over ours, and the largest difference."""
    from pycocoevalcap.bleu.bleu import Bleu
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.rouge.rouge import Rouge

    texts = cut(written)
    captions = {row: [" ".join(words)] for row, words in enumerate(texts.captions)}
    references = {row: [" ".join(words) for words in some] for row, some in enumerate(texts.references)}
    figures = {}
    for (name, scale), scorer in zip(COMPARED.items(), (Bleu(4), Rouge(), Cider()), strict=True):
        metric = CAPTION_METRICS.load(name)
        ours = fastest(lambda metric=metric: metric(written, Tools()), repeats, lambda: cut(written))
        with contextlib.redirect_stdout(io.StringIO()):
            theirs = fastest(lambda scorer=scorer: scorer.compute_score(references, captions), repeats)
            score, _ = scorer.compute_score(references, captions)
        value = next(
            evaluate_all(one.parts, one.statistic)
            for one in metric(written, Tools())
            if one.scale.name == scale
        )
        figures[f"pycocoevalcap {name}, s"] = theirs
        figures[f"  its time / ours, {name}"] = theirs / ours
        figures[f"  difference of {scale}"] = abs(value - (score[-1] if name == "bleu" else score))
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--captions", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path, help="also write the figures there")
    arguments = parser.parse_args()
    written = generate(arguments.captions)
    figures = measure(written, arguments.repeats)
    if importlib.util.find_spec("pycocoevalcap"):
        figures |= compare(written, arguments.repeats)
    else:
        print("pycocoevalcap is not installed, so nothing is compared; --help says how to get it.")
    for name, value in figures.items():
        print(f"{name:42} {value:14,.3g}" if "difference" in name else f"{name:42} {value:14,.3f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
