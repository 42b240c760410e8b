"""The rule for photos outside what the model knows: fitted on the training photos, measured on strangers.

`python -m dermaxai.embedded.outside MODEL --data DIR --test-ids FILE [--inside NAME=DIR] [--outside N=DIR]`
prints the error rates of a trained model as Markdown.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from dermaxai.captioner.outside import OutsideRule, Samples, describe
from dermaxai.embedded.lesions import read_lesions
from dermaxai.embedded.photos import Measured, load_measured
from dermaxai.embedded.splits import Split, split_by_lesion
from dermaxai.embedded.strangers import DRAWN, as_photo, draw_set, read_folder
from dermaxai.encoders.base import AbstractEncoder
from dermaxai.errors import DermaXAIError, SettingError
from dermaxai.phantom import draw_phantom, sample_plans
from dermaxai.types import SkinImage

LOG = logging.getLogger(__name__)
BATCH = 32
MOST = 2500
"""Training photos that describe the clouds; more change nothing that can be measured."""
VALIDATION = 0.06
"""Share of the lesions that set the thresholds, as in the recipe."""
PHANTOM_SEED = 5000
"""Of the measured phantoms; nothing is fitted to any phantom."""


def describe_photos(encoder: AbstractEncoder, photos: Sequence[SkinImage]) -> Samples:
    """The rows of photos, in their order."""
    rows: list[Samples] = []
    for start in range(0, len(photos), BATCH):
        chosen = photos[start : start + BATCH]
        with torch.inference_mode():
            encoded = encoder.encode(chosen)
        rows += [describe(*pair) for pair in zip(encoded, chosen, strict=True)]
    return Samples(np.concatenate([r.photo for r in rows]), np.concatenate([r.features for r in rows]))


def take(data: Measured, chosen: Sequence[int], most: int | None = None) -> list[SkinImage]:
    """Photos of a split, evenly thinned to `most`."""
    if most is not None and len(chosen) > most:
        chosen = [chosen[i * len(chosen) // most] for i in range(most)]
    return [as_photo(data.photos[i].permute(1, 2, 0).numpy()) for i in chosen]


def fit_outside(data: Measured, split: Split, encoder: AbstractEncoder) -> OutsideRule:
    """Clouds from training photos, thresholds from all validation photos."""
    train = describe_photos(encoder, take(data, split.train, MOST))
    rule = OutsideRule.fit(train, describe_photos(encoder, take(data, split.validation)))
    LOG.info("rule for photos outside: %s", rule.words)
    return rule


def known_sets(
    data: Measured, split: Split, each: int = 200
) -> tuple[dict[str, list[SkinImage]], dict[str, list[SkinImage]]]:
    """What the rule is measured on without further folders: (sets inside, sets outside)."""
    inside = {"HAM10000, held out": take(data, split.test), "phantoms (drawn)": drawn_phantoms(each)}
    return inside, drawn_strangers(each)


@dataclass(frozen=True, slots=True)
class Rate:
    """How often the rule flags the photos of one set."""

    name: str
    inside: bool
    """Flags are false alarms; otherwise they are hits."""
    flagged: int
    photos: int

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the share. Source: Wilson 1927, doi 10.1080/01621459.1927.10502953."""
        return wilson(self.flagged, self.photos)


def wilson(hits: int, count: int, z: float = 1.959964) -> tuple[float, float]:
    """Interval of a share, 0 to 1. Raises: SettingError for no trial at all.

    >>> [round(bound, 4) for bound in wilson(5, 100)]
    [0.0215, 0.1118]
    """
    if count < 1:
        raise SettingError("A share needs at least one photo.")
    share, spare = hits / count, z * z / count
    centre = (share + spare / 2) / (1 + spare)
    half = z / (1 + spare) * (share * (1 - share) / count + spare / (4 * count)) ** 0.5
    return max(centre - half, 0.0), min(centre + half, 1.0)


def measure_outside(
    rule: OutsideRule,
    encoder: AbstractEncoder,
    inside: Mapping[str, Sequence[SkinImage]],
    outside: Mapping[str, Sequence[SkinImage]],
) -> list[Rate]:
    """False alarms on sets of dermoscopic photos, then hits on sets of others; empty sets are left out."""
    rates = []
    for sets, known in ((inside, True), (outside, False)):
        for name, photos in sets.items():
            if photos:
                flags = rule.score(describe_photos(encoder, photos)) > 1.0
                rates.append(Rate(name, known, int(flags.sum()), len(photos)))
    return rates


