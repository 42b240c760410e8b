"""A synthetic but plausible case: a drawn lesion, a caption in two languages, maps whose answer is known."""

import math

import numpy as np

from dermaxai.geometry import Placement, place_center_crop
from dermaxai.scores import map_names
from dermaxai.types import (
    Caption,
    Case,
    Concept,
    Evidence,
    HeatMap,
    Outside,
    Provenance,
    Score,
    SkinImage,
    Target,
    Word,
)

HEIGHT, WIDTH = 300, 400
CENTRE = (120.0, 235.0)
ENGLISH = "a large asymmetric dark brown lesion with an irregular border"
RUSSIAN = "крупное асимметричное тёмно-коричневое образование с неровной границей"
FROM_LANGUAGE = {"a", "with", "an"}


def draw_photo(height: int = HEIGHT, width: int = WIDTH, centre: tuple[float, float] = CENTRE) -> SkinImage:
    """Skin with a soft lesion at `centre` (y, x)."""
    generator = np.random.default_rng(7)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    angle = np.arctan2(y - centre[0], x - centre[1])
    radius = 62 * (1 + 0.16 * np.sin(3 * angle + 0.5) + 0.07 * np.sin(7 * angle)) * height / HEIGHT
    inside = 1 / (1 + np.exp((np.hypot(y - centre[0], x - centre[1]) - radius) / 3))
    blotch = 0.5 + 0.5 * np.sin(x / 11 + 2 * np.sin(y / 17)) * np.cos(y / 13)
    skin = np.stack([224 - 0.03 * x, 178 - 0.02 * y, 156 - 0.02 * x], axis=-1)
    lesion = np.stack([92 + 46 * blotch, 58 + 30 * blotch, 44 + 18 * blotch], axis=-1)
    grain = generator.normal(0, 3, (height, width, 1))
    pixels = skin * (1 - inside[..., None]) + lesion * inside[..., None] + grain
    removed = ("GPSInfo", "DateTime")
    return SkinImage(pixels.clip(0, 255).astype(np.uint8), "7f3a" * 16, "JPEG", removed, ("turned upright",))


def write_caption(text: str, language: str) -> Caption:
    words, start, position = [], 0, 0
    for index, part in enumerate(text.split(" ")):
        logprob = -0.02 - 0.9 * (index % 4 == 2) - 0.15 * (index % 3)
        words.append(Word(part, start, start + len(part), (position, position + 1), logprob))
        start, position = start + len(part) + 1, position + 2
    logprobs = tuple(word.logprob / 2 for word in words for _ in range(2))
    return Caption(text, language, tuple(words), (*range(5, 5 + position), 1), (*logprobs, -0.01))


def blob(
    placement: Placement, grid: tuple[int, int], centre: tuple[float, float], spread: float
) -> np.ndarray:
    """A Gaussian over photo point `centre`, as cells of the grid."""
    values = np.zeros(grid, np.float32)
    for row in range(grid[0]):
        for column in range(grid[1]):
            top, left, bottom, right = placement.cell(row, column, grid)
            away = math.hypot((top + bottom) / 2 - centre[0], (left + right) / 2 - centre[1])
            values[row, column] = math.exp(-((away / spread) ** 2))
    return values


