"""A dozen drawn photos with known measurements, and an encoder trained on them for three steps."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from dermaxai.data.appearance import Appearance
from dermaxai.data.weak_captions import caption, gather
from dermaxai.embedded.encoder import EncoderTraining
from dermaxai.embedded.lesions import DIAGNOSES, LesionPhoto
from dermaxai.embedded.photos import MASK_SIDE, Measured
from dermaxai.embedded.recipes import EncoderRecipe, Phase
from dermaxai.embedded.tokenizer import train_text_tokenizer
from tests.data.drawn import BROWN, disc, paint

COUNT = 12
RECIPE = EncoderRecipe(
    layers=2,
    width=64,
    text_layers=1,
    text_width=64,
    embed=32,
    vocabulary=300,
    warmup=2,
    phases=(Phase(2, 4, 112, 1.0), Phase(1, 4, 224, 0.5)),
)


@pytest.fixture(scope="session")
def measured() -> Measured:
    """Discs of growing size, every diagnosis at least once; the last one too faint to measure."""
    masks = [disc(0.05 + 0.03 * number) for number in range(COUNT)]
    photos = np.stack([paint(mask, BROWN, seed=number) for number, mask in enumerate(masks)])
    cells = 224 // MASK_SIDE
    coverage = [mask.reshape(MASK_SIDE, cells, MASK_SIDE, cells).mean(axis=(1, 3)) * 255 for mask in masks]
    names = ("dark brown", "black", "red")
    appearances = [
        Appearance(
            float(mask.mean()),
            0.02 if number % 2 else 0.2,
            1.05 if number % 3 else 1.3,
            ((names[number % 3], 0.7), ("pink", 0.3)),
            contrast=30.0 if number < COUNT - 1 else 2.0,
            touches=0.0,
        )
        for number, mask in enumerate(masks)
    ]
    rows = [
        LesionPhoto(f"ISIC_{number}", f"HAM_{number // 2}", DIAGNOSES[number % 7], Path())
        for number in range(COUNT)
    ]
    return Measured(
        tuple(rows),
        torch.from_numpy(photos).permute(0, 3, 1, 2).contiguous(),
        torch.from_numpy(np.rint(np.stack(coverage)).astype(np.uint8)),
        tuple(appearances),
    )


@pytest.fixture(scope="session")
def vocabulary(measured, tmp_path_factory) -> Path:
    """A run's folder that holds the text tokenizer and nothing else."""
    folder = tmp_path_factory.mktemp("vocabulary")
    generator = np.random.default_rng(0)
    facts = [gather(a, row.diagnosis) for a, row in zip(measured.appearances, measured.rows, strict=True)]
    texts = [caption(fact, language, generator) for fact in facts for language in ("en", "ru")]
    size = train_text_tokenizer(texts, folder / "encoder", vocabulary=300, length=RECIPE.context)
    assert size <= 300
    return folder


@pytest.fixture
def start_training(measured, vocabulary):
    """Begins, or goes on with, an encoder's training in a folder."""

    def start(folder: Path) -> EncoderTraining:
        shutil.copytree(vocabulary, folder, dirs_exist_ok=True)
        return EncoderTraining(measured, range(COUNT), RECIPE, folder)

    return start


@pytest.fixture(scope="session")
def run(measured, vocabulary, tmp_path_factory) -> EncoderTraining:
    """An uninterrupted training of three steps; `run.folder / "encoder"` is what it exports."""
    folder = tmp_path_factory.mktemp("run")
    shutil.copytree(vocabulary, folder, dirs_exist_ok=True)
    training = EncoderTraining(measured, range(COUNT), RECIPE, folder)
    training.run()
    return training


@pytest.fixture(scope="session")
def encoder(run):
    """The exported folder as the rest of the program loads it."""
    from dermaxai.encoders import load_encoder

    return load_encoder("demo", source=run.folder / "encoder")
