"""From whatever a file stores (palette, grey, CMYK, 16 bit, alpha, ICC profile) to 8-bit sRGB, and CIELAB."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageCms

from dermaxai.errors import ImageUnreadable

if TYPE_CHECKING:
    from jaxtyping import Float, Shaped, UInt8

SPACES = {"L": "GRAY", "RGB": "RGB ", "CMYK": "CMYK", "LAB": "Lab "}
"""ICC colour space that fits each Pillow mode."""

LEAST_CHANGE = 2
"""Levels of 255; a profile that moves no colour further is sRGB but for rounding."""

BAND = 256
"""Rows that are turned at a time."""

PNG_BITS = 16
TIFF_BITS_TAG, TIFF_INK_TAG, TIFF_NUMBERS_TAG = 258, 262, 339
SIGNED = 2
"""Of the TIFF tag that tells the kind of numbers."""
EXPORT = "Export it as 8 or 16 bit."

FRAME = 224
"""Side of the measuring frame, pixels."""


def stored_bits(image: Image.Image) -> int:
    """Bits per channel in the file, from its header; call it before `load`."""
    if image.format == "TIFF":
        return int(max(getattr(image, "tag_v2", {}).get(TIFF_BITS_TAG, (1,))))
    if image.mode == "1":
        return 1
    tiles: Any = getattr(image, "tile", ())
    raw = str(tiles[0].args) if tiles else ""
    return 16 if image.format == "PNG" and ("16" in raw) else 8


def to_srgb(image: Image.Image, bits: int, notes: list[str]) -> UInt8[np.ndarray, "height width 3"]:
    """Pixels of a loaded picture in 8-bit sRGB, alpha flattened on white; `notes` gains what was changed.

    Raises: ImageUnreadable for values of unknown range, or a transparency that cannot be told exactly.
    """
    _check_numbers(image, bits)
    if bits > 8:
        notes.append(f"{bits} bit scaled to 8")
    if image.mode.startswith(("I", "F")):
        return _grey_to_srgb(image, bits, notes)
    alpha = None
    if image.has_transparency_data:
        alpha = np.asarray(image.convert("RGBA").getchannel("A"))
    pixels = apply_profile(_without_alpha(image), image.info.get("icc_profile"), notes)
    return pixels if alpha is None else _flatten(pixels, alpha, notes)


def _check_numbers(image: Image.Image, bits: int) -> None:
    """Raises: ImageUnreadable where black and white, or the one clear colour, are not known."""
    if SIGNED in getattr(image, "tag_v2", {}).get(TIFF_NUMBERS_TAG, ()):
        raise ImageUnreadable(
            f"Signed {bits}-bit integers came; photographs have unsigned ones.", hint=EXPORT
        )
    if bits > 16 and image.mode != "F":
        raise ImageUnreadable(
            f"{bits}-bit integers came, and no file says which of them is white; at most 16 bit are read.",
            hint=EXPORT,
        )
    if bits > 8 and image.mode == "RGB" and "transparency" in image.info:
        raise ImageUnreadable(
            f"One {bits}-bit colour is marked as clear; in 8 bit it cannot be told from its neighbours.",
            hint="Export it with an alpha channel, or as 8 bit.",
        )


def _without_alpha(image: Image.Image) -> Image.Image:
    """In one of the modes of `SPACES`."""
    if image.mode in SPACES:
        return image
    if image.mode in ("1", "LA", "La"):
        return image.convert("LA").getchannel("L") if image.mode != "1" else image.convert("L")
    return image.convert("RGBA").convert("RGB")


def _flatten(
    pixels: UInt8[np.ndarray, "height width 3"], alpha: Shaped[np.ndarray, "height width"], notes: list[str]
) -> UInt8[np.ndarray, "height width 3"]:
    if alpha.min() == 255:
        return pixels
    notes.append("alpha flattened on white")
    flat = np.empty_like(pixels)
    for top in range(0, len(pixels), BAND):  # Whole photos as floats would take twelve bytes per pixel.
        band = slice(top, top + BAND)
        cover = alpha[band, :, None].astype(np.float32) / 255
        flat[band] = np.rint(pixels[band] * cover + 255 * (1 - cover))
    return flat


def _grey_to_srgb(image: Image.Image, bits: int, notes: list[str]) -> UInt8[np.ndarray, "height width 3"]:
    """Deep grey: unsigned integers of 9 to 16 bit over their full range, or floats from 0 to 1."""
    values = np.asarray(image)
    levels = 1.0 if image.mode == "F" else float(2 ** (bits if bits > 8 else 16) - 1)
    if not np.isfinite(values).all() or values.min() < 0 or values.max() > levels:
        raise ImageUnreadable(
            f"{bits}-bit values from {values.min()} to {values.max()} came; 0 to {levels:g} is expected.",
            hint=EXPORT,
        )
    grey = _scale(values, levels)
    if image.format == "TIFF" and getattr(image, "tag_v2", {}).get(TIFF_INK_TAG) == 0:
        grey = 255 - grey
    pixels = apply_profile(Image.fromarray(grey), image.info.get("icc_profile"), notes)
    clear = image.info.get("transparency")
    return pixels if clear is None else _flatten(pixels, np.where(values == clear, 0, 255), notes)


def _scale(values: Shaped[np.ndarray, "height width"], levels: float) -> UInt8[np.ndarray, "height width"]:
    return np.asarray(np.rint(values.astype(np.float32) * np.float32(255 / levels)), np.uint8)


def apply_profile(
    image: Image.Image, profile: bytes | None, notes: list[str]
) -> UInt8[np.ndarray, "height width 3"]:
    """Through the embedded profile to sRGB; without one the values are taken as sRGB."""
    plain = np.asarray(image.convert("RGB"))
    if image.mode == "CMYK" and not profile:
        notes.append("CMYK without a profile, converted by formula")
    if not profile:
        return plain
    try:
        converted = np.asarray(_convert(image, profile))
    except (ImageCms.PyCMSError, ValueError, OSError, TypeError) as error:
        notes.append(f"colour profile not usable ({_reason(error)}), taken as sRGB")
        return plain
    if image.mode == "RGB" and np.abs(converted.astype(np.int16) - plain).max(initial=0) <= LEAST_CHANGE:
        return plain
    notes.append(
        "CMYK converted by its colour profile" if image.mode == "CMYK" else "colour profile converted to sRGB"
    )
    return converted


def _convert(image: Image.Image, profile: bytes) -> Image.Image:
    source = ImageCms.ImageCmsProfile(BytesIO(profile))
    space = source.profile.xcolor_space
    if space == "RGB " and image.mode == "L":
        image = image.convert("RGB")
    if space != SPACES[image.mode]:
        raise ValueError(f"made for {space.strip()}, not for {image.mode}")
    # Relative colorimetric: perceptual tables differ between makers, and measured colours must not.
    intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
    result = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), intent, "RGB")
    if result is None:
        raise ValueError("no conversion")
    return result


def _reason(error: Exception) -> str:
    """Short, and nothing of the profile's own texts."""
    return (
        str(error)
        if isinstance(error, ValueError) and str(error).startswith(("made for", "no conv"))
        else "damaged"
    )


