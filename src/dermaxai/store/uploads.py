"""A photo between its arrival and its description: pixels, and what reading it told."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from dermaxai.errors import NotFound
from dermaxai.types import SkinImage

FAST = 1
"""Compression of pixels that are soon read again."""


def pack_image(image: SkinImage) -> dict[str, bytes]:
    """Name and content of the files that hold a photo; no metadata but names of what was removed."""
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image.pixels)).save(buffer, "PNG", compress_level=FAST)
    told = {
        "sha256": image.sha256,
        "format": image.format,
        "removed": list(image.removed),
        "notes": list(image.notes),
    }
    return {"image.png": buffer.getvalue(), "image.json": json.dumps(told, ensure_ascii=False).encode()}


def unpack_image(folder: Path) -> SkinImage:
    """The photo that `pack_image` packed, pixel by pixel. Raises: NotFound."""
    try:
        told: dict[str, Any] = json.loads((folder / "image.json").read_bytes())
        pixels = read_pixels(folder / "image.png")
    except FileNotFoundError:
        raise NotFound("The photo is not there any more.", hint="Bring it again.") from None
    removed, notes = tuple(told["removed"]), tuple(told["notes"])
    return SkinImage(np.asarray(pixels), told["sha256"], told["format"], removed, notes)


def read_pixels(path: Path) -> Image.Image:
    """A picture that this program wrote, sRGB. Raises: OSError."""
    with Image.open(path, formats=("PNG",)) as picture:
        return picture.convert("RGB")
