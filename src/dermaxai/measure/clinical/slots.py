"""Size, symmetry, border, colours and site of a caption against what is known of the photo."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from dermaxai.measure.clinical.judging import same_place, truths, values_of
from dermaxai.measure.clinical.stated import Stated
from dermaxai.measure.columns import Scored
from dermaxai.measure.estimates import mean_parts
from dermaxai.measure.scale import Better, Scale
from dermaxai.statements.clinical import ClinicalFacts
from dermaxai.statements.lexicon import FactSlot
from dermaxai.vocabulary import sites

_SOURCE = "docs/clinical_metrics.md"
Pairs = Sequence[tuple[Stated, ClinicalFacts]]
"""Captions with the facts that they state."""
Judge = Callable[[tuple[str, ...], tuple[str, ...]], float]
"""What a caption says and what is true, the first first; neither truth is empty; to 0 to 1."""


def slots(stated: Sequence[Stated]) -> list[Scored]:
    """For each slot the share of right captions, and how often it is stated, where the truth is known.

    A caption that does not state a known fact is wrong. Of several references the one that suits best counts.
    A slot that is known of no photo is left out.
    """
    pairs = [(one, one.caption.facts) for one in stated]
    return [scored for scored in _all(pairs) if scored.parts[:, 1].any()]


def _all(pairs: Pairs) -> Iterator[Scored]:
    for slot in ("size", "symmetry", "border"):
        yield _agreement(pairs, slot, f"{slot}_agreement", slot.capitalize(), _same_first)
        yield _how_often(pairs, slot, slot.capitalize())
    yield _agreement(pairs, "colour", "colour_agreement", "Leading colour", _same_first)
    yield _agreement(pairs, "colour", "colour_f1", "Colours, F1", colour_f1)
    yield _how_often(pairs, "colour", "Colour")
    yield _agreement(pairs, "site", "site_agreement", "Site", _same_first)
    yield _agreement(pairs, "site", "site_region_agreement", "Region of the body", _same_region)
    yield _how_often(pairs, "site", "Site")


def _agreement(pairs: Pairs, slot: FactSlot, name: str, title: str, judge: Judge) -> Scored:
    values = []
    for one, facts in pairs:
        said = values_of(facts, slot)
        values.append(max((judge(said, true) for true in truths(one, slot)), default=float("nan")))
    return Scored(_scale(name, title, "higher"), mean_parts(values))


def _how_often(pairs: Pairs, slot: FactSlot, title: str) -> Scored:
    values = [
        float(bool(values_of(facts, slot))) if truths(one, slot) else float("nan") for one, facts in pairs
    ]
    return Scored(_scale(f"{slot}_stated", f"{title} stated", "neither"), mean_parts(values))


def _scale(name: str, title: str, better: Better) -> Scale:
    return Scale(name, title, better, "share", source=_SOURCE)


def _same_first(said: tuple[str, ...], true: tuple[str, ...]) -> float:
    return float(said[:1] == true[:1])


def _same_region(said: tuple[str, ...], true: tuple[str, ...]) -> float:
    """The whole region counts for a part of it; parts of one region for each other."""
    regions = [{place, sites()[place].group} for place in (*said[:1], true[0])]
    return float(
        len(regions) == 2 and (same_place(said[0], true[0]) or not regions[0].isdisjoint(regions[1]))
    )


def colour_f1(said: tuple[str, ...], true: tuple[str, ...]) -> float:
    """Harmonic mean of precision and recall of two sets of colours.

    >>> colour_f1(("red",), ("red", "black"))
    0.6666666666666666
    """
    return 2 * len({*said} & {*true}) / (len({*said}) + len({*true}))