def to_lab(pixels: UInt8[np.ndarray, "h w 3"]) -> Float[np.ndarray, "h w 3"]:
    """CIELAB (D65, 2 degree) of sRGB pixels: L in 0-100, a and b about -128 to 127.

    Source: IEC 61966-2-1 (sRGB) and CIE 15:2004.
    """
    values = pixels.astype(np.float32) / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    matrix = np.array(
        [
            [0.4124564, 0.3575761, 0.1804375],
            [0.2126729, 0.7151522, 0.0721750],
            [0.0193339, 0.1191920, 0.9503041],
        ],
        np.float32,
    )
    xyz = linear @ matrix.T / np.array([0.95047, 1.0, 1.08883], np.float32)
    root = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    x, y, z = root[..., 0], root[..., 1], root[..., 2]
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def to_frame(pixels: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "224 224 3"]:
    """The centred square of the photo at the size of the measuring frame; a photo of that size as it is.

    Resized, cropped and rounded as the embedded encoder's input is: what is measured, and learned from, is
    bit for bit what the encoder sees.
    """
    short = min(pixels.shape[:2])
    height, width = (int(FRAME * side / short) for side in pixels.shape[:2])
    top, left = (round((side - FRAME) / 2) for side in (height, width))
    photo = Image.fromarray(np.ascontiguousarray(pixels))
    resized = photo.resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(resized.crop((left, top, left + FRAME, top + FRAME)))
