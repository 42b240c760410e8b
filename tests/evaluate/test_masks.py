import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dermaxai.data.samples import Sample
from dermaxai.errors import DataError, UsageError
from dermaxai.evaluate.items import Item
from dermaxai.evaluate.masks import MaskFiles, fit_mask, is_mask_folder, photos_without_masks, read_mask
from dermaxai.images import read_image
from dermaxai.phantom import draw_phantom, sample_plans
from dermaxai.types import SkinImage

DATA = Path(os.environ.get("DERMAXAI_DATA", Path(__file__).parents[2] / "../shared/data"))


def photo(height=40, width=60):
    return SkinImage(np.full((height, width, 3), 180, np.uint8), "0" * 64)


def item(mask=None, modality=None):
    return Item(
        "set/a", Path("a.jpg"), "0" * 64, Sample("set/a", "set", None, "", modality=modality), "", mask
    )


def save(path, mask):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(mask)).save(path)
    return path


def square(height=40, width=60):
    mask = np.zeros((height, width), bool)
    mask[height // 4 : height // 2, width // 3 : width // 2] = True
    return mask


@pytest.mark.parametrize(
    "name",
    ["a_segmentation.png", "a_Segmentation.png", "a.png", "a_mask.png", "A_MASK.PNG", "a_segmentation.tif"],
)
def test_usual_names(tmp_path, name):
    path = save(tmp_path / name, square())
    assert MaskFiles.given(tmp_path).of(Path("photos/a.jpg")) == path


def test_the_photo_is_not_its_own_outline_and_a_prefix_is_another_photo(tmp_path):
    itself = save(tmp_path / "a.png", square())
    save(tmp_path / "ab_segmentation.png", square())
    (tmp_path / "a_mask.jpg").write_bytes(b"lossy")
    files = MaskFiles.given(tmp_path)
    assert files.of(itself) is None
    assert files.of(tmp_path / "ab.jpg") == tmp_path / "ab_segmentation.png"


@pytest.mark.parametrize(
    "folder",
    [
        "masks",
        "HAM10000_segmentations_lesion_tschandl",
        "ISIC-2017_Training_Part1_GroundTruth",
        "ISIC2018_Task1_Training_GroundTruth",
    ],
)
def test_publishers_folders_are_found(tmp_path, folder):
    path = save(tmp_path / "download" / folder / "a_segmentation.png", square())
    for root in (tmp_path, tmp_path / "download"):
        assert MaskFiles.usual(root).of(tmp_path / "a.jpg") == path
    assert is_mask_folder(folder)
    assert not is_mask_folder("HAM10000_images_part_1")


def test_outlines_are_no_photos(tmp_path):
    names = ["a.jpg", "b.png", "b_segmentation.png", "masks/a.png", "a_superpixels.png", "c_mask.png"]
    paths = [tmp_path / name for name in names]
    assert list(photos_without_masks(paths, tmp_path)) == [
        tmp_path / name for name in ("a.jpg", "b.png", "c_mask.png")
    ]


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(UsageError, match="no folder"):
        MaskFiles.given(tmp_path / "masks")


@pytest.mark.parametrize(
    "stored",
    [
        square(),
        square().astype(np.uint8) * 255,
        square().astype(np.uint8),
        square().astype(np.uint16) * 65535,
        np.stack([square().astype(np.uint8) * 200] * 3, -1),
    ],
    ids=["one bit", "0 to 255", "0 and 1", "16 bit", "colour"],
)
def test_every_way_to_store_an_outline(tmp_path, stored):
    mask, origin = read_mask(item(save(tmp_path / "a.png", stored)), photo())
    assert origin == "expert"
    np.testing.assert_array_equal(mask, square())


def test_an_outline_of_another_size_is_resized_without_grey(tmp_path):
    path = save(tmp_path / "a.png", square(400, 600))
    mask, origin = read_mask(item(path), photo())
    assert mask.shape == (40, 60)
    assert mask.dtype == bool
    assert origin == "expert"
    np.testing.assert_array_equal(mask, square(400, 600)[5::10, 5::10])


def test_rounding_of_a_side_is_no_other_aspect():
    assert fit_mask(np.ones((301, 451), bool), photo(40, 60), "x").shape == (40, 60)


@pytest.mark.parametrize("shape", [(60, 40), (40, 40), (224, 224)])
def test_another_aspect_is_refused(tmp_path, shape):
    path = save(tmp_path / "a.png", square(*shape))
    with pytest.raises(DataError, match=f"{shape[1]} x {shape[0]} pixels and its photo 60 x 40"):
        read_mask(item(path), photo())


def test_what_is_no_picture(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match="no readable outline"):
        read_mask(item(tmp_path / "a.png"), photo())


def test_an_empty_outline_is_none(tmp_path):
    path = save(tmp_path / "a.png", np.zeros((40, 60), np.uint8))
    assert read_mask(item(path), photo(), measured=True) == (None, "")


class TestMeasured:
    plan = sample_plans(1, seed=5)[0]

    def test_only_when_asked_and_only_of_dermoscopic_photos(self):
        drawn = draw_phantom(self.plan, seed=0)
        assert read_mask(item(modality="dermoscopic"), drawn.image) == (None, "")
        assert read_mask(item(modality="clinical"), drawn.image, measured=True) == (None, "")
        assert read_mask(item(), drawn.image, measured=True) == (None, "")
        mask, origin = read_mask(item(modality="dermoscopic"), drawn.image, measured=True)
        assert origin == "measured"
        assert mask.shape == drawn.image.pixels.shape[:2]
        assert (mask & drawn.mask).sum() / (mask | drawn.mask).sum() > 0.7

    def test_in_the_photo_s_own_pixels(self):
        """The lesion of a wide photo lies where it is, not where it is in the centred square."""
        drawn = draw_phantom(self.plan, seed=0)
        side = drawn.image.pixels.shape[0]
        skin = np.broadcast_to(
            np.median(drawn.image.pixels[:5], (0, 1)).astype(np.uint8), (side, side // 2, 3)
        )
        wide = SkinImage(np.concatenate([skin, drawn.image.pixels, skin], 1), "1" * 64)
        mask, origin = read_mask(item(modality="dermoscopic"), wide, measured=True)
        assert origin == "measured"
        assert mask.shape == wide.pixels.shape[:2]
        truth = np.pad(drawn.mask, ((0, 0), (side // 2, side // 2)))
        assert (mask & truth).sum() / (mask | truth).sum() > 0.6

    def test_nothing_to_outline(self):
        assert read_mask(item(modality="dermoscopic"), photo(), measured=True) == (None, "")


@pytest.mark.shared
def test_expert_outlines_of_real_photos_agree_with_measured_ones():
    folder = DATA / "isic2017"
    if not (folder / "masks").is_dir():
        pytest.skip("needs ISIC 2017 in DERMAXAI_DATA or ../shared/data")
    files, overlap = MaskFiles.usual(folder), []
    for path in sorted((folder / "images").glob("*.jpg"))[:12]:
        image = read_image(path)
        expert, origin = read_mask(item(files.of(path)), image)
        assert origin == "expert"
        assert expert.shape == image.pixels.shape[:2]
        measured, _ = read_mask(item(modality="dermoscopic"), image, measured=True)
        if measured is not None:
            overlap.append((expert & measured).sum() / (expert | measured).sum())
    assert len(overlap) > 6
    assert np.median(overlap) > 0.5
