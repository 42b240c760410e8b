"""Pictures that are no dermoscopic photos, drawn or cut: they measure the rule for photos outside."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from dermaxai.images import read_image
from dermaxai.types import SkinImage

Random = np.random.Generator
Pixels = UInt8[np.ndarray, "height width 3"]
HEIGHT, WIDTH = 360, 480
LETTERS = "abcdefghijklmnopqrstuvwxyzабвгдежзиклмнопрстуфхцшыэюя"
LONGEST_SIDE = 640


def _words(random: Random, count: int) -> str:
    """Made-up words, some of them numbers."""
    lengths = random.integers(2, 11, count)
    letters = ["".join(random.choice(list(LETTERS), int(length))) for length in lengths]
    return " ".join(str(random.integers(10**5)) if random.random() < 0.12 else word for word in letters)


def _paper(random: Random) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    """White, grey, cream or yellowed."""
    tone = random.integers(205, 256) - random.integers(0, 20) * np.array([0.0, 0.3, 1.0])
    page = Image.new("RGB", (WIDTH, HEIGHT), tuple(int(value) for value in tone))
    return page, ImageDraw.Draw(page)


def _ink(random: Random) -> tuple[int, int, int]:
    blue = int(random.choice([0, 0, 60, 120]))
    return int(random.integers(0, 60)), int(random.integers(0, 60)), blue


def draw_page(random: Random) -> Pixels:
    """Lines of text, perhaps with a heading and a second column."""
    page, pen = _paper(random)
    size, ink, margin = int(random.integers(8, 24)), _ink(random), int(random.integers(8, 50))
    font = ImageFont.load_default(size)
    columns = int(random.choice([1, 1, 2]))
    broad = (WIDTH - margin * (columns + 1)) // columns
    for column in range(columns):
        left, row = margin + column * (broad + margin), margin
        while row < HEIGHT - margin:
            text = _words(random, 14)[: int(broad / size * 1.7 * random.choice([1, 1, 1, 0.5]))]
            pen.text((left, row), text, font=font, fill=ink)
            row += int(size * random.choice([1.35, 1.35, 1.35, 2.4]))
    return _photograph(random, page)


def draw_form(random: Random) -> Pixels:
    """A table with rules, numbers and filled heads."""
    page, pen = _paper(random)
    size, ink = int(random.integers(8, 15)), _ink(random)
    font, tall, broad = (
        ImageFont.load_default(size),
        size + int(random.integers(6, 16)),
        int(random.integers(55, 130)),
    )
    shade = tuple(int(value) for value in random.integers(150, 240, 3))
    pen.rectangle((15, 15, WIDTH - 15, 15 + tall), fill=shade)
    for top in range(15, HEIGHT - 20, tall):
        pen.line((15, top, WIDTH - 15, top), fill=ink)
        for left in range(15, WIDTH - 20, broad):
            pen.text((left + 4, top + 2), _words(random, 1)[: broad // size], font=font, fill=ink)
    for left in range(15, WIDTH - 14, broad):
        pen.line((left, 15, left, HEIGHT - 20), fill=ink)
    return _photograph(random, page)


def draw_receipt(random: Random) -> Pixels:
    """A strip of paper with short lines on a table."""
    table = tuple(int(value) for value in random.integers(20, 200, 3))
    page, pen = _paper(random)
    left = int(random.integers(60, 130))
    pen.rectangle((0, 0, left, HEIGHT), fill=table)
    pen.rectangle((WIDTH - left, 0, WIDTH, HEIGHT), fill=table)
    font, ink = ImageFont.load_default(12), _ink(random)
    for top in range(10, HEIGHT - 15, 17):
        pen.text((left + 12, top), _words(random, 2)[:22], font=font, fill=ink)
        pen.text((WIDTH - left - 60, top), f"{random.uniform(0, 300):.2f}", font=font, fill=ink)
    return _photograph(random, page)


def draw_screen(random: Random) -> Pixels:
    """Windows, buttons and a sidebar, dark or light, without a camera."""
    dark = random.random() < 0.4
    low, high = (15, 60) if dark else (215, 256)
    back = tuple(int(value) for value in random.integers(low, high, 3))
    ink = (225, 225, 225) if dark else (40, 40, 45)
    page = Image.new("RGB", (WIDTH, HEIGHT), back)
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(12)
    colours = [tuple(int(value) for value in random.integers(0, 256, 3)) for _ in range(4)]
    pen.rectangle((0, 0, WIDTH, 30), fill=colours[0])
    pen.rectangle((0, 30, int(random.integers(60, 150)), HEIGHT), fill=colours[1])
    for _ in range(int(random.integers(4, 14))):
        left, top = int(random.integers(100, WIDTH - 90)), int(random.integers(40, HEIGHT - 40))
        pen.rounded_rectangle((left, top, left + 90, top + 26), 5, fill=colours[int(random.integers(2, 4))])
        pen.text((left + 6, top + 6), _words(random, 1), font=font, fill=ink)
    for top in range(40, HEIGHT, 22):
        pen.text((8, top), _words(random, 1), font=font, fill=ink)
        pen.text((170, top), _words(random, 5), font=font, fill=ink)
    return np.asarray(page)


def _photograph(random: Random, page: Image.Image) -> Pixels:
    """The page as a scanner or a telephone sees it: turned a little, unevenly lit, with some noise."""
    if random.random() < 0.3:
        return np.asarray(page)
    turned = page.rotate(
        float(random.uniform(-8, 8)), Image.Resampling.BILINEAR, fillcolor=page.getpixel((2, 2))
    )
    across, down = np.meshgrid(np.linspace(-1, 1, WIDTH), np.linspace(-1, 1, HEIGHT))
    light = 1 + random.uniform(-0.15, 0.15) * across + random.uniform(-0.15, 0.15) * down
    warm = 1 + random.uniform(-0.06, 0.06) * np.array([1.0, 0.0, -1.0])
    return _clip(np.asarray(turned) * light[..., None] * warm + random.normal(0, 3, (HEIGHT, WIDTH, 3)))


def _clip(values: Float[np.ndarray, "height width 3"]) -> Pixels:
    return np.asarray(np.clip(np.rint(values), 0, 255).astype(np.uint8))


def draw_noise(random: Random) -> Pixels:
    """White, grey, coloured or cloudy noise of any strength."""
    kind = int(random.integers(4))
    if kind == 0:
        return np.asarray(random.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8))
    if kind == 1:
        return _clip(np.repeat(random.normal(128, random.uniform(20, 70), (HEIGHT, WIDTH, 1)), 3, axis=2))
    sheet = random.standard_normal((HEIGHT, WIDTH, 3))
    if kind == 2:
        return _clip(random.uniform(40, 215, 3) + sheet * random.uniform(25, 60, 3))
    grain = float(random.uniform(2, 25))
    cloud = ndimage.gaussian_filter(sheet, (grain, grain, 0), mode="wrap")
    return _clip(128 + cloud / cloud.std() * random.uniform(30, 70))


def draw_flat(random: Random) -> Pixels:
    """One colour, or two that run into each other, anywhere in the colour cube."""
    first, second = random.uniform(0, 255, 3), random.uniform(0, 255, 3)
    if random.random() < 0.5:
        second = first
    ramp = np.linspace(0, 1, WIDTH)[None, :, None] * np.ones((HEIGHT, 1, 1))
    return _clip(
        first * (1 - ramp) + second * ramp + random.normal(0, random.choice([0, 1]), (HEIGHT, WIDTH, 3))
    )


DRAWN: Mapping[str, tuple[Callable[[Random], Pixels], ...]] = MappingProxyType(
    {
        "documents": (draw_page, draw_form, draw_receipt),
        "screens": (draw_screen,),
        "noise": (draw_noise,),
        "flat colours": (draw_flat,),
    }
)
"""Set -> how its pictures are drawn, in turn."""


def draw_set(name: str, count: int, *, seed: int = 0) -> list[SkinImage]:
    """`count` pictures of a set of `DRAWN`; the same ones for the same seed."""
    random = np.random.default_rng([seed, sorted(DRAWN).index(name)])
    return [as_photo(DRAWN[name][i % len(DRAWN[name])](random)) for i in range(count)]


def as_photo(pixels: Pixels) -> SkinImage:
    """Pixels as a photo that came from no file."""
    kept = np.ascontiguousarray(pixels)
    return SkinImage(kept, hashlib.sha256(kept.tobytes()).hexdigest())


def read_folder(folder: Path, *, crops: bool = False) -> list[SkinImage]:
    """Every photo below a folder; with `crops` also its four quarters."""
    paths = sorted(
        path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png", ".webp")
    )
    return [photo for path in paths for photo in _cut(read_image(path), crops=crops)]


def _cut(photo: SkinImage, *, crops: bool) -> Iterator[SkinImage]:
    picture = Image.fromarray(np.ascontiguousarray(photo.pixels))
    parts = [picture]
    if crops:
        width, height = picture.size
        parts += [
            picture.crop((left, top, left + width // 2, top + height // 2))
            for left in (0, width - width // 2)
            for top in (0, height - height // 2)
        ]
    for part in parts:
        part.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
        yield as_photo(np.asarray(part))
