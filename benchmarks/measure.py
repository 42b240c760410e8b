"""Deletion and insertion of many maps of one photo: all at once beside one by one, and beside Quantus.

    python -m benchmarks.measure [--layout demo vit-b16] [--removals tokens blur] [--maps 16] [--steps 20]
        [--sampled 16] [--threads 2] [--device cpu] [--words] [--metrics] [--quantus] [--json FILE]

One by one is a pass per map, curve and step with one photo in it, in float32, written without anything of
`dermaxai.measure`: the same removal, the same orders, the same scores. All at once shares both ends of the
curves, shows masks of equal length together, each once, and computes the blocks in bfloat16 where the
machine has units for it (`--passes` chooses). Every row has the largest difference to the curves of one by
one. `--sampled` maps only are asked one by one, and their time is scaled to all. Seconds of the processor
(all threads) stand beside those of the clock, since other work on the machine stretches the latter.

`demo` is the embedded model; `vit-b16` has random weights, whose cosines hardly move: its differences say
little, its times do. `--words` asks the demo's captioner about words of its caption too. `--metrics` times
every metric that removes patches. `--quantus` runs Quantus' PixelFlipping where it is installed: one map,
deletion only, pixels set to the mean, as its users call it.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.explain import Cosine, has_bfloat16, layout, questions
from dermaxai.explain import METHODS
from dermaxai.explain.articles import decided_tokens
from dermaxai.explain.base import Explained, text_directions
from dermaxai.explain.shared import Shared
from dermaxai.measure.maps import MAP_METRICS
from dermaxai.measure.maps.base import Protocol, Subject, tie_order
from dermaxai.measure.maps.deletion import curves_of, random_aucs
from dermaxai.phantom import draw_phantom, sample_plans
from dermaxai.types import HeatMap, Target

METRICS = ("deletion", "road", "faithfulness_correlation")


@dataclass(frozen=True)
class Row:
    name: str
    layout: str
    seconds: float
    processor: float
    ratio: float = 1.0
    """One by one over this, by the clock."""
    processor_ratio: float = 1.0
    """The same of the processor's seconds."""
    difference: float = float("nan")
    """Largest, between curves of this and of one by one, in units of the score."""


# ---- one by one ---------------------------------------------------------------------------------


def gaussian(pixels: Tensor, wide: int) -> Tensor:
    from scipy.ndimage import gaussian_filter

    planes = [
        gaussian_filter(one.double().cpu().numpy(), wide, mode="nearest", truncate=3.0) for one in pixels
    ]
    return torch.from_numpy(np.stack(planes)).to(pixels)


class OneByOne:
    """One photo per pass, float32, nothing shared."""

    def __init__(self, model: Explained, subject: Subject) -> None:
        self.encoder, self.model = model.encoder, model
        self.subject = subject
        self.pixels = subject.encoded.pixels.to(self.encoder.device)
        self.changed = gaussian(self.pixels, self.encoder.tower.patch)

    def tokens(self, kept: np.ndarray) -> Tensor:
        tower = self.encoder.tower
        if self.subject.protocol.removal == "tokens":
            places = [*range(tower.first_patch), *(np.flatnonzero(kept) + tower.first_patch)]
            return tower.embed(self.pixels[None])[:, places]
        side = tower.patch
        mask = torch.from_numpy(kept.reshape(tower.grid).repeat(side, 0).repeat(side, 1)).to(
            self.pixels.device
        )
        return tower.embed(torch.where(mask, self.pixels, self.changed)[None])

    @torch.no_grad()
    def score(self, kept: np.ndarray, target: Target) -> float:
        tower, tokens = self.encoder.tower, self.tokens(kept)
        for block in tower.blocks:
            tokens = tower.run(block, tokens)
        result = tower.read_out(tokens)
        if target.kind != "word":
            direction = text_directions(self.encoder, [target])[0]
            return float(torch.nn.functional.normalize(result.embedding[0], dim=0) @ direction)
        captioner, caption = self.model.captioner, self.model.caption
        patches = result.patches if result.patches.shape[1] else captioner.mean_patches[None]
        scored = captioner.score_patches(patches, caption.token_ids)[0]
        places = decided_tokens(caption, target.word)
        return float(np.exp(sum(scored.token_logprobs[place] for place in places)))

    def curves(self, heat: HeatMap) -> np.ndarray:
        order, steps = tie_order(heat, self.subject.protocol.seed), self.subject.protocol.steps
        counts = [round(step * len(order) / steps) for step in range(steps + 1)]
        found = np.zeros((2, len(counts)))
        for place, count in enumerate(counts):
            kept = np.ones(len(order), bool)
            kept[order[:count]] = False
            found[0, place] = self.score(kept, heat.target)
            found[1, place] = self.score(~kept, heat.target)
        return found


