"""Imputation beside pytorch-grad-cam's, beside dense algebra, and beside what it must do."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dermaxai.errors import ShapeError
from dermaxai.measure.maps.imputing import NEIGHBOURS, NOISE, Imputer


def drawn(height, width, seed, share):
    generator = np.random.default_rng(seed)
    return (
        generator.standard_normal((3, height, width)).astype(np.float32),
        generator.random((height, width)) >= share,
    )


@given(st.integers(3, 12), st.integers(3, 12), st.integers(0, 999), st.floats(0.05, 0.95))
def test_every_missing_pixel_is_the_mean_of_its_neighbours(height, width, seed, share):
    pixels, known = drawn(height, width, seed, share)
    known[0, 0] = True
    filled = Imputer(pixels, noise=0).fill(known)
    assert (filled[:, known] == pixels[:, known]).all()
    for row, column in zip(*np.nonzero(~known), strict=True):
        total, weights = np.zeros(3), 0.0
        for (down, right), weight in NEIGHBOURS.items():
            place = (row + down, column + right)
            if 0 <= place[0] < height and 0 <= place[1] < width:
                total += weight * filled[:, place[0], place[1]]
                weights += weight
        np.testing.assert_allclose(filled[:, row, column], total / weights, atol=1e-5)


PEERS_OWN = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@PEERS_OWN
@given(st.integers(4, 24), st.integers(4, 24), st.integers(0, 999), st.floats(0.05, 0.95))
def test_the_same_as_pytorch_grad_cam(height, width, seed, share):
    from pytorch_grad_cam.metrics.road import NoisyLinearImputer

    pixels, known = drawn(height, width, seed, share)
    known[-1, 0], known[0, -1] = True, False
    theirs = NoisyLinearImputer(noise=0)(torch.from_numpy(pixels), torch.from_numpy(known.astype(np.float32)))
    np.testing.assert_allclose(Imputer(pixels, noise=0).fill(known), theirs.numpy(), atol=1e-5)


@PEERS_OWN
def test_the_same_as_pytorch_grad_cam_on_patches_of_a_whole_photo():
    from pytorch_grad_cam.metrics.road import NoisyLinearImputer

    pixels, _ = drawn(96, 96, 5, 0.5)
    known = np.random.default_rng(6).random((6, 6)) > 0.6
    known = known.repeat(16, 0).repeat(16, 1)
    theirs = NoisyLinearImputer(noise=0)(torch.from_numpy(pixels), torch.from_numpy(known.astype(np.float32)))
    np.testing.assert_allclose(Imputer(pixels, noise=0).fill(known), theirs.numpy(), atol=1e-5)


def test_noise_is_of_its_size_and_drawn_once():
    pixels, known = drawn(64, 64, 1, 0.9)
    smooth, noisy = Imputer(pixels, noise=0).fill(known), Imputer(pixels, seed=3).fill(known)
    noise = (noisy - smooth)[:, ~known]
    assert noise.std() == pytest.approx(NOISE, rel=0.05)
    assert abs(noise.mean()) < NOISE / 10
    assert (noisy == Imputer(pixels, seed=3).fill(known)).all()
    assert (noisy != Imputer(pixels, seed=4).fill(known))[:, ~known].mean() > 0.99
    # A pixel's noise does not depend on the hole it is in.
    larger = known & (np.arange(64) < 32)
    both = Imputer(pixels, seed=3).fill(larger) - Imputer(pixels, noise=0).fill(larger)
    np.testing.assert_allclose(both[:, ~known], noise, atol=1e-6)


def test_both_ends():
    pixels, known = drawn(16, 12, 2, 0.5)
    imputer = Imputer(pixels, noise=0)
    assert (imputer.fill(np.ones_like(known)) == pixels).all()
    nothing = imputer.fill(np.zeros_like(known))
    np.testing.assert_allclose(
        nothing, np.broadcast_to(pixels.mean((1, 2))[:, None, None], pixels.shape), atol=1e-6
    )


def test_one_pixel_left_gives_its_colour_to_all():
    pixels, known = drawn(9, 7, 2, 1.0)
    known[4, 3] = True
    filled = Imputer(pixels, noise=0).fill(known)
    np.testing.assert_allclose(filled, np.broadcast_to(pixels[:, 4:5, 3:4], pixels.shape), atol=1e-5)


def test_a_hole_of_another_size_is_refused():
    with pytest.raises(ShapeError, match="hole"):
        Imputer(np.zeros((3, 8, 8))).fill(np.ones((8, 9), bool))
