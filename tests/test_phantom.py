"""Phantoms are what their plans say: every word of a caption is measured in the picture."""

import dataclasses
import itertools
import re
import subprocess
import sys

import numpy as np
import pytest

from dermaxai.errors import SettingError, UsageError
from dermaxai.phantom import (
    COLOURS,
    SIZE_SHARES,
    Phantom,
    PhantomPlan,
    border_roughness,
    caption_plan,
    draw_phantom,
    mirror_overlap,
    sample_plans,
)

PLAIN = PhantomPlan("medium", "symmetric", "regular", ("dark brown",))
VARIANTS = [
    PhantomPlan(size, symmetry, border, ("dark brown", "light brown"))
    for size, symmetry, border in itertools.product(
        ("small", "medium", "large"), ("symmetric", "asymmetric"), ("regular", "irregular")
    )
]


@pytest.fixture(
    scope="module", params=VARIANTS, ids=lambda plan: f"{plan.size}-{plan.symmetry}-{plan.border}"
)
def phantom(request) -> Phantom:
    return draw_phantom(request.param, seed=7)


def test_mask_has_the_size_of_its_class(phantom: Phantom):
    low, high = SIZE_SHARES[phantom.plan.size]
    assert low <= phantom.mask.mean() < high


def test_outline_is_as_symmetric_as_planned(phantom: Phantom):
    overlap = mirror_overlap(phantom.mask)
    assert overlap > 0.92 if phantom.plan.symmetry == "symmetric" else overlap < 0.84


def test_border_is_as_rough_as_planned(phantom: Phantom):
    roughness = border_roughness(phantom.mask)
    assert roughness < 0.013 if phantom.plan.border == "regular" else roughness > 0.029


def test_image_and_masks_share_one_shape(phantom: Phantom):
    assert phantom.image.pixels.shape == (450, 600, 3)
    assert phantom.image.pixels.dtype == np.uint8
    assert phantom.mask.shape == (450, 600)
    assert phantom.mask.dtype == bool
    assert re.fullmatch("[0-9a-f]{64}", phantom.image.sha256)


def test_lesion_stands_out_from_skin(phantom: Phantom):
    pixels = phantom.image.pixels.astype(float)
    inside, outside = pixels[phantom.mask].mean(axis=0), pixels[~phantom.mask].mean(axis=0)
    assert np.linalg.norm(inside - outside) > 40


@pytest.mark.parametrize("colour", COLOURS)
def test_named_colour_is_the_nearest_one_inside_its_area(colour: str):
    plan = dataclasses.replace(PLAIN, colours=(colour,), size="large")
    drawn = draw_phantom(plan, seed=3)
    median = np.median(drawn.image.pixels[drawn.colour_masks[colour]], axis=0)
    distances = {name: float(np.linalg.norm(median - rgb)) for name, rgb in COLOURS.items()}
    assert min(distances, key=distances.__getitem__) == colour
    assert distances[colour] < 30


@pytest.mark.parametrize("symmetry", ["symmetric", "asymmetric"])
def test_every_colour_of_a_plan_is_shown_and_areas_make_the_lesion(symmetry):
    plan = dataclasses.replace(
        PLAIN, colours=("light brown", "black", "white"), symmetry=symmetry, size="large"
    )
    drawn = draw_phantom(plan, seed=5)
    assert np.array_equal(np.sum(list(drawn.colour_masks.values()), axis=0), drawn.mask.astype(int))
    for name, area in drawn.colour_masks.items():
        assert area.sum() > 0.15 * drawn.mask.sum()
        median = np.median(drawn.image.pixels[area], axis=0)
        assert min(COLOURS, key=lambda other: np.linalg.norm(median - COLOURS[other])) == name
    shares = {name: area.sum() for name, area in drawn.colour_masks.items()}
    assert max(shares, key=shares.__getitem__) == "light brown"


def test_same_seed_same_pixels_other_seed_others():
    first, again, other = (draw_phantom(PLAIN, seed, height=200, width=240) for seed in (1, 1, 2))
    assert np.array_equal(first.image.pixels, again.image.pixels)
    assert first.image.sha256 == again.image.sha256 != other.image.sha256


