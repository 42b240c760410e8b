"""Photos in memory: measured once, kept, and moved together with their outlines."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

from dermaxai.embedded.lesions import LesionPhoto
from dermaxai.embedded.photos import augment, load_measured
from tests.data.drawn import RADIUS, X, Y, comma, disc, paint


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("drawn")
    for name, mask in (("one", disc(0.2)), ("two", comma(0.12))):
        Image.fromarray(paint(mask)).save(place / f"{name}.jpg", quality=95)
    return place


def rows_of(folder, *names):
    return [LesionPhoto(name, name, "nv", folder / f"{name}.jpg") for name in names]


def test_measured_once_and_kept(folder, monkeypatch):
    rows = rows_of(folder, "one", "two")
    first = load_measured(rows, folder / "cache" / "photos.npz")
    assert first.photos.shape == (2, 3, 224, 224)
    assert [a.symmetry for a in first.appearances] == ["symmetric", "asymmetric"]
    assert first.appearances[0].colours[0][0] == "dark brown"
    share = first.masks[0].float().mean() / 255
    assert float(share) == pytest.approx(first.appearances[0].area, abs=2e-3)
    monkeypatch.setattr("dermaxai.embedded.photos._measure_one", None)
    again = load_measured(rows, folder / "cache" / "photos.npz")
    assert again.appearances == first.appearances
    assert torch.equal(again.photos, first.photos)
    assert torch.equal(again.masks, first.masks)
    assert not list((folder / "cache").glob("*.part*"))


def test_other_photos_are_measured_anew(folder, tmp_path):
    load_measured(rows_of(folder, "one"), tmp_path / "photos.npz")
    assert load_measured(rows_of(folder, "two"), tmp_path / "photos.npz").rows[0].image == "two"


def test_the_same_photo_in_another_size_is_measured_anew(tmp_path):
    for side in (224, 300):
        small = Image.fromarray(paint(disc(0.2))).resize((side, side))
        small.save(tmp_path / "one.jpg", quality=95)
        load_measured(rows_of(tmp_path, "one"), tmp_path / "photos.npz")
        with np.load(tmp_path / "photos.npz") as stored:
            assert list(stored["files"]) == [f"one {(tmp_path / 'one.jpg').stat().st_size}"]


def test_photo_and_outline_move_alike():
    mask = disc(0.06)
    mask = np.roll(mask, (30, -45), (0, 1)) | (np.hypot(Y + 40, X - 50) < 22)
    photos = torch.from_numpy(mask.astype(np.uint8) * 200)[None, None].expand(8, 3, -1, -1)
    masks = functional.avg_pool2d(torch.from_numpy(mask.astype(np.float32) * 255)[None, None], 4)[0]
    pixels, coverage = augment(
        photos, masks.to(torch.uint8).expand(8, -1, -1), torch.Generator().manual_seed(1)
    )
    assert pixels.shape == (8, 3, 224, 224)
    assert coverage.shape == (8, 56, 56)
    seen = functional.avg_pool2d(pixels.mean(dim=1, keepdim=True), 4)[:, 0]
    for one, other in zip(seen, coverage, strict=True):
        assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.99
    assert not torch.equal(coverage[0], coverage[1])


def test_augmentation_is_bounded_and_repeats():
    photos = torch.from_numpy(paint(disc(0.2))).permute(2, 0, 1)[None].expand(6, -1, -1, -1)
    cells = functional.avg_pool2d(torch.from_numpy(disc(0.2).astype(np.float32))[None, None], 4)[0] * 255
    masks = cells.to(torch.uint8).expand(6, -1, -1)
    pixels, coverage = augment(photos, masks, torch.Generator().manual_seed(5))
    again, _ = augment(photos, masks, torch.Generator().manual_seed(5))
    assert torch.equal(pixels, again)
    assert 0 <= float(pixels.min()) <= float(pixels.max()) <= 1
    shares = coverage.mean(dim=(1, 2))
    assert ((shares > 0.2 / 1.06**2 * 0.97) & (shares < 0.2 / 0.72**2 * 1.03)).all()
    assert float(RADIUS.max()) > 112
