"""What was found about a claim, in words and tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from dermaxai.measure.estimates import RESAMPLES
from dermaxai.study.claims import LEVEL, Cell, Comparison, Standing, Tested, smallest_p

VERBS = {"support": "support", "contradict": "contradict", "neither": "neither support nor contradict"}
RULE = (
    "A ranking is supported in a metric where every neighbouring pair differs in the claimed direction, "
    "contradicted where at least one pair differs in the opposite direction, and undecided otherwise "
    f"(paired bootstrap over clusters of photos, {RESAMPLES:,} resamples, Holm's correction over the "
    f"neighbouring pairs and metrics of the same photos and question, {LEVEL:g} two-sided). The data as a "
    "whole support it if every metric does everywhere, contradict it if at least one does and none supports "
    "it, and otherwise neither support nor contradict it."
)


def sentence(tested: Tested) -> str:
    """The answer in one sentence, with its counts."""
    ranking = " > ".join(tested.claim.ranking)
    if not tested.cells:
        return f"The ranking {ranking} could not be tested: there are no values to compare."
    counts = tested.counts()
    parts = ", ".join(f"{verdict} in {number}" for verdict, number in counts.items())
    return (
        f"The data {VERBS[tested.answer]} the ranking {ranking}: of {len(tested.cells)} combinations of "
        f"metric, question and photos it is {parts}."
    )


def baseline_sentences(tested: Tested) -> list[str]:
    """For each contestant and map that knows nothing: in how many cells it is better, worse, or neither."""
    found = []
    for contestant in tested.claim.ranking:
        standings = [one for cell in tested.cells for one in cell.standings if one.contestant == contestant]
        for baseline in dict.fromkeys(name for one in standings for name in one.beats):
            verdicts = [one.beats[baseline] for one in standings if baseline in one.beats]
            found.append(_against(contestant, baseline, verdicts))
    return found


def _against(contestant: str, baseline: str, verdicts: Sequence[str]) -> str:
    better, worse = verdicts.count("supported"), verdicts.count("contradicted")
    count = len(verdicts)
    if not better:
        worse_too = f", and worse in {worse}" if worse else ""
        return f"{contestant} is not better than the {baseline} in any of {count} combinations{worse_too}."
    whole = "all of" if better == count else f"{better} of"
    rest = [f"worse in {worse}"] if worse else []
    rest += [f"undecided in {count - better - worse}"] if count - better - worse else []
    tail = f" ({', '.join(rest)})" if rest else ""
    return f"{contestant} is better than the {baseline} in {whole} {count} combinations{tail}."


def summary_lines(tested: Tested) -> list[str]:
    """For a terminal: the answer, each cell in a line, the baselines, and what could not be tested."""
    lines = [f"{tested.claim.name}: {sentence(tested)}"]
    lines += [
        f"  {cell.where}, {cell.condition}, {cell.metric}: {cell.verdict}; found {' > '.join(cell.found)}"
        for cell in tested.cells
    ]
    return [*lines, *(f"  {line}" for line in (*baseline_sentences(tested), *tested.missing))]


def claim_page(tested: Tested, figure: str = "") -> list[str]:
    """Lines of Markdown, from a heading of the second rank on."""
    claim = tested.claim
    lines = [f"## {claim.name}", ""]
    lines += [claim.about, ""] if claim.about else []
    lines += [f"Claimed: {' > '.join(claim.ranking)}.", "", f"**{sentence(tested)}**", ""]
    lines += [f"- {line}" for line in (*baseline_sentences(tested), *tested.missing, *_powerless(tested))]
    lines += ["", RULE, ""]
    lines += [f"![Estimates and 95 % intervals]({figure})", ""] if figure else []
    for (where, question), cells in groupby(tested.cells, lambda cell: (cell.where, cell.question)):
        group = list(cells)
        lines += [f"### {where}, question: {question}", ""]
        lines += [*_standings(group), "", *_pairs(group), ""]
    return lines


def _powerless(tested: Tested) -> Iterator[str]:
    """Photos so few that nothing about them can become significant."""
    for (where, question), cells in groupby(tested.cells, lambda cell: (cell.where, cell.question)):
        pairs = [one for cell in cells for one in cell.neighbours]
        photos = max(one.difference.n for one in pairs)
        if smallest_p(len(pairs), photos) >= LEVEL:
            yield (
                f"{where}, {question}: with {len(pairs)} comparisons on {photos} photos no adjusted p can be "
                f"below {LEVEL:g}, so that nothing can be decided; take more photos or fewer metrics."
            )


def _standings(cells: Sequence[Cell]) -> list[str]:
    """Contestants and baselines by metrics: estimate, interval, rank."""
    heads = [f"{cell.heading} ({cell.better} is better)" for cell in cells]
    lines = [_row(["", *heads]), _row(["---"] * (len(cells) + 1))]
    names = list(dict.fromkeys(one.contestant for cell in cells for one in cell.standings))
    for name in names:
        entries = [next((one for one in cell.standings if one.contestant == name), None) for cell in cells]
        lines.append(_row([name, *(_standing(one) for one in entries)]))
    counts = [max((one.estimate.n for one in cell.standings), default=0) for cell in cells]
    lines.append(_row(["photos", *map(str, counts)]))
    lines.append(_row(["**claimed ranking**", *(f"**{cell.verdict}**" for cell in cells)]))
    return lines


def _standing(one: Standing | None) -> str:
    if one is None or one.estimate.value != one.estimate.value:
        return "–"
    estimate = one.estimate
    text = f"{estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f})"
    if one.is_baseline:
        return text
    lost = [name for name, verdict in one.beats.items() if verdict != "supported"]
    if lost and len(lost) == len(one.beats):
        return f"{one.rank}. {text}; beats no baseline"
    return f"{one.rank}. {text}" + (f"; not better than {', '.join(lost)}" if lost else "")


def _pairs(cells: Sequence[Cell]) -> list[str]:
    """Every pair with difference, interval, p and verdict."""
    heads = ("metric", "pair", "difference (95 % interval)", "p", "p, Holm", "verdict")
    lines = [_row(heads), _row(["---"] * len(heads))]
    for cell in cells:
        for one in cell.neighbours:
            lines.append(_row([cell.heading, f"{one.better} > {one.worse}", *_compared(one)]))
    for cell in cells:
        for one in cell.others:
            pair = f"{one.better} > {one.worse} (not neighbouring)"
            lines.append(_row([cell.heading, pair, *_compared(one)]))
    return lines


def _compared(one: Comparison) -> list[str]:
    found = one.difference
    if found.p != found.p:
        return ["–", "–", "–", one.verdict]
    interval = f"{found.value:+.3f} ({found.low:+.3f} to {found.high:+.3f})"
    return [interval, _shown(found.p), _shown(one.adjusted), one.verdict]


def _shown(p: float) -> str:
    """A p value; no share of resamples is 0."""
    return "< 0.0001" if p < 0.0001 else f"{p:.4f}"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def claim_document(tested: Tested) -> dict[str, Any]:
    """Everything as JSON holds it; None where nothing is defined."""
    return {
        "name": tested.claim.name,
        "about": tested.claim.about,
        "ranking": list(tested.claim.ranking),
        "answer": tested.answer,
        "sentence": sentence(tested),
        "counts": tested.counts(),
        "rule": RULE,
        "baselines": baseline_sentences(tested),
        "missing": list(tested.missing),
        "cells": [_cell_document(cell) for cell in tested.cells],
    }


def _cell_document(cell: Cell) -> dict[str, Any]:
    return {
        "where": cell.where,
        "condition": cell.condition,
        "metric": cell.metric,
        "better": cell.better,
        "unit": cell.unit,
        "verdict": cell.verdict,
        "found": list(cell.found),
        "standings": [
            {
                "contestant": one.contestant,
                "is_baseline": one.is_baseline,
                "value": _number(one.estimate.value),
                "low": _number(one.estimate.low),
                "high": _number(one.estimate.high),
                "n": one.estimate.n,
                "rank": one.rank,
                "against": [_pair_document(pair) for pair in one.against],
            }
            for one in cell.standings
        ],
        "neighbours": [_pair_document(pair) for pair in cell.neighbours],
        "others": [_pair_document(pair) for pair in cell.others],
    }


def _pair_document(one: Comparison) -> dict[str, Any]:
    found = one.difference
    numbers = {"difference": found.value, "low": found.low, "high": found.high, "p": found.p}
    numbers["p_holm"] = one.adjusted
    return {
        "better": one.better,
        "worse": one.worse,
        **{name: _number(value) for name, value in numbers.items()},
        "n": found.n,
        "verdict": one.verdict,
    }


def _number(value: float) -> float | None:
    return None if value != value else float(value)
