"""Reads photos upright, in sRGB and without identity data; finds and writes them."""

from __future__ import annotations

import hashlib
import os
import stat
import threading
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

from dermaxai import bombs, colour, metadata
from dermaxai.errors import ImageError, ImageTooLarge, ImageUnreadable, UsageError
from dermaxai.types import SkinImage

if TYPE_CHECKING:
    from jaxtyping import UInt8

FORMATS = ("JPEG", "PNG", "TIFF", "WEBP", "BMP")
SUFFIXES = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jpe": "JPEG",
    ".png": "PNG",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WEBP",
    ".bmp": "BMP",
    ".dcm": "DICOM",
    ".dicom": "DICOM",
}
IMAGE_SUFFIXES = frozenset(SUFFIXES)
"""Lower-case endings that `find_images` takes for pictures."""

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What makes a photo of each Exif orientation upright."""

ORIENTATION_TAG = 0x0112
TURNED = "turned upright by its orientation tag"

PILLOW_LIMIT = 178_956_970
"""Pixels above which Pillow reads nothing, unless it is told to."""
_RAISED = threading.Lock()
"""Pillow's limit is one for the whole process, so only one reader at a time moves it."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What is accepted; all three are checked from the file's header, before any pixel is decoded."""

    max_bytes: int = 50_000_000
    max_pixels: int = 100_000_000
    min_side: int = 16
    """Pixels."""

    def check_bytes(self, count: int, name: str) -> None:
        """Raises: ImageTooLarge."""
        if count > self.max_bytes:
            raise ImageTooLarge(
                f"'{name}' has {count / 1e6:.1f} MB; at most {self.max_bytes / 1e6:.1f} MB are read.",
                hint="Save it smaller, or raise the limit of bytes.",
            )

    @contextmanager
    def speak_for_pillow(self, name: str) -> Iterator[None]:
        """Inside, Pillow refuses nothing that these limits allow; behind it, its own limit is as before.

        Raises: ImageTooLarge where Pillow refuses a picture before its size is known here.
        """
        with _pillow_allowing(self.max_pixels):
            try:
                yield
            except Image.DecompressionBombError:
                least = 2 * (Image.MAX_IMAGE_PIXELS or self.max_pixels)
                most = min(least, self.max_pixels)
                raise ImageTooLarge(
                    f"'{name}' has more than {least:,} pixels; at most {most:,} are read.",
                    hint="Save it smaller, or raise the limit of pixels.",
                ) from None

    def check_size(self, width: int, height: int, name: str) -> None:
        """Raises: ImageTooLarge, ImageUnreadable for a picture too small to show anything."""
        if width * height > self.max_pixels:
            raise ImageTooLarge(
                f"'{name}' has {width} x {height} pixels; at most {self.max_pixels:,} are read.",
                hint="Save it smaller, or raise the limit of pixels.",
            )
        if min(width, height) < self.min_side:
            raise ImageUnreadable(
                f"'{name}' has {width} x {height} pixels; a photo needs {self.min_side} on each side.",
                hint="Give the photo itself, not an icon of it.",
            )


@contextmanager
def _pillow_allowing(pixels: int) -> Iterator[None]:
    if pixels <= PILLOW_LIMIT:
        yield
        return
    with _RAISED:
        usual = Image.MAX_IMAGE_PIXELS
        Image.MAX_IMAGE_PIXELS = None if usual is None else max(usual, pixels)
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = usual


def read_image(source: Path | str | bytes, *, limits: Limits = Limits()) -> SkinImage:
    """A photo from a path or from the bytes of a file: JPEG, PNG, TIFF, WebP, BMP, or DICOM with its extra.

    The content decides on the format, not the name. `notes` of the result say what was changed on reading,
    `removed` which fields were left behind. Only pixels go on: nothing else of the file is kept.

    Raises: ImageTooLarge, ImageUnreadable, MissingExtra for a DICOM file without pydicom.
    """
    name, data = _read_bytes(source, limits)
    if data[128:132] == b"DICM":
        from dermaxai.dicom import read_dicom

        image = read_dicom(data, limits=limits, name=name)
    else:
        image = _read_picture(data, name, limits)
    notes = (*_compare_suffix(name, image.format), *image.notes)
    return SkinImage(image.pixels, image.sha256, image.format, image.removed, notes)


def _read_bytes(source: Path | str | bytes, limits: Limits) -> tuple[str, bytes]:
    """Name for messages, and content. Raises: ImageError."""
    if isinstance(source, bytes):
        name, data = "the given bytes", source
    else:
        name, data = show_name(source), _read_file(Path(source), limits)
    limits.check_bytes(len(data), name)
    if not data:
        raise ImageUnreadable(f"'{name}' is empty (0 bytes).", hint="Copy or export the photo again.")
    return name, data


def show_name(path: Path | str) -> str:
    """A file's name that can always be printed, even one that is not valid Unicode."""
    return (Path(path).name or str(path)).encode("utf-8", "backslashreplace").decode()


