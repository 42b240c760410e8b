"""Explanation methods beside their peers: time, peak memory, and whether the maps are the same.

    python -m benchmarks.explain [--threads 2] [--layout vit-b16 demo] [--words 12] [--targets 16] [--full]

Peers run on the same tower and the same photo in the same run: pytorch-grad-cam once per word and method, as
its users call it. Every time is a median and is also given in encoder forwards, the floor. `vit-b16` is the
layout of ViT-B/16 with random weights, `demo` the embedded encoder. Word embeddings are known to both sides
before the clock starts; what embedding them costs is a row of its own. `--full` also runs the peer's
Score-CAM on ViT-B/16, which takes minutes. SpLiCE and ConVis: benchmarks.splice and benchmarks.convis.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from dermaxai.encoders import load_encoder
from dermaxai.encoders.base import AbstractEncoder
from dermaxai.explain import METHODS
from dermaxai.explain.base import AbstractMethod, Explained, text_directions
from dermaxai.phantom import draw_phantom, sample_plans
from dermaxai.types import HeatMap, SkinImage, Target

WORDS = (
    "lesion", "large", "small", "irregular border", "asymmetric", "dark brown", "black", "red", "melanoma",
    "nevus", "pigment network", "ruler", "hair", "blue-grey", "white", "skin",
)  # fmt: skip
CAMS = ("grad_cam", "grad_cam_plusplus", "xgrad_cam")
TAIL_METHODS = (*CAMS, "grad_eclip", "grad_eclip:attention", "relevance:reference")
BLOCK_METHODS = ("rollout", "relevance", "legrad", "decomposition")
MEBIBYTE = 2**20


@dataclass(frozen=True)
class Measured:
    """Of one row of the table."""

    name: str
    seconds: float
    peak: float
    """MiB above what was there before."""
    note: str = ""


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@contextmanager
def peak_memory() -> Iterator[list[float]]:
    """MiB by which resident memory rose at most; sampled, so short peaks may be missed."""
    gc.collect()
    start, found, done = resident(), [0.0], threading.Event()

    def sample() -> None:
        while not done.wait(0.002):
            found[0] = max(found[0], (resident() - start) / MEBIBYTE)

    sampler = threading.Thread(target=sample, daemon=True)
    sampler.start()
    try:
        yield found
    finally:
        done.set()
        sampler.join()


def clock(name: str, run: Callable[[], object], repeats: int, note: str = "") -> Measured:
    """Median of some runs after one that warms up; a single run where `repeats` is 1."""
    times = []
    with peak_memory() as peak:
        if repeats > 1:
            run()
        for _ in range(repeats):
            begun = time.perf_counter()
            run()
            times.append(time.perf_counter() - begun)
    return Measured(name, statistics.median(times), peak[0], note)


def layout(name: str, folder: Path) -> AbstractEncoder:
    """`demo`, or ViT-B/16 with random weights in open_clip's own format."""
    if name == "demo":
        return load_encoder("demo", offline=True)
    import open_clip
    from safetensors.torch import save_file

    config = open_clip.get_model_config("ViT-B-16")
    torch.manual_seed(0)
    model = open_clip.CLIP(**config)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(
        {key: value.contiguous() for key, value in model.state_dict().items()},
        folder / "open_clip_model.safetensors",
    )
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": config, "preprocess_cfg": {}}))
    return load_encoder(folder, offline=True)


def questions(count: int) -> list[Target]:
    return [Target("query", text) for text in WORDS[:count]]


def method(name: str) -> AbstractMethod:
    table_name, _, variant = name.partition(":")
    kind = METHODS.load(table_name)
    return kind.of_variant(variant) if variant else kind()


def ours(
    encoder: AbstractEncoder, image: SkinImage, names: Sequence[str], asked: Sequence[Target]
) -> list[HeatMap]:
    """From the photo to all maps: one encoder pass included."""
    encoded = encoder.encode([image])[0]
    model = Explained(encoder)
    return [heat for name in names for heat in method(name).explain(model, encoded, asked)]


# ---- peers ----------------------------------------------------------------------------------


class Cosine(nn.Module):
    """What a user of pytorch-grad-cam writes around a CLIP: pixels to one cosine per text."""

    def __init__(self, encoder: AbstractEncoder, text: Tensor) -> None:
        super().__init__()
        self.visual, self.text = encoder.module.visual, text

    def forward(self, pixels: Tensor) -> Tensor:
        return nn.functional.normalize(self.visual(pixels), dim=-1) @ self.text.T


