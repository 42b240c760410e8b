"""The numbers of trust of one case: every map beside random maps of the same question."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar, final

import numpy as np
from jaxtyping import Float

from dermaxai.errors import NotSupported, UsageError
from dermaxai.explain import METHODS
from dermaxai.explain.agreement import SPREAD
from dermaxai.explain.base import AbstractMethod, Explained
from dermaxai.measure.maps import MAP_METRICS
from dermaxai.measure.maps.base import AbstractMapMetric, Protocol, Subject
from dermaxai.measure.maps.checked import fits
from dermaxai.measure.maps.deletion import Curves, curves_of, random_aucs
from dermaxai.measure.sanity import Check, Tell, check_maps
from dermaxai.progress import part, stage, steps
from dermaxai.scores import JUDGED, map_names, replace_scores
from dermaxai.types import Case, Encoded, HeatMap, Score, Verdict

Found = TypeVar("Found")
QUICK = Protocol(steps=10, random_maps=20)
"""While explaining: half the steps."""
ENOUGH = 20
"""Random maps below which none is 'yes': of fewer, many a random map would be better than 97.5 %."""
TIE_SEEDS = 5
"""Orders in which the equal patches of a map with ties are taken."""
SLOW = ("score_cam", "convis")
"""Methods that look at a photo hundreds of times; checking them takes minutes."""
ALL = "all"
"""In the place of a method: every one of the case, the slow ones too."""
ROUNDING = 1e-5
"""Of the largest random value: what lies nearer to a limit is on it, since passes of other sizes round so."""


@dataclass(frozen=True, slots=True, eq=False)
class CaseScores:
    """What `measure_case` found."""

    scores: tuple[Score, ...]
    notes: tuple[str, ...] = ()
    """What could not be measured, and why."""
    curves: Mapping[str, Curves] = field(default_factory=dict)
    """By map, as `scores.map_names` calls it; where there are ties, those of the first order."""
    options: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    """Options of the command line that ask for the same."""


def measure_case(
    model: Explained,
    encoded: Encoded,
    case: Case,
    metrics: Sequence[str] = JUDGED,
    protocol: Protocol = QUICK,
    tell: Tell | None = None,
) -> CaseScores:
    """Scores of every map of a case but `spread`; deletion and insertion beside random maps.

    Where a metric is not defined for a map, it has no score there, and a note says so. `tell`: told before
    the deletion and insertion of each map: its method, how many came before, and of how many.
    Raises: UnknownName for a metric, NotSupported for a photo of another encoder.
    """
    for name in metrics:
        MAP_METRICS.load(name)
    pairs = zip(map_names(case.maps), case.maps, strict=True)
    maps = {name: heat for name, heat in pairs if heat.method != SPREAD}
    subject = Subject(model, encoded, case.image, protocol, makers_of(case.maps))
    gathered = _Gathered(subject, maps, tell or _silent)
    with stage("measure"):
        gathered.add(metrics)
    return CaseScores(
        tuple(gathered.scores), tuple(gathered.notes), gathered.curves, options_of(metrics, protocol)
    )


@final
class _Gathered:
    """Scores as they come, and what could not be had."""

    def __init__(self, subject: Subject, maps: Mapping[str, HeatMap], tell: Tell) -> None:
        self.subject = subject
        self.tell = tell
        self.scores: list[Score] = []
        self.notes: list[str] = []
        self.curves: dict[str, Curves] = {}
        self.maps: dict[str, HeatMap] = {}
        for name, heat in maps.items():
            if not np.isfinite(heat.values).all():
                self.notes.append(f"The map '{name}' holds values that are no numbers.")
            elif not fits(subject, heat):
                self.notes.append(f"The map '{name}' is of another encoder's patches and was left out.")
            else:
                self.maps[name] = heat

    def add(self, metrics: Sequence[str]) -> None:
        """Measure all maps; one by one where that fails, so that the map at fault is found."""
        judged = [name for name in JUDGED if name in metrics]
        others = [name for name in metrics if name not in JUDGED]
        # What is judged is judged together, in one step.
        for metric in steps([*judged[:1], *others]):
            if metric in judged:
                self._add_judged(judged)
                continue
            kind: type[AbstractMapMetric] = MAP_METRICS.load(metric)
            for name, value in self._each(_title(metric), partial(kind().measure, self.subject)).items():
                self._keep(Score(metric, value, value, value, 1, name), name)

    def _add_judged(self, judged: Sequence[str]) -> None:
        found = self._each(" and ".join(_title(name) for name in judged), self._judge)
        for name, pair in found.items():
            self.curves[name] = pair[1]
            for metric in judged:
                self._keep(pair[0][metric], name)

    def _keep(self, score: Score, name: str) -> None:
        if np.isnan(score.value):
            self.notes.append(f"{_title(score.metric)} is not defined for the map '{name}'.")
            return
        self.scores.append(replace(score, of=name, protocol=in_words(self.subject.protocol)))

    def _each(self, title: str, measure: Callable[[list[HeatMap]], Sequence[Found]]) -> dict[str, Found]:
        try:
            return dict(zip(self.maps, measure(list(self.maps.values())), strict=True))
        except NotSupported:
            found: dict[str, Found] = {}
        why: dict[str, list[str]] = {}
        for name, heat in steps(self.maps.items()):
            try:
                found[name] = measure([heat])[0]
            except NotSupported as error:
                why.setdefault(error.message, []).append(f"'{name}'")
        for message, names in why.items():
            which = "every map" if len(names) == len(self.maps) else f"the map {', '.join(names)}"
            self.notes.append(f"{title} of {which} was left out: {message}")
        return found

    def _judge(self, maps: list[HeatMap]) -> list[tuple[dict[str, Score], Curves]]:
        """Deletion and insertion of each map beside random maps of its question."""
        targets = list(dict.fromkeys(heat.target for heat in maps))
        with part(0.0, 0.5):
            random = dict(zip(JUDGED, random_aucs(self.subject, targets), strict=True))
        with part(0.5, 1.0):
            drawn = [self._in_every_order(*numbered, len(maps)) for numbered in enumerate(steps(maps))]
        found: list[tuple[dict[str, Score], Curves]] = []
        for heat, every in zip(maps, drawn, strict=True):
            place = targets.index(heat.target)
            scores = {
                name: judge(name, [getattr(one, f"{name}_auc") for one in every], random[name][place])
                for name in JUDGED
            }
            found.append((scores, every[0]))
        return found

    def _in_every_order(self, number: int, heat: HeatMap, total: int) -> list[Curves]:
        """The curves of one map; more of them where patches are equal."""
        self.tell(heat.method, number, total)
        own = curves_of(self.subject, [heat])[0]
        seeds = [self.subject.protocol.seed + more for more in range(1, TIE_SEEDS)]
        return [own, *(self._reordered(heat, seed) for seed in steps(seeds))] if has_ties(heat) else [own]

    def _reordered(self, heat: HeatMap, seed: int) -> Curves:
        """The curves where the patches that are equal are taken in another order."""
        protocol = replace(self.subject.protocol, seed=seed)
        return curves_of(replace(self.subject, protocol=protocol), [heat])[0]


def _silent(what: str, done: int, total: int) -> None:
    """Nobody listens."""


def has_ties(heat: HeatMap) -> bool:
    """Whether some patches are equal, so that their order is a matter of chance."""
    return bool(np.unique(heat.values).size < heat.values.size)


def judge(metric: str, values: Sequence[float], random: Float[np.ndarray, "random"]) -> Score:
    """A map's values, one per order of its ties, beside those of random maps of the same question.

    'yes': better than 97.5 % of them, where there are `ENOUGH`; 'no': not better than their median by more
    than `ROUNDING`; 'undecided' between, and '' where nothing is defined. The interval is the smallest and
    largest over the orders.
    """
    better = MAP_METRICS.load(metric).scale.better
    value = float(np.mean(values))
    if np.isnan(value) or np.isnan(random).any():
        return Score(metric, float("nan"), float("nan"), float("nan"), len(values), "")
    low, middle, high = (float(one) for one in np.percentile(random, [2.5, 50, 97.5]))
    least = ROUNDING * float(np.abs(random).max())
    gains = (value - high, value - middle) if better == "higher" else (low - value, middle - value)
    beats, beyond = (gain > least for gain in gains)
    beats = beats and random.size >= ENOUGH
    verdict: Verdict = "yes" if beats else "undecided" if beyond else "no"
    numbers = value, float(np.min(values)), float(np.max(values)), len(values)
    return Score(metric, *numbers, "", float(np.mean(random)), low, high, verdict)


def _title(metric: str) -> str:
    return str(MAP_METRICS.load(metric).scale.title)


def makers_of(maps: Sequence[HeatMap]) -> dict[tuple[str, str], AbstractMethod]:
    """The methods that made some maps, by name and variant; maps of unknown makers are left out."""
    found: dict[tuple[str, str], AbstractMethod] = {}
    for name in dict.fromkeys(heat.method for heat in maps if heat.method in METHODS):
        kind: type[AbstractMethod] = METHODS.load(name)
        for variant in kind.variants:
            method = kind.of_variant(variant)
            found[name, method.variant] = method
    return found


def check_case(
    model: Explained,
    encoded: Encoded,
    case: Case,
    methods: Sequence[str] = (),
    seed: int = 0,
    tell: Tell | None = None,
) -> list[Check]:
    """The checks of `measure.sanity` for the methods of a case, or for some of them by name.

    A method may be named 'name:variant', with the variant as its maps have it; 'all' stands for every one.
    Where none is named, those of `left_out` are. `tell`: told before each check.
    Raises: UsageError for a method without maps in the case.
    """
    makers = makers_of(case.maps)
    known = [heat for heat in case.maps if (heat.method, heat.variant) in makers]
    held = {name for heat in known for name in (heat.method, f"{heat.method}:{heat.variant}")}
    if missing := [name for name in methods if name not in held | {ALL}]:
        raise UsageError(
            f"The case has no map of '{missing[0]}' that could be checked.",
            hint=f"Its methods: {', '.join(dict.fromkeys(heat.method for heat in known)) or 'none'}.",
        )
    slow = left_out(case, methods)
    subject = Subject(model, encoded, case.image, Protocol(seed=seed), makers)
    asked = [
        heat
        for heat in known
        if heat.method not in slow
        and fits(subject, heat)
        and (not methods or {ALL, heat.method, f"{heat.method}:{heat.variant}"} & set(methods))
    ]
    with stage("sanity"):
        return check_maps(subject, asked, tell)


def left_out(case: Case, methods: Sequence[str] = ()) -> list[str]:
    """The methods that `check_case` does not check unless they or 'all' are named: `SLOW` beside others."""
    held = {method for method, _ in makers_of(case.maps)}
    return [] if methods or held <= set(SLOW) else [name for name in SLOW if name in held]


def with_checks(case: Case, checks: Sequence[Check]) -> Case:
    """The case with the answers of `check_case` among its scores."""
    return replace(case, scores=replace_scores(case.scores, [check.score for check in checks]))


def options_of(metrics: Sequence[str], protocol: Protocol) -> dict[str, str | Sequence[str]]:
    """Options of the command line that ask for the same measurement."""
    chosen = {"steps": protocol.steps, "random": protocol.random_maps, "removal": protocol.removal}
    return {"metric": list(metrics)} | {name: str(value) for name, value in chosen.items()}


def in_words(protocol: Protocol) -> str:
    """The protocol as a score keeps it: 'name=value' pairs.

    >>> in_words(Protocol())
    'removal=tokens, steps=20, random_maps=20, passes=model, seed=0'
    """
    names = ("removal", "steps", "random_maps", "passes", "seed")
    return ", ".join(f"{name}={getattr(protocol, name)}" for name in names)
