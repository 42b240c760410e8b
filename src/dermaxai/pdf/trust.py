"""How far the methods of a case can be trusted: one row each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from dermaxai.i18n import Catalogue
from dermaxai.scores import JUDGED, SANITY, pairs_of, scores_by_map, verdict_of
from dermaxai.types import Case, HeatMap, Score, Verdict

MARKS: Mapping[Verdict, str] = {"yes": "✓", "no": "✗", "undecided": "?", "": "–"}
ORDER = ("random_weights", "wrong_question", "blank_photo", "mirrored_photo")
"""Of the checks of a method."""
_Pair = tuple[HeatMap, dict[str, Score]]


@dataclass(frozen=True, slots=True)
class MethodRow:
    """A method of a case: its maps, their verdicts and mean scores, its checks."""

    name: str
    maps: int
    better: str
    """'5 of 9'; '' where nothing was measured."""
    undecided: int
    scores: tuple[str, ...]
    """Mean of each of `JUDGED`, with that of random maps in brackets."""
    checks: tuple[str, ...]
    """A mark for each check that some method has."""


@dataclass(frozen=True, slots=True)
class AgreementLine:
    """How alike the methods' maps are over all questions, and where they are least so."""

    mean: str
    questions: int
    lowest: str
    least: str
    """Text of the question."""


def method_rows(case: Case, texts: Catalogue) -> tuple[list[MethodRow], list[tuple[str, str]]]:
    """A row per method and variant, and the checks there are: name and heading."""
    held: dict[tuple[str, str], list[_Pair]] = {}
    for heat, scores in zip(case.maps, scores_by_map(case), strict=True):
        if heat.method != "spread":
            held.setdefault((heat.method, heat.variant), []).append((heat, scores))
    several = {name for name, _ in held if sum(other == name for other, _ in held) > 1}
    found = {
        (entry.of, entry.metric.removeprefix(SANITY)): entry.verdict
        for entry in case.scores
        if entry.metric.startswith(SANITY)
    }
    checks = [name for name in ORDER if any(check == name for _, check in found)]
    rows = []
    for (method, variant), pairs in held.items():
        label = f"{method}:{variant}" if method in several else method
        marks = tuple(MARKS[found.get((label, check), "")] for check in checks)
        rows.append(_row(f"{texts.name('method', method)}", variant, pairs, marks, texts))
    return rows, [(name, texts.text(f"check.{name}")) for name in checks]


def _row(name: str, variant: str, pairs: list[_Pair], checks: tuple[str, ...], texts: Catalogue) -> MethodRow:
    verdicts = [verdict_of(scores) for _, scores in pairs]
    known = [verdict for verdict in verdicts if verdict]
    better = texts.text("print.of", part=known.count("yes"), all=len(known)) if known else ""
    return MethodRow(
        f"{name} · {variant}" if variant else name,
        len(pairs),
        better,
        known.count("undecided"),
        tuple(_mean(metric, (scores for _, scores in pairs), texts) for metric in JUDGED),
        checks,
    )


def _mean(metric: str, held: Iterable[Mapping[str, Score]], texts: Catalogue) -> str:
    """Mean over maps, and of their random maps in brackets; '' where none was measured."""
    found = [scores[metric] for scores in held if metric in scores and np.isfinite(scores[metric].value)]
    if not found:
        return ""
    beside = [entry.baseline for entry in found if entry.baseline is not None]
    mean = texts.number(float(np.mean([entry.value for entry in found])))
    return f"{mean} ({texts.number(float(np.mean(beside)))})" if beside else mean


def words_check(case: Case, texts: Catalogue) -> str:
    """The check of the caption's words, in a sentence; '' where it was not made."""
    for entry in case.scores:
        if entry.metric == f"{SANITY}blank_words" and entry.verdict:
            return f"{texts.text('check.blank_words')}: {texts.text(f'sanity.{entry.verdict}')}"
    return ""


def agreement_line(case: Case, texts: Catalogue) -> AgreementLine | None:
    """Mean over questions of the mean correlation of pairs of methods; None where none was computed."""
    means = {}
    for entry in case.agreements:
        if pairs := pairs_of(entry):
            means[entry.target.text] = float(np.mean([value for _, _, value in pairs]))
    if not means:
        return None
    least = min(means, key=lambda text: means[text])
    mean = texts.number(float(np.mean(list(means.values()))))
    return AgreementLine(mean, len(means), texts.number(means[least]), least)
