"""The photo itself and its augmented views."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from dermaxai.encoders.cards import read_card
from dermaxai.encoders.preprocess import prepare
from dermaxai.features import views as module
from dermaxai.features.views import lesion_cells, make_views, view_generator
from dermaxai.types import SkinImage
from tests.data.drawn import disc, paint

CARD = read_card("dermlip-vit-b16")
MEANS = [0.2349, 0.4896, 0.6841]
PHOTO = SkinImage(paint(disc(0.2)), sha256="5" * 64)


def encoder_of(card=CARD):
    return SimpleNamespace(card=card, preprocess=lambda image: prepare(image, card, card.image_size))


def views_of(numbers, image=PHOTO, seed=0, card=CARD, measured=True):
    return make_views(image, numbers, encoder_of(card), seed, measured=measured)


def test_view_0_is_what_the_encoder_sees():
    (view,) = views_of([0])
    assert torch.equal(view.pixels, prepare(PHOTO, CARD, 224)[0])
    assert view.number == 0
    assert math.isnan(view.coverage)


def test_a_view_depends_on_seed_number_and_photo_alone():
    alone, again = views_of([2])[0], views_of([0, 1, 2, 3])[2]
    assert torch.equal(alone.pixels, again.pixels)
    assert alone.coverage == again.coverage
    torch.rand(5)
    assert torch.equal(views_of([2])[0].pixels, alone.pixels)
    other_photo = SkinImage(PHOTO.pixels, sha256="6" * 64)
    others = [views_of([1])[0], views_of([2], seed=1)[0], views_of([2], other_photo)[0]]
    assert all(not torch.equal(other.pixels, alone.pixels) for other in others)


def test_generators_differ():
    drawn = {
        float(torch.rand(1, generator=view_generator(s, v, n))) for s in (0, 1) for v in (1, 2) for n in "ab"
    }
    assert len(drawn) == 8


def test_coverage_follows_the_zoom():
    whole = float(lesion_cells(PHOTO.pixels).float().mean()) / 255
    assert whole == pytest.approx(0.2, abs=0.05)
    shares = [view.coverage for view in views_of(range(1, 9))]
    assert all(whole / 1.06**2 * 0.97 < share < whole / 0.72**2 * 1.03 for share in shares)
    assert len(set(shares)) == 8


def test_coverage_is_that_of_the_pixels():
    """Dark pixels of the moved photo are the lesion, up to the rim that the outline leaves around it."""
    rim = float(lesion_cells(PHOTO.pixels).float().mean()) / 255 / float(disc(0.2).mean())
    for view in views_of(range(1, 7)):
        grey = view.pixels.mean(dim=0)
        dark = grey < (grey.amin() + grey.amax()) / 2
        assert view.coverage == pytest.approx(float(dark.float().mean()) * rim, rel=0.06)


def test_nothing_is_measured_where_it_is_not_asked(monkeypatch):
    monkeypatch.setattr(module, "segment", None)
    assert all(math.isnan(view.coverage) for view in views_of([0, 1], measured=False))
    views_of([0])


def test_no_lesion_has_no_coverage():
    flat = SkinImage(np.full((60, 80, 3), 180, np.uint8), sha256="7" * 64)
    assert lesion_cells(flat.pixels) is None
    assert math.isnan(views_of([1], flat)[0].coverage)


@pytest.mark.parametrize("name", ["dermlip-vit-b16", "panderm-base", "siglip-so400m-384"])
def test_augmented_pixels_lie_where_the_encoder_s_do(name, monkeypatch):
    """Without any augmentation a square photo is the photo that the encoder sees."""
    card = read_card(name)
    monkeypatch.setattr(module, "augment", lambda photos, masks, _: (photos.float() / 255, masks.float()))
    (moved,) = views_of([1], card=card, measured=False)
    assert moved.pixels.shape == (3, card.image_size, card.image_size)
    assert moved.pixels.is_contiguous()
    assert torch.allclose(moved.pixels, prepare(PHOTO, card, card.image_size)[0], atol=1e-5)


def test_the_draws_are_those_of_the_version_in_the_key():
    """Whoever changes them raises the number in `key.AUGMENTATION`, and then the figures here."""
    photos = torch.arange(3 * 8 * 8, dtype=torch.uint8).reshape(1, 3, 8, 8)
    masks = torch.zeros(1, 56, 56, dtype=torch.uint8)
    masks[:, 10:30, 5:40] = 255
    pixels, coverage = module.augment(photos, masks, view_generator(0, 1, "0" * 64))
    assert float(coverage.mean()) == pytest.approx(0.29399, abs=1e-3)
    assert pixels.mean(dim=(2, 3))[0].tolist() == pytest.approx(MEANS, abs=1e-3)
