"""The sanity checks and the verdicts of measured maps over some photos, for docs/trust.md.

    python -m benchmarks.sanity [--photos 10] [--folder PHOTOS --ids FILE] [--model demo]

Drawn photos by default; with a folder, every n-th of the listed ids that lies there as a JPEG. Each method is
asked about the words of the caption and three texts. A cell is the mean over photos and, in brackets, on how
many photos the check is passed / undecided / failed.
"""

from __future__ import annotations

import argparse
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import dermaxai
from dermaxai.measure.sanity import RULES, Check
from dermaxai.phantom import draw_phantom, sample_plans
from dermaxai.scores import scores_by_map, verdict_of
from dermaxai.types import SkinImage

METHODS = (
    "evidence", "grad_eclip", "grad_cam", "occlusion:coarse", "relevance", "decomposition", "legrad",
    "rollout",
)  # fmt: skip
TEXTS = ("a dark brown lesion", "a photo of melanoma", "skin with hair")
SEED = 70


def photos_of(arguments: argparse.Namespace) -> Iterator[SkinImage | Path]:
    if arguments.folder is None:
        for number, plan in enumerate(sample_plans(arguments.photos, SEED)):
            yield draw_phantom(plan, SEED + number, height=448, width=448).image
        return
    lying = {path.stem: path for path in arguments.folder.rglob("*.jpg")}
    listed = [line.strip() for line in arguments.ids.read_text("utf-8").splitlines()]
    known = [lying[name] for name in listed if name in lying]
    yield from known[:: max(1, len(known) // arguments.photos)][: arguments.photos]


def told(checks: list[Check]) -> str:
    values = [check.value for check in checks if not np.isnan(check.value)]
    counts = Counter(check.verdict for check in checks)
    return f"{np.mean(values):.2f} ({counts['passed']}/{counts['undecided']}/{counts['failed']})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=10)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--ids", type=Path, default=Path("recipes/ham10000_test_ids.txt"))
    parser.add_argument("--model", default="demo")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    model = dermaxai.load(arguments.model)
    checks: defaultdict[tuple[str, str], list[Check]] = defaultdict(list)
    verdicts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for photo in photos_of(arguments):
        case = model.explain(photo, methods=METHODS, queries=TEXTS)
        for check in model.sanity(case):
            checks[check.method, check.name].append(check)
        for scores in scores_by_map(model.measure(model.explain(photo))):
            verdicts["both"][verdict_of(scores)] += 1
            for metric, score in scores.items():
                verdicts[metric][score.verdict] += 1
    for method in dict.fromkeys(method for method, _ in checks):
        row = [told(checks[method, name]) if (method, name) in checks else "" for name in RULES]
        print(f"{method:14}", *(f"{cell:18}" for cell in row))
    for metric, counts in verdicts.items():
        print(metric, dict(counts))


if __name__ == "__main__":
    main()
