"""Cases worth looking at: both ends of faithfulness, and where the methods disagree most."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from dermaxai.cases import load_case
from dermaxai.collection.entries import SUMMARIES, Entry, Folder, margin_of
from dermaxai.pictures import as_address, draw_small, shrink
from dermaxai.scores import pairs_of, scores_by_map
from dermaxai.types import Case, HeatMap

MOST = 6
"""Cases of a row."""
SIDE, QUALITY = 260, 80
"""Of a picture."""
Choose = Callable[[Case], HeatMap | None]


@dataclass(frozen=True, slots=True)
class Example:
    """One case of a row."""

    name: str
    value: float
    word: str
    """What the map that is shown is of."""
    method: str
    picture: str
    has_report: bool


def worst_of(folder: Folder) -> list[Example]:
    """Cases with the smallest margin over random maps, each with its worst map."""
    ranked = _ranked(folder.entries, lambda entry: entry.margin)
    return _show(
        folder, ranked[: _most(ranked)], lambda entry: entry.margin, lambda case: _by_margin(case, -1)
    )


def best_of(folder: Folder) -> list[Example]:
    """Cases with the largest margin, each with its best map; none that is among the worst."""
    ranked = _ranked(folder.entries, lambda entry: entry.margin)
    best = ranked[_most(ranked) :][::-1][:MOST]
    return _show(folder, best, lambda entry: entry.margin, lambda case: _by_margin(case, 1))


def disputed_in(folder: Folder) -> list[Example]:
    """Cases whose methods agree least, each with the spread of the maps where they agree least."""
    ranked = _ranked(folder.entries, lambda entry: entry.agreement)
    return _show(folder, ranked[:MOST], lambda entry: entry.agreement, _most_disputed)


def _most(ranked: Sequence[Entry]) -> int:
    return min(MOST, (len(ranked) + 1) // 2)


def _ranked(entries: Sequence[Entry], value: Callable[[Entry], float]) -> list[Entry]:
    known = [entry for entry in entries if not math.isnan(value(entry))]
    return sorted(known, key=lambda entry: (value(entry), entry.name))


def _show(
    folder: Folder, entries: Sequence[Entry], value: Callable[[Entry], float], choose: Choose
) -> list[Example]:
    shown = []
    for entry in entries:
        case = load_case(folder.home / entry.name)
        small, heat = shrink(case.image, SIDE), choose(case)
        pixels = small.pixels if heat is None else draw_small(small, heat)
        word, method = (heat.target.text, heat.method) if heat else ("", "")
        shown.append(
            Example(entry.name, value(entry), word, method, as_address(pixels, QUALITY), entry.has_report)
        )
    return shown


def _by_margin(case: Case, sign: int) -> HeatMap | None:
    """The map of the largest (1) or smallest (-1) margin; None where nothing was measured."""
    told = zip(case.maps, scores_by_map(case), strict=True)
    margins = [(sign * margin_of(scores), heat) for heat, scores in told if heat.method not in SUMMARIES]
    found = [pair for pair in margins if not math.isnan(pair[0])]
    return max(found, key=lambda pair: pair[0])[1] if found else None


def _most_disputed(case: Case) -> HeatMap | None:
    means = {
        entry.target: float(np.mean([value for _, _, value in pairs]))
        for entry in case.agreements
        if (pairs := pairs_of(entry))
    }
    if not means:
        return None
    target = min(means, key=lambda one: means[one])
    spread = (heat for heat in case.maps if heat.method == "spread" and heat.target == target)
    return next(spread, None)
