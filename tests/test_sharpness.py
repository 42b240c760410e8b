"""Whether a photo is blurred: the width of a known blur, what must not matter, and what a case is told."""

from __future__ import annotations

import dataclasses
import io

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from dermaxai.cases import load_case, save_case
from dermaxai.i18n import blurred_text, catalogue
from dermaxai.phantom import draw_phantom, sample_plans
from dermaxai.sharpness import MOST, THRESHOLD, check_blur, measure_blur
from dermaxai.types import Blur
from tests.sample_case import make_case

LONGEST = 100 * MOST / 224


def blurred(pixels, percent):
    spread = percent / 100 * min(pixels.shape[:2])
    wide = ndimage.gaussian_filter(pixels.astype(np.float32), (spread, spread, 0), mode="nearest")
    return np.rint(wide).clip(0, 255).astype(np.uint8)


def patches(side=448):
    """Soft skin with squares of ideal edges."""
    y, x = np.mgrid[0:side, 0:side] * 7 // side
    bright = np.where((y + x) % 2, 190, 90)
    return np.repeat(bright[..., None], 3, 2).astype(np.uint8)


@pytest.fixture(scope="module")
def photo():
    return draw_phantom(sample_plans(1, 3)[0], 3, height=448, width=560).image.pixels


@pytest.mark.parametrize("percent", [0.7, 1.0, 1.5, 2.0])
def test_gives_back_the_width_of_a_known_blur(percent):
    assert measure_blur(blurred(patches(), percent)) == pytest.approx(percent, rel=0.12)


def test_ideal_edges_are_sharp():
    assert measure_blur(patches()) < 0.3


def test_more_blur_is_more(photo):
    widths = [measure_blur(blurred(photo, percent)) for percent in (0.0001, 1.0, 1.5, 3.0)]
    assert widths == sorted(widths)
    assert widths[0] <= THRESHOLD < widths[1]


def test_neither_size_nor_light_nor_contrast_matters():
    soft = blurred(patches(), 1.5)
    width = measure_blur(soft)
    assert width > THRESHOLD
    larger = np.asarray(Image.fromarray(soft).resize((1680, 1680), Image.Resampling.BICUBIC))
    for other in (larger, soft // 2, 100 + soft // 3):
        assert measure_blur(other) == pytest.approx(width, rel=0.2)


def test_a_small_photo_that_was_enlarged_is_blurred(photo):
    least = Image.fromarray(photo).resize((50, 40), Image.Resampling.BICUBIC)
    assert measure_blur(np.asarray(least)) > THRESHOLD
    assert measure_blur(np.asarray(least.resize((2000, 1600), Image.Resampling.BICUBIC))) > THRESHOLD


def test_compression_and_noise_behind_a_blur_do_not_hide_it():
    soft = blurred(patches(), 1.5)
    buffer = io.BytesIO()
    Image.fromarray(soft).save(buffer, "JPEG", quality=40)
    grain = np.random.default_rng(0).normal(0, 3, soft.shape)
    for other in (np.asarray(Image.open(buffer)), (soft + grain).clip(0, 255).astype(np.uint8)):
        assert measure_blur(other) == pytest.approx(1.5, rel=0.3)


@pytest.mark.parametrize("softness", [1, 8])
def test_dark_corners_neither_make_nor_hide_a_blur(softness):
    y, x = np.ogrid[-1:1:448j, -1:1:448j]
    seen = 1 / (1 + np.exp((np.hypot(y, x) - 1.05) * 224 / softness))[..., None]
    for percent, wanted in ((0.0001, False), (1.5, True)):
        pixels = (blurred(patches(), percent) * seen).astype(np.uint8)
        assert (measure_blur(pixels) > THRESHOLD) is wanted


def test_a_soft_lesion_under_sharp_hairs_is_no_blurred_photo():
    y, x = np.mgrid[0:448, 0:448]
    lesion = 200 - 120 / (1 + np.exp((np.hypot(y - 224, x - 224) - 110) / 12))
    assert measure_blur(np.repeat(lesion[..., None], 3, 2).astype(np.uint8)) > THRESHOLD
    for start in range(-200, 448, 60):
        lesion[np.abs(y - 0.6 * x - start) < 2] -= 40
    assert measure_blur(np.repeat(lesion[..., None], 3, 2).clip(0, 255).astype(np.uint8)) <= THRESHOLD


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_picture_without_edges_is_not_sharp(level):
    assert measure_blur(np.full((90, 60, 3), level, np.uint8)) == LONGEST


def test_few_edges_far_from_each_other_are_edges():
    """Enough of them in the whole photo, and too few in every tile."""
    pixels = np.full((224, 224, 3), 200, np.uint8)
    pixels[16::96, 16::96] = 160
    assert measure_blur(pixels) < THRESHOLD


def test_a_dark_photo_is_not_taken_for_a_corner():
    """The whole square is darker than the corners of a dermoscope, and touches its rim."""
    assert measure_blur(patches() // 6) < THRESHOLD
    assert measure_blur(blurred(patches(), 1.5) // 6) > THRESHOLD


def test_told_with_numbers_in_both_languages():
    english, russian = (blurred_text(Blur(1.234, 0.45), catalogue(language)) for language in ("en", "ru"))
    assert "1.23 %" in english
    assert "0.45 %" in english
    assert "1,23 %" in russian
    assert "0,45 %" in russian
    assert blurred_text(Blur(0.45, 0.45), catalogue("en")) == blurred_text(None, catalogue("en")) == ""


def test_the_number_is_kept_on_disk_and_cases_from_before_have_none(tmp_path):
    case = make_case()
    before = save_case(case, tmp_path / "before")
    assert '"blur"' not in (before / "case.json").read_text("utf-8")
    assert load_case(before).blur is None
    kept = dataclasses.replace(case, blur=Blur(0.7234567890123, 0.45))
    assert load_case(save_case(kept, tmp_path / "kept")).blur == kept.blur


def test_every_case_of_a_model_is_looked_at(model, photos):
    assert model.explain(photos[0]).blur == check_blur(model.read(photos[0]))
    assert [case.blur for case in model.describe(photos)] == [check_blur(model.read(one)) for one in photos]
