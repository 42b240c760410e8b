"""Draws a phantom from its plan: skin, lesions, then everything that lies above them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage, special

from dermaxai.errors import SettingError
from dermaxai.phantom import scene
from dermaxai.phantom.plan import COLOURS, PhantomPlan, caption_plan
from dermaxai.phantom.shape import Outline, divide_colours, place_outlines
from dermaxai.types import Language, SkinImage

if TYPE_CHECKING:
    from jaxtyping import Bool, Float32

    Mask = Bool[np.ndarray, "height width"]
    Colour = Float32[np.ndarray, "height width 3"]

SMALLEST_SIDE = 160
HALF_COVERED = 0.5
"""Of the light that an artefact takes, from where on a pixel counts as the artefact's."""


@dataclass(frozen=True, slots=True, eq=False)
class Phantom:
    """A drawn dermoscopic photo and everything that is true of it."""

    image: SkinImage
    mask: Mask
    """All lesions."""
    lesion_masks: tuple[Mask, ...]
    colour_masks: Mapping[str, Mask]
    """The area of each colour of the plan, over all lesions; together they are `mask`."""
    plan: PhantomPlan
    captions: Mapping[Language, str]
    artefact_masks: Mapping[str, Mask] = field(default_factory=dict)
    """What was drawn above skin and lesions, of 'hair', 'ruler' and 'border' (dark corners): each pixel that
    is covered by half or more of what the artefact covers at most."""


def draw_phantom(plan: PhantomPlan, seed: int, *, height: int = 450, width: int = 600) -> Phantom:
    """The phantom of a plan; the same seed gives the same pixels.

    Outlines are measured and drawn again until symmetry, border and size are as planned, so the captions
    are true. Raises: SettingError for a photo too small for the plan.
    """
    if min(height, width) < SMALLEST_SIDE:
        raise SettingError(
            f"A phantom is at least {SMALLEST_SIDE} pixels high and wide, not {width} x {height}."
        )
    random = np.random.default_rng([seed, height, width])
    outlines = place_outlines(plan, random, (height, width))
    photo = scene.draw_skin(random, (height, width), _choose_skin(plan, random))
    areas = [_divide(plan, random, outline, index) for index, outline in enumerate(outlines)]
    for outline, parts in zip(outlines, areas, strict=True):
        photo = _paint_lesion(plan, random, photo, (outline, parts))
    photo, covers = _cover(plan, random, scene.light_unevenly(random, photo))
    pixels = np.clip(np.rint(photo), 0, 255).astype(np.uint8)
    masks = tuple(outline.mask for outline in outlines)
    colours = {name: np.logical_or.reduce([a[i] for a in areas]) for i, name in enumerate(plan.colours)}
    captions: dict[Language, str] = {"en": caption_plan(plan, "en"), "ru": caption_plan(plan, "ru")}
    return Phantom(
        image=SkinImage(
            pixels, hashlib.sha256(pixels.tobytes()).hexdigest(), notes=(f"phantom, seed {seed}",)
        ),
        mask=np.logical_or.reduce(masks),
        lesion_masks=masks,
        colour_masks=MappingProxyType(colours),
        plan=plan,
        captions=MappingProxyType(captions),
        artefact_masks=MappingProxyType({name: _mostly(cover) for name, cover in covers.items()}),
    )


def _divide(plan: PhantomPlan, random: np.random.Generator, outline: Outline, index: int) -> list[Mask]:
    if not plan.apart:
        return divide_colours(plan, random, outline)
    return [outline.mask & (number == index) for number in range(len(plan.colours))]


def _choose_skin(plan: PhantomPlan, random: np.random.Generator) -> tuple[int, int, int]:
    """A tone from which the dominant colour stands out."""
    lesion = np.array(COLOURS[plan.colours[0]], float)
    apart = [tone for tone in scene.SKIN_TONES if np.linalg.norm(lesion - tone) > 65]
    tones = apart or [min(scene.SKIN_TONES, key=lambda tone: -float(np.linalg.norm(lesion - tone)))]
    tone = tones[int(random.integers(len(tones)))]
    return tone[0], tone[1], tone[2]


