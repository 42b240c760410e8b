"""What surrounds a lesion in a dermoscopic photo: skin, light, hairs, ruler, gel bubbles, dark corners."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage
from scipy.spatial import cKDTree

if TYPE_CHECKING:
    from jaxtyping import Float32

    Grey = Float32[np.ndarray, "height width"]
    Colour = Float32[np.ndarray, "height width 3"]

SKIN_TONES = (
    (228, 174, 162),
    (224, 160, 160),
    (200, 172, 194),
    (226, 170, 148),
    (216, 162, 178),
    (230, 198, 190),
)


def smooth_noise(random: np.random.Generator, size: tuple[int, int], grain: float) -> Grey:
    """Noise of unit deviation, `grain` pixels wide."""
    coarse = max(1, int(grain // 4))
    shape = tuple(side // coarse + 2 for side in size)
    sheet = ndimage.gaussian_filter(
        random.standard_normal(shape).astype(np.float32), grain / coarse, mode="wrap"
    )
    sheet /= sheet.std()
    return sheet if coarse == 1 and sheet.shape == size else _stretch(sheet, size, coarse)


def _stretch(sheet: Grey, size: tuple[int, int], factor: int) -> Grey:
    if factor == 1:
        return sheet[: size[0], : size[1]]
    places = np.mgrid[: size[0], : size[1]].astype(np.float32) / factor
    return np.asarray(ndimage.map_coordinates(sheet, places, order=1, mode="nearest"), np.float32)


def mesh(random: np.random.Generator, size: tuple[int, int], spacing: float) -> Grey:
    """A net of lines around cells about `spacing` pixels wide: 1 on the lines, falling to 0 in the cells."""
    rows, columns = np.mgrid[-1 : size[0] / spacing + 1, -1 : size[1] / spacing + 1]
    knots = np.stack([rows.ravel(), columns.ravel()], axis=1)
    knots = (knots + random.uniform(-0.42, 0.42, knots.shape)) * spacing
    half = np.mgrid[0 : size[0] + 1 : 2, 0 : size[1] + 1 : 2].reshape(2, -1).T
    distance, _ = cKDTree(knots).query(half, k=2)
    gap = (distance[:, 1] - distance[:, 0]).reshape((size[0] + 2) // 2, (size[1] + 2) // 2)
    lines = np.exp(-((gap / (0.33 * spacing)) ** 2)).astype(np.float32)
    return _stretch(lines, size, 2)


def draw_skin(random: np.random.Generator, size: tuple[int, int], tone: tuple[int, int, int]) -> Colour:
    """Skin of a base tone, with blotches, fine furrows and faint redness; 0 to 255."""
    light = 4.0 * smooth_noise(random, size, 45) + 2.5 * smooth_noise(random, size, 9)
    redness = 3.0 * smooth_noise(random, size, 30) + 2.5 * smooth_noise(random, size, 6)
    spacing = random.uniform(10, 18)
    furrows = mesh(random, size, spacing) * (0.6 + 0.4 * np.clip(smooth_noise(random, size, 35), -1, 1))
    furrows = random.uniform(4, 11) * (furrows - furrows.mean())
    sign = random.choice([-1.0, 1.0])
    skin = np.empty((*size, 3), np.float32)
    skin[..., 0] = tone[0] + light + 0.6 * redness + 0.5 * sign * furrows
    skin[..., 1] = tone[1] + light - 0.9 * redness + sign * furrows
    skin[..., 2] = tone[2] + light - 0.6 * redness + 0.8 * sign * furrows
    return skin


def light_unevenly(random: np.random.Generator, photo: Colour) -> Colour:
    """A slight slope of brightness over the photo and a little less light outside the centre."""
    rows, columns = _centred(photo.shape[:2])
    turn = random.uniform(0, 2 * np.pi)
    slope = random.uniform(0.01, 0.035) * (rows * np.sin(turn) + columns * np.cos(turn))
    fall = random.uniform(0.01, 0.07) * (rows**2 + columns**2)
    return np.asarray(photo * (1 + slope - fall)[..., None], np.float32)


def darken_corners(random: np.random.Generator, photo: Colour) -> tuple[Colour, Grey]:
    """The round tube of a dermatoscope: black beyond a circle in the centre; and the share of light lost."""
    rows, columns = _centred(photo.shape[:2])
    ratio = photo.shape[1] / photo.shape[0]
    radius = np.hypot(rows, columns * ratio) / np.hypot(1, ratio)
    edge = random.uniform(0.84, 0.9)
    seen = 1 / (1 + np.exp((radius - edge) / random.uniform(0.015, 0.035)))
    return np.asarray(photo * (0.06 + 0.94 * seen)[..., None], np.float32), np.asarray(1 - seen, np.float32)


def _centred(size: tuple[int, ...]) -> tuple[Grey, Grey]:
    rows, columns = np.mgrid[: size[0], : size[1]].astype(np.float32)
    return rows / (size[0] / 2) - 1, columns / (size[1] / 2) - 1


def draw_hairs(random: np.random.Generator, photo: Colour, count: int) -> tuple[Colour, Grey]:
    """Dark curved hairs that grow in about one direction, with a soft shadow; and how they cover, 0 to 1."""
    if not count:
        return photo, np.zeros(photo.shape[:2], np.float32)
    height, width = photo.shape[:2]
    sheet = Image.new("L", (2 * width, 2 * height), 0)
    pen = ImageDraw.Draw(sheet)
    heading = random.uniform(0, np.pi)
    for _ in range(count):
        _draw_hair(random, pen, (2 * height, 2 * width), heading + random.normal(0, 0.35))
    cover = np.asarray(sheet.resize((width, height), Image.Resampling.BOX), np.float32) / 255
    shadow = ndimage.gaussian_filter(np.roll(cover, (2, 2), (0, 1)), 2.5)
    cover = ndimage.gaussian_filter(cover, 0.5) * random.uniform(0.75, 0.92)
    hair = np.array(random.choice([(48, 34, 28), (30, 24, 24), (84, 58, 42)]), np.float32)
    photo = photo * (1 - 0.25 * shadow)[..., None]
    return np.asarray(photo * (1 - cover)[..., None] + hair * cover[..., None], np.float32), cover


def _draw_hair(
    random: np.random.Generator, pen: ImageDraw.ImageDraw, size: tuple[int, int], heading: float
) -> None:
    length = random.uniform(0.35, 0.9) * size[1]
    start = random.uniform(-0.1, 1.0, 2) * size
    ahead = np.array([np.sin(heading), np.cos(heading)])
    bend = random.normal(0, 0.12) * length * np.array([ahead[1], -ahead[0]])
    t = np.linspace(0, 1, 40)[:, None]
    path = start + ahead * length * t + bend * 4 * t * (1 - t)
    thick = random.uniform(3.0, 6.5)
    for index in range(len(path) - 1):
        ends = [(float(x), float(y)) for y, x in path[index : index + 2]]
        pen.line(ends, fill=255, width=max(2, round(thick * (1 - 0.6 * index / len(path)))))


def draw_ruler(random: np.random.Generator, photo: Colour) -> tuple[Colour, Grey]:
    """The millimetre ticks of a dermatoscope's face, lower or left edge; and how they cover, 0 to 1."""
    upright = bool(random.random() < 0.4)
    height, width = photo.shape[:2]
    turned = photo.swapaxes(0, 1) if upright else photo[::-1]
    step, first = random.uniform(9, 13), random.uniform(0, 10)
    cover = np.zeros((width, height) if upright else (height, width), np.float32)
    for number, place in enumerate(np.arange(first, (height if upright else width) - 2, step)):
        length = 22 if number % 10 == 0 else 16 if number % 5 == 0 else 10
        cover[2:length, int(place) : int(place) + 2] = 1
    cover = ndimage.gaussian_filter(cover, 0.6)[..., None] * 0.85
    turned = np.asarray(turned * (1 - cover) + 28 * cover, np.float32)
    whole = (turned, cover[..., 0])
    drawn, ticks = (part.swapaxes(0, 1) if upright else part[::-1] for part in whole)
    return drawn, ticks


