"""Parts of a photo embedded in about one pass, against the tower asked part by part."""

import pytest
import torch

from dermaxai.encoders.tail import unit_length
from dermaxai.errors import SettingError
from dermaxai.explain.dense import PATHS, Layout, divide, patch_embeddings, see_cells
from dermaxai.explain.shared import input_pixels
from tests.explain.snapshot import snapshot

LAYOUTS = [Layout(2), Layout(2, shifted=True), Layout(4), Layout(4, shifted=True)]


def last_block(encoder, encoded, path):
    """The tokens that are read out, written once more from the parts of the block."""
    tower, tokens = encoder.tower, encoded.tail_input[None]
    parts = tower.open(tower.blocks[-1])
    if path == "block":
        return encoder.tail(tokens).tokens
    _, _, values = parts.project(parts.norm(tokens))
    if path == "bare values":
        return parts.merge(values)
    alone = tokens + parts.merge(values)
    return alone + parts.feed_forward(alone)


@pytest.mark.parametrize("path", PATHS)
def test_each_patch_is_read_alone(tower, path):
    encoder, encoded = tower
    found = patch_embeddings(encoder, encoded.tail_input, path=path)
    first, tokens = encoder.tower.first_patch, last_block(encoder, encoded, path)
    assert found.shape == (len(encoded.patches), len(encoded.pooled))
    for patch in (0, 3, len(found) - 1):
        alone = tokens[:, first + patch : first + patch + 1]
        if encoder.tower.pooling != "class":
            alone = torch.cat([tokens[:, :first], alone], 1)
        wanted = unit_length(encoder.tower.read_out(alone).embedding)[0]
        assert torch.allclose(found[patch], wanted, atol=1e-5)


def test_equal_patches_say_what_the_model_says(tower):
    """Where all tokens are equal, attention changes nothing, and each patch stands for the whole."""
    encoder, encoded = tower
    everywhere = encoded.tail_input.clone()
    everywhere[:] = everywhere[-1]
    found = torch.cat([patch_embeddings(encoder, everywhere, path=path) for path in ("block", "values")])
    tokens = encoder.tower.run(encoder.tower.blocks[-1], everywhere[None])
    wanted = unit_length(encoder.tower.read_out(tokens).embedding)
    assert torch.allclose(found, wanted.expand_as(found), atol=1e-5)


def test_a_single_cell_is_the_photo(tower):
    encoder, encoded = tower
    cells = see_cells(encoder, input_pixels(encoder, encoded), [Layout(1)])
    assert torch.allclose(cells.embeddings[0], encoded.pooled, atol=1e-5)
    assert (cells.places == 0).all()


def test_cells_are_seen_alone(tower):
    encoder, encoded = tower
    pixels = input_pixels(encoder, encoded)
    cells = see_cells(encoder, pixels, LAYOUTS)
    assert cells.places.shape == (len(LAYOUTS), len(encoded.patches))
    tokens, first = encoder.tower.embed(pixels)[0], encoder.tower.first_patch
    for row in cells.places:
        for cell in row.unique():
            own = torch.cat([tokens[:first], tokens[first:][row == cell]])[None]
            for block in encoder.tower.blocks:
                own = encoder.tower.run(block, own)
            wanted = unit_length(encoder.tower.read_out(own).embedding)[0]
            assert torch.allclose(cells.embeddings[cell], wanted, atol=1e-5)


@pytest.mark.parametrize("grid", [(14, 14), (3, 5), (1, 2), (24, 24)])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_cells_are_rectangles_that_fill_the_grid(grid, layout):
    labels = divide(grid, layout).reshape(grid)
    assert set(labels.unique().tolist()) == set(range(int(labels.max()) + 1))
    for cell in labels.unique():
        rows, columns = (labels == cell).nonzero(as_tuple=True)
        sides = (int(axis.max() - axis.min()) + 1 for axis in (rows, columns))
        height, width = sides
        assert height * width == len(rows)
        assert height <= -(-grid[0] // layout.pieces)
        assert width <= -(-grid[1] // layout.pieces)


def test_shifted_cells_cross_the_others():
    plain, shifted = (divide((8, 8), layout).reshape(8, 8) for layout in LAYOUTS[:2])
    assert plain[0].tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert shifted[0].tolist() == [0, 0, 1, 1, 1, 1, 2, 2]


def test_model_stays_as_it_was(tower):
    encoder, encoded = tower
    before = snapshot(encoder.module)
    patch_embeddings(encoder, encoded.tail_input)
    see_cells(encoder, input_pixels(encoder, encoded), LAYOUTS)
    assert snapshot(encoder.module) == before


def test_unknown_paths_are_refused(tower):
    encoder, encoded = tower
    with pytest.raises(SettingError, match="bare values, values, block"):
        patch_embeddings(encoder, encoded.tail_input, path="keys")
