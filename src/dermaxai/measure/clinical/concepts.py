"""Which findings a caption names, and as what: seen, not seen, possible; against the references.

Source: pairs of concept and polarity, as in report generation (Irvin et al. 2019, arXiv:1901.07031), with
half a point where only the certainty differs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from dermaxai.measure.clinical.judging import polarities
from dermaxai.measure.clinical.stated import Stated
from dermaxai.measure.columns import Scored
from dermaxai.measure.estimates import MEAN, Statistic, mean_parts
from dermaxai.measure.scale import Scale
from dermaxai.statements.lexicon import Polarity

HEDGED = 0.5
"""For 'possible X' where the other says 'X', either way: the sign is the same, the certainty is not."""
_OPPOSITE: Mapping[Polarity, Polarity] = {"stated": "negated", "negated": "stated"}
_SOURCE = "Irvin et al. 2019, arXiv:1901.07031; docs/clinical_metrics.md"
Told = Mapping[str, Polarity]
Referred = Mapping[str, frozenset[Polarity]]


def concepts(stated: Sequence[Stated]) -> list[Scored]:
    """Precision, recall and F1 of findings over all captions, F1 over findings, and contradictions.

    Captions without references count nowhere; () where no text names a finding.
    """
    pairs = [(polarities(one.caption), _referred(one)) if one.references else ({}, {}) for one in stated]
    if not any(told or referred for told, referred in pairs):
        return []
    counts = np.array([_counts(told, referred) for told, referred in pairs])
    found = [
        Scored(_scale("concept_precision", "Findings, precision"), counts[:, [0, 1]]),
        Scored(_scale("concept_recall", "Findings, recall"), counts[:, [0, 2]]),
        Scored(_scale("concept_f1", "Findings, F1"), counts, F1),
    ]
    names = sorted({name for _, referred in pairs for name in referred})
    if names:
        scale = _scale("concept_f1_macro", "Findings, F1 averaged over findings")
        found.append(Scored(scale, _per_finding(pairs, names), MACRO))
    return [*found, *_contradictions(pairs)]


def _scale(name: str, title: str) -> Scale:
    return Scale(name, title, "higher", "share", source=_SOURCE)


def f1(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """2 x agreement over both counts, from (agreement, told, referred to)."""
    agreed, told, referred = (sums[..., place] for place in range(3))
    both = told + referred
    found: NDArray[np.float64] = np.divide(
        2 * agreed, both, out=np.full(np.shape(both), np.nan), where=both > 0
    )
    return found


def macro_f1(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean of `f1` over the findings that references name, from three numbers for each finding."""
    grouped = np.reshape(sums, (*np.shape(sums)[:-1], -1, 3))
    counts = grouped[..., 2] > 0
    values, number = np.where(counts, f1(grouped), 0.0).sum(-1), counts.sum(-1)
    found: NDArray[np.float64] = np.divide(
        values, number, out=np.full(np.shape(number), np.nan), where=number > 0
    )
    return found


F1 = Statistic("F1", of_sums=f1)
MACRO = Statistic("mean of F1", of_sums=macro_f1)


def _referred(one: Stated) -> Referred:
    """Each finding of any reference, with all that references make of it."""
    found: dict[str, set[Polarity]] = {}
    for reference in one.references:
        for name, polarity in polarities(reference).items():
            found.setdefault(name, set()).add(polarity)
    return {name: frozenset(both) for name, both in found.items()}


def agreement(told: Polarity, referred: frozenset[Polarity]) -> float:
    """1 for the same polarity as a reference, `HEDGED` between stated and possible, else 0."""
    if told in referred:
        return 1.0
    rivals = {"stated": "uncertain", "uncertain": "stated"}
    return HEDGED if rivals.get(told) in referred else 0.0


def _counts(told: Told, referred: Referred) -> tuple[float, float, float]:
    agreed = sum(agreement(polarity, referred[name]) for name, polarity in told.items() if name in referred)
    return agreed, float(len(told)), float(len(referred))


def _per_finding(pairs: Sequence[tuple[Told, Referred]], names: Sequence[str]) -> NDArray[np.float64]:
    parts = np.zeros((len(pairs), len(names), 3))
    for row, (told, referred) in enumerate(pairs):
        for place, name in enumerate(names):
            own = {name: told[name]} if name in told else {}
            other = {name: referred[name]} if name in referred else {}
            parts[row, place] = _counts(own, other)
    return parts.reshape(len(pairs), -1)


def _contradictions(pairs: Sequence[tuple[Told, Referred]]) -> list[Scored]:
    """Of the findings that both speak of, and of the captions that share one with a reference."""
    rows = [
        [contradicts(polarity, referred[name]) for name, polarity in told.items() if name in referred]
        for told, referred in pairs
    ]
    if not any(rows):
        return []
    rate = Scale("contradiction_rate", "Findings contradicted", "lower", "share", source=_SOURCE)
    captions = Scale(
        "contradicted_captions", "Captions with a contradiction", "lower", "share", source=_SOURCE
    )
    parts = np.array([[float(sum(row)), float(len(row))] for row in rows])
    any_of = [float(any(row)) if row else float("nan") for row in rows]
    return [Scored(rate, parts, MEAN), Scored(captions, mean_parts(any_of))]


def contradicts(told: Polarity, referred: frozenset[Polarity]) -> bool:
    """Asserted here and denied there, or the reverse, unless another reference says the same."""
    return told not in referred and _OPPOSITE.get(told) in referred