# ---- all at once --------------------------------------------------------------------------------


def at_once(subject: Subject, maps: Sequence[HeatMap]) -> np.ndarray:
    fresh = replace(subject, model=replace(subject.model, shared=Shared()))
    return np.stack([[curves.deletion, curves.insertion] for curves in curves_of(fresh, maps)])


Timed = tuple[float, float, np.ndarray]


def clock(run: Callable[[], np.ndarray]) -> Timed:
    """Seconds by the clock, of the processor, and what came out."""
    begun, busy = time.perf_counter(), time.process_time()
    found = run()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - begun, time.process_time() - busy, found


def row_of(
    what: str, name: str, timed: Timed, slow: Row | None = None, exact: np.ndarray | None = None
) -> Row:
    seconds, processor, found = timed
    if slow is None:
        return Row(what, name, seconds, processor)
    ratios = (slow.seconds / seconds, slow.processor / processor)
    difference = float("nan") if exact is None else float(np.abs(found[: len(exact)] - exact).max())
    return Row(what, name, seconds, processor, *ratios, difference)


def compare(
    name: str, what: str, subject: Subject, maps: Sequence[HeatMap], options: argparse.Namespace
) -> Iterator[Row]:
    """Both ways, one after the other."""
    alone = OneByOne(subject.model, subject)
    alone.curves(maps[0])
    sampled = maps[: options.sampled]
    seconds, processor, exact = clock(lambda: np.stack([alone.curves(heat) for heat in sampled]))
    scale = len(maps) / len(sampled)
    slow = Row(f"{what}, one by one, float32", name, scale * seconds, scale * processor)
    yield slow
    for passes in options.passes or (["model", "bfloat16"] if has_bfloat16() else ["model"]):
        chosen = replace(subject, protocol=replace(subject.protocol, passes=passes))
        at_once(chosen, maps[:1])
        timed = clock(lambda chosen=chosen: at_once(chosen, maps))
        told = "float32" if passes == "model" else passes
        yield row_of(f"{what}, all at once, {told}", name, timed, slow, exact)


def maps_of(model: Explained, subject: Subject, count: int, kind: str) -> list[HeatMap]:
    """Maps of several methods and questions."""
    if kind == "word":
        words = [
            Target("word", word.text, place)
            for place, word in enumerate(model.caption.words)
            if len(word.text) > 2
        ]
        found = METHODS.load("evidence")().explain(model, subject.encoded, words)
        found += METHODS.load("grad_eclip")().explain(model, subject.encoded, words)
    else:
        asked = questions(count)
        found = METHODS.load("grad_eclip")().explain(model, subject.encoded, asked)
    return found[:count]


def each_metric(name: str, subject: Subject, maps: Sequence[HeatMap]) -> Iterator[Row]:
    targets = [heat.target for heat in maps]
    for metric in METRICS:
        fresh = replace(subject, model=replace(subject.model, shared=Shared()))
        kind = MAP_METRICS.load(metric)
        timed = clock(lambda kind=kind, fresh=fresh: np.array(kind().measure(fresh, maps)))
        yield row_of(f"{metric} of {len(maps)} maps", name, timed)
    fresh = replace(subject, model=replace(subject.model, shared=Shared()))
    told = f"{subject.protocol.random_maps} random orders, {len(maps)} questions"
    yield row_of(told, name, clock(lambda: random_aucs(fresh, targets)[0]))


# ---- Quantus ------------------------------------------------------------------------------------


