"""Outlines of lesions: which file belongs to a photo, and reading it in the photo's own pixels."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import final

import numpy as np
from jaxtyping import Bool
from PIL import Image, UnidentifiedImageError

from dermaxai.data.appearance import CUT_OFF, FAINT, segment
from dermaxai.errors import DataError, UsageError
from dermaxai.evaluate.items import Item, MaskOrigin
from dermaxai.types import SkinImage

Mask = Bool[np.ndarray, "height width"]

ENDINGS = ("_segmentation", "", "_mask", "_segmentation_mask", "_lesion")
"""Behind the photo's name, whatever the case of letters; the first that is there counts."""
SUFFIXES = frozenset({".png", ".bmp", ".tif", ".tiff", ".gif"})
"""Without loss; a JPEG has no sharp outline."""
USUAL = ("masks", "mask", "segmentations", "*_segmentations_lesion_*", "*_groundtruth", "*_groundtruth_*")
"""Folders that publishers keep outlines in, whatever the case of letters."""
NEARNESS = 0.01
"""By which the aspect of an outline may differ from that of its photo, relative."""


@final
class MaskFiles:
    """The files of outlines in some folders, by the name of their photo."""

    def __init__(self, folders: tuple[Path, ...]) -> None:
        self.folders = folders
        self._files: dict[str, Path] = {}
        for folder in folders:
            for path in sorted(folder.rglob("*")):
                if path.suffix.lower() in SUFFIXES and path.is_file():
                    self._files.setdefault(path.stem.casefold(), path)

    @classmethod
    def given(cls, folder: Path) -> MaskFiles:
        """Of a folder that somebody names. Raises: UsageError where there is none."""
        if not folder.is_dir():
            raise UsageError(f"There is no folder '{folder}'.", hint="Give the folder of the outlines.")
        return cls((folder,))

    @classmethod
    def usual(cls, root: Path) -> MaskFiles:
        """Of the folders at most two below `root` that are called as publishers call them."""
        found = [path for pattern in ("*", "*/*") for path in root.glob(pattern) if path.is_dir()]
        return cls(tuple(sorted(path for path in found if is_mask_folder(path.name))))

    def __len__(self) -> int:
        return len(self._files)

    def of(self, photo: Path) -> Path | None:
        """The outline of a photo; None where there is none."""
        for ending in ENDINGS:
            found = self._files.get(f"{photo.stem}{ending}".casefold())
            if found is not None and found != photo:
                return found
        return None


def is_mask_folder(name: str) -> bool:
    """Whether publishers call a folder of outlines so."""
    return any(fnmatch(name.casefold(), pattern) for pattern in USUAL)


def photos_without_masks(paths: list[Path], root: Path) -> Iterator[Path]:
    """Photos, without outlines that lie in a folder of their own or beside the photo they belong to."""
    stems = {path.stem.casefold() for path in paths}
    for path in paths:
        stem = path.stem.casefold()
        beside = any(
            stem.removesuffix(end) in stems for end in ENDINGS if end and stem.endswith(end)
        ) or stem.endswith("_superpixels")
        if not beside and not any(is_mask_folder(name) for name in path.relative_to(root).parts[:-1]):
            yield path


def read_mask(item: Item, image: SkinImage, *, measured: bool = False) -> tuple[Mask | None, MaskOrigin]:
    """The lesion in the photo's pixels, and whose outline it is; (None, '') where there is none.

    An expert's file of another size is resized without mixing pixels. With `measured`, a dermoscopic photo
    without such a file is outlined by `appearance.segment`, if the outline is clear and whole; what lies
    outside the photo's centred square is then called skin. An outline without any lesion in it is none.
    Raises: DataError for a file that is no picture or has another aspect than the photo.
    """
    if item.mask is not None:
        found = fit_mask(_read(item.mask), image, item.mask.name)
        return (found, "expert") if found.any() else (None, "")
    if measured and item.sample.modality == "dermoscopic":
        outline = segment(image.pixels)
        if outline.mask.any() and outline.contrast >= FAINT and outline.touches <= CUT_OFF:
            return _placed(outline.mask, image), "measured"
    return None, ""


def fit_mask(mask: Mask, image: SkinImage, name: str) -> Mask:
    """An outline at the size of its photo. Raises: DataError for another aspect."""
    height, width = image.pixels.shape[:2]
    if mask.shape == (height, width):
        return mask
    if abs(mask.shape[1] * height / width - mask.shape[0]) > max(1.0, NEARNESS * mask.shape[0]):
        raise DataError(
            f"'{name}' has {mask.shape[1]} x {mask.shape[0]} pixels and its photo {width} x {height}: "
            "they do not show the same.",
            hint="Give outlines of the photos as they are, neither cropped nor turned.",
        )
    return _resized(mask, width, height)


def _read(path: Path) -> Mask:
    """What is brighter than half of the brightest. Raises: DataError."""
    try:
        with Image.open(path) as picture:
            deep = picture.mode.startswith(("I", "F"))
            grey = np.asarray(picture if deep else picture.convert("L"), np.float64)
    except (OSError, UnidentifiedImageError, ValueError, SyntaxError) as error:
        raise DataError(f"'{path}' is no readable outline: {error}.", hint="Copy it again.") from error
    return np.asarray(grey > grey.max(initial=0.0) / 2)


def _resized(mask: Mask, width: int, height: int) -> Mask:
    picture = Image.fromarray(mask.astype(np.uint8) * 255)
    return np.asarray(picture.resize((width, height), Image.Resampling.NEAREST)) > 127


def _placed(mask: Mask, image: SkinImage) -> Mask:
    """An outline of the centred square in the pixels of the whole photo."""
    height, width = image.pixels.shape[:2]
    side = min(height, width)
    top, left = round((height - side) / 2), round((width - side) / 2)
    whole = np.zeros((height, width), bool)
    whole[top : top + side, left : left + side] = _resized(mask, side, side)
    return whole