def peer_cams(
    encoder: AbstractEncoder, pixels: Tensor, texts: Tensor, names: Sequence[str]
) -> dict[str, list[np.ndarray]]:
    """One call per word and method, as published: {method: [224 x 224 map per word]}."""
    import pytorch_grad_cam as peer

    kinds = {
        "grad_cam": peer.GradCAM,
        "grad_cam_plusplus": peer.GradCAMPlusPlus,
        "xgrad_cam": peer.XGradCAM,
        "score_cam": peer.ScoreCAM,
    }
    rows, columns = encoder.grid
    layers = [encoder.module.visual.transformer.resblocks[-1].ln_1]

    def to_grid(tokens: Tensor) -> Tensor:
        return tokens[:, 1:].reshape(len(tokens), rows, columns, -1).permute(0, 3, 1, 2)

    found: dict[str, list[np.ndarray]] = {}
    for name in names:
        for text in texts:
            # The encoder is frozen, so the input has to carry the graph.
            given = pixels.clone().requires_grad_()
            with kinds[name](Cosine(encoder, text[None]), layers, to_grid) as cam:
                found.setdefault(name, []).append(cam(given, targets=[lambda output: output.squeeze()])[0])
    return found


def as_published(values: np.ndarray, side: int) -> np.ndarray:
    """A raw map as pytorch-grad-cam returns it: positive part, min-max, resized, min-max again."""
    import cv2

    def scaled(one: np.ndarray) -> np.ndarray:
        one = one - one.min()
        return one / (1e-7 + one.max())

    return scaled(cv2.resize(scaled(np.maximum(values, 0)), (side, side)))


def has_peer() -> bool:
    try:
        import pytorch_grad_cam  # noqa: F401
    except ImportError as error:
        print(f"pytorch-grad-cam is not here ({error}): its rows are left out.")
        return False
    return True


# ---- sections -------------------------------------------------------------------------------


def gradient_methods(
    encoder: AbstractEncoder, image: SkinImage, options: argparse.Namespace
) -> list[Measured]:
    """Words x CAMs beside the peer, and every method that needs the tail only."""
    asked, many = questions(options.words), questions(options.targets)
    text_directions(encoder, many)
    count = f"{len(asked)} words x 3 CAMs"
    rows = [
        clock(f"ours, {count}", lambda: ours(encoder, image, CAMS, asked), options.repeats),
        clock(
            f"ours, all tail methods, {len(many)} targets",
            lambda: ours(encoder, image, TAIL_METHODS, many),
            options.repeats,
            ", ".join(TAIL_METHODS),
        ),
        clock(
            f"ours, methods of all blocks, {len(many)} targets",
            lambda: ours(encoder, image, BLOCK_METHODS, many),
            2,
            ", ".join(BLOCK_METHODS),
        ),
    ]
    rows += [
        clock(f"ours, {name}, {len(many)} targets", lambda name=name: ours(encoder, image, [name], many), 2)
        for name in BLOCK_METHODS
    ]
    if has_peer():
        pixels = encoder.encode([image])[0].pixels[None]
        texts = text_directions(encoder, asked)
        peers: dict[str, list[np.ndarray]] = {}
        rows.append(
            clock(
                f"pytorch-grad-cam, {count}", lambda: peers.update(peer_cams(encoder, pixels, texts, CAMS)), 1
            )
        )
        rows[-1] = Measured(
            rows[-1].name, rows[-1].seconds, rows[-1].peak, differences(encoder, image, asked, peers)
        )
    return rows


def differences(
    encoder: AbstractEncoder, image: SkinImage, asked: Sequence[Target], peers: dict[str, list[np.ndarray]]
) -> str:
    """Largest difference of our reference variants to the peer's final maps, which span 0 to 1."""
    if not peers:
        return ""
    told = []
    for name in CAMS:
        maps = ours(encoder, image, [f"{name}:reference"], asked)
        side = peers[name][0].shape[0]
        worst = max(
            float(np.abs(as_published(heat.values, side) - other).max())
            for heat, other in zip(maps, peers[name], strict=True)
        )
        told.append(f"{name} {worst:.1e}")
    return "maps differ at most by " + ", ".join(told)


