"""What a phantom shall show, and how that is said in English and Russian."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np

from dermaxai.errors import SettingError, UsageError
from dermaxai.types import Language

Size = Literal["small", "medium", "large"]
Symmetry = Literal["symmetric", "asymmetric"]
Border = Literal["regular", "irregular"]

COLOURS: Mapping[str, tuple[int, int, int]] = MappingProxyType(
    {
        "light brown": (172, 106, 80),
        "dark brown": (104, 54, 46),
        "black": (44, 34, 36),
        "red": (166, 58, 62),
        "pink": (206, 104, 114),
        "blue-grey": (112, 117, 136),
        "white": (232, 219, 215),
    }
)
"""The colours of the ABCD rule (red in two strengths), 8-bit sRGB."""

SIZE_SHARES: Mapping[Size, tuple[float, float]] = MappingProxyType(
    {"small": (0.0, 0.08), "medium": (0.08, 0.25), "large": (0.25, 1.0)}
)
"""Area of all lesions as a share of the photo: from, up to."""

MOST_LESIONS = 3


@dataclass(frozen=True, slots=True)
class PhantomPlan:
    """Everything a phantom's caption may state.

    `colours` are names from `COLOURS`, the dominant one first, none twice. `size` is the area of all
    lesions together. Raises: SettingError for a value outside its range.
    """

    size: Size
    symmetry: Symmetry
    border: Border
    colours: tuple[str, ...]
    hairs: int = 0
    ruler: bool = False
    lesions: int = 1
    vignette: bool = False
    bubbles: int = 0
    apart: bool = False
    """Each lesion has one colour of its own, in the order of `colours`, instead of all of them."""

    def __post_init__(self) -> None:
        _check_choice("size", self.size, tuple(SIZE_SHARES))
        _check_choice("symmetry", self.symmetry, ("symmetric", "asymmetric"))
        _check_choice("border", self.border, ("regular", "irregular"))
        for colour in self.colours:
            _check_choice("colour", colour, tuple(COLOURS))
        if not 1 <= len(self.colours) <= 4 or len(set(self.colours)) < len(self.colours):
            raise SettingError(f"A phantom has 1 to 4 different colours, not {self.colours}.")
        if not 1 <= self.lesions <= MOST_LESIONS:
            raise SettingError(f"A phantom has 1 to {MOST_LESIONS} lesions, not {self.lesions}.")
        if self.apart and len(self.colours) != self.lesions:
            raise SettingError(f"One colour for each of {self.lesions} lesions, not {self.colours}.")
        if not (0 <= self.hairs <= 60 and 0 <= self.bubbles <= 60):
            raise SettingError(f"Hairs and bubbles go from 0 to 60, not {self.hairs} and {self.bubbles}.")


def _check_choice(kind: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise SettingError(f"A phantom's {kind} is one of {', '.join(known)}, not '{value}'.")


def sample_plans(n: int, seed: int) -> list[PhantomPlan]:
    """`n` varied, plausible plans; the same list for the same seed.

    >>> sample_plans(3, seed=1) == sample_plans(5, seed=1)[:3]
    True
    """
    random = np.random.default_rng([seed, 1])
    return [_sample_plan(random) for _ in range(n)]


_COMPANIONS = {
    "light brown": ["dark brown", "black", "pink", "blue-grey", "white"],
    "dark brown": ["light brown", "black", "blue-grey", "red", "white"],
    "black": ["dark brown", "light brown", "blue-grey", "red"],
    "red": ["pink", "dark brown", "white", "black"],
    "pink": ["light brown", "red", "white", "blue-grey"],
}
"""Colours that are seen together."""


def _sample_plan(random: np.random.Generator) -> PhantomPlan:
    base = str(
        random.choice(["light brown", "dark brown", "black", "red", "pink"], p=[0.34, 0.34, 0.1, 0.12, 0.1])
    )
    others = _COMPANIONS[base]
    extra = random.choice(others, size=int(random.choice(3, p=[0.4, 0.4, 0.2])), replace=False)
    sizes: tuple[Size, ...] = ("small", "medium", "large")
    return PhantomPlan(
        size=sizes[int(random.choice(3, p=[0.3, 0.4, 0.3]))],
        symmetry="asymmetric" if random.random() < 0.5 else "symmetric",
        border="irregular" if random.random() < 0.5 else "regular",
        colours=(base, *map(str, extra)),
        hairs=int(random.integers(2, 14)) if random.random() < 0.35 else 0,
        ruler=bool(random.random() < 0.2),
        lesions=int(random.choice([1, 2, 3], p=[0.86, 0.1, 0.04])),
        vignette=bool(random.random() < 0.3),
        bubbles=int(random.integers(2, 9)) if random.random() < 0.15 else 0,
    )


def caption_plan(plan: PhantomPlan, language: Language) -> str:
    """The plan as exact sentences, without any diagnosis. Raises: UsageError for another language.

    >>> caption_plan(PhantomPlan("large", "symmetric", "regular", ("black",), hairs=3), "en")
    'A large symmetric lesion with a regular border, black. Hairs are visible.'
    >>> caption_plan(PhantomPlan("small", "asymmetric", "irregular", ("red", "white")), "ru")
    'Асимметричное образование малого размера с неровной границей, красного и белого цветов.'
    """
    if language not in ("en", "ru"):
        raise UsageError(f"Phantoms are described in 'en' and 'ru', not in '{language}'.")
    first = _english(plan) if language == "en" else _russian(plan)
    return " ".join([first, *_surroundings(plan, language)])


def _english(plan: PhantomPlan) -> str:
    colours = _listed(plan.colours, "and")
    if plan.lesions == 1:
        border = f"{'an' if plan.border == 'irregular' else 'a'} {plan.border} border"
        return f"A {plan.size} {plan.symmetry} lesion with {border}, {colours}."
    number = {2: "Two", 3: "Three"}[plan.lesions]
    if plan.apart:
        colours = _listed([f"one {name}" for name in plan.colours], "and")
    size = f"together {plan.size} in size"
    return f"{number} {plan.symmetry} lesions with {plan.border} borders, {size}, {colours}."


_GENITIVE = {
    "light brown": "светло-коричневого",
    "dark brown": "тёмно-коричневого",
    "black": "чёрного",
    "red": "красного",
    "pink": "розового",
    "blue-grey": "серо-голубого",
    "white": "белого",
}
_SIZE_RU = {"small": "малого", "medium": "среднего", "large": "большого"}


def _russian(plan: PhantomPlan) -> str:
    colours = _listed([_GENITIVE[name] for name in plan.colours], "и")
    colours += " цвета" if len(plan.colours) == 1 else " цветов"
    stem = "Симметричн" if plan.symmetry == "symmetric" else "Асимметричн"
    even = "ровн" if plan.border == "regular" else "неровн"
    size = f"{_SIZE_RU[plan.size]} размера"
    if plan.lesions == 1:
        return f"{stem}ое образование {size} с {even}ой границей, {colours}."
    number = {2: "Два", 3: "Три"}[plan.lesions]
    if plan.apart:
        colours = _listed([f"одно {_GENITIVE[name]} цвета" for name in plan.colours], "и")
    return f"{number} {stem.lower()}ых образования с {even}ыми границами, вместе {size}, {colours}."


def _surroundings(plan: PhantomPlan, language: Language) -> list[str]:
    sentences = (
        (plan.hairs == 1, "One hair is visible.", "Виден один волос."),
        (plan.hairs > 1, "Hairs are visible.", "Видны волосы."),
        (plan.ruler, "A ruler is visible.", "Видна линейка."),
        (plan.bubbles == 1, "One gel bubble is visible.", "Виден один пузырёк геля."),
        (plan.bubbles > 1, "Gel bubbles are visible.", "Видны пузырьки геля."),
        (plan.vignette, "The corners are dark.", "Углы снимка тёмные."),
    )
    return [english if language == "en" else russian for shown, english, russian in sentences if shown]


def _listed(names: Sequence[str], conjunction: str) -> str:
    if len(names) == 1:
        return names[0]
    return f"{', '.join(names[:-1])} {conjunction} {names[-1]}"
