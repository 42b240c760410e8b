"""Rulers in a photo: ticks at equal distances, along an edge or on one side of a straight line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

Grey = UInt8[np.ndarray, "height width"]
Mask = Bool[np.ndarray, "height width"]
Profiles = Float[np.ndarray, "profiles n"]

SHORTEST, LONGEST = 4, 40
"""Distances of ticks that are looked for, pixels."""
PERIODS = 5
"""So many distances must fit into what is looked at."""
REGULAR_BAND, REGULAR_SIDE = 0.5, 0.58
"""Autocorrelation from where on ticks are regular: in a band of the photo, and beside a line."""
BAND, STEP = 6, 3
"""Height of the bands that are searched along both edges, and from one to the next, pixels."""
TICKS = 10
"""That a band must hold: a few dark spots at equal distances are no ruler."""
BRIGHTEST = 40
"""Darkness of lines above this counts as this, so that one black line is not everything."""
WAVE = 20
"""A profile's own mean over this many pixels to each side is taken out."""
SIDES = ((3, 7), (5, 10))
"""Distances from a line between which its ticks are looked for, pixels."""
TICK, THICK = 13, 3
"""How far ticks may reach from their line, and the line itself, pixels."""
LINES, POINTS, FEWEST, GAP = 5, 3000, 100, 8
"""Lines that are tried, points that vote for them and that a line has at least, its widest gap in pixels."""
ANGLES = 180


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """A straight line through many dark pixels; rows before columns."""

    start: Float[np.ndarray, "2"]
    along: Float[np.ndarray, "2"]
    """Unit length."""
    length: int

    @property
    def across(self) -> Float[np.ndarray, "2"]:
        """Unit length, at right angles."""
        turned: Float[np.ndarray, "2"] = np.array([-self.along[1], self.along[0]])
        return turned


def find_ruler(darkness: Grey, lines: Mask, dark: Mask) -> Mask:
    """The dark pixels of rulers.

    `darkness`: how dark thin lines are; `lines`: long dark lines; `dark`: dark thin pixels, from which the
    answer is taken. Source: own; ticks are what repeats at a distance and at twice that distance.
    """
    found = np.zeros_like(dark)
    for band in _bands_with_ticks(darkness, dark):
        found |= band
    for line in straight_lines(lines):
        side = _side_with_ticks(darkness, line)
        if side:
            found |= _beside(line, side, dark.shape)
    return np.asarray(found & dark)


