"""Photos made worse in known ways, and other measures of blur; for `benchmarks/sharpness.py`."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from PIL import Image
from scipy import ndimage
from scipy.signal import fftconvolve

from dermaxai.sharpness import LUMA

Change = Callable[[np.ndarray, int], np.ndarray]
OVER = 8
"""Points per pixel of a disk's kernel."""


def _bytes(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _side(pixels: np.ndarray) -> int:
    return min(pixels.shape[:2])


def blur(pixels: np.ndarray, percent: float) -> np.ndarray:
    spread = percent / 100 * _side(pixels)
    return _bytes(ndimage.gaussian_filter(pixels.astype(np.float32), (spread, spread, 0), mode="nearest"))


def _convolve(pixels: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    reach = len(kernel) // 2
    wide = np.pad(pixels.astype(np.float32), ((reach, reach), (reach, reach), (0, 0)), mode="edge")
    return _bytes(fftconvolve(wide, (kernel / kernel.sum())[..., None], mode="valid", axes=(0, 1)))


def defocus(pixels: np.ndarray, percent: float) -> np.ndarray:
    radius = percent / 100 * _side(pixels)
    reach = int(np.ceil(radius)) + 1
    place = (np.arange((2 * reach + 1) * OVER) + 0.5) / OVER - reach - 0.5
    fine = np.hypot(place[:, None], place[None]) <= radius
    return _convolve(pixels, fine.reshape(2 * reach + 1, OVER, 2 * reach + 1, OVER).mean((1, 3)))


def motion(pixels: np.ndarray, percent: float, number: int) -> np.ndarray:
    """A straight line; its direction goes by the photo's number."""
    length, angle = percent / 100 * _side(pixels), 0.7 * number % np.pi
    reach = int(np.ceil(length / 2)) + 1
    kernel = np.zeros((2 * reach + 1,) * 2)
    for step in np.linspace(-length / 2, length / 2, 401):
        down, across = reach + step * np.sin(angle), reach + step * np.cos(angle)
        row, column = int(down), int(across)
        for y, x in ((0, 0), (0, 1), (1, 0), (1, 1)):
            kernel[row + y, column + x] += (1 - abs(down - row - y)) * (1 - abs(across - column - x))
    return _convolve(pixels, kernel)


def enlarged(pixels: np.ndarray, least: int) -> np.ndarray:
    """Shrunk to `least` pixels on the shorter side and enlarged again."""
    photo = Image.fromarray(pixels)
    small = [max(round(side * least / _side(pixels)), 1) for side in photo.size]
    return np.asarray(
        photo.resize(small, Image.Resampling.BICUBIC).resize(photo.size, Image.Resampling.BICUBIC)
    )


def twice(pixels: np.ndarray) -> np.ndarray:
    photo = Image.fromarray(pixels)
    return np.asarray(photo.resize([2 * side for side in photo.size], Image.Resampling.BICUBIC))


def jpeg(pixels: np.ndarray, quality: int) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    with Image.open(buffer) as photo:
        return np.asarray(photo.convert("RGB"))


def noise(pixels: np.ndarray, spread: float, number: int) -> np.ndarray:
    return _bytes(pixels + np.random.default_rng(number).normal(0, spread, pixels.shape))


def corners(pixels: np.ndarray, softness: float) -> np.ndarray:
    """The dark corners of a dermoscope; `softness` in percent of the shorter side."""
    height, width = pixels.shape[:2]
    down, across = np.ogrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    seen = 1 / (1 + np.exp((np.hypot(down, across) - 1.05) * 50 / softness))[..., None]
    return _bytes(pixels * seen + 8 * (1 - seen))


LEVELS: Mapping[str, Change] = MappingProxyType(
    {
        **{f"blur {p:g} %": lambda x, _, p=p: blur(x, p) for p in (0.25, 0.5, 0.75, 1, 2, 4)},
        **{f"defocus {p:g} %": lambda x, _, p=p: defocus(x, p) for p in (0.5, 1, 2)},
        **{f"motion {p:g} %": lambda x, n, p=p: motion(x, p, n) for p in (4, 8)},
        "enlarged from 56 px": lambda x, _: enlarged(x, 56),
        "blur 1 %, JPEG 20": lambda x, _: jpeg(blur(x, 1), 20),
        "blur 1 %, noise 3": lambda x, n: noise(blur(x, 1), 3, n),
        "blur 1 %, dark corners": lambda x, _: corners(blur(x, 1), 0.5),
        "not blurred: enlarged twice": lambda x, _: twice(x),
        **{f"not blurred: JPEG {q}": lambda x, _, q=q: jpeg(x, q) for q in (30, 10)},
        "not blurred: 40 % of the light": lambda x, _: _bytes(0.4 * x),
        "not blurred: dark corners": lambda x, _: corners(x, 0.5),
        "not blurred: soft corners": lambda x, _: corners(x, 3),
    }
)
"""What is made of a photo, given its number in the set; percent of the shorter side, levels of 255."""


def _grey(pixels: np.ndarray) -> np.ndarray:
    return np.asarray(pixels @ np.array(LUMA))


def laplacian(pixels: np.ndarray) -> float:
    """Pech-Pacheco et al. 2000, doi 10.1109/ICPR.2000.903548: variance of the Laplacian."""
    return -float(ndimage.laplace(_grey(pixels)).var())


def tenengrad(pixels: np.ndarray) -> float:
    """Krotkov 1988, doi 10.1007/BF00127822: mean squared Sobel slope."""
    grey = _grey(pixels)
    return -float((ndimage.sobel(grey, 0) ** 2 + ndimage.sobel(grey, 1) ** 2).mean())


def high_frequencies(pixels: np.ndarray) -> float:
    """Energy above an eighth of the sampling rate over that below, without the lowest."""
    grey = _grey(pixels)
    window = np.hanning(len(grey))
    energy = np.abs(np.fft.rfft2((grey - grey.mean()) * window[:, None] * window)) ** 2
    rate = np.hypot(np.fft.fftfreq(len(grey))[:, None], np.fft.rfftfreq(len(grey)))
    fine, coarse = (rate > 0.125) & (rate < 0.5), (rate > 0.015) & (rate <= 0.125)
    return -float(energy[fine].sum() / (energy[coarse].sum() + 1))


def crete(pixels: np.ndarray) -> float:
    """Crete et al. 2007, doi 10.1117/12.702790, equations 1 to 8: what another blur leaves of the slopes."""
    answers = []
    for axis in (0, 1):
        grey = _grey(pixels)
        slope = np.abs(np.diff(grey, axis=axis))
        again = np.abs(np.diff(ndimage.uniform_filter1d(grey, 9, axis=axis), axis=axis))
        answers.append(1 - np.maximum(slope - again, 0).sum() / (slope.sum() + 1e-9))
    return float(max(answers))


RIVALS: Mapping[str, Callable[[np.ndarray], float]] = MappingProxyType(
    {
        "variance of the Laplacian": laplacian,
        "Tenengrad": tenengrad,
        "high frequencies": high_frequencies,
        "Crete et al.": crete,
    }
)
"""Measures of the square at 224 px; larger is blurrier."""