def make_case(
    *,
    methods: tuple[str, ...] = ("grad_eclip", "evidence"),
    outside: bool = True,
    placement: Placement | None = None,
) -> Case:
    """Two methods by default: one unsigned, one signed; the word 'large' has an all-zero map."""
    image, caption = draw_photo(), write_caption(ENGLISH, "en")
    place = placement or place_center_crop(HEIGHT, WIDTH)
    evidence = tuple(
        Evidence(
            index,
            -0.1 if word.text in FROM_LANGUAGE else 0.4 + 0.6 * (index % 5),
            word.text not in FROM_LANGUAGE,
        )
        for index, word in enumerate(caption.words)
    )
    maps = tuple(
        _map(method, index, word.text, place)
        for method in methods
        for index, word in enumerate(caption.words)
        if word.text not in FROM_LANGUAGE
    )
    query = HeatMap(
        blob(place, (14, 14), (220, 120), 40),
        methods[0],
        Target("query", "</script> pigment <b>network</b>"),
        place,
        "cosine",
        "last block, attention",
        "corrected",
        0.2,
    )
    everything = (*maps, query)
    return Case(
        image,
        (caption, write_caption(RUSSIAN, "ru")),
        _provenance(),
        everything,
        evidence,
        (
            Concept("irregular streaks", 0.41, (8, 9)),
            Concept("dark brown colour", 0.27, (3, 4)),
            Concept("ruler", 0.09),
        ),
        (*_judge(everything), *_check(methods)),
        Outside(outside, 4.21, 3.1, "Mahalanobis distance of the embedding to the training photos"),
        ("The photo is slightly blurred; border words are less certain.",),
    )


def _judge(maps: tuple[HeatMap, ...]) -> list[Score]:
    """Deletion and insertion of every map: the first is worse than random, the last undecided."""
    protocol = "removal=tokens, steps=20, random_maps=20, passes=model, seed=0"
    scores = []
    for place, name in enumerate(map_names(maps)):
        for metric, sign in (("deletion", -1), ("insertion", 1)):
            base = 0.5 + 0.0137 * (place % 9)
            better = -0.21 if place == 0 else 0.04 if place == len(maps) - 1 else 0.2468 + 0.00113 * place
            verdict = "no" if better < 0 else "yes" if better > 0.1 else "undecided"
            value = base + sign * better
            spread = 0.01 if maps[place].values.max() == 0 else 0.0
            range_ = base, base - 0.1031, base + 0.0972
            numbers = value, value - spread, value + spread, 5 if spread else 1
            scores.append(Score(metric, *numbers, name, *range_, verdict, protocol))
    return scores


def _check(methods: tuple[str, ...]) -> list[Score]:
    """Four checks of every method, one of them failed, and that of the words."""
    values = {"random_weights": 0.31, "wrong_question": -0.18, "blank_photo": 0.07, "mirrored_photo": 0.84}
    limits = {"random_weights": 0.2, "wrong_question": 0.5, "blank_photo": 0.5, "mirrored_photo": 0.5}
    checks = [
        Score(
            f"sanity_{name}",
            value + 0.013 * index,
            value - 0.061,
            value + 0.113,
            7,
            method,
            limits[name],
            verdict="no" if name == "random_weights" else "yes",
        )
        for index, method in enumerate(methods)
        for name, value in values.items()
    ]
    return [*checks, Score("sanity_blank_words", 0.02, 0.0, 0.06, 7, "caption", 0.1, verdict="yes")]


def _map(method: str, index: int, text: str, place: Placement) -> HeatMap:
    shift = 34 * math.cos(index), 34 * math.sin(index)
    values = blob(place, (14, 14), (CENTRE[0] + shift[0], CENTRE[1] + shift[1]), 38) * (0.02 + 0.01 * index)
    scalar, layer = "cosine", "last block, attention"
    if method == "evidence":
        values -= 0.6 * blob(place, (14, 14), (230, 100), 45) * (0.02 + 0.01 * index)
        scalar, layer = "word log-probability", "Q-Former keys and values"
    if text == "large":
        values = np.zeros_like(values)
    return HeatMap(values, method, Target("word", text, index), place, scalar, layer, "corrected", 0.031)


def _provenance() -> Provenance:
    return Provenance(
        dermaxai="0.1.0",
        encoder="demo",
        encoder_sha256="ab" * 32,
        captioner="demo",
        captioner_sha256="cd" * 32,
        settings={"beams": "1", "language": "en"},
        versions={"python": "3.11.2", "torch": "2.9.0"},
        licence="CC BY-NC 4.0",
        command="dermaxai explain lesion.jpg -m grad_eclip,evidence",
    )
