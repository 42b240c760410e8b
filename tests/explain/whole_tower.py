"""The plain way through all blocks, one graph and one matrix per block, to hold the methods against."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dermaxai.encoders.tail import open_blocks, unit_length
from dermaxai.explain.base import text_directions
from dermaxai.types import Target
from tests.explain.conftest import GOLDEN, encoded_golden

PHOTOS = ["ISIC_0024525", "ISIC_0024306", "ISIC_0026154"]
QUERIES = [
    Target("query", "dermoscopy of melanoma"),
    Target("query", "a large asymmetric dark brown lesion with irregular border"),
]
TARGETS = [
    Target("query", "a dark mole"),
    Target("concept", "raised"),
    Target("diagnosis", "skin", against="benign"),
]


def golden(photo, text, kind):
    path = GOLDEN / f"{photo}__t{text}__{kind}.npz"
    if not path.is_file():
        pytest.skip(f"the reference numbers are not at {GOLDEN}")
    return np.load(path)


def golden_photo(photo):
    """With the pixels of the goldens, from which the first blocks start."""
    encoded = encoded_golden(photo)
    return replace(encoded, pixels=torch.from_numpy(np.load(GOLDEN / f"{photo}__inputs.npz")["image"]))


def distance(found, wanted):
    found, wanted = np.asarray(found), np.asarray(wanted)
    assert np.abs(wanted).max() > 0
    return float(np.abs(found - wanted).max() / np.abs(wanted).max())


def whole(encoder, encoded):
    """(all blocks, what is read) in one graph from the pixels on."""
    tower = encoder.tower
    tokens = tower.embed(encoded.pixels[None].to(encoder.dtype)).clone().requires_grad_()
    blocks = open_blocks(tower, tokens)
    return blocks, tower.read_out(blocks[-1].tokens)


def scores(encoder, result, targets):
    """The cosine with each target, with a graph."""
    return text_directions(encoder, targets) @ unit_length(result.embedding)[0]


def gradients(score, nodes):
    return torch.autograd.grad(score, nodes, retain_graph=True)


def token_shares(encoder, blocks):
    """What the embedding is read from: one row over the last block's tokens."""
    tower, tokens = encoder.tower, blocks[-1].tokens.shape[1]
    row = torch.zeros(tokens)
    if tower.pooling == "class":
        row[0] = 1
    else:
        row[tower.first_patch :] = 1 / (tokens - tower.first_patch)
    return row
