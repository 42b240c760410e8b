"""What can be measured in a dermoscopic photo: the lesion's outline, size, symmetry, border and colours.

Everything is computed in the square an encoder sees (the photo's centre, 224 x 224 px), so that the same
photo at another resolution gives the same words.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, UInt8
from scipy import ndimage

from dermaxai.colour import FRAME as FRAME
from dermaxai.colour import to_frame as to_frame
from dermaxai.colour import to_lab as to_lab

Size = Literal["small", "medium", "large"]
Symmetry = Literal["symmetric", "asymmetric"]
Border = Literal["regular", "irregular"]


@dataclass(frozen=True, slots=True, eq=False)
class Segmentation:
    """The lesion's outline."""

    mask: Bool[np.ndarray, "224 224"]
    contrast: float
    """Distance of lesion from skin, CIELAB units."""
    touches: float
    """Share of the outline that lies on the rim of the photo, 0 to 1."""


def remove_hair(lab: Float[np.ndarray, "h w 3"]) -> Float[np.ndarray, "h w 3"]:
    """Thin dark lines replaced by the mean of the skin around them.

    Source: black-hat of DullRazor (Lee et al. 1997, doi 10.1016/S0010-4825(97)00020-6), square element.
    """
    light = lab[..., 0]
    hair = _dilate(ndimage.grey_closing(light, size=(9, 9)) - light > 12, 1)
    if not 0 < hair.mean() < 0.25:
        return lab
    known = (~hair).astype(np.float32)
    weight = ndimage.gaussian_filter(known, 4.0) + 1e-6
    filled = np.stack([ndimage.gaussian_filter(lab[..., c] * known, 4.0) / weight for c in range(3)], axis=-1)
    return np.where(hair[..., None], filled, lab)