def to_markdown(rates: Sequence[Rate]) -> str:
    """The rates as a table."""
    lines = ["| photos | flagged is | flagged | share (95 % interval) |", "|---|---|---:|---|"]
    for rate in rates:
        low, high = rate.interval
        meaning = "false" if rate.inside else "right"
        share = f"{rate.flagged / rate.photos:.3f} ({low:.3f}–{high:.3f})"
        lines.append(f"| {rate.name} | {meaning} | {rate.flagged} of {rate.photos} | {share} |")
    return "\n".join(lines) + "\n"


def drawn_phantoms(count: int) -> list[SkinImage]:
    """Phantoms of many plans."""
    plans = sample_plans(count, PHANTOM_SEED)
    return [draw_phantom(plan, PHANTOM_SEED + i).image for i, plan in enumerate(plans)]


def drawn_strangers(count: int) -> dict[str, list[SkinImage]]:
    """Every set of `DRAWN`."""
    return {f"{name} (drawn)": draw_set(name, count, seed=1) for name in DRAWN}


def _named_folder(text: str) -> tuple[str, Path]:
    name, found, folder = text.partition("=")
    if not found:
        raise argparse.ArgumentTypeError(f"NAME=DIR is expected, not {text!r}")
    return name, Path(folder)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path, help="folder with encoder/ and captioner/")
    parser.add_argument("--data", type=Path, required=True, help="HAM10000 as its publisher ships it")
    parser.add_argument("--test-ids", type=Path, required=True, help="ids of the photos nobody trained on")
    parser.add_argument("--fit", action="store_true", help="fit the rule anew first, and store it")
    parser.add_argument("--cache", type=Path, help="with --fit: the measured photos of the training")
    parser.add_argument("--inside", type=_named_folder, action="append", default=[], metavar="NAME=DIR")
    parser.add_argument("--outside", type=_named_folder, action="append", default=[], metavar="NAME=DIR")
    parser.add_argument(
        "--crops", action="store_true", help="outside folders: also the four quarters of each photo"
    )
    parser.add_argument("--each", type=int, default=200, help="drawn pictures per set")
    return parser.parse_args()


def _fit(arguments: argparse.Namespace, encoder: AbstractEncoder) -> OutsideRule:
    ids = frozenset(arguments.test_ids.read_text().split())
    data = load_measured(read_lesions(arguments.data), arguments.cache or arguments.model / "photos.npz")
    return fit_outside(data, split_by_lesion(data, ids, VALIDATION), encoder)


def _measure(arguments: argparse.Namespace) -> str:
    from dermaxai.captioner import load_captioner
    from dermaxai.captioner.checkpoint import save_statistics
    from dermaxai.encoders import load_encoder
    from dermaxai.images import read_image

    encoder = load_encoder("demo", arguments.model / "encoder")
    captioner = load_captioner(arguments.model / "captioner", encoder=encoder)
    if arguments.fit:
        captioner.outside = _fit(arguments, encoder)
        save_statistics(captioner, arguments.model / "captioner")
    rule = captioner.outside
    if rule is None:
        raise SettingError(f"{arguments.model} has no rule for photos outside; train its captioner again.")
    ids = arguments.test_ids.read_text().split()
    files = {path.stem: path for path in arguments.data.rglob("*.jpg")}
    inside = {"HAM10000, held out": [read_image(files[name]) for name in ids if name in files]}
    inside |= {name: read_folder(folder) for name, folder in arguments.inside}
    inside["phantoms (drawn)"] = drawn_phantoms(arguments.each)
    outside = drawn_strangers(arguments.each)
    outside |= {name: read_folder(folder, crops=arguments.crops) for name, folder in arguments.outside}
    return f"The rule: {rule.words}.\n\n" + to_markdown(measure_outside(rule, encoder, inside, outside))


def main() -> int:
    """Print the error rates of a model's rule."""
    try:
        print(_measure(_arguments()), end="")
    except DermaXAIError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