def quantus_row(name: str, subject: Subject, maps: Sequence[HeatMap], slow: Row) -> Iterator[Row]:
    """PixelFlipping of one map, about as many steps as ours; its time, times the maps, times two curves."""
    try:
        import quantus
    except Exception as error:
        print(f"Quantus is not here ({type(error).__name__}: {error}): its row is left out.")
        return
    encoder, heat = subject.model.encoder, maps[0]
    fine = heat.values.repeat(encoder.tower.patch, 0).repeat(encoder.tower.patch, 1)[None, None]
    wrapped = Cosine(encoder, text_directions(encoder, [heat.target])).eval()
    step = next(size for size in range(fine.size // subject.protocol.steps, 0, -1) if fine.size % size == 0)
    metric = quantus.PixelFlipping(
        features_in_step=step, perturb_baseline="mean", normalise=False, abs=False, disable_warnings=True
    )
    given = (wrapped, subject.encoded.pixels[None].numpy(), np.array([0]), fine)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        seconds, processor, _ = clock(lambda: np.array(metric(*given, softmax=False, device="cpu")))
    times = 2 * len(maps)
    told = f"Quantus PixelFlipping, {fine.size // step} steps, one map, times {times}"
    yield row_of(told, name, (times * seconds, times * processor, np.empty(0)), slow)


# ---- the table ----------------------------------------------------------------------------------


def subject_of(name: str, folder: Path, options: argparse.Namespace) -> Subject:
    """A drawn lesion, with the demo's captioner where there is one."""
    image = draw_phantom(sample_plans(1, seed=9)[0], seed=9).image
    if name == "demo":
        from dermaxai.pipeline import load

        model = load("demo", device=options.device)
        encoded = model.encoder.encode([image])[0]
        caption = model.captioner.describe(encoded, "en")[0]
        return Subject(Explained(model.encoder, model.captioner, caption), encoded, image)
    encoder = layout(name, folder)
    if options.device != "cpu":
        from dermaxai.encoders import load_encoder

        encoder = load_encoder(folder, offline=True, device=options.device)
    return Subject(Explained(encoder), encoder.encode([image])[0], image)


def rows_of(name: str, folder: Path, options: argparse.Namespace) -> Iterator[Row]:
    subject = subject_of(name, folder, options)
    for kind in ["query", *(["word"] if options.words and name == "demo" else [])]:
        maps = maps_of(subject.model, subject, options.maps, kind)
        for removal in options.removals:
            chosen = replace(subject, protocol=Protocol(removal=removal, steps=options.steps))
            rows = list(compare(name, f"{len(maps)} maps, {kind}, {removal}", chosen, maps, options))
            yield from rows
        if kind == "query" and options.quantus:
            yield from quantus_row(name, chosen, maps, rows[0])
    if options.metrics:
        passes = "bfloat16" if has_bfloat16() else "model"
        chosen = replace(subject, protocol=Protocol(steps=options.steps, passes=passes))
        yield from each_metric(name, chosen, maps_of(subject.model, subject, options.maps, "query"))


HEAD = """
| layout | what | seconds | processor s | times faster | by the processor | curves differ by |
| --- | --- | --- | --- | --- | --- | --- |"""


def line(row: Row) -> str:
    differ = "" if np.isnan(row.difference) else f"{row.difference:.1e}"
    numbers = f"{row.seconds:.2f} | {row.processor:.2f} | {row.ratio:.1f} | {row.processor_ratio:.1f}"
    return f"| {row.layout} | {row.name} | {numbers} | {differ} |"


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--layout", nargs="+", default=["demo", "vit-b16"], choices=["vit-b16", "demo"])
    parser.add_argument("--removals", nargs="+", default=["tokens", "blur"], choices=["tokens", "blur"])
    parser.add_argument("--passes", nargs="+", choices=["model", "bfloat16"])
    parser.add_argument("--maps", type=int, default=16)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--sampled", type=int, default=10**6)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--words", action="store_true")
    parser.add_argument("--metrics", action="store_true")
    parser.add_argument("--quantus", action="store_true")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    options = parser.parse_args(words)
    torch.set_num_threads(options.threads)
    machine = platform.processor() or platform.machine()
    print(f"{machine}, {options.device}, {options.threads} threads, torch {torch.__version__}")
    print(HEAD)
    written: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as folder:
        for name in options.layout:
            for row in rows_of(name, Path(folder) / name, options):
                print(line(row), flush=True)
                written.append(vars(row))
    if options.json:
        options.json.write_text(json.dumps(written, indent=1))


if __name__ == "__main__":
    main()
