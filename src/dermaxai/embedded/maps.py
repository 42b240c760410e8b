"""Where the embedded model's maps lie: share of positive energy inside the lesion, against the lesion's area.

`python -m dermaxai.embedded.maps [MODEL] [--phantoms 40] [--data HAM10000 --test-ids FILE --photos 60]`
prints Markdown for the model card. On phantoms the mask is known exactly; on photos it is the measured one.
A map without positive energy counts as one that has none inside.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from dermaxai.data.appearance import segment
from dermaxai.embedded.lesions import read_lesions
from dermaxai.explain.base import Explained
from dermaxai.explain.evidence import WordEvidence, visual_evidence, word_targets
from dermaxai.explain.grad_eclip import GradEclip
from dermaxai.explain.localisation import energy_inside
from dermaxai.images import read_image
from dermaxai.measure.intervals import Statistic, interval
from dermaxai.phantom import draw_phantom, sample_plans
from dermaxai.pipeline import Model, load
from dermaxai.types import HeatMap, SkinImage, Target

LESION_WORDS = frozenset({"lesion", "образование"})
QUERY = "a dark brown lesion"
METHODS = {
    "evidence, integrated (default)": WordEvidence(product="integrated"),
    "evidence, gradient x difference": WordEvidence(product="gradient_x_difference"),
    "evidence, input x gradient": WordEvidence(product="input_x_gradient"),
}
SIMILARITY = {"grad_eclip": GradEclip(), "grad_eclip, attention": GradEclip(weighting="attention"),
              "grad_eclip, reference": GradEclip(heads="single")}  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """A photo whose lesion is known."""

    image: SkinImage
    mask: Bool[np.ndarray, "height width"]


def phantoms(count: int) -> Iterator[Known]:
    """Drawn photos nobody trained on."""
    for number, plan in enumerate(sample_plans(count, seed=21)):
        drawn = draw_phantom(plan, seed=number)
        yield Known(drawn.image, drawn.mask)


def photos(folder: Path, test_ids: Path, count: int) -> Iterator[Known]:
    """Test photos whose measured outline is to be trusted."""
    wanted = set(test_ids.read_text(encoding="utf-8").split())
    for row in [row for row in read_lesions(folder) if row.image in wanted][:count]:
        image = read_image(row.path)
        found = segment(image.pixels)
        if found.mask.shape == image.pixels.shape[:2] and found.mask.any() and found.touches < 0.35:
            yield Known(image, found.mask)


def measure(model: Model, known: Sequence[Known]) -> dict[str, Float[np.ndarray, "photos 2"]]:
    """Energy and area share per photo of every method, mean over the words that have a map."""
    rows: dict[str, list[tuple[float, float]]] = {}
    for one in known:
        encoded = model.encoder.encode([one.image])[0]
        if model.captioner is None:
            continue
        caption = model.captioner.describe(encoded, "en")[0]
        explained = Explained(model.encoder, model.captioner, caption)
        seen = visual_evidence(model.captioner, encoded, caption)
        for name, method in METHODS.items():
            maps = method.explain(explained, encoded, word_targets(caption, seen))
            _add(rows, f"{name}, words with evidence", maps, one)
            lesion = [Target("word", word.text, index) for index, word in enumerate(caption.words)
                      if word.text.lower() in LESION_WORDS]  # fmt: skip
            _add(rows, f"{name}, the lesion word", method.explain(explained, encoded, lesion), one)
        for name, asker in SIMILARITY.items():
            _add(rows, f"{name}, '{QUERY}'", asker.explain(explained, encoded, [Target("query", QUERY)]), one)
    return {name: np.array(values) for name, values in rows.items()}


def _add(
    rows: dict[str, list[tuple[float, float]]], name: str, maps: Sequence[HeatMap], known: Known
) -> None:
    shares = [energy_inside(heat, known.mask) for heat in maps]
    if shares:
        rows.setdefault(name, []).append((float(np.mean([s[0] for s in shares])), shares[0][1]))


def map_figures(model: Model, count: int) -> str:
    """The table of `count` phantoms, as Markdown."""
    return to_markdown("phantoms", measure(model, list(phantoms(count))))


def to_markdown(title: str, figures: dict[str, Float[np.ndarray, "photos 2"]]) -> str:
    """One row per method: mean energy share with its 95 % interval, area share, photos above it."""
    lines = [
        f"| {title} | n | energy inside | 95 % interval | area share | above area |",
        "|---|---|---|---|---|---|",
    ]
    for name, values in figures.items():
        mean, low, high = interval(len(values), _mean_of(values[:, 0]))
        above = float((values[:, 0] > values[:, 1]).mean())
        lines.append(
            f"| {name} | {len(values)} | {mean:.2f} | {low:.2f}–{high:.2f} "
            f"| {values[:, 1].mean():.2f} | {above:.0%} |"
        )
    return "\n".join(lines) + "\n"


def _mean_of(energies: Float[np.ndarray, "photos"]) -> Statistic:
    return lambda rows: float(energies[rows].mean())


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?", default="demo")
    parser.add_argument("--phantoms", type=int, default=40)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--test-ids", type=Path)
    parser.add_argument("--photos", type=int, default=60)
    arguments = parser.parse_args()
    model = load(arguments.model)
    print(map_figures(model, arguments.phantoms))
    if arguments.data and arguments.test_ids:
        known = list(photos(arguments.data, arguments.test_ids, arguments.photos))
        print(to_markdown("test photos", measure(model, known)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
