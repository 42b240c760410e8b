import numpy as np
import pytest
import torch
from PIL import Image

from dermaxai.errors import DataError
from dermaxai.features.store import FeatureCache
from dermaxai.training.sources import CachedPatches, LivePatches
from tests.training.small import sha256_of, write_cache


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    folder = tmp_path_factory.mktemp("features")
    write_cache(folder, 5)
    return FeatureCache.open(folder)


def test_cached_patches_by_place_and_view(cache):
    patches = CachedPatches(cache, [sha256_of(4), sha256_of(1)], views=2)
    places, views = np.array([1, 0, 1]), np.array([0, 1, 1])
    wanted = cache.read([cache.locate([sha256_of(row)], view)[0] for row, view in ((1, 0), (4, 1), (1, 1))])
    assert torch.equal(patches.read(places, views), wanted)
    assert patches.coverage(places, views) == [None, pytest.approx(0.4), pytest.approx(0.4)]
    assert not len(patches.missing())


def test_missing_photos_are_known_by_place(cache):
    patches = CachedPatches(cache, [sha256_of(0), "", sha256_of(99), sha256_of(2)])
    assert patches.missing().tolist() == [1, 2]


def test_views_that_are_not_there(cache):
    with pytest.raises(DataError, match="has 2 views of its photos, 3 are asked for"):
        CachedPatches(cache, [sha256_of(0)], views=3)


def test_live_patches_are_those_of_the_encoder(model, tmp_path):
    path = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 40, 3), dtype=np.uint8)).save(path)
    live = LivePatches(model.encoder, [None, path, tmp_path / "deleted.png"])
    assert live.missing().tolist() == [0, 2]
    read = live.read(np.array([1]), np.array([0]))
    assert read.shape[-1] == live.width == model.encoder.width
    assert not read.is_inference()
    assert live.coverage(np.array([1]), np.array([0])) == [None]
    with pytest.raises(DataError, match="skip_missing"):
        live.read(np.array([0]), np.array([0]))
