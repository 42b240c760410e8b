"""Bytes and back."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dermaxai.features.quantise import RoundingError, pack, quantise, record_bytes, unpack


def restored(features, dtype):
    out = torch.empty(features.shape, dtype=torch.float16)
    unpack(pack(features, dtype), dtype, out)
    return out


def normed(*shape, seed=0):
    values = torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.layer_norm(values, shape[-1:])


def test_float16_comes_back_bit_for_bit():
    halves = normed(3, 5, 7).half()
    assert torch.equal(restored(halves, "float16"), halves)


@given(st.integers(0, 2**31), st.floats(1e-3, 1e3))
def test_int8_is_off_by_half_a_level_at_most(seed, size):
    features = normed(2, 4, 16, seed=seed) * size
    step = features.abs().amax(dim=-1, keepdim=True) / 127
    error = (restored(features, "int8").float() - features).abs()
    assert (error <= step * 0.5 + features.abs() * 2**-10).all()


def test_levels_keep_sign_and_extremes():
    levels, scale = quantise(torch.tensor([[[-2.0, 0.0, 1.0]], [[0.0, 0.0, 0.0]]]))
    assert levels.tolist() == [[[-127, 0, 64]], [[0, 0, 0]]]
    assert scale[:, 0].tolist() == [pytest.approx(2 / 127), 0.0]
    assert not restored(torch.zeros(1, 2, 3), "int8").any()


@pytest.mark.parametrize("dtype", ["float16", "int8"])
def test_records_have_the_size_that_is_told(dtype):
    packed = pack(normed(2, 5, 6), dtype)
    assert packed.shape == (2, record_bytes(5, 6, dtype))
    assert packed.dtype == np.uint8


@pytest.mark.parametrize(("dtype", "low", "high"), [("float16", 1e-4, 3e-4), ("int8", 0.004, 0.016)])
def test_loss_is_measured(dtype, low, high):
    loss = RoundingError(dtype)
    assert loss.relative_rms == 0
    for seed in range(3):
        loss.add(normed(2, 50, 768, seed=seed))
    assert loss.count == 6
    assert low < loss.relative_rms < high
    features = normed(2, 50, 768, seed=0)
    alone = RoundingError(dtype)
    alone.add(features)
    off = restored(features, dtype).double() - features.double()
    assert alone.relative_rms == pytest.approx(float(off.norm() / features.double().norm()))
