"""Drawn lesions of known area, symmetry, border and colour get the right words; strange photos get none."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from benchmarks.segmentation import main as print_scores
from benchmarks.segmentation import score_outlines
from PIL import Image

from dermaxai.colour import to_frame
from dermaxai.data.appearance import Appearance, find_stickers, find_vignette, measure, segment
from dermaxai.encoders.cards import read_card
from dermaxai.encoders.preprocess import prepare
from dermaxai.phantom import PhantomPlan, draw_phantom, sample_plans
from dermaxai.types import SkinImage
from tests.data.drawn import BROWN, FRAME, RADIUS, SKIN, X, Y, comma, disc, ellipse, overlap, paint, star

DATA = Path(os.environ.get("DERMAXAI_DATA", Path(__file__).parents[2] / "../shared/data"))
SHAPES = {"disc": disc(0.2), "ellipse": ellipse(0.2), "star": star(0.35), "comma": comma(0.18)}
COLOURS = {
    "light brown": (172, 106, 80),
    "dark brown": BROWN,
    "black": (44, 34, 36),
    "red": (166, 58, 62),
    "pink": (204, 128, 130),
    "blue-grey": (112, 117, 136),
    "white": (240, 228, 222),
}


def words(appearance: Appearance) -> tuple:
    return appearance.size, appearance.symmetry, appearance.border, appearance.colours[0][0]


def in_frame(mask: np.ndarray) -> np.ndarray:
    """A mask of a photo's size in the measuring frame."""
    return to_frame(np.repeat(mask[..., None].astype(np.uint8) * 255, 3, axis=2))[..., 0] > 127


@pytest.mark.parametrize("size", [(450, 600), (601, 450), (300, 300), (231, 300), (224, 303), (97, 150)])
def test_the_frame_is_what_the_embedded_encoder_sees(size):
    card = replace(read_card("demo"), mean=(0.0,) * 3, std=(1.0,) * 3)
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    prepared, _ = prepare(SkinImage(pixels, "", "PNG", (), ()), card, card.image_size)
    seen = (prepared * 255).round().byte().permute(1, 2, 0).numpy()
    assert np.array_equal(to_frame(pixels), seen)


def test_a_photo_of_the_frame_s_size_is_left_as_it_is():
    pixels = np.random.default_rng(1).integers(0, 256, (FRAME, FRAME, 3), dtype=np.uint8)
    assert np.array_equal(to_frame(pixels), pixels)
    wide = np.pad(pixels, ((0, 0), (40, 40), (0, 0)))
    assert np.array_equal(to_frame(wide), pixels)


@pytest.mark.parametrize(("share", "word"), [(0.05, "small"), (0.2, "medium"), (0.45, "large")])
def test_size_is_the_share_of_the_square(share, word):
    mask = disc(share)
    given = measure(paint(mask), mask)
    assert given.area == pytest.approx(share, abs=2e-3)
    found = measure(paint(mask))
    assert given.size == found.size == word
    # Grown on purpose by about five pixels, as experts draw it.
    grown = np.pi * ((np.sqrt(share / np.pi) * FRAME + 5) / FRAME) ** 2
    assert found.area == pytest.approx(grown, abs=0.02)
    assert overlap(segment(paint(mask)).mask, np.sqrt(grown / np.pi) * FRAME > RADIUS) > 0.96


@pytest.mark.parametrize(
    ("shape", "symmetry", "border"),
    [
        ("disc", "symmetric", "regular"),
        ("ellipse", "symmetric", "regular"),
        ("star", "symmetric", "irregular"),
        ("comma", "asymmetric", "regular"),
    ],
)
def test_shape(shape, symmetry, border):
    mask = SHAPES[shape]
    for found in (measure(paint(mask), mask), measure(paint(mask))):
        assert (found.symmetry, found.border) == (symmetry, border)
        assert found.trusted


@pytest.mark.parametrize("name", COLOURS)
def test_colour(name):
    found = measure(paint(disc(0.2), COLOURS[name]))
    assert found.trusted
    assert found.colours[0][0] == name
    assert found.colours[0][1] > 0.7


