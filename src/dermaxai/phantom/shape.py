"""Lesion outlines and colour areas as smooth fields over the photo."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from dermaxai.errors import SettingError
from dermaxai.phantom.measures import border_roughness, mirror_overlap
from dermaxai.phantom.plan import COLOURS, SIZE_SHARES, PhantomPlan

if TYPE_CHECKING:
    from jaxtyping import Bool, Float32, Float64

SYMMETRIC_FROM = 0.93
ASYMMETRIC_TO = 0.83
REGULAR_TO = 0.012
IRREGULAR_FROM = 0.03
ATTEMPTS = 80
MARGIN = 6
DRAWN_SHARES = {"small": (0.02, 0.07), "medium": (0.10, 0.22), "large": (0.27, 0.36)}


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """A lesion's own axes: centre and turn in the photo; one unit is the lesion's mean radius."""

    u: Float32[np.ndarray, "height width"]
    v: Float32[np.ndarray, "height width"]
    radius: float
    """Photo pixels."""

    def noise(self, random: np.random.Generator, grain: float) -> Float32[np.ndarray, "height width"]:
        """Smooth noise of unit deviation over the photo, `grain` in mean radii."""
        cells = 192
        sheet = ndimage.gaussian_filter(
            random.standard_normal((cells, cells)), grain * cells / 5, mode="wrap"
        )
        sheet = (sheet / sheet.std()).astype(np.float32)
        places = (np.stack([self.u, self.v]) / 5 + 0.5) * (cells - 1)
        return np.asarray(ndimage.map_coordinates(sheet, places, order=1, mode="nearest"), np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Outline:
    """One lesion: where it lies and how deep inside it every pixel is."""

    frame: Frame
    depth: Float32[np.ndarray, "height width"]
    """Signed distance in pixels to the outline, positive inside."""
    mask: Bool[np.ndarray, "height width"]


def place_outlines(plan: PhantomPlan, random: np.random.Generator, size: tuple[int, int]) -> list[Outline]:
    """Outlines of all lesions of a plan in a photo of (height, width), apart from each other and whole.

    Raises: SettingError where no outline fits the plan in a photo so small.
    """
    share = random.uniform(*DRAWN_SHARES[plan.size])
    if plan.lesions > 1:
        share = min(share, 0.27)
    low, high = SIZE_SHARES[plan.size]
    for _ in range(ATTEMPTS):
        parts = random.dirichlet(np.full(plan.lesions, 60.0)) * share
        outlines = [
            _fitting_outline(plan, random, size, (float(part), index)) for index, part in enumerate(parts)
        ]
        together = np.sum([outline.mask for outline in outlines], axis=0)
        if together.max() == 1 and low <= together.mean() < high:
            return outlines
    raise SettingError(
        f"No place for {plan.lesions} {plan.size} lesions in a photo of {size[1]} x {size[0]}."
    )


def _fitting_outline(
    plan: PhantomPlan, random: np.random.Generator, size: tuple[int, int], part: tuple[float, int]
) -> Outline:
    for _ in range(ATTEMPTS):
        outline = _draw_outline(plan, random, size, part)
        if _fits(outline.mask, plan):
            return outline
    raise SettingError(
        f"No {plan.size} lesion fits a photo of {size[1]} x {size[0]}.", hint="Draw it larger."
    )


def _fits(mask: Bool[np.ndarray, "height width"], plan: PhantomPlan) -> bool:
    """Whether the drawn outline is whole, inside the photo, and as symmetric and smooth as planned."""
    inner = mask[MARGIN:-MARGIN, MARGIN:-MARGIN]
    if inner.sum() < mask.sum() or ndimage.label(mask)[1] != 1:
        return False
    roughness, overlap = border_roughness(mask), mirror_overlap(mask)
    # A small outline is rough by the pixel grid alone.
    stairs = min(0.025, 0.45 / float(np.sqrt(mask.sum() / np.pi)))
    smooth = roughness <= max(REGULAR_TO, stairs) if plan.border == "regular" else roughness >= IRREGULAR_FROM
    if plan.symmetry == "symmetric":
        return smooth and overlap >= SYMMETRIC_FROM
    return smooth and overlap <= ASYMMETRIC_TO


def _draw_outline(
    plan: PhantomPlan, random: np.random.Generator, size: tuple[int, int], part: tuple[float, int]
) -> Outline:
    share, index = part
    frame = _place_frame(plan, random, size, (share, index))
    stretch = random.uniform(1.12, 1.3)
    distance = np.hypot(frame.u / stretch, frame.v * stretch)
    field = distance / _radius_profile(plan, random, np.arctan2(frame.v, frame.u))
    if plan.border == "irregular":
        coarse = 0.012 if plan.symmetry == "symmetric" else random.uniform(0.06, 0.1)
        ragged = coarse * frame.noise(random, 0.13) + 0.03 * frame.noise(random, 0.04)
        field = field * (1 + ragged)
    mask = _largest_part(field < np.quantile(field, share))
    depth = ndimage.distance_transform_edt(mask) - ndimage.distance_transform_edt(~mask)
    return Outline(frame, depth.astype(np.float32), mask)


def _largest_part(mask: Bool[np.ndarray, "height width"]) -> Bool[np.ndarray, "height width"]:
    parts, _ = ndimage.label(mask)
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    return np.asarray(ndimage.binary_fill_holes(parts == int(sizes.argmax())), bool)


def _place_frame(
    plan: PhantomPlan, random: np.random.Generator, size: tuple[int, int], part: tuple[float, int]
) -> Frame:
    """Each lesion has its own upright strip of the photo; one alone may turn freely."""
    height, width = size
    share, index = part
    radius = float(np.sqrt(share * height * width / np.pi))
    strip = width / plan.lesions
    room_y, room_x = max(0.0, height / 2 - 1.35 * radius), max(0.0, strip / 2 - 1.2 * radius)
    y = height / 2 + random.uniform(-0.6, 0.6) * room_y
    x = (index + 0.5) * strip + random.uniform(-0.6, 0.6) * room_x
    turn = random.uniform(0, np.pi) if plan.lesions == 1 else np.pi / 2 + random.uniform(-0.2, 0.2)
    if plan.size == "large" and plan.lesions == 1:
        turn = random.uniform(-0.5, 0.5)
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    rows, columns = (rows - np.float32(y)) / radius, (columns - np.float32(x)) / radius
    u = (columns * np.cos(turn) + rows * np.sin(turn)).astype(np.float32)
    v = (rows * np.cos(turn) - columns * np.sin(turn)).astype(np.float32)
    return Frame(u, v, radius)


def _radius_profile(
    plan: PhantomPlan, random: np.random.Generator, angle: Float32[np.ndarray, "height width"]
) -> Float64[np.ndarray, "height width"]:
    """Radius over direction: coarse lobes for asymmetry, fine waves for an irregular border."""
    profile = np.ones_like(angle, dtype=np.float64)
    symmetric = plan.symmetry == "symmetric"
    for order in (2, 3, 4, 5):
        if symmetric and order % 2:
            continue
        strength = random.uniform(0, 0.05) if symmetric else random.uniform(0.06, 0.34) / np.sqrt(order)
        profile += strength * np.cos(order * angle + _phase(random, symmetric))
    if plan.border == "irregular":
        for order in (8, 10, 12, 14, 16, 18, 20) if symmetric else (7, 8, 9, 11, 13):
            profile += random.uniform(0.012 if symmetric else 0.0, 0.034 if symmetric else 0.02) * np.cos(
                order * angle + _phase(random, symmetric)
            )
    return np.clip(profile, 0.35, None)


def _phase(random: np.random.Generator, symmetric: bool) -> float:
    """Only the phases 0 and pi keep even waves mirrored over both axes."""
    return float(random.choice([0.0, np.pi])) if symmetric else float(random.uniform(0, 2 * np.pi))


def divide_colours(
    plan: PhantomPlan, random: np.random.Generator, outline: Outline
) -> list[Bool[np.ndarray, "height width"]]:
    """One area per colour of the plan, together the lesion: rings if symmetric, patches if not."""
    shares = np.array([1.0] + [0.45] * (len(plan.colours) - 1))
    shares /= shares.sum()
    order = _ring_order(plan) if plan.symmetry == "symmetric" else list(random.permutation(len(shares)))
    field = _colour_field(plan, random, outline)
    inside = field[outline.mask]
    edges = np.quantile(inside, np.cumsum([0.0, *shares[order]]))
    edges[0], edges[-1] = -np.inf, np.inf
    areas: dict[int, Bool[np.ndarray, "height width"]] = {}
    for place, (low, high) in zip(order, itertools.pairwise(edges), strict=True):
        areas[int(place)] = outline.mask & (field >= low) & (field < high)
    return [areas[index] for index in range(len(plan.colours))]


def _colour_field(
    plan: PhantomPlan, random: np.random.Generator, outline: Outline
) -> Float32[np.ndarray, "height width"]:
    frame = outline.frame
    # Wide clouds decide where a colour lies, fine ones keep its edge from being a clean line.
    patches = frame.noise(random, 0.16) + 0.4 * frame.noise(random, 0.05)
    if plan.symmetry == "symmetric":
        return np.asarray(-outline.depth / frame.radius + 0.045 * patches, np.float32)
    turn = random.uniform(0, 2 * np.pi)
    return np.asarray(frame.u * np.cos(turn) + frame.v * np.sin(turn) + 0.4 * patches, np.float32)


def _ring_order(plan: PhantomPlan) -> list[int]:
    """Colours from the centre outwards: scar white, deep blue-grey, then dark to light as in most moles."""

    def rank(index: int) -> int:
        name = plan.colours[index]
        return {"white": -2, "blue-grey": -1}.get(name, sum(COLOURS[name]))

    return sorted(range(len(plan.colours)), key=rank)
