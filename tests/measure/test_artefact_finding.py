"""Borders, rulers and hairs: on phantoms, where they are known, on drawn lines, and on real photos."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw
from scipy import ndimage

from dermaxai.measure.artefact_finding import ARTEFACTS, find_artefacts, find_border
from dermaxai.measure.dark_lines import darkness_of_lines, line_element, long_lines
from dermaxai.measure.ruler_finding import regularity, straight_lines
from dermaxai.phantom import PhantomPlan, draw_phantom
from dermaxai.types import SkinImage

PLAIN = PhantomPlan("medium", "symmetric", "regular", ("dark brown",))
PHOTOS = Path(os.environ.get("DERMAXAI_DATA", Path(__file__).parents[3] / "shared" / "data")) / "isic2017"
WITH_RULER = (
    "ISIC_0012099", "ISIC_0012201", "ISIC_0012383", "ISIC_0012513", "ISIC_0013104", "ISIC_0013491",
    "ISIC_0014162", "ISIC_0014178",
)  # fmt: skip
WITHOUT_RULER = (
    "ISIC_0001769", "ISIC_0003539", "ISIC_0006914", "ISIC_0007796", "ISIC_0014572", "ISIC_0014611",
    "ISIC_0014623", "ISIC_0014637",
)  # fmt: skip
"""Looked at by eye; the others of this folder are left out so that the test is quick."""


def photo(pixels):
    return SkinImage(np.ascontiguousarray(pixels), "0" * 64)


def skin(height=400, width=400, seed=0):
    noise = np.random.default_rng(seed).normal(0, 2, (height, width, 1))
    return np.clip(np.array([210, 170, 155]) + ndimage.gaussian_filter(noise, (1, 1, 0)) * 3, 0, 255)


def near(mask, pixels=2):
    return ndimage.binary_dilation(mask, iterations=pixels)


def recall(found, truth):
    return (near(found) & truth).sum() / truth.sum()


def precision(found, truth):
    return (found & near(truth)).sum() / max(found.sum(), 1)


@pytest.fixture(scope="module")
def covered():
    """Phantoms with everything above the skin, and their twins without."""
    plans = [replace(PLAIN, hairs=8, ruler=True, vignette=True), PLAIN]
    return [[draw_phantom(plan, seed, height=300, width=400) for plan in plans] for seed in range(4)]


def test_what_is_drawn_above_the_skin_is_known(covered):
    for drawn, plain in covered:
        assert set(drawn.artefact_masks) == set(ARTEFACTS)
        assert dict(plain.artefact_masks) == {}
        assert all(0 < mask.mean() < 0.25 for mask in drawn.artefact_masks.values())
        light = drawn.image.pixels.astype(float).mean(2)
        border = drawn.artefact_masks["border"]
        assert light[border].mean() < 0.5 * light[~border & ~drawn.mask].mean()
        ticks = drawn.artefact_masks["ruler"] & ~border
        assert light[ticks].mean() < 0.6 * light[near(ticks, 4) & ~near(ticks) & ~border].mean()
        hair = drawn.artefact_masks["hair"] & ~border & ~drawn.mask
        assert light[hair].mean() < 0.7 * light[near(hair, 6) & ~near(hair, 3) & ~border & ~drawn.mask].mean()


@pytest.mark.parametrize(
    ("kind", "right", "complete"), [("border", 0.95, 0.7), ("ruler", 0.8, 0.7), ("hair", 0.8, 0.8)]
)
def test_phantoms_with_everything(covered, kind, right, complete):
    found = [find_artefacts(drawn.image)[kind] for drawn, _ in covered]
    hidden = [drawn.artefact_masks["border"] & (kind != "border") for drawn, _ in covered]
    truth = np.stack(
        [drawn.artefact_masks[kind] & ~dark for (drawn, _), dark in zip(covered, hidden, strict=True)]
    )
    seen = np.stack([mask & ~dark for mask, dark in zip(found, hidden, strict=True)])
    assert precision(seen, truth) > right
    assert recall(seen, truth) > complete


def test_phantoms_with_nothing_above_the_skin(covered):
    for _, plain in covered:
        found = find_artefacts(plain.image)
        assert not found["border"].any()
        assert not found["ruler"].any()
        assert found["hair"].mean() < 0.005


def draw_lines(ends, width=3, side=400):
    sheet = Image.new("L", (side, side), 0)
    for (y0, x0), (y1, x1) in ends:
        ImageDraw.Draw(sheet).line([(x0, y0), (x1, y1)], fill=1, width=width)
    return np.asarray(sheet).astype(bool)


def on_skin(mask, colour=(60, 40, 35)):
    pixels = skin(*mask.shape)
    pixels[mask] = colour
    return photo(pixels.astype(np.uint8))


@pytest.mark.parametrize("size", [(224, 224), (400, 400), (450, 600), (1200, 900)])
def test_hairs_at_any_size(size):
    truth = draw_lines([((40, 30), (300, 370)), ((350, 60), (90, 330))])
    pixels = np.asarray(Image.fromarray(on_skin(truth).pixels).resize(size[::-1], Image.Resampling.BICUBIC))
    found = find_artefacts(photo(pixels))
    wanted = np.asarray(Image.fromarray(truth).resize(size[::-1], Image.Resampling.NEAREST))
    assert all(mask.shape == size and mask.dtype == bool for mask in found.values())
    reach = max(2, round(2 * min(size) / 400))
    assert (near(found["hair"], reach) & wanted).sum() / wanted.sum() > 0.9
    assert (found["hair"] & near(wanted, reach)).sum() / found["hair"].sum() > 0.9
    assert not found["ruler"].any()
    assert not found["border"].any()


@pytest.mark.parametrize("shape", ["disc", "short", "net"])
def test_what_is_no_hair(shape):
    rows, columns = np.mgrid[:400, :400]
    mask = {
        "disc": np.hypot(rows - 200, columns - 200) < 60,
        "short": draw_lines([((60 + 40 * step, 60), (60 + 40 * step, 80)) for step in range(7)]),
        "net": (np.hypot(rows % 16 - 8, columns % 16 - 8) > 7) & (np.hypot(rows - 200, columns - 200) < 90),
    }[shape]
    assert find_artefacts(on_skin(mask))["hair"].mean() < 0.002


@pytest.mark.parametrize("angle", [0, 17, 45, 80, 90, 130])
@pytest.mark.parametrize("spacing", [7, 13, 20])
def test_a_ruler_in_any_direction(angle, spacing):
    along = np.array([np.sin(np.radians(angle)), np.cos(np.radians(angle))])
    across = np.array([-along[1], along[0]])
    middle, steps = np.array([200.0, 200.0]), range(-120 // spacing, 120 // spacing + 1)
    base = [(tuple(middle - 125 * along), tuple(middle + 125 * along))]
    ticks = [
        (tuple(middle + n * spacing * along), tuple(middle + n * spacing * along + 9 * across)) for n in steps
    ]
    truth = draw_lines([*base, *ticks], width=2)
    found = find_artefacts(on_skin(truth))
    assert recall(found["ruler"], truth) > 0.8
    assert precision(found["ruler"], truth) > 0.95
    assert found["hair"].mean() < 0.002


def test_ticks_without_a_line():
    truth = draw_lines([((390, 6 + 11 * step), (399, 6 + 11 * step)) for step in range(36)], width=2)
    for turned in (truth, truth.T):
        found = find_artefacts(on_skin(turned))
        assert recall(found["ruler"], turned) > 0.9
        assert precision(found["ruler"], turned) > 0.9


def test_ticks_at_odd_distances_are_no_ruler():
    places = np.cumsum(np.random.default_rng(1).integers(6, 30, 20))
    truth = draw_lines([((390, int(place)), (399, int(place))) for place in places if place < 400], width=2)
    assert not find_artefacts(on_skin(truth))["ruler"].any()


def test_borders_reach_a_corner_and_are_black():
    rows, columns = np.mgrid[:400, :600]
    light = np.full((400, 600), 180, np.uint8)
    tube = np.hypot(rows - 200, columns - 300) > 330
    dark, lesion = light.copy(), light.copy()
    dark[tube], lesion[np.hypot(rows - 200, columns) < 90] = 10, 20
    assert recall(find_border(dark), tube) > 0.99
    assert precision(find_border(dark), tube) > 0.99
    # At the rim but in no corner, and in the corner but not black.
    assert not find_border(lesion).any()
    dim = light.copy()
    dim[tube] = 80
    assert not find_border(dim).any()
    framed = light.copy()
    framed[:, :50] = framed[:, -50:] = 0
    assert find_border(framed)[:, :48].all()
    assert not find_border(framed)[:, 60:-60].any()


def test_black_hat_by_brute_force():
    light = np.random.default_rng(0).integers(0, 256, (17, 19)).astype(np.uint8)
    slow = []
    for element in (line_element(np.pi * number / 4, 13) for number in range(4)):
        footprint = np.zeros((13, 13), bool)
        for row, column in element:
            footprint[row + 6, column + 6] = True
        widened = ndimage.grey_dilation(light, footprint=footprint, mode="nearest")
        slow.append(ndimage.grey_erosion(widened, footprint=footprint, mode="nearest"))
    assert (darkness_of_lines(light) == np.maximum(np.max(slow, 0), light) - light).all()


def test_elements_are_symmetric_lines():
    for number in range(16):
        element = line_element(np.pi * number / 16, 41)
        assert set(element) == {(-row, -column) for row, column in element}
        rows, columns = np.array(element).T
        distance = rows * np.cos(np.pi * number / 16) + columns * np.sin(np.pi * number / 16)
        assert np.abs(distance).max() < 1
        assert 27 <= len(element) <= 41


def test_long_lines_are_long():
    mask = draw_lines([((100, 50), (100, 350)), ((200, 50), (200, 75))], width=2)
    found = long_lines(mask, 41, 0.8)
    assert found[100, 60:340].all()
    assert not found[190:].any()


def test_regularity_of_combs_and_noise():
    generator = np.random.default_rng(2)
    comb = np.zeros((3, 400))
    comb[0, ::13] = comb[1, ::25] = 30
    comb[2] = 5 * generator.standard_normal(400)
    comb[:2] += generator.standard_normal((2, 400))
    score, distance = regularity(comb)
    assert (score[:2] > 0.8).all()
    assert distance[:2].tolist() in ([13, 25], [26, 25], [39, 25])
    assert score[2] < 0.35
    assert regularity(np.ones((2, 400)))[0].tolist() == [0, 0]
    assert regularity(np.ones((2, 10)))[1].tolist() == [0, 0]


def test_straight_lines_know_where_they_are():
    mask = draw_lines([((50, 30), (350, 380))], width=3) | draw_lines([((20, 300), (200, 300))], width=3)
    first, second = list(straight_lines(mask))[:2]
    assert first.length == pytest.approx(np.hypot(300, 350), abs=8)
    assert abs(first.along) == pytest.approx(np.array([300, 350]) / np.hypot(300, 350), abs=0.01)
    assert second.length == pytest.approx(180, abs=8)
    assert list(straight_lines(np.zeros((50, 50), bool))) == []


def test_twice_the_same():
    drawn = draw_phantom(replace(PLAIN, hairs=5, ruler=True), 9, height=224, width=224)
    before = drawn.image.pixels.copy()
    one, other = find_artefacts(drawn.image), find_artefacts(drawn.image)
    assert all((one[kind] == other[kind]).all() for kind in ARTEFACTS)
    assert (drawn.image.pixels == before).all()


@pytest.mark.parametrize("pixels", [np.zeros((160, 160, 3)), np.full((64, 900, 3), 200), np.ones((1, 1, 3))])
def test_photos_without_anything(pixels):
    found = find_artefacts(photo(pixels.astype(np.uint8)))
    assert not found["ruler"].any()
    assert not found["hair"].any()
    assert all(mask.shape == pixels.shape[:2] for mask in found.values())


@pytest.mark.shared
@pytest.mark.parametrize("name", [*WITH_RULER, *WITHOUT_RULER])
def test_rulers_of_real_photos(name):
    path = PHOTOS / "images" / f"{name}.jpg"
    if not path.is_file():
        pytest.skip(f"the real photos are not at {PHOTOS}")
    found = find_artefacts(photo(np.asarray(Image.open(path).convert("RGB"))))
    assert (found["ruler"].mean() > 0.003) == (name in WITH_RULER)