def score_cam(
    encoder: AbstractEncoder, image: SkinImage, options: argparse.Namespace, *, peer: bool
) -> list[Measured]:
    """Seconds per channel, batched, beside the peer; bfloat16 beside float32."""
    from dermaxai.explain.score_cam import ScoreCam

    asked, channels = questions(1), encoder.width
    limit = channels if encoder.width <= 256 else 64
    encoded, model = encoder.encode([image])[0], Explained(encoder)

    def run(**choices: object) -> list[HeatMap]:
        return ScoreCam(top_k=None if limit == channels else limit, **choices).explain(model, encoded, asked)

    rows = [per_channel(clock("ours, Score-CAM per channel, float32", run, 1), limit)]
    if has_bfloat16():
        half = per_channel(
            clock("ours, Score-CAM per channel, bfloat16", lambda: run(dtype="bfloat16"), 1), limit
        )
        alike = np.corrcoef(run()[0].values.ravel(), run(dtype="bfloat16")[0].values.ravel())[0, 1]
        rows.append(Measured(half.name, half.seconds, half.peak, f"correlation with float32 {alike:.4f}"))
    else:
        print("This processor has no bfloat16 units: the bfloat16 row is left out.")
    if peer and has_peer():
        texts = text_directions(encoder, asked)
        found = clock(
            "pytorch-grad-cam, Score-CAM per channel",
            lambda: peer_cams(encoder, encoded.pixels[None], texts, ["score_cam"]),
            1,
        )
        rows.append(per_channel(found, channels))
    return rows


def per_channel(measured: Measured, channels: int) -> Measured:
    return Measured(measured.name, measured.seconds / channels, measured.peak, measured.note)


def has_bfloat16() -> bool:
    flags = Path("/proc/cpuinfo").read_text()
    return torch.cuda.is_available() or "avx512_bf16" in flags or "amx_bf16" in flags


def report(name: str, floor: Measured, rows: Sequence[Measured]) -> list[dict[str, object]]:
    print(f"\n## {name}: one forward {1000 * floor.seconds:.1f} ms\n")
    print("| what | seconds | forwards | peak MiB | |\n|---|---|---|---|---|")
    for row in rows:
        forwards = row.seconds / floor.seconds
        print(f"| {row.name} | {row.seconds:.4f} | {forwards:.2f} | {row.peak:.0f} | {row.note} |")
    return [{"layout": name, **vars(row), "forwards": row.seconds / floor.seconds} for row in rows]


def ratio(rows: Sequence[Measured], slow: str, fast: str) -> None:
    """Print how many times `fast` is faster than `slow`, where both were measured."""
    found = {row.name: row.seconds for row in rows}
    pair = [next((found[name] for name in found if name.startswith(start)), None) for start in (slow, fast)]
    if all(pair):
        print(f"\n{fast}: {pair[0] / pair[1]:.1f} times faster than {slow}")


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layout", nargs="+", default=["vit-b16", "demo"], choices=["vit-b16", "demo"])
    parser.add_argument("--words", type=int, default=12)
    parser.add_argument("--targets", type=int, default=16)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--full", action="store_true", help="the peer's Score-CAM on ViT-B/16 too")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    options = parser.parse_args(words)
    torch.set_num_threads(options.threads)
    image = draw_phantom(sample_plans(1, seed=9)[0], seed=9).image
    written = []
    with tempfile.TemporaryDirectory() as folder:
        for name in options.layout:
            encoder = layout(name, Path(folder) / name)
            pixels = encoder.encode([image])[0].pixels[None]
            floor = clock("one forward", lambda encoder=encoder, pixels=pixels: encoder.forward(pixels), 9)
            rows = gradient_methods(encoder, image, options)
            rows += score_cam(encoder, image, options, peer=options.full or name == "demo")
            written += report(name, floor, rows)
            count = f"{options.words} words x 3 CAMs"
            ratio(rows, f"pytorch-grad-cam, {count}", f"ours, {count}")
            ratio(rows, "pytorch-grad-cam, Score-CAM per channel", "ours, Score-CAM per channel, float32")
            ratio(rows, "ours, Score-CAM per channel, float32", "ours, Score-CAM per channel, bfloat16")
    if options.json:
        options.json.write_text(json.dumps(written, indent=1))


if __name__ == "__main__":
    main()
