"""Thin dark lines in a photo, as hairs and ruler ticks are: how dark they are, and which of them are long."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Shaped, UInt8

Grey = UInt8[np.ndarray, "height width"]
Mask = Bool[np.ndarray, "height width"]
Offset = tuple[int, int]
Values = Shaped[np.ndarray, "height width"]
SQUARE: list[Offset] = [(row, column) for row in (-1, 0, 1) for column in (-1, 0, 1)]

CLOSING = 13
"""Length of the line elements that close a dark line, pixels: lines up to about half of it are found."""
ORIENTATIONS = 32
"""Of the elements that ask whether a line is long: a line of two pixels fits in one of them."""
EVERY = 2
"""Pixels along such an element from one that is looked at to the next."""


def darkness_of_lines(light: Grey) -> Grey:
    """How much darker a pixel is than what a line element across it closes: black-hat, 0 to 255.

    The largest of four closings, along rows, columns and both diagonals, minus the photo.
    Source: DullRazor (doi 10.1016/S0010-4825(97)00020-6), generalised grey closing, with longer elements.
    """
    closed = light.copy()
    for number in range(4):
        element = line_element(np.pi * number / 4, CLOSING)
        widened = _over(light, element, np.maximum)
        np.maximum(closed, _over(widened, element, np.minimum), out=closed)
    return np.asarray(closed - light)


def long_lines(dark: Mask, length: int, filled: float) -> Mask:
    """Pixels of `dark` on a straight piece of `length` pixels of which the share `filled` is dark.

    Where the element across is more than half filled too there is no line but an area or a net.
    Source: DullRazor, its test that a hair is long and thin, with line elements instead of a walk.
    """
    elements = [line_element(np.pi * turn / ORIENTATIONS, length, EVERY) for turn in range(ORIENTATIONS)]
    counts = [np.zeros(dark.shape, np.uint8) for _ in elements]
    numbers = dark.astype(np.uint8)
    for count, element in zip(counts, elements, strict=True):
        for part in _shifted(numbers, element, "constant"):
            count += part
    found = np.zeros_like(dark)
    for number, element in enumerate(elements):
        across = (number + ORIENTATIONS // 2) % ORIENTATIONS
        thin = counts[across] <= len(elements[across]) / 2
        centres = (counts[number] >= filled * len(element)) & thin
        if centres.any():
            for part in _shifted(centres, element, "constant"):
                found |= part
    return np.asarray(_over(found, SQUARE, np.logical_or) & dark)


def line_element(angle: float, length: int, every: int = 1) -> list[Offset]:
    """Rows and columns of a straight line through (0, 0), symmetric, about `length` pixels long.

    `every`: the distance of the pixels along it.

    >>> line_element(0, 3)
    [(0, -1), (0, 0), (0, 1)]
    """
    half = np.arange(every, length // 2 + 1, every)
    down, across = np.rint(-np.sin(angle) * half).astype(int), np.rint(np.cos(angle) * half).astype(int)
    ends = set(zip(down.tolist(), across.tolist(), strict=True))
    return sorted(ends | {(-row, -column) for row, column in ends} | {(0, 0)})


def _over(light: Values, element: Sequence[Offset], join: np.ufunc) -> np.ndarray[Any, Any]:
    """The largest or smallest value under an element that is put on every pixel; the rim is repeated."""
    parts = _shifted(light, element, "edge")
    result = next(parts).copy()
    for part in parts:
        join(result, part, out=result)
    return result


def _shifted(
    values: Values, element: Sequence[Offset], rim: Literal["edge", "constant"]
) -> Iterator[np.ndarray[Any, Any]]:
    """Views of an array, moved by each offset; outside it is the rim's value, or 0."""
    reach = max(max(abs(row), abs(column)) for row, column in element)
    wide = np.pad(values, reach, mode=rim)
    height, width = values.shape
    for row, column in element:
        yield wide[reach + row : reach + row + height, reach + column : reach + column + width]
