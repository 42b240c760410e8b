"""Drawn skin with a dark spot and a texture of its own, and what becomes of a photo that is passed on."""

import io

import numpy as np
from PIL import Image, ImageEnhance

SIDE = 128


def draw_skin(seed: int, side: int = SIDE) -> np.ndarray:
    """Pixels of a photo that no other seed resembles: a spot under noise of natural images (1/f)."""
    random = np.random.default_rng(seed)
    down, right = np.meshgrid(np.fft.fftfreq(side), np.fft.rfftfreq(side), indexing="ij")
    fall = 1 / np.maximum(np.hypot(down, right), 1 / side) ** 1.3
    noise = np.fft.irfft2(fall * np.fft.rfft2(random.normal(size=(side, side))), s=(side, side))
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    spot = np.exp(-((y - random.normal(0, 0.1)) ** 2 + (x - random.normal(0, 0.1)) ** 2) / 0.15)
    grey = 190 + 18 * noise / noise.std() - 80 * spot
    return np.clip(grey[..., None] * np.array([1.0, 0.8, 0.72]), 0, 255).astype(np.uint8)


def encode(image: Image.Image, quality: int = 75) -> bytes:
    """A JPEG file."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return file.getvalue()


CHANGES = {
    "jpeg": lambda image: image,
    "larger": lambda image: image.resize((600, 450), Image.Resampling.BICUBIC),
    "smaller": lambda image: image.resize((96, 96), Image.Resampling.BICUBIC),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.12),
    "darker": lambda image: ImageEnhance.Brightness(image).enhance(0.85),
    "contrast": lambda image: ImageEnhance.Contrast(image).enhance(1.15),
    "grey": lambda image: image.convert("L"),
    "cropped": lambda image: image.crop((2, 2, image.width - 2, image.height - 2)),
}
"""What near-duplicates come from."""


def change(pixels: np.ndarray, name: str) -> bytes:
    """The file of a changed copy."""
    return encode(CHANGES[name](Image.fromarray(pixels)), 60)


def open_pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
