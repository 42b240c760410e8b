"""Area means on the grid of patches."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dermaxai.errors import SettingError
from dermaxai.features.pooling import area_weights, pool_patches

SIDES = st.integers(1, 12)


@st.composite
def grids(draw):
    rows, columns = draw(SIDES), draw(SIDES)
    cells = draw(st.integers(1, min(rows, columns)))
    seed = draw(st.integers(0, 2**31))
    patches = torch.randn(2, rows * columns, 5, generator=torch.Generator().manual_seed(seed))
    return patches, (rows, columns), cells


@given(SIDES, st.data())
def test_weights_share_out_every_patch_evenly(length, data):
    cells = data.draw(st.integers(1, length))
    weights = area_weights(length, cells)
    assert torch.allclose(weights.sum(dim=1), torch.ones(cells), atol=1e-6)
    assert torch.allclose(weights.sum(dim=0), torch.full((length,), cells / length), atol=1e-6)
    assert (weights >= 0).all()


@given(grids())
def test_the_mean_of_the_tokens_is_the_mean_of_the_patches(drawn):
    patches, grid, cells = drawn
    pooled = pool_patches(patches, grid, cells)
    assert pooled.shape == (2, cells * cells, 5)
    assert torch.allclose(pooled.mean(dim=1), patches.mean(dim=1), atol=1e-5)
    assert (pooled.amax(dim=1) <= patches.amax(dim=1) + 1e-5).all()


@given(grids())
def test_pooling_is_linear_and_keeps_a_constant(drawn):
    patches, grid, cells = drawn
    twice = pool_patches(2 * patches + 3, grid, cells)
    assert torch.allclose(twice, 2 * pool_patches(patches, grid, cells) + 3, atol=1e-4)


@given(grids())
def test_mirrored_patches_give_mirrored_tokens(drawn):
    patches, grid, cells = drawn
    mirrored = patches.unflatten(1, grid).flip(2).flatten(1, 2)
    pooled = pool_patches(patches, grid, cells).unflatten(1, (cells, cells))
    assert torch.allclose(
        pool_patches(mirrored, grid, cells).unflatten(1, (cells, cells)), pooled.flip(2), atol=1e-5
    )


@pytest.mark.parametrize(("grid", "cells"), [((14, 14), 7), ((6, 9), 3), ((4, 4), 4), ((16, 16), 1)])
def test_it_is_torch_s_average_where_cells_are_whole(grid, cells):
    patches = torch.randn(3, grid[0] * grid[1], 4)
    planes = patches.unflatten(1, grid).permute(0, 3, 1, 2)
    expected = torch.nn.functional.avg_pool2d(planes, (grid[0] // cells, grid[1] // cells))
    assert torch.allclose(pool_patches(patches, grid, cells), expected.flatten(2).mT, atol=1e-6)


@pytest.mark.parametrize("cells", [0, 5])
def test_a_finer_grid_than_there_is(cells):
    with pytest.raises(SettingError, match=r"grid has 4 x 6.*1 to 4"):
        pool_patches(torch.zeros(1, 24, 2), (4, 6), cells)