def draw_bubbles(random: np.random.Generator, photo: Colour, count: int) -> Colour:
    """Bubbles in the contact gel: a bright rim, a darker outer line, one glint."""
    rows, columns = np.mgrid[: photo.shape[0], : photo.shape[1]].astype(np.float32)
    cluster = random.uniform(0.1, 0.9, 2) * photo.shape[:2]
    change = np.zeros(photo.shape[:2], np.float32)
    for _ in range(count):
        y, x = cluster + random.normal(0, 45, 2)
        radius = random.uniform(4, 15)
        distance = np.hypot(rows - y, columns - x)
        change += 46 * np.exp(-(((distance - radius) / 1.3) ** 2))
        change -= 26 * np.exp(-(((distance - radius - 2.5) / 1.4) ** 2))
        change += 8 * (distance < radius)
        glint = np.hypot(rows - y + 0.45 * radius, columns - x + 0.4 * radius)
        change += 90 * np.exp(-((glint / (0.16 * radius + 0.6)) ** 2))
    return np.asarray(photo + change[..., None], np.float32)


def add_grain(random: np.random.Generator, photo: Colour) -> Colour:
    """The camera: a slightly soft lens, then noise."""
    soft = ndimage.gaussian_filter(photo, (0.7, 0.7, 0))
    noise = random.standard_normal(photo.shape).astype(np.float32)
    return np.asarray(soft + 1.6 * ndimage.gaussian_filter(noise, (0.5, 0.5, 0)) * 1.8, np.float32)
