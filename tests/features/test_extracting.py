"""Filling a cache, with every kind of encoder."""

import hashlib
import math
import threading
import warnings
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from dermaxai.data.appearance import Appearance
from dermaxai.encoders import load_encoder
from dermaxai.encoders.base import Features
from dermaxai.errors import DataError, SettingError
from dermaxai.features import Extraction, FeatureCache, Photo, extract, extracting, photos_of
from dermaxai.features.key import make_key
from dermaxai.features.pooling import pool_patches
from dermaxai.images import read_image
from tests.data.drawn import disc, paint
from tests.encoders import tiny

KINDS = list(tiny.BUILDERS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Seven drawn photos of several sizes."""
    place = tmp_path_factory.mktemp("drawn")
    for number in range(7):
        photo = Image.fromarray(paint(disc(0.1 + 0.03 * number), seed=number))
        photo.resize((90 + 10 * number, 100)).save(place / f"{number}.png")
    return place


@pytest.fixture(scope="module")
def photos(folder):
    return [
        Photo(path, hashlib.sha256(path.read_bytes()).hexdigest()) for path in sorted(folder.glob("*.png"))
    ]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    made = tiny.BUILDERS["openclip"](tmp_path_factory.mktemp("models") / "openclip")
    return load_encoder(made.name, made.source, offline=True)


@pytest.fixture(scope="module", params=KINDS)
def each(request, tmp_path_factory):
    made = tiny.BUILDERS[request.param](tmp_path_factory.mktemp("models") / request.param)
    return load_encoder(made.name, made.source, offline=True)


def make(place, encoder, **how):
    return FeatureCache.create(place, make_key(encoder, **how))


def expected_of(encoder, photos):
    images = [read_image(photo.path) for photo in photos]
    return encoder.forward(torch.stack([encoder.preprocess(image)[0] for image in images]))


def read_all(cache, photos, view=0):
    return cache.read(cache.locate([photo.sha256 for photo in photos], view))


def test_every_tower_s_features_come_back(each, photos, tmp_path):
    cache = make(tmp_path, each)
    told = extract(each, photos, cache, Extraction(batch=3))
    assert (told.written, told.present, told.failed) == (7, 0, [])
    expected = expected_of(each, photos)
    found = read_all(cache, photos).float()
    assert found.shape == (7, each.grid[0] * each.grid[1], each.width)
    assert torch.allclose(found, expected.patches, rtol=2e-3, atol=2e-3)
    assert not torch.allclose(found[0], found[1], atol=1e-2)
    cache.key.check_encoder(each)


@pytest.mark.parametrize("pooling", ["class", 2])
def test_every_tower_s_pooled_features(each, photos, tmp_path, pooling):
    cache = make(tmp_path, each, pooling=pooling)
    extract(each, photos, cache)
    expected = expected_of(each, photos)
    whole = expected.pooled[:, None] if pooling == "class" else pool_patches(expected.patches, each.grid, 2)
    assert torch.allclose(read_all(cache, photos).float(), whole, rtol=2e-3, atol=2e-3)


def test_int8_and_its_loss(encoder, photos, tmp_path):
    cache = make(tmp_path, encoder, dtype="int8")
    extract(encoder, photos, cache)
    expected = expected_of(encoder, photos).patches
    off = read_all(cache, photos).float() - expected
    assert float(off.norm() / expected.norm()) == pytest.approx(cache.loss, rel=0.01)
    assert 0.001 < cache.loss < 0.02
    exact = make(tmp_path, encoder)
    extract(encoder, photos, exact)
    assert 0 < exact.loss < 3e-4


def test_what_is_there_is_passed_over(encoder, photos, tmp_path, monkeypatch):
    cache = make(tmp_path, encoder)
    extract(encoder, photos[:4], cache)
    before = read_all(cache, photos[:4])
    monkeypatch.setattr(extracting, "read_image", counted := Counted(read_image))
    told = extract(encoder, [*photos, *photos], cache)
    assert (told.written, told.present) == (3, 4)
    assert sorted(counted.seen) == [photo.path for photo in photos[4:]]
    assert torch.equal(read_all(cache, photos[:4]), before)
    assert extract(encoder, photos, cache).written == 0


class Counted:
    def __init__(self, read):
        self.read, self.seen = read, []

    def __call__(self, path, **how):
        self.seen.append(path)
        return self.read(path, **how)


def test_resumed_after_an_interruption(encoder, photos, tmp_path):
    cache, whole = make(tmp_path / "a", encoder), make(tmp_path / "b", encoder)

    def stop(done, total):
        assert total == 14
        if done >= 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extract(encoder, photos, cache, Extraction(views=2, batch=3), stop)
    assert len(FeatureCache.open(cache.folder)) == 6
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("photos")]
    assert extract(encoder, photos, cache, Extraction(views=2, batch=3)).written == 8
    extract(encoder, photos, whole, Extraction(views=2, batch=5))
    for view in (0, 1):
        first, second = read_all(cache, photos, view).float(), read_all(whole, photos, view).float()
        assert torch.allclose(first, second, atol=2e-3)


def test_a_cache_gains_views(encoder, photos, tmp_path):
    cache = make(tmp_path, encoder)
    extract(encoder, photos, cache)
    told = extract(encoder, [replace(photo, measured=True) for photo in photos], cache, Extraction(views=3))
    assert (told.written, told.present, cache.views) == (14, 7, 3)
    names = [photo.sha256 for photo in photos]
    assert np.isnan(cache.coverage(cache.locate(names))).all()
    shares = cache.coverage(cache.locate(names, 2))
    assert ((shares > 0.05) & (shares < 0.9)).all()
    assert len(set(shares.tolist())) == 7
    assert not torch.allclose(read_all(cache, photos, 1), read_all(cache, photos, 2), atol=1e-2)


def test_clinical_photos_are_not_measured(encoder, photos, tmp_path):
    cache = make(tmp_path, encoder)
    extract(encoder, photos[:1], cache, Extraction(views=2))
    assert math.isnan(cache.coverage(cache.locate([photos[0].sha256], 1))[0])


def test_unusable_photos_are_reported_and_the_rest_goes_on(encoder, photos, tmp_path, broken):
    changed = Photo(photos[0].path, "0" * 64)
    bad = [
        Photo(broken, hashlib.sha256(broken.read_bytes()).hexdigest(), id="set/broken"),
        Photo(tmp_path / "gone.png", "1" * 64),
        Photo(tmp_path / "gone.png"),
        Photo(None, "2" * 64, id="set/absent"),
        Photo(None, id="set/nameless"),
        changed,
    ]
    cache = make(tmp_path, encoder)
    told = extract(encoder, [*bad[:3], *photos, *bad[3:]], cache, Extraction(batch=2))
    assert told.written == len(cache) == 7
    failed = dict(told.failed)
    assert len(told.failed) == 6
    assert "damaged" in failed["set/broken"]
    assert failed["set/absent"] == failed["set/nameless"] == "the photo is not on disk"
    assert "0.png' has changed" in failed[str(changed.path)]
    assert "gone.png" in " ".join(failed)


def test_photos_without_a_hash_get_theirs(encoder, photos, tmp_path):
    cache = make(tmp_path, encoder)
    extract(encoder, [Photo(photo.path) for photo in photos], cache)
    assert (cache.locate([photo.sha256 for photo in photos]) >= 0).all()


def test_features_that_are_not_finite_are_not_stored(encoder, photos, tmp_path, monkeypatch):
    genuine = encoder.forward

    def overflowing(pixels):
        found = genuine(pixels)
        found.patches[1, 0, 0] = 1e6
        return Features(found.patches, found.pooled, found.tail_input)

    monkeypatch.setattr(encoder, "forward", overflowing)
    cache = make(tmp_path, encoder)
    told = extract(encoder, photos, cache)
    assert (told.written, len(told.failed)) == (6, 1)
    assert cache.locate([photos[1].sha256]).tolist() == [-1]
    assert "not finite" in told.failed[0][1]


def test_a_batch_too_large_for_the_device(encoder, photos, tmp_path, monkeypatch):
    def refuse(_):
        raise torch.OutOfMemoryError("no")

    monkeypatch.setattr(encoder, "forward", refuse)
    with pytest.raises(SettingError, match=r"batch of 7 does not fit.*--batch"):
        extract(encoder, photos, make(tmp_path, encoder))


def test_a_cache_of_another_key_is_refused(encoder, photos, tmp_path):
    cache = FeatureCache.create(tmp_path, replace(make_key(encoder), weights_sha256="f" * 64))
    with pytest.raises(DataError, match="weights_sha256 is ffffffffffff, asked for"):
        extract(encoder, photos, cache)
    assert len(cache) == 0


@pytest.mark.parametrize("how", [dict(views=0), dict(batch=0)])
def test_impossible_numbers(how):
    with pytest.raises(SettingError, match="1 or more"):
        Extraction(**how)


def test_progress_and_warnings_are_as_before(encoder, photos, tmp_path):
    told, before = [], list(warnings.filters)
    extract(encoder, photos, make(tmp_path, encoder), Extraction(batch=4), lambda *step: told.append(step))
    assert told == [(4, 7), (7, 7)]
    assert warnings.filters == before


def test_not_more_photos_are_read_ahead_than_two_batches(encoder, photos, tmp_path, monkeypatch):
    monkeypatch.setattr(extracting, "read_image", counted := Counted(read_image))
    monkeypatch.setattr(extracting, "count_threads", lambda: 1)
    seen = []
    extract(
        encoder,
        photos,
        make(tmp_path, encoder),
        Extraction(batch=1),
        lambda *_: seen.append(len(counted.seen)),
    )
    assert seen[0] <= 4
    assert len(counted.seen) == 7


def test_photos_of_a_manifest():
    trusted = Appearance(0.2, 0.0, 1.0, (), 20.0, 0.0)
    faint = replace(trusted, contrast=1.0)
    entries = [
        SimpleNamespace(
            sample=SimpleNamespace(path=name, sha256=name * 64, id=f"set/{name}"), appearance=found
        )
        for name, found in (("a", None), ("b", trusted), ("c", faint))
    ]
    manifest = SimpleNamespace(
        rows=lambda unique: np.array([2, 1, 0]), samples=lambda rows: [entries[row] for row in rows]
    )
    found = list(photos_of(manifest))
    assert [(photo.id, photo.measured) for photo in found] == [
        ("set/c", False),
        ("set/b", True),
        ("set/a", False),
    ]
    assert [photo.sha256[0] for photo in photos_of(manifest, 2)] == ["c", "b"]