def test_another_process_draws_the_same_pixels():
    code = (
        "from dermaxai.phantom import *;"
        "print(draw_phantom(sample_plans(1, 4)[0], 9, height=200, width=240).image.sha256)"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()
    assert told == draw_phantom(sample_plans(1, 4)[0], 9, height=200, width=240).image.sha256


@pytest.mark.parametrize("lesions", [2, 3])
@pytest.mark.parametrize("size", ["small", "large"])
def test_several_lesions_are_apart(lesions, size):
    drawn = draw_phantom(dataclasses.replace(PLAIN, lesions=lesions, size=size), seed=2)
    assert len(drawn.lesion_masks) == lesions
    assert np.sum(drawn.lesion_masks, axis=0).max() == 1
    assert np.array_equal(np.logical_or.reduce(drawn.lesion_masks), drawn.mask)
    low, high = SIZE_SHARES[drawn.plan.size]
    assert low <= drawn.mask.mean() < high


@pytest.mark.parametrize("extra", [{"hairs": 8}, {"ruler": True}, {"bubbles": 5}, {"vignette": True}])
def test_what_lies_above_changes_pixels_and_leaves_masks(extra):
    bare = draw_phantom(PLAIN, seed=4)
    covered = draw_phantom(dataclasses.replace(PLAIN, **extra), seed=4)
    assert np.array_equal(bare.mask, covered.mask)
    changed = np.abs(bare.image.pixels.astype(int) - covered.image.pixels.astype(int)).max(axis=2) > 20
    assert 0.0005 < changed.mean() < 0.35


def test_vignette_blackens_corners_only():
    drawn = draw_phantom(dataclasses.replace(PLAIN, vignette=True), seed=4)
    pixels = drawn.image.pixels
    assert pixels[:10, :10].mean() < 45
    assert pixels[~drawn.mask][:].mean() > 100


@pytest.mark.parametrize("size", [(180, 180), (224, 224), (300, 500)])
def test_other_photo_sizes(size):
    drawn = draw_phantom(
        dataclasses.replace(PLAIN, symmetry="asymmetric", border="irregular"),
        1,
        height=size[0],
        width=size[1],
    )
    assert drawn.image.pixels.shape == (*size, 3)


def test_photo_too_small_is_refused():
    with pytest.raises(SettingError, match="160"):
        draw_phantom(PLAIN, 0, height=100, width=100)


@pytest.mark.parametrize(
    "change",
    [
        {"size": "huge"},
        {"symmetry": "round"},
        {"border": "sharp"},
        {"colours": ("green",)},
        {"colours": ()},
        {"colours": ("red", "red")},
        {"lesions": 0},
        {"lesions": 4},
        {"hairs": -1},
    ],
)
def test_impossible_plan_is_refused(change):
    with pytest.raises(SettingError):
        dataclasses.replace(PLAIN, **change)


def test_plans_are_varied_valid_and_stable():
    plans = sample_plans(200, seed=0)
    assert plans == sample_plans(200, seed=0)
    assert plans[:20] == sample_plans(20, seed=0)
    assert plans != sample_plans(200, seed=1)
    assert {plan.size for plan in plans} == {"small", "medium", "large"}
    assert {plan.colours[0] for plan in plans} == {"light brown", "dark brown", "black", "red", "pink"}
    assert len(set(plans)) > 150


def test_captions_state_the_plan_in_both_languages():
    for plan in sample_plans(100, seed=2):
        english, russian = caption_plan(plan, "en"), caption_plan(plan, "ru")
        for word in (plan.size, plan.symmetry, plan.border, *plan.colours):
            assert word in english
        assert re.search("[А-Яа-яё]", russian)
        assert not re.search("[A-Za-z]", russian)
        assert english.count(".") == russian.count(".")
        assert ("Hair" in english or "hair" in english) == ("волос" in russian) == bool(plan.hairs)
        assert ("ruler" in english) == ("линейка" in russian) == plan.ruler
        for banned in ("melanoma", "nevus", "benign", "malignant", "меланома", "невус"):
            assert banned not in (english + russian).lower()


def test_russian_plural_forms():
    plan = PhantomPlan(
        "medium", "asymmetric", "irregular", ("light brown", "black", "blue-grey"), lesions=2, hairs=1
    )
    assert caption_plan(plan, "ru") == (
        "Два асимметричных образования с неровными границами, вместе среднего размера, "
        "светло-коричневого, чёрного и серо-голубого цветов. Виден один волос."
    )
    assert caption_plan(plan, "en") == (
        "Two asymmetric lesions with irregular borders, together medium in size, "
        "light brown, black and blue-grey. One hair is visible."
    )


def test_unknown_language_is_refused():
    with pytest.raises(UsageError, match="'en' and 'ru'"):
        caption_plan(PLAIN, "de")  # type: ignore[arg-type]