def _paint_lesion(
    plan: PhantomPlan,
    random: np.random.Generator,
    photo: Colour,
    lesion: tuple[Outline, list[Mask]],
) -> Colour:
    outline, parts = lesion
    softness = random.uniform(3.0, 6.0) if plan.border == "regular" else random.uniform(1.8, 3.5)
    rim = np.clip(outline.depth / (0.3 * outline.frame.radius), 0, 1)
    cover = (special.expit(outline.depth / softness) * (0.84 + 0.16 * rim))[..., None]
    paint = _blend_colours(plan, parts, random.uniform(2.0, 0.05 * outline.frame.radius + 2.5))
    paint = paint * _texture(plan, random, outline)[..., None]
    paint = paint * (1 + _blush(random, outline))
    texture_of_skin = photo - ndimage.gaussian_filter(photo, (6, 6, 0))
    return np.asarray(photo * (1 - cover) + (paint + 0.5 * texture_of_skin) * cover, np.float32)


def _blend_colours(plan: PhantomPlan, parts: list[Mask], softness: float) -> Colour:
    """Colours run into each other over `softness` pixels; outside the lesion the nearest one goes on."""
    lesion = np.logical_or.reduce(parts)
    rows, columns = ndimage.distance_transform_edt(~lesion, return_distances=False, return_indices=True)
    paint = np.zeros((*lesion.shape, 3), np.float32)
    for name, part in zip(plan.colours, parts, strict=True):
        spread = part[rows, columns].astype(np.float32)
        paint += ndimage.gaussian_filter(spread, softness)[..., None] * np.array(COLOURS[name], np.float32)
    return paint


def _blush(random: np.random.Generator, outline: Outline) -> Colour:
    """Clouds of redness, so that no colour is quite the same everywhere; share of each channel."""
    size = outline.mask.shape
    clouds = scene.smooth_noise(random, size, 0.2 * outline.frame.radius + 2)
    clouds = clouds + scene.smooth_noise(random, size, 5)
    return np.asarray(clouds[..., None] * np.array([0.018, -0.018, -0.01]), np.float32)


def _texture(
    plan: PhantomPlan, random: np.random.Generator, outline: Outline
) -> Float32[np.ndarray, "height width"]:
    """Brightness factor around 1: clouds, and a pigment network or globules in brown and black lesions."""
    size = outline.mask.shape
    clouds = 0.075 * scene.smooth_noise(random, size, 0.12 * outline.frame.radius + 3)
    fine = 0.04 * scene.smooth_noise(random, size, 2.5)
    kind = random.choice(["network", "globules", "plain"], p=[0.5, 0.3, 0.2])
    if kind == "plain" or "brown" not in plan.colours[0]:
        return np.asarray(1 + clouds + fine, np.float32)
    net = scene.mesh(random, size, random.uniform(7, 11))
    net = net * np.clip(0.6 + 0.6 * scene.smooth_noise(random, size, 22), 0, 1.1)
    net = ndimage.gaussian_filter(net, 1.1)
    net = (net - net[outline.mask].mean()) * random.uniform(0.25, 0.42)
    return np.asarray(1 + clouds + fine + (net if kind == "globules" else -net), np.float32)


def _cover(
    plan: PhantomPlan, random: np.random.Generator, photo: Colour
) -> tuple[Colour, dict[str, Float32[np.ndarray, "height width"]]]:
    """What lies between skin and camera, and how much of each pixel it covers."""
    covers = {}
    photo, hair = scene.draw_hairs(random, photo, plan.hairs)
    if plan.hairs:
        covers["hair"] = hair
    if plan.bubbles:
        photo = scene.draw_bubbles(random, photo, plan.bubbles)
    if plan.ruler:
        photo, covers["ruler"] = scene.draw_ruler(random, photo)
    if plan.vignette:
        photo, covers["border"] = scene.darken_corners(random, photo)
    return scene.add_grain(random, photo), covers


def _mostly(cover: Float32[np.ndarray, "height width"]) -> Mask:
    most = float(np.max(cover, initial=0))
    return np.asarray((cover >= HALF_COVERED * most) & (cover > 0))
