"""The embedded default from start to finish: data, encoder, text model, captioner, figures."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dermaxai.captioner import FrozenWatch, load_captioner, save_captioner
from dermaxai.captioner.checkpoint import Packing
from dermaxai.data.weak_captions import caption, gather
from dermaxai.embedded.captioner import (
    LICENCE,
    as_published,
    encode_views,
    run_recipe,
    write_features,
    write_manifest,
)
from dermaxai.embedded.encoder import EncoderTraining
from dermaxai.embedded.figures import measure_captions, measure_zero_shot, write_figures
from dermaxai.embedded.language import NAME, LanguageRecipe, train_language
from dermaxai.embedded.lesions import read_lesions
from dermaxai.embedded.maps import map_figures
from dermaxai.embedded.outside import fit_outside, known_sets, measure_outside, to_markdown
from dermaxai.embedded.photos import Measured, load_measured
from dermaxai.embedded.recipes import EncoderRecipe, read_recipe, read_stage
from dermaxai.embedded.splits import Split as Split
from dermaxai.embedded.splits import split_by_lesion
from dermaxai.embedded.tokenizer import train_text_tokenizer
from dermaxai.encoders import load_encoder
from dermaxai.pipeline import load
from dermaxai.training.recipe import read_recipe as read_training

LOG = logging.getLogger(__name__)
PHANTOMS = 40
"""Drawn photos on which the maps are measured."""


@dataclass(frozen=True, slots=True)
class CaptionerStage:
    """What the captioner is made from."""

    recipe: Path
    """Of `dermaxai train`; its paths are replaced by those of this run."""
    photos: Path
    """HAM10000's folder."""


def train_demo(recipe_path: Path, data_folder: Path, out: Path, *, only: str | None, threads: int) -> None:
    """Train every stage (or the one named by `only`) that is not finished in `out`.

    Raises: SettingError for a recipe that cannot be read, DataError for a folder that is not HAM10000.
    """
    if threads:
        torch.set_num_threads(threads)
    recipe = read_recipe(recipe_path)
    rows = read_lesions(data_folder)
    data = load_measured(rows, out / "photos.npz")
    ids = frozenset((recipe_path.parent / recipe["test_ids"]).read_text(encoding="utf-8").split())
    split = split_by_lesion(data, ids, recipe["validation"])
    counts = len(split.train), len(split.validation), len(split.test)
    LOG.info("%d train, %d validation, %d test photos", *counts)
    if only in (None, "encoder"):
        train_encoder(data, split, read_stage(EncoderRecipe, recipe, "encoder"), out)
    if only in (None, "language", "captioner"):
        train_language(read_stage(LanguageRecipe, recipe, "language"), out / "t5")
    if only in (None, "captioner"):
        stage = CaptionerStage(recipe_path.parent / recipe["captioner"], data_folder)
        train_captioner(data, split, stage, out)
    if only in (None, "captioner", "figures"):
        measure_demo(data, split, out)


def train_encoder(data: Measured, split: Split, recipe: EncoderRecipe, out: Path) -> None:
    """The CLIP: vocabulary once, then training."""
    folder = out / "encoder"
    if not (folder / "tokenizer.json").exists():
        generator = np.random.default_rng(recipe.seed)
        facts = [gather(data.appearances[i], data.rows[i].diagnosis) for i in split.train]
        texts = [caption(fact, language, generator) for fact in facts for language in ("en", "ru")]
        texts += ["dermoscopy of", "дерматоскопия:"] * 50
        train_text_tokenizer(texts, folder, vocabulary=recipe.vocabulary, length=recipe.context)
    EncoderTraining(data, split.train, recipe, out).run()


def train_captioner(data: Measured, split: Split, stage: CaptionerStage, out: Path) -> None:
    """Manifest, features, bridge and LoRA on the frozen encoder and text model; saved with statistics."""
    encoder = load_encoder("demo", out / "encoder")
    watch = FrozenWatch(encoder=encoder.module)
    manifest = write_manifest(data, split, stage.photos, out)
    recipe = read_training(
        stage.recipe,
        [
            f"data.manifest={json.dumps(str(manifest))}",
            f"features.cache={json.dumps(str(out / 'features'))}",
            f"encoder.source={json.dumps(str(out / 'encoder'))}",
            f"captioner.t5={json.dumps(str(out / 't5'))}",
        ],
    )
    write_features(manifest, encoder, out, recipe.features.views)
    validation = encode_views(data, split.validation, encoder)
    captioner = run_recipe(recipe, out / "captioner-run", validation, _tell)
    watch.check()
    LOG.info("encoder and T5 base are bit-identical after training")
    as_published(captioner, NAME)
    captioner.outside = fit_outside(data, split, encoder)
    parts = json.loads((out / "captioner-run" / "run.json").read_text(encoding="utf-8"))["parts"]
    packing = Packing(
        t5_dtype=torch.float16,
        bridge_dtype=torch.float16,
        data="HAM10000 (Tschandl et al. 2018, doi 10.7910/DVN/DBW86T), measured weak captions",
        licence=LICENCE,
        notes=f"{parts}. Recipe: {stage.recipe.name}, {recipe.sha256}",
    )
    save_captioner(captioner, out / "captioner", packing)


def _tell(record: dict[str, Any]) -> None:
    LOG.info("captioner: %s", {name: value for name, value in record.items() if name != "made_from"})


def measure_demo(data: Measured, split: Split, out: Path) -> None:
    """All figures of the model card: captions and rule on the test photos, maps on phantoms."""
    encoder = load_encoder("demo", out / "encoder")
    captioner = load_captioner(out / "captioner", encoder=encoder)
    test = encode_views(data, split.test, encoder)
    facts = [gather(data.appearances[i], data.rows[i].diagnosis) for i in split.train]
    figures = measure_captions(captioner, test, facts)
    figures["zero-shot"] = measure_zero_shot(encoder, data, split.test)
    write_figures(figures, out)
    LOG.info("figures of the test photos:\n%s", (out / "figures.md").read_text(encoding="utf-8"))
    if captioner.outside is not None:
        rates = to_markdown(measure_outside(captioner.outside, encoder, *known_sets(data, split)))
        _write(out / "outside.md", f"The rule: {captioner.outside.words}.\n\n{rates}")
    _write(out / "maps.md", map_figures(load(out), PHANTOMS))


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    LOG.info("%s:\n%s", path.name, text)
