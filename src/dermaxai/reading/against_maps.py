"""Readers against maps: what they say of each method's maps, and how much of a map lies where they see it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dermaxai.geometry import Placement
from dermaxai.reading.agreement import ANSWERS, Given
from dermaxai.reading.intervals import Interval, mean
from dermaxai.reading.looking import Looked
from dermaxai.reading.regions import Cells, cover, energy_share
from dermaxai.store.indexing import MADE_OF_OTHERS
from dermaxai.types import HeatMap


@dataclass(frozen=True, slots=True)
class Against:
    """One method, as readers see it."""

    method: str
    """'' for answers without a map."""
    answers: int
    """Given while a map of this method was shown."""
    shares: dict[str, Interval]
    """Of each answer among them."""
    energy: Interval
    """Share of the map's positive energy inside what readers marked; n is the number of answers."""
    chance: Interval
    """The same of a map that knows nothing: the marked share of what the map covers."""

    def as_json(self) -> dict[str, Any]:
        """All fields."""
        return {
            "method": self.method,
            "answers": self.answers,
            "shares": {name: share.as_json() for name, share in self.shares.items()},
            "energy": self.energy.as_json(),
            "chance": self.chance.as_json(),
        }


def against_maps(given: Sequence[Given], look: Callable[[str], Looked | None]) -> list[Against]:
    """Every method that was shown or has a map of a word that readers marked, by name.

    `look`: what a case shows, by its id; None where that cannot be read. Every method's map is compared with
    a region, whichever map the reader looked at. Consensus and spread are made of the others' maps: they are
    no methods, and left out.
    """
    words = [entry for entry in given if entry.word is not None]
    energies = _energies(words, look)
    shown = {entry.method for entry in words}
    return [
        _against(method, words, energies[method])
        for method in sorted((shown | set(energies)).difference(MADE_OF_OTHERS))
    ]


def _against(method: str, words: Sequence[Given], energies: Sequence[tuple[str, float, float]]) -> Against:
    said = [entry for entry in words if entry.method == method]
    cases = [entry.case for entry in said]
    places = [case for case, _, _ in energies]
    return Against(
        method,
        len(said),
        {name: mean([float(entry.answer == name) for entry in said], cases) for name in ANSWERS},
        mean([inside for _, inside, _ in energies], places),
        mean([chance for _, _, chance in energies], places),
    )


def _energies(
    words: Sequence[Given], look: Callable[[str], Looked | None]
) -> dict[str, list[tuple[str, float, float]]]:
    """(case, energy inside, chance) of each marked answer, by method."""
    marked: dict[str, list[Given]] = defaultdict(list)
    for entry in words:
        if entry.is_marked:
            marked[entry.case].append(entry)
    found: dict[str, list[tuple[str, float, float]]] = defaultdict(list)
    for case, entries in marked.items():
        looked = look(case)
        if looked is None:
            continue
        words_marked = {entry.word for entry in entries if entry.word is not None}
        maps: dict[int | None, dict[str, HeatMap]] = {word: looked.maps_of(word) for word in words_marked}
        for entry in entries:
            for method, inside, chance in _energies_of(entry, maps.get(entry.word, {})):
                found[method].append((case, inside, chance))
    return found


def _energies_of(entry: Given, maps: Mapping[str, HeatMap]) -> Iterator[tuple[str, float, float]]:
    """Method, energy inside and chance of one marked answer; maps of one grid share the marked cells."""
    mask = entry.mask
    assert mask is not None, "only marked ones are here"
    covered: dict[tuple[Placement, tuple[int, ...]], Cells] = {}
    for method, heat in maps.items():
        key = heat.placement, heat.values.shape
        if key not in covered:
            covered[key] = cover(heat.placement, (heat.values.shape[0], heat.values.shape[1]), mask)
        inside = energy_share(heat.values, covered[key])
        if inside is not None:
            yield method, inside, float(covered[key].mean())
