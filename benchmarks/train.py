"""Training from the feature cache against training through the encoder, and where the time of a step goes.

    python -m benchmarks.train [--photos 64] [--threads 1]

Drawn photos go the whole way of the program: a folder as HAM10000's publisher ships it, `data build`,
`features build`, `train`. The encoder is ViT-B/16 in open_clip's format with random weights.

1. One epoch with the embedded model's decoder and bridge: through the encoder, then from the cache.
2. One epoch with a T5 of the size of t5-small and the bridge `small`, both random, from the cache: shares of
   read, collate, forward, backward, optimizer and log, and whether memory stays flat.
"""

from __future__ import annotations

import argparse
import csv
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch

from benchmarks.explain import layout
from dermaxai.captioner.decoder import save_t5
from dermaxai.data.building import BuildOptions, build
from dermaxai.data.manifest import Manifest
from dermaxai.data.reading import DatasetFolder
from dermaxai.data.samples import Part
from dermaxai.data.splitting import SplitOptions
from dermaxai.encoders import load_encoder
from dermaxai.features.extracting import Extraction, extract, photos_of
from dermaxai.features.key import make_key
from dermaxai.features.store import FeatureCache
from dermaxai.images import write_photo
from dermaxai.loading import demo_folder
from dermaxai.phantom import draw_phantom, sample_plans
from dermaxai.training.recipe import Recipe
from dermaxai.training.running import train_recipe

BATCH = 16
COMPARED = 2
"""Photos for validation, of which none of the times is."""
LABELS = ("nv", "mel", "bkl", "bcc")
OVERHEAD = ("read", "collate", "log")


def draw_dataset(folder: Path, photos: int) -> None:
    """A folder as HAM10000's publisher ships it."""
    (folder / "HAM10000_images_part_1").mkdir(parents=True)
    with (folder / "HAM10000_metadata.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["lesion_id", "image_id", "dx", "dx_type", "age", "sex", "localization", "dataset"])
        for number, plan in enumerate(sample_plans(photos, seed=3)):
            name = f"ISIC_{number:07}"
            drawn = draw_phantom(plan, seed=number).image
            write_photo(drawn, folder / "HAM10000_images_part_1" / f"{name}.jpg")
            table.writerow([f"HAM_{number:07}", name, LABELS[number % 4], "histo", 50, "male", "back", "x"])


def write_bases(place: Path) -> None:
    """The embedded T5, and one with random weights in the sizes of t5-small; both with its tokenizer."""
    from transformers import T5Config, T5ForConditionalGeneration

    embedded = demo_folder() / "captioner"
    torch.manual_seed(0)
    save_t5(T5ForConditionalGeneration(T5Config(decoder_start_token_id=0)), place / "t5-small")
    shutil.copytree(embedded / "t5", place / "t5-demo")
    for base in ("t5-small", "t5-demo"):
        shutil.copytree(embedded / "tokenizer", place / base, dirs_exist_ok=True)


def recipe(place: Path, features: dict[str, Any], captioner: dict[str, Any], photos: int) -> Recipe:
    return Recipe.model_validate(
        {
            "data": {"manifest": place / "ham.parquet", "captions": "demo"},
            "features": features,
            "encoder": {"name": "openclip-b16", "source": str(place / "vit")},
            "captioner": captioner,
            "training": {
                "epochs": 1,
                "batch": BATCH,
                "warmup": 0,
                "log_every": 1,
                "check_every": 10**6,
                "save_every": 10**6,
            },
            "validation": {"rows": COMPARED},
        }
    )


def run(name: str, place: Path, chosen: Recipe) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = []
    train_recipe(chosen, place / f"run-{name}", device="cpu", listen=records.append)
    return [record for record in records if record.get("kind") == "train"]


def epoch_seconds(records: Sequence[dict[str, Any]]) -> float:
    return sum(record["seconds"] for record in records)


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=int, default=64)
    parser.add_argument("--threads", type=int, default=1)
    chosen = parser.parse_args(words)
    torch.set_num_threads(chosen.threads)
    with tempfile.TemporaryDirectory() as name:
        measure(Path(name), chosen.photos)


def measure(place: Path, photos: int) -> None:
    draw_dataset(place / "ham", photos + COMPARED)
    parts: dict[str, Part] = {
        f"ham10000/ISIC_{number:07}": "train" if number < photos else "validation"
        for number in range(photos + COMPARED)
    }
    options = BuildOptions(split=SplitOptions(pinned=parts))
    build([("ham10000", DatasetFolder(place / "ham"))], place / "ham.parquet", options)
    layout("vit-b16", place / "vit")
    encoder = load_encoder("openclip-b16", place / "vit", offline=True)
    cache = FeatureCache.create(place / "cache", make_key(encoder))
    extract(encoder, photos_of(Manifest.open(place / "ham.parquet")), cache, Extraction(batch=BATCH))
    write_bases(place)
    small = {
        "t5": str(place / "t5-demo"),
        "bridge": "tiny",
        "sizes": {"hidden": 192, "layers": 3, "queries": 24},
    }
    both = {"en": {"decoder_prefix": "<en>"}, "ru": {"decoder_prefix": "<ru>"}}
    small |= {"languages": both, "max_tokens": 80}
    cached = {"cache": str(place / "cache")}
    live = epoch_seconds(run("live", place, recipe(place, {"live": True}, small, photos)))
    quick = epoch_seconds(run("cached", place, recipe(place, cached, small, photos)))
    print(f"embedded decoder, {photos} photos, one epoch (ViT-B/16, random weights)")
    print(f"  through the encoder {live:8.2f} s\n  from the cache      {quick:8.2f} s: {live / quick:.1f} x")
    large = {"t5": str(place / "t5-small"), "bridge": "small", "languages": both, "max_tokens": 80}
    tell_shares(run("t5-small", place, recipe(place, cached, large, photos)))


def tell_shares(records: Sequence[dict[str, Any]]) -> None:
    later = records[1:] or records
    seconds = median(record["seconds"] for record in later)
    print(f"T5-small and bridge 'small' from the cache, batch {BATCH} photos x 2 languages")
    print(f"  {seconds:.2f} s a step, {median(r['tokens_per_second'] for r in later):,.0f} tokens/s")
    shares = {name: median(record["shares"][name] for record in later) for name in later[0]["shares"]}
    print("  " + ", ".join(f"{name} {share:.2%}" for name, share in shares.items()))
    print(f"  read, collate and log together {sum(shares[name] for name in OVERHEAD):.2%} (bar: 5 %)")
    print(f"  memory {later[0]['memory_mb']:,.0f} MB at step 2, {later[-1]['memory_mb']:,.0f} MB at the last")


if __name__ == "__main__":
    main()
