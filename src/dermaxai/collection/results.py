"""Results of a folder of cases, with 95 % intervals from resampling cases."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from dermaxai.collection.entries import Entry, Folder
from dermaxai.collection.groups import Groups
from dermaxai.measure.estimates import Estimate, estimate
from dermaxai.scores import SANITY

FEW = 30
"""Cases below which a number is shown pale, and nothing is concluded from it."""
MEASURES = ("better", "deletion", "insertion", "margin", "agreement")
"""Of a method: share of maps better than random by both metrics, by each; margin over random; agreement with
the other methods."""
Terms = Callable[[Entry, str], Iterable[float]]


@dataclass(frozen=True, slots=True)
class Result:
    """One number."""

    group: str
    """'' for all cases; else 'column=group'."""
    method: str
    measure: str
    estimate: Estimate

    @property
    def few(self) -> bool:
        """Whether too few cases count."""
        return self.estimate.n < FEW


@dataclass(frozen=True, slots=True)
class WordLine:
    """A word of the captions."""

    text: str
    cases: int
    from_image: float
    """Share of the cases with this word in which it owes something to the image."""
    nats: float
    """Mean."""


def results_of(folder: Folder, groups: Groups, seed: int = 0) -> list[Result]:
    """Every measure of every method, over all cases, then over each group."""
    found = list(_of_cases(folder.entries, "", folder.methods, groups, seed))
    by_name = {entry.name: entry for entry in folder.entries}
    for column in groups.columns:
        for group, names in groups.of(column).items():
            some = [by_name[name] for name in names]
            found += _of_cases(some, f"{column}={group}", folder.methods, groups, seed)
    return found


def _of_cases(
    entries: Sequence[Entry], group: str, methods: Sequence[str], groups: Groups, seed: int
) -> Iterable[Result]:
    clusters = cluster_numbers(entries, groups)
    for method in methods:
        for measure in MEASURES:
            parts = _parts(entries, method, TERMS[measure])
            yield Result(group, method, measure, estimate(parts, clusters=clusters, seed=seed))


def cluster_numbers(entries: Sequence[Entry], groups: Groups) -> Int[np.ndarray, "cases"]:
    """A number for each case; equal for cases that are drawn together: one photo, or one cluster."""
    keys = [groups.clusters.get(entry.name) or entry.sha256 for entry in entries]
    numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    return np.array([numbers[key] for key in keys], np.int64)


def _parts(entries: Sequence[Entry], method: str, terms: Terms) -> Float[np.ndarray, "cases 2"]:
    """Of each case the sum and the number of the values that count: the estimate is a ratio of sums."""
    rows = []
    for entry in entries:
        values = [value for value in terms(entry, method) if not math.isnan(value)]
        rows.append((sum(values), len(values)))
    return np.array(rows, np.float64).reshape(-1, 2)


def _both(entry: Entry, method: str) -> Iterable[float]:
    return (float(note.verdict == "yes") for note in entry.maps if note.method == method and note.verdict)


def _one(metric: str) -> Terms:
    def shares(entry: Entry, method: str) -> Iterable[float]:
        scores = (score for note in entry.maps if note.method == method for score in note.scores)
        return (float(one.verdict == "yes") for one in scores if one.metric == metric and one.verdict)

    return shares


def _margins(entry: Entry, method: str) -> Iterable[float]:
    return (note.margin for note in entry.maps if note.method == method)


def _correlations(entry: Entry, method: str) -> Iterable[float]:
    return (value for name, value in entry.pairs if name == method)


TERMS: Mapping[str, Terms] = {
    "better": _both,
    "deletion": _one("deletion"),
    "insertion": _one("insertion"),
    "margin": _margins,
    "agreement": _correlations,
}


def mean_of_cases(
    entries: Sequence[Entry], value: Callable[[Entry], float], groups: Groups, seed: int = 0
) -> Estimate:
    """A number of each case, averaged over those that have it."""
    parts = _parts(entries, "", lambda entry, _: (value(entry),))
    return estimate(parts, clusters=cluster_numbers(entries, groups), seed=seed)


def checks_of(folder: Folder) -> dict[str, dict[str, tuple[int, int]]]:
    """Method to check to how many cases passed it, of how many that were decided or not."""
    held: dict[str, dict[str, list[bool]]] = {}
    for entry in folder.entries:
        for score in entry.checks:
            if score.verdict:
                name = score.metric.removeprefix(SANITY)
                held.setdefault(score.of, {}).setdefault(name, []).append(score.verdict == "yes")
    return {
        method: {name: (sum(passed), len(passed)) for name, passed in checks.items()}
        for method, checks in held.items()
    }


def words_of(folder: Folder, most: int = 15) -> list[WordLine]:
    """Words that come from the image, those of most cases first; words that never do are left out."""
    held: dict[str, dict[str, list[tuple[bool, float]]]] = {}
    for entry in folder.entries:
        for word in entry.said:
            if not math.isnan(word.nats):
                cases = held.setdefault(word.text.casefold(), {})
                cases.setdefault(entry.name, []).append((word.from_image, word.nats))
    lines = [
        WordLine(
            text,
            len(cases),
            sum(any(said for said, _ in uses) for uses in cases.values()) / len(cases),
            float(np.mean([nats for uses in cases.values() for _, nats in uses])),
        )
        for text, cases in held.items()
    ]
    told = [line for line in lines if line.from_image > 0]
    return sorted(told, key=lambda line: (-line.from_image * line.cases, line.text))[:most]


def captions_of(folder: Folder, most: int = 5) -> list[tuple[str, int]]:
    """The commonest captions, and of how many cases they are."""
    counted = Counter(entry.caption for entry in folder.entries)
    return sorted(counted.items(), key=lambda pair: (-pair[1], pair[0]))[:most]