def _read_file(path: Path, limits: Limits) -> bytes:
    name = show_name(path)
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise ImageUnreadable(f"'{name}' is a folder, not a photo.", hint="Give the photos inside it.")
        if not stat.S_ISREG(status.st_mode):
            raise ImageUnreadable(f"'{name}' is not an ordinary file.")
        limits.check_bytes(status.st_size, name)
        with path.open("rb") as file:
            return file.read(limits.max_bytes + 1)
    except FileNotFoundError:
        raise ImageUnreadable(f"There is no file '{name}'.", hint="Check the path.") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ImageUnreadable(f"'{name}' cannot be opened: {reason}.") from error


def _compare_suffix(name: str, found: str) -> Iterator[str]:
    said = SUFFIXES.get(Path(name).suffix.lower())
    if said and said != found:
        yield f"named as {said}, is {found}"


def _read_picture(data: bytes, name: str, limits: Limits) -> SkinImage:
    # WeasyPrint, once loaded, lets the whole process take files that break off for whole ones.
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    try:
        # Pillow warns about doubtful files; the limits here are stricter and the notes say the rest.
        with warnings.catch_warnings(), limits.speak_for_pillow(name):
            warnings.simplefilter("ignore")
            return _decode_picture(data, name, limits)
    except ImageError:
        raise
    except MemoryError:
        raise ImageTooLarge(f"'{name}' does not fit into memory.", hint="Save it smaller.") from None
    except Exception as error:  # Decoders raise almost anything on a damaged file.
        raise ImageUnreadable(
            f"'{name}' is damaged or cut off: {str(error)[:80] or type(error).__name__}.",
            hint="Copy or export the photo again.",
        ) from error


def _decode_picture(data: bytes, name: str, limits: Limits) -> SkinImage:
    with _open_picture(data, name) as image:
        limits.check_size(image.width, image.height, name)
        bombs.check(data, str(image.format), image.width * image.height, name)
        notes = list(_header_notes(image))
        depth = colour.stored_bits(image)
        image.load()
        removed = metadata.list_removed(image)
        pixels = colour.to_srgb(image, depth, notes)
        pixels = _turn_upright(image, pixels, notes)
        kind = "JPEG" if image.format == "MPO" else str(image.format)
    return SkinImage(pixels, hashlib.sha256(data).hexdigest(), kind, removed, tuple(notes))


def _open_picture(data: bytes, name: str) -> ImageFile.ImageFile:
    try:
        return Image.open(BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError:
        raise ImageUnreadable(
            f"'{name}' is no picture of a known format, or its header is damaged.",
            hint="JPEG, PNG, TIFF, WebP, BMP and DICOM are read.",
        ) from None


def _header_notes(image: Image.Image) -> Iterator[str]:
    """Of the file before decoding, since Pillow turns a TIFF page itself and then drops the tag."""
    frames = int(getattr(image, "n_frames", 1))
    if frames > 1:
        kind = "page" if image.format == "TIFF" else "picture" if image.format == "MPO" else "frame"
        yield f"only the first {kind} of {frames} is used"
    if image.format == "TIFF" and getattr(image, "tag_v2", {}).get(ORIENTATION_TAG) in TURNS:
        yield TURNED


def _turn_upright(
    image: Image.Image, pixels: UInt8[np.ndarray, "height width 3"], notes: list[str]
) -> UInt8[np.ndarray, "height width 3"]:
    try:
        turn = TURNS.get(image.getexif().get(ORIENTATION_TAG, 1))
    except Exception:  # A broken Exif block raises anything; the photo is shown as stored.
        notes.append("orientation unreadable, taken as upright")
        return pixels
    if turn is None:
        return pixels
    notes.append(TURNED)
    return np.ascontiguousarray(Image.fromarray(pixels).transpose(turn))


def write_photo(image: SkinImage, path: Path | str) -> None:
    """Saves the pixels as JPEG (quality 92, full colour) or lossless PNG by the path's ending.

    The file is sRGB, holds no metadata, and is the same bytes for the same pixels.
    Raises: UsageError for another ending.
    """
    target = Path(path)
    picture = Image.fromarray(np.ascontiguousarray(image.pixels))
    kind = SUFFIXES.get(target.suffix.lower())
    if kind == "JPEG":
        picture.save(target, "JPEG", quality=92, subsampling=0)
    elif kind == "PNG":
        picture.save(target, "PNG", compress_level=6)
    else:
        raise UsageError(
            f"Photos are saved as .jpg or .png, not as '{target.suffix}'.", hint="Change the ending."
        )


def find_images(paths: Iterable[Path | str]) -> list[Path]:
    """Photos named by paths, in order, none twice: files as given, folders searched by `IMAGE_SUFFIXES`.

    Folders are searched through and through, sorted; names that begin with a dot are skipped. A path that
    does not exist is kept, so that reading it reports it.
    """
    found: dict[Path, None] = {}
    for path in map(Path, paths):
        found.update(dict.fromkeys(_search_folder(path) if path.is_dir() else [path]))
    return list(found)


def _search_folder(folder: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith(".") and Path(name).suffix.lower() in IMAGE_SUFFIXES:
                yield Path(place, name)