def regularity(profiles: Profiles) -> tuple[Float[np.ndarray, "profiles"], Int[np.ndarray, "profiles"]]:
    """How regularly each profile repeats, -1 to 1, and at which distance in pixels; 0 where at none.

    The autocorrelation at a distance where it has a peak, or near twice that distance, whichever is less.
    """
    longest = min(LONGEST, profiles.shape[1] // PERIODS)
    if longest <= SHORTEST:
        return np.zeros(len(profiles)), np.zeros(len(profiles), int)
    lags = _autocorrelation(_without_waves(profiles), 2 * longest + 2)
    tried = np.arange(SHORTEST, longest + 1)
    here, before, after = (lags[:, tried + shift] for shift in (0, -1, 1))
    twice = np.max([lags[:, 2 * tried + shift] for shift in (-1, 0, 1)], axis=0)
    # Without a valley before it a peak is only a broad line.
    valley = np.minimum.accumulate(lags[:, 2:], 1)[:, tried - 3] < 0
    score = np.where((here >= before) & (here >= after) & valley, np.minimum(here, twice), 0)
    best = score.argmax(1)
    return score[np.arange(len(score)), best], np.where(score.max(1) > 0, tried[best], 0)


def straight_lines(lines: Mask) -> Iterator[Line]:
    """The straightest lines, one after the other, each without the pixels of those before it."""
    points = np.argwhere(lines).astype(np.float64)
    points = points[:: max(1, len(points) // POINTS)]
    fewest = FEWEST * len(points) / max(1, int(lines.sum()))
    for _ in range(LINES):
        if len(points) < max(2, fewest):
            return
        normal, distance, votes = _most_voted(points, lines.shape)
        if votes < fewest:
            return
        near = np.abs(points @ normal - distance) < 4
        line = _fitted(points[near])
        if line.length >= SHORTEST * PERIODS:
            yield line
        points = points[~near]


def _bands_with_ticks(darkness: Grey, dark: Mask) -> Iterator[Mask]:
    clipped = np.minimum(darkness, BRIGHTEST).astype(np.float64)
    for turned in (False, True):
        sheet, spots = (clipped.T, dark.T) if turned else (clipped, dark)
        below = np.cumsum(np.pad(sheet, ((1, 0), (0, 0))), 0)
        starts = np.arange(0, sheet.shape[0] - BAND + 1, STEP)
        profiles = (below[starts + BAND] - below[starts]) / BAND
        score, distance = regularity(profiles)
        found = np.zeros(sheet.shape, bool)
        for place in (score >= REGULAR_BAND).nonzero()[0]:
            # Bands beside it with the same distance hold the rest of longer ticks.
            same = (score >= REGULAR_BAND / 2) & (np.abs(distance - distance[place]) <= 1)
            same &= np.abs(np.arange(len(starts)) - place) <= TICK // STEP
            ticks = _without_waves(profiles[place : place + 1])[0] > 0
            band = np.zeros(sheet.shape, bool)
            for start in starts[same]:
                band[start : start + BAND] |= ticks
            inked = (band & spots).any(0)
            if (inked[1:] & ~inked[:-1]).sum() >= TICKS:
                found |= band
        yield found.T if turned else found


def _side_with_ticks(darkness: Grey, line: Line) -> int:
    """1 or -1 for the side of a line on which ticks are, 0 for none."""
    sides = [(side, first, last) for side in (1, -1) for first, last in SIDES]
    clipped = np.minimum(darkness, BRIGHTEST)
    profiles = []
    for side, first, last in sides:
        rows, columns = _places(line, np.arange(first, last) * side, darkness.shape)
        profiles.append(clipped[rows, columns].mean(1))
    score, _ = regularity(np.stack(profiles))
    best = int(score.argmax())
    return sides[best][0] if score[best] >= REGULAR_SIDE else 0


def _beside(line: Line, side: int, shape: tuple[int, ...]) -> Mask:
    """The line and what lies on one side of it as far as ticks reach."""
    found = np.zeros(shape, bool)
    offsets = np.arange(-THICK, TICK + 1, 0.5) * side
    found[_places(line, offsets, shape, finer=2)] = True
    return found


def _places(
    line: Line, offsets: Float[np.ndarray, "offsets"], shape: tuple[int, ...], finer: int = 1
) -> tuple[Int[np.ndarray, "n offsets"], Int[np.ndarray, "n offsets"]]:
    """Rows and columns of points along a line at some distances from it; those outside lie on the rim."""
    steps = np.arange(line.length * finer) / finer
    points = line.start + steps[:, None, None] * line.along + offsets[None, :, None] * line.across
    rows, columns = np.moveaxis(np.rint(points).astype(int), -1, 0)
    return rows.clip(0, shape[0] - 1), columns.clip(0, shape[1] - 1)


def _most_voted(
    points: Float[np.ndarray, "n 2"], shape: tuple[int, ...]
) -> tuple[Float[np.ndarray, "2"], float, int]:
    """(normal, distance from the corner, points) of the line in pixels that most points lie on.

    Source: Hough transform, Duda and Hart (doi 10.1145/361237.361242), cells of 1 degree and 2 pixels.
    """
    turn = np.pi * np.arange(ANGLES) / ANGLES
    normals = np.stack([np.sin(turn), np.cos(turn)])
    reach = int(np.hypot(shape[0], shape[1])) // 2 + 1
    cells = np.rint(points @ normals / 2).astype(int) + reach
    votes = np.bincount((cells + np.arange(ANGLES) * (2 * reach + 1)).ravel())
    most = int(votes.argmax())
    angle, distance = divmod(most, 2 * reach + 1)
    return normals[:, angle], 2.0 * (distance - reach), int(votes[most])


def _fitted(points: Float[np.ndarray, "n 2"]) -> Line:
    """The line through points by least squares, twice; as long as their longest row without a gap."""
    for _ in range(2):
        centre = points.mean(0)
        along = np.linalg.svd(points - centre, full_matrices=False)[2][0]
        distance = np.abs((points - centre) @ np.array([-along[1], along[0]]))
        points = points[distance < 2.5] if (distance < 2.5).sum() > 2 else points
    places = np.sort((points - centre) @ along)
    breaks = np.flatnonzero(np.diff(places) > GAP)
    starts, stops = np.r_[0, breaks + 1], np.r_[breaks, len(places) - 1]
    longest = int((places[stops] - places[starts]).argmax())
    first, last = places[starts[longest]], places[stops[longest]]
    return Line(centre + first * along, along, round(last - first) + 1)


def _without_waves(profiles: Profiles) -> Profiles:
    wide = np.pad(profiles, ((0, 0), (WAVE + 1, WAVE)), mode="edge").cumsum(1)
    return np.asarray(profiles - (wide[:, 2 * WAVE + 1 :] - wide[:, : -2 * WAVE - 1]) / (2 * WAVE + 1))


def _autocorrelation(profiles: Profiles, lags: int) -> Float[np.ndarray, "profiles lags"]:
    """Mean product of values at a distance over their mean square, for distances from 0; 0 for constants."""
    n = profiles.shape[1]
    spectrum = np.fft.rfft(profiles, 2 * n)
    products = np.fft.irfft(np.abs(spectrum) ** 2, 2 * n)[:, :lags] / np.arange(n, n - lags, -1)
    squares = products[:, :1]
    return np.asarray(np.where(squares > 1e-9, products / np.maximum(squares, 1e-9), 0))
