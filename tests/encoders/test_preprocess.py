"""The same numbers as the libraries, and the right rectangle of the photo."""

import dataclasses
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dermaxai.encoders.cards import read_card
from dermaxai.encoders.preprocess import prepare
from dermaxai.geometry import place_center_crop, place_squash
from dermaxai.types import SkinImage
from tests.encoders.tiny import photo

SHARED = Path(__file__).parents[2].parent / "shared"
GOLDEN = Path(os.environ.get("DERMAXAI_GOLDEN", SHARED / "golden")) / "explain"
DATA = Path(os.environ.get("DERMAXAI_DATA", SHARED / "data"))
SIZES = [(450, 600), (601, 450), (300, 300), (231, 97), (1001, 333)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ["dermlip-vit-b16", "openclip-l14", "siglip-so400m-384"])
def test_open_clip_gives_the_same(name, size):
    from open_clip.transform import image_transform

    card = dataclasses.replace(read_card(name), adapter="openclip")
    image = photo(*size)
    transform = image_transform(
        card.image_size,
        is_train=False,
        mean=card.mean,
        std=card.std,
        resize_mode=card.resize_mode,
        interpolation=card.interpolation,
    )
    pixels, _ = prepare(image, card, card.image_size)
    assert torch.equal(pixels, transform(Image.fromarray(image.pixels)))


@pytest.mark.parametrize("size", SIZES)
def test_panderm_s_own_transform_gives_the_same(size):
    from torchvision import transforms

    card = read_card("panderm-base")
    image = photo(*size)
    chain = transforms.Compose(
        [
            transforms.Resize(256),
            transforms.CenterCrop(224),
            transforms.ToTensor(),
            transforms.Normalize(card.mean, card.std),
        ]
    )
    pixels, _ = prepare(image, card, 224)
    assert torch.equal(pixels, chain(Image.fromarray(image.pixels)))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ["siglip-so400m-384", "monet"])
def test_transformers_gives_the_same(name, size):
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
    from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

    card = read_card(name)
    options = {"image_mean": list(card.mean), "image_std": list(card.std)}
    if name == "monet":
        processor = CLIPImageProcessorPil(**options)
    else:
        processor = SiglipImageProcessorPil(size={"height": 384, "width": 384}, **options)
    image = photo(*size)
    expected = processor(Image.fromarray(image.pixels), return_tensors="pt")["pixel_values"][0]
    pixels, _ = prepare(image, card, card.image_size)
    assert torch.allclose(pixels, expected, atol=1e-5)


@pytest.mark.skipif(not GOLDEN.is_dir(), reason="needs golden/explain beside the repository")
def test_golden_inputs():
    manifest = json.loads((GOLDEN / "manifest.json").read_text())
    card = dataclasses.replace(read_card("openclip-b16"))
    compared = 0
    for name in manifest["images"]:
        found = next(DATA.rglob(name), None) if DATA.is_dir() else None
        if found is None:
            continue
        image = SkinImage(pixels=np.asarray(Image.open(found).convert("RGB")), sha256="0" * 64)
        pixels, _ = prepare(image, card, 224)
        golden = np.load(GOLDEN / f"{found.stem}__inputs.npz")["image"]
        assert torch.allclose(pixels, torch.from_numpy(golden), atol=1e-6)
        compared += 1
    if not compared:
        pytest.skip("needs the three photos of golden/explain under the data folder")


def test_a_square_photo_is_covered_whole():
    _, place = prepare(photo(300, 300), read_card("dermlip-vit-b16"), 224)
    assert place == place_center_crop(300, 300)


def test_a_long_photo_is_covered_in_its_middle():
    _, place = prepare(photo(450, 600), read_card("dermlip-vit-b16"), 224)
    ideal = place_center_crop(450, 600)
    # The long side becomes 298 and not 298.67 pixels, so a crop of 224 covers 451 photo pixels.
    assert place.left == pytest.approx(ideal.left, abs=600 / 298)
    assert place.covered_width == pytest.approx(224 * 600 / 298)
    assert (place.top, place.covered_height) == (0, 450)


def test_panderm_crops_a_rim():
    _, place = prepare(photo(512, 512), read_card("panderm-base"), 224)
    assert (place.top, place.left) == (32, 32)
    assert (place.covered_height, place.covered_width) == (448, 448)


def test_siglip_leaves_a_rim_right_and_below():
    _, place = prepare(photo(768, 384), read_card("siglip-so400m-384"), 378)
    assert place == place_squash(768, 384, used=378 / 384)


def test_a_marked_patch_lands_in_its_cell():
    """A white square in the photo lights the patch of the tensor that the placement names."""
    pixels = np.zeros((300, 500, 3), dtype=np.uint8)
    pixels[200:215, 320:335] = 255
    for name, covered, grid in [("dermlip-vit-b16", 224, 14), ("siglip-so400m-384", 378, 27)]:
        card = read_card(name)
        tensor, place = prepare(SkinImage(pixels=pixels, sha256="0" * 64), card, covered)
        cells = tensor[:, :covered, :covered].mean(0).unfold(0, covered // grid, covered // grid)
        cells = cells.unfold(1, covered // grid, covered // grid).mean((-1, -2))
        brightest = divmod(int(cells.argmax()), grid)
        centre = place.locate(207.5, 327.5, (grid, grid))
        assert centre is not None
        assert max(abs(a - b) for a, b in zip(brightest, centre, strict=True)) <= 1
        assert cells[centre] > cells.mean() + 0.3