@pytest.mark.parametrize("skin", [(226, 172, 160), (205, 150, 135), (236, 190, 180)])
def test_the_colour_word_allows_for_the_skin(skin):
    change = np.array(skin) - SKIN
    assert (
        measure(paint(disc(0.2), tuple(np.array(BROWN) + change // 2), skin=skin)).colours[0][0]
        == "dark brown"
    )


def test_two_colours_and_their_shares():
    found = measure(paint(disc(0.2), BROWN, second=COLOURS["light brown"]))
    shares = dict(found.colours)
    assert set(shares) == {"dark brown", "light brown"}
    assert all(0.35 < share < 0.6 for share in shares.values())
    assert list(shares.values()) == sorted(shares.values(), reverse=True)


@pytest.mark.parametrize("shape", ["ellipse", "comma"])
def test_resolution_turns_and_mirrors_change_no_word(shape):
    photo = paint(SHAPES[shape])
    first = measure(photo)
    larger = np.asarray(Image.fromarray(photo).resize((500, 500), Image.Resampling.BICUBIC))
    wide = np.pad(larger, ((0, 0), (90, 90), (0, 0)), mode="edge")
    for same in (larger, wide, np.rot90(photo), photo[:, ::-1], photo[::-1]):
        found = measure(np.ascontiguousarray(same))
        assert words(found) == words(first)
        assert found.area == pytest.approx(first.area, abs=0.01)
        assert found.asymmetry == pytest.approx(first.asymmetry, abs=0.03)


def test_dark_corners_are_not_the_lesion():
    mask = disc(0.12)
    photo = paint(mask)
    photo[RADIUS > 118] = 6
    found = segment(photo)
    assert overlap(found.mask, mask) > 0.8
    assert not (found.mask & (RADIUS > 118)).any()
    light = np.where(RADIUS > 118, 2.0, 70.0)
    assert find_vignette(light)[0, 0]
    assert not find_vignette(np.full((FRAME, FRAME), 70.0)).any()
    assert not find_vignette(np.where(RADIUS < 60, 2.0, 70.0)).any()


@pytest.mark.parametrize("colour", [(60, 160, 90), (60, 90, 200), (250, 160, 20)])
def test_a_sticker_is_not_the_lesion(colour):
    mask = disc(0.12)
    photo = paint(mask)
    photo[:45, 150:] = colour
    found = segment(photo)
    assert overlap(found.mask, mask) > 0.8
    assert not found.mask[:45, 150:].any()
    assert measure(photo).colours[0][0] == "dark brown"


def test_skin_is_no_sticker():
    from dermaxai.colour import to_lab

    assert not find_stickers(to_lab(paint(disc(0.2)))).any()


@pytest.mark.parametrize("hairs", [6, 14])
def test_hairs_change_no_word(hairs):
    plan = PhantomPlan("medium", "symmetric", "regular", ("dark brown",), hairs=hairs)
    phantom = draw_phantom(plan, seed=2, height=240, width=240)
    assert overlap(segment(phantom.image.pixels).mask, in_frame(phantom.mask)) > 0.8


def test_without_a_lesion_nothing_is_trusted():
    for seed, skin in enumerate([SKIN, (205, 150, 135)]):
        found = measure(paint(np.zeros((FRAME, FRAME), bool), skin=skin, seed=seed))
        assert not found.trusted
    flat = np.full((90, 120, 3), 200, np.uint8)
    assert measure(flat) == Appearance(0.0, 0.0, 1.0, (), 0.0, 0.0)
    assert not segment(flat).mask.any()


def test_faint_and_cut_lesions_are_not_trusted():
    faint = measure(paint(disc(0.2), (222, 166, 154)))
    assert faint.contrast < 7
    assert not faint.trusted
    cut = np.hypot(Y + FRAME / 2, X + FRAME / 2) < 110
    found = measure(paint(cut))
    assert found.touches > 0.35
    assert not found.trusted
    assert not Appearance(0.2, 0.0, 1.0, (), 20.0, 0.36).trusted
    assert Appearance(0.2, 0.0, 1.0, (), 7.0, 0.35).trusted


def test_any_picture_is_measured_without_complaint():
    random = np.random.default_rng(0)
    for shape in ((1, 1, 3), (3, 200, 3), (64, 48, 3)):
        found = measure(random.integers(0, 256, shape, dtype=np.uint8))
        assert 0 <= found.area <= 1
        assert 0 <= found.asymmetry <= 1
        assert np.isfinite(found.irregularity)


@pytest.mark.slow
def test_phantoms_are_described_as_planned():
    """Symmetry and border as planned, size as the drawn mask has it, first colour one of the planned."""
    plans = [plan for plan in sample_plans(40, seed=5) if plan.lesions == 1][:20]
    right, overlaps = [], []
    for seed, plan in enumerate(plans):
        phantom = draw_phantom(plan, seed=seed, height=300, width=300)
        mask, pixels = in_frame(phantom.mask), phantom.image.pixels
        found = measure(pixels)
        overlaps.append(overlap(segment(pixels).mask, mask))
        facts = (found.size, found.symmetry, found.border, found.colours[0][0] in plan.colours)
        wanted = (measure(pixels, mask).size, plan.symmetry, plan.border, True)
        right.append([said == known for said, known in zip(facts, wanted, strict=True)])
    size, symmetry, border, colour = np.mean(right, axis=0)
    print(
        f"{len(plans)} phantoms: Dice {np.mean(overlaps):.3f}, words as planned: size {size:.2f}, "
        f"symmetry {symmetry:.2f}, border {border:.2f}, colour {colour:.2f}"
    )
    assert np.mean(overlaps) >= 0.85
    assert size >= 0.8
    assert symmetry >= 0.85
    assert border >= 0.75
    assert colour >= 0.8


@pytest.mark.shared
@pytest.mark.slow
@pytest.mark.skipif(
    not (DATA / "isic2017").is_dir(), reason="the ISIC 2017 masks are not beside the repository"
)
def test_outlines_agree_with_experts():
    scores = score_outlines(DATA / "isic2017" / "images", DATA / "isic2017" / "masks")
    assert len(scores) == 60
    assert np.mean(scores) >= 0.78
    assert np.median(scores) >= 0.85


def test_the_outlines_figures_are_printed(tmp_path, capsys):
    """Two photos, of which one mask is what is found and the other is far away from it."""
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    far = (X - 80) ** 2 + (Y - 80) ** 2 < 200
    for number, mask in enumerate((disc(0.2), far)):
        Image.fromarray(paint(disc(0.2))).save(tmp_path / "images" / f"ISIC_{number}.png")
        Image.fromarray(mask).save(tmp_path / "masks" / f"ISIC_{number}_segmentation.png")
    scores = score_outlines(tmp_path / "images", tmp_path / "masks")
    assert scores[0] > 0.9
    assert scores[1] == 0
    print_scores(["--images", str(tmp_path / "images"), "--masks", str(tmp_path / "masks")])
    printed = capsys.readouterr().out
    assert printed.startswith("2 photos\nDice mean")
    assert f"{np.mean(scores):.3f} (95 % interval 0.000 to {scores[0]:.3f})" in printed
    (tmp_path / "empty").mkdir()
    with pytest.raises(SystemExit, match="There are no photos"):
        print_scores(["--images", str(tmp_path / "empty"), "--masks", str(tmp_path)])
