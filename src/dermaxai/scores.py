"""Which map a score is of: the names of the maps of a case, and its scores map by map."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from dermaxai.errors import UsageError
from dermaxai.types import Agreement, Case, HeatMap, Score, Target, Verdict

JUDGED = ("deletion", "insertion")
"""Metrics whose verdicts decide whether a map is trusted at a glance."""
SANITY = "sanity_"
"""Before the names of the checks of a whole method."""


def map_names(maps: Sequence[HeatMap]) -> list[str]:
    """What `Score.of` calls each map: no two maps of a case have the same name.

    '<method>/<question>', where a word of the caption is its index: 'evidence/3'. Any other question is its
    kind, its first word where it has one, its text, and behind a bar what it is compared with:
    'grad_eclip/query: a dark lesion', 'evidence/word 3: dark | pale'. A bar in a text is doubled. Where a
    method answers one question in several variants, the variant stands behind its name:
    'grad_cam:reference/3'.
    """
    questions = [(heat.method, heat.target) for heat in maps]
    several = Counter(questions)
    return [
        f"{_method(heat, variants=several[heat.method, heat.target] > 1)}/{name_question(heat.target)}"
        for heat in maps
    ]


def _method(heat: HeatMap, *, variants: bool) -> str:
    return f"{heat.method}:{heat.variant}" if variants else heat.method


def name_question(target: Target) -> str:
    """A question as `map_names` has it.

    >>> name_question(Target("word", "dark", 3)), name_question(Target("query", "a|b", against="c"))
    ('3', 'query: a||b | c')
    """
    if target.kind == "word" and target.against is None and target.word is not None:
        return str(target.word)
    place = "" if target.word is None else f" {target.word}"
    texts = [text.replace("|", "||") for text in (target.text, target.against) if text is not None]
    return f"{target.kind}{place}: {' | '.join(texts)}"


def scores_by_map(case: Case) -> list[dict[str, Score]]:
    """The scores of each map, by metric, in the order of `Case.maps`."""
    held: dict[str, dict[str, Score]] = {}
    for score in case.scores:
        held.setdefault(score.of, {})[score.metric] = score
    return [held.get(name, {}) for name in map_names(case.maps)]


def find_score(case: Case, method: str, text: str, metric: str) -> Score:
    """The score `metric` of the map of `method` for the word or query `text`, case ignored.

    The first where several maps fit; `method` may be 'name:variant'. Raises: UsageError.
    """
    wanted = [
        name
        for heat, name in zip(case.maps, map_names(case.maps), strict=True)
        if method in (heat.method, f"{heat.method}:{heat.variant}")
        and heat.target.text.casefold() == text.casefold()
    ]
    wanted = wanted or [f"{method}/{case.caption.find(text)}"]
    for name in wanted:
        for score in case.scores:
            if score.metric == metric and score.of == name:
                return score
    raise UsageError(f"The case has no score '{metric}' for '{wanted[0]}'.", hint="Measure the case first.")


def pairs_of(agreement: Agreement) -> list[tuple[str, str, float]]:
    """Each pair of different methods once, with its correlation; pairs with a constant map are left out.

    >>> pairs_of(Agreement(Target("query", "dark"), ("a", "b"), (1.0, 0.25, 0.25, 1.0)))
    [('a', 'b', 0.25)]
    """
    methods, values = agreement.methods, agreement.correlations
    count = len(methods)
    return [
        (methods[row], methods[column], values[row * count + column])
        for row in range(count)
        for column in range(row + 1, count)
        if math.isfinite(values[row * count + column])
    ]


def carry_scores(before: Case, maps: Sequence[HeatMap]) -> tuple[Score, ...]:
    """The scores of `before` for a case that holds `maps` instead.

    A score stays with its map, under the name that it has now; the scores of maps that are gone go too.
    """
    places = {id(heat): name for heat, name in zip(maps, map_names(maps), strict=True)}
    old = zip(map_names(before.maps), before.maps, strict=True)
    renamed = {name: places.get(id(heat)) for name, heat in old}
    return tuple(
        _named(score, renamed.get(score.of, score.of) or "")
        for score in before.scores
        if renamed.get(score.of, score.of) is not None
    )


def _named(score: Score, of: str) -> Score:
    from dataclasses import replace

    return score if score.of == of else replace(score, of=of)


def replace_scores(old: Sequence[Score], new: Sequence[Score]) -> tuple[Score, ...]:
    """Old scores without those that `new` gives again, then `new`."""
    again = {(score.metric, score.of) for score in new}
    return (*(score for score in old if (score.metric, score.of) not in again), *new)


def verdict_of(scores: Mapping[str, Score]) -> Verdict:
    """One word for a map: the verdicts of `JUDGED` where they agree, otherwise 'undecided'.

    '' where one of them is missing: a map that was only deleted is half measured.

    >>> verdict_of({})
    ''
    """
    found = {scores[metric].verdict if metric in scores else "" for metric in JUDGED}
    if "" in found:
        return ""
    return found.pop() if len(found) == 1 else "undecided"
