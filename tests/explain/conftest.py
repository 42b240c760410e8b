"""What the tests of explanations share: the small CLIP and the numbers of the reference implementations."""

import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from dermaxai.encoders import load_encoder
from dermaxai.geometry import Placement
from dermaxai.types import Encoded
from tests.encoders import tiny

ROOT = Path(__file__).parents[2]
GOLDEN = Path(os.environ.get("DERMAXAI_GOLDEN", ROOT.parent / "shared" / "golden")) / "explain"
MODELS = Path(os.environ.get("DERMAXAI_MODELS", ROOT.parent / "shared" / "models"))
PLACE = Placement(height=224, width=224, top=0.0, left=0.0, covered_height=224.0, covered_width=224.0)


@cache
def small_clip():
    folder = MODELS / "lab_clip"
    if not folder.is_dir():
        pytest.skip(f"the small CLIP is not at {folder}")
    return load_encoder(folder)


@pytest.fixture(scope="session")
def clip():
    return small_clip()


@cache
def encoded_golden(photo: str) -> Encoded:
    """The preprocessed tensor of the goldens, so that preprocessing makes no difference."""
    import torch

    path = GOLDEN / f"{photo}__inputs.npz"
    if not path.is_file():
        pytest.skip(f"the reference numbers are not at {GOLDEN}")
    encoder = small_clip()
    features = encoder.forward(torch.from_numpy(np.load(path)["image"])[None])
    parts = (features.patches[0], features.pooled[0], features.tail_input[0])
    return Encoded(*parts, encoder.grid, PLACE, encoder.card.name)


TOWERS = {
    "class": tiny.open_clip_folder,
    "mean": tiny.dermlip_panderm_folder,
    "map": tiny.siglip_folder,
}


@pytest.fixture(scope="session", params=TOWERS)
def tower(request, tmp_path_factory):
    """(encoder, one photo encoded) per kind of pooling."""
    made = TOWERS[request.param](tmp_path_factory.mktemp("models") / request.param)
    encoder = load_encoder(made.name, made.source, offline=True)
    assert encoder.tower.pooling == request.param
    return encoder, encoder.encode([tiny.photo(90, 120)])[0]
