"""The embedded default from start to finish: data, encoder, text model, captioner, figures."""

from __future__ import annotations

import hashlib
import json
import logging
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dermaxai.captioner import FrozenWatch, load_captioner, save_captioner
from dermaxai.captioner.checkpoint import Packing
from dermaxai.data.ham10000 import read_ham10000
from dermaxai.data.weak_captions import caption, gather
from dermaxai.encoders import load_encoder
from dermaxai.errors import SettingError
from dermaxai.training.captioner import (
    CaptionerRecipe,
    CaptionerTraining,
    build_captioner,
    encode_views,
    mean_patches,
)
from dermaxai.training.encoder import EncoderRecipe, EncoderTraining, Phase
from dermaxai.training.figures import measure_captions, write_figures
from dermaxai.training.language import LanguageRecipe, train_language
from dermaxai.training.photos import Measured, load_measured
from dermaxai.training.tokenizer import train_text_tokenizer

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Split:
    """Indices into the measured photos; one lesion never stands in two of them."""

    train: tuple[int, ...]
    validation: tuple[int, ...]
    test: tuple[int, ...]


def split_by_lesion(data: Measured, test_ids: frozenset[str], validation: float) -> Split:
    """Test: the listed photos; validation: a share of the other lesions chosen by the hash of their id.

    Photos of a test lesion that are not listed themselves are left out of everything.
    """
    tested = {row.lesion for row in data.rows if row.image in test_ids}
    parts: dict[str, list[int]] = {"train": [], "validation": [], "test": []}
    for index, row in enumerate(data.rows):
        if row.image in test_ids:
            parts["test"].append(index)
        elif row.lesion not in tested:
            draw = int(hashlib.sha256(row.lesion.encode()).hexdigest()[:8], 16) / 0xFFFFFFFF
            parts["validation" if draw < validation else "train"].append(index)
    return Split(tuple(parts["train"]), tuple(parts["validation"]), tuple(parts["test"]))


def read_recipe(path: Path) -> dict[str, Any]:
    """The recipe's TOML. Raises: SettingError if it is missing or not TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise SettingError(f"The recipe {path} cannot be read: {error}.") from error


def encoder_recipe(table: Mapping[str, Any], seed: int) -> EncoderRecipe:
    """The `[encoder]` table. Raises: SettingError naming unknown keys."""
    values = dict(table)
    phases = tuple(Phase(**phase) for phase in values.pop("phases"))
    try:
        return EncoderRecipe(**values, phases=phases, seed=seed)
    except TypeError as error:
        raise SettingError(f"[encoder]: {error}") from error


def train_demo(recipe_path: Path, data_folder: Path, out: Path, *, only: str | None, threads: int) -> None:
    """Train every stage (or the one named by `only`) that is not finished in `out`."""
    if threads:
        torch.set_num_threads(threads)
    recipe = read_recipe(recipe_path)
    rows = read_ham10000(data_folder)
    data = load_measured(rows, out / "photos.npz")
    ids = frozenset((recipe_path.parent / recipe["test_ids"]).read_text().split())
    split = split_by_lesion(data, ids, recipe["validation"])
    LOG.info("%d train, %d validation, %d test photos", *map(len, (split.train, split.validation, split.test)))
    if only in (None, "encoder"):
        train_encoder(data, split, encoder_recipe(recipe["encoder"], recipe["seed"]), out)
    if only in (None, "language"):
        train_language(LanguageRecipe(**recipe["language"], seed=recipe["seed"]), out / "t5")
    if only in (None, "captioner"):
        train_captioner(data, split, CaptionerRecipe(**recipe["captioner"], seed=recipe["seed"]), out)
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


def train_captioner(data: Measured, split: Split, recipe: CaptionerRecipe, out: Path) -> None:
    """Bridge and LoRA on the frozen encoder and the frozen text model; saved with their statistics."""
    encoder = load_encoder("demo", out / "encoder")
    train = encode_views(data, split.train, encoder, views=recipe.views, seed=recipe.seed)
    validation = encode_views(data, split.validation, encoder, views=1)
    captioner = build_captioner(recipe, encoder, train_language(LanguageRecipe(), out / "t5"))
    watch = FrozenWatch(encoder=encoder.module)
    training = CaptionerTraining(captioner, train, validation, recipe)
    training.run(out)
    watch.check()
    LOG.info("encoder and T5 base are bit-identical after training")
    
    captioner.mean_patches = mean_patches(train, len(split.train))
    from dermaxai.training.outside import fit_outside

    captioner.outside = fit_outside(data, split, encoder)
    packing = Packing(
        t5_dtype=torch.float16,
        bridge_dtype=torch.float16,
        data="HAM10000 (Tschandl et al. 2018, doi 10.7910/DVN/DBW86T), measured weak captions",
        licence="CC BY-NC 4.0",
        notes=f"{training.parts}. Recipe: {json.dumps(asdict(recipe))}",
    )
    save_captioner(captioner, out / "captioner", packing)


def measure_demo(data: Measured, split: Split, out: Path) -> None:
    """The figures of the saved captioner on the test photos, for the model card."""
    encoder = load_encoder("demo", out / "encoder")
    captioner = load_captioner(out / "captioner", encoder=encoder)
    test = encode_views(data, split.test, encoder, views=1)
    facts = [gather(data.appearances[i], data.rows[i].diagnosis) for i in split.train]
    write_figures(measure_captions(captioner, test, facts), out)
    LOG.info("figures of the test photos:\n%s", (out / "figures.md").read_text(encoding="utf-8"))