def _erode(mask: Bool[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """One step of erosion with the four neighbours; pixels beyond the rim count as set."""
    kept = mask.copy()
    kept[1:] &= mask[:-1]
    kept[:-1] &= mask[1:]
    kept[:, 1:] &= mask[:, :-1]
    kept[:, :-1] &= mask[:, 1:]
    return kept


def _dilate(mask: Bool[np.ndarray, "h w"], radius: int) -> Bool[np.ndarray, "h w"]:
    """Dilation by a square of `2 * radius + 1` pixels."""
    return np.asarray(ndimage.maximum_filter(mask.astype(np.uint8), size=2 * radius + 1) > 0)


def _fill(mask: Bool[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """The mask with its holes filled."""
    background, _ = ndimage.label(~mask)
    rim = np.unique(np.concatenate([background[0], background[-1], background[:, 0], background[:, -1]]))
    return np.asarray(~np.isin(background, rim[rim > 0]))


def _disk(radius: int) -> Bool[np.ndarray, "d d"]:
    y, x = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    return np.asarray(y * y + x * x <= radius * radius)


def find_vignette(light: Float[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """Dark corners and frame of the dermoscope: very dark, and connected to a corner."""
    dark = light < 25
    labels, _ = ndimage.label(dark)
    corners = {labels[0, 0], labels[0, -1], labels[-1, 0], labels[-1, -1]} - {0}
    vignette = np.isin(labels, list(corners))
    return _dilate(vignette, 5) if vignette.any() else vignette


def _skin_colour(
    lab: Float[np.ndarray, "h w 3"], usable: Bool[np.ndarray, "h w"]
) -> Float[np.ndarray, "h w 3"]:
    """A plane of skin colour through the lighter half of the photo's rim."""
    side = lab.shape[0]
    rim = np.zeros((side, side), bool)
    width = side // 9
    rim[:width], rim[-width:], rim[:, :width], rim[:, -width:] = True, True, True, True
    chosen = rim & usable
    if chosen.sum() < 400:
        chosen = usable if usable.sum() >= 400 else np.ones_like(usable)
    bright = lab[..., 0] >= np.percentile(lab[..., 0][chosen], 35)
    y, x = np.nonzero(chosen & bright)
    scale = side / 2
    design = np.stack([np.ones_like(y), y / scale - 1, x / scale - 1], axis=1).astype(np.float64)
    ridge = np.diag([0.0, 1.0, 1.0]) * 0.15 * len(y)
    plane = np.linalg.solve(design.T @ design + ridge, design.T @ lab[y, x])
    gy, gx = np.mgrid[0:side, 0:side] / scale - 1
    return np.asarray(plane[0] + gy[..., None] * plane[1] + gx[..., None] * plane[2])


def find_stickers(lab: Float[np.ndarray, "h w 3"]) -> Bool[np.ndarray, "h w"]:
    """Coloured markers and gauze at the photo's rim: hues of neither skin nor lesion, or flat orange."""
    light, green_red, blue_yellow = lab[..., 0], lab[..., 1], lab[..., 2]
    chroma = np.hypot(green_red, blue_yellow)
    foreign = (green_red < -8) | ((blue_yellow < -14) & (chroma > 22) & (light > 30))
    foreign |= (blue_yellow > 42) & (light > 45) | ((chroma > 55) & (light > 35))
    labels, count = ndimage.label(_dilate(_erode(_erode(foreign)), 1))
    if count == 0:
        return np.zeros(foreign.shape, bool)
    rim = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    stickers = np.isin(labels, rim[rim > 0])
    if stickers.mean() > 0.45:
        return np.zeros(foreign.shape, bool)
    return _dilate(stickers, 6)


def _skin_distance(
    lab: Float[np.ndarray, "h w 3"], usable: Bool[np.ndarray, "h w"]
) -> Float[np.ndarray, "h w"]:
    """How much darker, redder or bluer than skin; lighter and yellower count little."""
    smooth = np.stack([ndimage.gaussian_filter(lab[..., c], 1.6) for c in range(3)], axis=-1)
    delta = smooth - _skin_colour(smooth, usable)
    darker, lighter = np.maximum(-delta[..., 0], 0), np.maximum(delta[..., 0], 0)
    redder, bluer = np.maximum(delta[..., 1], 0), np.maximum(-delta[..., 2], 0)
    distance = np.sqrt(darker**2 + 0.3 * lighter**2 + redder**2 + 0.3 * bluer**2)
    return np.asarray(np.where(usable, distance, 0))


def _lesion_likeness(mask: Bool[np.ndarray, "h w"], gradient: Float[np.ndarray, "h w"]) -> float:
    """Steep edge, near the centre, compact, large, off the rim: the product of the five."""
    side = mask.shape[0]
    edge = mask & ~_erode(mask)
    y, x = np.nonzero(mask)
    off_centre = (y.mean() / side * 2 - 1) ** 2 + (x.mean() / side * 2 - 1) ** 2
    length = int(edge.sum()) + _on_rim(mask)
    rim = _on_rim(mask) / length
    compact = min(4 * np.pi * len(y) / length**2, 1.0)
    steepness = float(gradient[edge].mean()) if edge.any() else 0.0
    area = len(y) / mask.size
    return float(steepness * np.exp(-1.8 * off_centre) * (1 - rim) ** 2 * area**0.4 * compact**0.25)


def _on_rim(mask: Bool[np.ndarray, "h w"]) -> int:
    return int(mask[[0, -1]].sum() + mask[:, [0, -1]].sum())


def _best_region(distance: Float[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"] | None:
    """The most lesion-like connected region over rising thresholds of the distance from skin."""
    gradient = ndimage.gaussian_gradient_magnitude(distance, 1.5)
    best, best_score = None, 0.0
    for threshold in np.geomspace(5, max(12.0, float(np.percentile(distance, 99.5)) * 0.8), 14):
        labels, _ = ndimage.label(_erode(_erode(distance > threshold)))
        areas = np.bincount(labels.ravel())
        areas[0] = 0
        for label in np.argsort(-areas)[:4]:
            if not 0.003 < areas[label] / distance.size < 0.8:
                continue
            mask = _fill(labels == label)
            score = _lesion_likeness(mask, gradient)
            if score > best_score:
                best, best_score = mask, score
    return best


def segment(pixels: UInt8[np.ndarray, "h w 3"]) -> Segmentation:
    """Outline of the main lesion: of all regions that differ from the skin, the one with the steepest edge.

    Regions are level sets of the CIELAB distance from a plane fitted to the skin at the photo's rim; the
    score weighs edge steepness, nearness to the centre, compactness, size, and freedom from the rim.
    Args: pixels of a dermoscopic photo, sRGB, any size.
    """
    lab = remove_hair(to_lab(to_frame(pixels)))
    usable = ~(find_vignette(lab[..., 0]) | find_stickers(lab))
    if usable.mean() < 0.2:
        usable = np.ones(usable.shape, bool)
    region = _best_region(_skin_distance(lab, usable))
    if region is None:
        return Segmentation(np.zeros(usable.shape, bool), 0.0, 0.0)
    mask = ndimage.binary_closing(np.pad(region, 6), _disk(4))[6:-6, 6:-6]
    mask = _fill(ndimage.binary_dilation(mask, _disk(5)))
    ring = _dilate(mask, 10) & ~_dilate(mask, 3) & usable
    around = ring if ring.sum() > 50 else usable & ~mask
    skin = lab[around].mean(axis=0) if around.any() else lab.mean(axis=(0, 1))
    rim = _on_rim(mask) / max(int((mask & ~_erode(mask)).sum()) + _on_rim(mask), 1)
    return Segmentation(mask, float(np.linalg.norm(lab[mask].mean(axis=0) - skin)), rim)


PALETTE: dict[str, tuple[float, float, float]] = {
    "white": (84.0, 6.0, 6.0),
    "red": (50.0, 38.0, 14.0),
    "pink": (66.0, 26.0, 12.0),
    "light brown": (56.0, 16.0, 26.0),
    "dark brown": (36.0, 16.0, 18.0),
    "blue-grey": (44.0, 5.0, -2.0),
    "black": (18.0, 5.0, 4.0),
}
"""CIELAB prototypes of the lesion colours on reference skin (72, 14, 17).

The six colours of the ABCD rule (Stolz et al. 1994), with pink beside red.
"""

REFERENCE_SKIN = np.array([72.0, 14.0, 17.0])
COLOUR_SHARE = 0.20
"""A colour is stated when at least this share of the lesion has it."""
SMALL, LARGE = 0.13, 0.30
"""Bounds of 'medium', as a share of the frame's area."""
ASYMMETRIC = 0.10
"""Mean share of the lesion that its mirror images miss, above which it is called asymmetric."""
IRREGULAR = 1.15
"""Outline length over the outline length of the smoothed shape, above which the border is irregular."""
FAINT = 7.0
"""Contrast, CIELAB units, below which nothing measured is stated."""
CUT_OFF = 0.35
"""Share of the outline on the photo's rim above which nothing measured is stated."""


@dataclass(frozen=True, slots=True)
class Appearance:
    """The ABCD letters that can be measured: numbers, and the words they stand for."""

    area: float
    """Share of the frame, 0 to 1."""
    asymmetry: float
    """0 (mirror images cover each other) to 1."""
    irregularity: float
    """1 (as smooth as its own smoothed shape) upwards."""
    colours: tuple[tuple[str, float], ...]
    """Colour and its share of the lesion, largest first, those of at least `COLOUR_SHARE`."""
    contrast: float
    """Distance of lesion from skin, CIELAB units."""
    touches: float
    """Share of the outline on the rim of the photo, 0 to 1."""

    @property
    def trusted(self) -> bool:
        """Whether the outline is clear and whole enough to state anything measured."""
        return self.contrast >= FAINT and self.touches <= CUT_OFF

    @property
    def size(self) -> Size:
        """The word for the area."""
        return "small" if self.area < SMALL else "large" if self.area > LARGE else "medium"

    @property
    def symmetry(self) -> Symmetry:
        """The word for the asymmetry."""
        return "asymmetric" if self.asymmetry > ASYMMETRIC else "symmetric"

    @property
    def border(self) -> Border:
        """The word for the irregularity."""
        return "irregular" if self.irregularity > IRREGULAR else "regular"


def _asymmetry(mask: Bool[np.ndarray, "h w"]) -> float:
    """Mean over the two principal axes of the share of the lesion that the mirrored lesion misses."""
    y, x = np.nonzero(mask)
    points = np.stack([y - y.mean(), x - x.mean()])
    _, axes = np.linalg.eigh(np.cov(points))
    side, missed = mask.shape[0], []
    for axis in axes.T:
        mirrored = points - 2 * np.outer(axis, axis @ points)
        rows = np.rint(mirrored[0] + y.mean()).astype(int)
        columns = np.rint(mirrored[1] + x.mean()).astype(int)
        inside = (rows >= 0) & (rows < side) & (columns >= 0) & (columns < side)
        missed.append(1 - mask[rows[inside], columns[inside]].sum() / len(y))
    return float(np.mean(missed))


def _outline_length(level: Float[np.ndarray, "h w"]) -> float:
    """Length of the half-level contour, pixels: total variation of the sharpened field.

    Source: coarea formula (Fleming & Rishel 1960, doi 10.1007/BF01236935).
    """
    sharp = np.clip((level - 0.5) * 4 + 0.5, 0, 1)
    gy, gx = np.gradient(sharp)
    return float(np.hypot(gy, gx).sum())


def _irregularity(mask: Bool[np.ndarray, "h w"]) -> float:
    """Outline length of the lesion over that of the same lesion smoothed at 0.3 of its radius."""
    padded = np.pad(mask.astype(np.float32), 40)
    radius = np.sqrt(mask.sum() / np.pi)
    fine = ndimage.gaussian_filter(padded, 1.5)
    coarse = ndimage.gaussian_filter(padded, max(0.3 * radius, 2.0))
    coarse = coarse / max(float(np.percentile(coarse[padded > 0], 50)) * 1.2, 1e-6)
    return _outline_length(fine) / max(_outline_length(np.minimum(coarse, 1.0)), 1e-6)


def _colours(
    lab: Float[np.ndarray, "h w 3"], mask: Bool[np.ndarray, "h w"], skin: Float[np.ndarray, "3"]
) -> tuple[tuple[str, float], ...]:
    """Shares of the palette inside the lesion, after moving the photo's skin towards the reference skin."""
    core = ndimage.binary_erosion(mask, _disk(3))
    pixels = lab[core if core.sum() > 60 else mask]
    shift = REFERENCE_SKIN - skin
    moved = pixels + np.clip(shift, -22, 22) * np.array([0.8, 1.0, 1.0])
    names, prototypes = list(PALETTE), np.array(list(PALETTE.values()))
    weight = np.array([0.8, 1.0, 1.0])
    nearest = np.argmin((((moved[:, None] - prototypes) * weight) ** 2).sum(-1), axis=1)
    shares = np.bincount(nearest, minlength=len(names)) / len(nearest)
    order = np.argsort(-shares, kind="stable")
    stated = [(names[i], float(shares[i])) for i in order if shares[i] >= COLOUR_SHARE]
    return tuple(stated) or ((names[order[0]], float(shares[order[0]])),)


def measure(
    pixels: UInt8[np.ndarray, "h w 3"], mask: Bool[np.ndarray, "224 224"] | None = None
) -> Appearance:
    """Measure the main lesion of a dermoscopic photo; `mask` in the measuring frame replaces `segment`."""
    lab = to_lab(to_frame(pixels))
    found = segment(pixels) if mask is None else Segmentation(mask, float("inf"), 0.0)
    if not found.mask.any():
        return Appearance(0.0, 0.0, 1.0, (), 0.0, 0.0)
    mask = found.mask
    usable = ~(find_vignette(lab[..., 0]) | find_stickers(lab) | _dilate(mask, 4))
    skin = np.median(lab[usable], axis=0) if usable.sum() > 300 else REFERENCE_SKIN
    return Appearance(
        area=float(mask.mean()),
        asymmetry=_asymmetry(mask),
        irregularity=_irregularity(mask),
        colours=_colours(lab, mask, skin),
        contrast=found.contrast,
        touches=found.touches,
    )
