"""The default of ConVis' published code: random windows, drawn where the concept was found before."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dermaxai.progress import steps

ROUNDS = 6
"""Half of them with large windows, half with small ones."""
STEPS = 100
"""Windows per round; a round begins anew, so all rounds can go side by side."""
RATE = 0.002
STEEPNESS = 5
LAST_RANK = 91
"""Ranks from here on count as not found: a constant of the published code, however many concepts."""

Look = Callable[[Int[Tensor, "windows 2"], int], Int[Tensor, "texts windows"]]
"""Ranks of all texts in windows of one size, given the windows' first rows and columns."""


def random_windows(
    look: Look, texts: int, side: int, sizes: tuple[int, int], seed: int
) -> Float[Tensor, "texts side side"]:
    """Where each text was found: what its windows have left on the pixels, scaled to 0..1 (all 0 if flat).

    Each round begins with weight 1 everywhere. A window is drawn by the weight at its first pixel, and
    multiplies the weights below it by 1 + 0.002 * score, score = 2 exp(-5 rank / 91) - 1, or -1 for ranks
    from 91 on. The weights of all rounds are added. Every text uses the same random numbers, so that its map
    does not depend on what else is asked.
    """
    margin = sizes[0]
    canvas = side + 2 * margin
    weights = torch.ones(texts, ROUNDS, canvas, canvas, dtype=torch.float64)
    draws = torch.rand(STEPS, ROUNDS, 1, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    halves = {size: slice(at * ROUNDS // 2, (at + 1) * ROUNDS // 2) for at, size in enumerate(sizes)}
    for draw in steps(draws):
        for size, half in halves.items():
            some = weights[:, half]
            corners = _drawn(some[..., : side + margin, : side + margin], draw[half])
            _reward(some, corners, look(corners.flatten(0, 1), size), size)
    photo = weights.sum(1)[:, margin : margin + side, margin : margin + side]
    low, high = photo.amin((1, 2), keepdim=True), photo.amax((1, 2), keepdim=True)
    return torch.where(high > low, (photo - low) / (high - low).clamp_min(torch.finfo(photo.dtype).tiny), 0.0)


def _drawn(
    weights: Float[Tensor, "texts rounds height width"], draw: Float[Tensor, "rounds 1"]
) -> Int[Tensor, "texts rounds 2"]:
    """One pixel per text and round, with a chance in proportion to its weight."""
    heaped = weights.flatten(2).cumsum(2)
    found = torch.searchsorted(heaped, heaped[..., -1:] * draw, right=True)
    place = found.squeeze(2).clamp_max(heaped.shape[2] - 1)
    width = weights.shape[3]
    return torch.stack([place // width, place % width], 2)


def _reward(
    weights: Float[Tensor, "texts rounds canvas canvas"],
    corners: Int[Tensor, "texts rounds 2"],
    ranks: Int[Tensor, "texts windows"],
    size: int,
) -> None:
    """Multiply, in place, the weights below each text's own windows."""
    texts, rounds = corners.shape[:2]
    own = ranks.cpu().reshape(texts, texts, rounds).diagonal().T.double()
    found = torch.where(own < LAST_RANK, torch.exp(-STEEPNESS * own / LAST_RANK), 0.0)
    factors = 1 + RATE * (2 * found - 1)
    for text in range(texts):
        for number, (row, column) in enumerate(corners[text].tolist()):
            weights[text, number, row : row + size, column : column + size] *= factors[text, number]
