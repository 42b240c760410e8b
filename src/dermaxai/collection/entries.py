"""What the report of a folder keeps of each case: numbers and words, no pixels and no maps."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dermaxai.cases import load_case
from dermaxai.errors import DataError, DermaXAIError
from dermaxai.scores import JUDGED, SANITY, pairs_of, scores_by_map, verdict_of
from dermaxai.types import Case, Language, Provenance, Score, Verdict

SUMMARIES = ("consensus", "spread")
"""Maps made of other maps; methods themselves are compared."""
Tell = Callable[[int, int], None]
"""Hears how many cases are read, of how many."""


@dataclass(frozen=True, slots=True)
class MapNote:
    """A measured map."""

    method: str
    verdict: Verdict
    """Of deletion and insertion together."""
    scores: tuple[Score, ...]
    """Those of `JUDGED` that there are."""

    margin: float
    """As `margin_of`."""


@dataclass(frozen=True, slots=True)
class Said:
    """A word of the explained caption."""

    text: str
    nats: float
    """How much likelier the photo makes it; NaN where nobody knows."""
    from_image: bool
    logprob: float


@dataclass(frozen=True, slots=True)
class Entry:
    """One case."""

    name: str
    """Of its folder."""
    sha256: str
    caption: str
    language: Language
    said: tuple[Said, ...]
    outside: bool
    warnings: int
    maps: tuple[MapNote, ...]
    methods: tuple[tuple[str, str], ...]
    """Every method and variant that drew a map."""
    agreements: tuple[float, ...]
    """Of each question the mean rank correlation of its pairs of methods."""
    pairs: tuple[tuple[str, float], ...]
    """Method, and its correlation with another, for every pair of every question."""
    checks: tuple[Score, ...]
    made_by: Provenance
    has_report: bool

    @property
    def agreement(self) -> float:
        """Mean over questions; NaN for one method alone."""
        return _mean(self.agreements)

    @property
    def margin(self) -> float:
        """Mean over measured maps."""
        return _mean(tuple(note.margin for note in self.maps))

    @property
    def better(self) -> float:
        """Share of measured maps that are better than random ones; NaN where none was measured."""
        known = [note.verdict == "yes" for note in self.maps if note.verdict]
        return sum(known) / len(known) if known else math.nan

    @property
    def from_image(self) -> float:
        """Share of the caption's words that owe something to the image."""
        known = [word.from_image for word in self.said if not math.isnan(word.nats)]
        return sum(known) / len(known) if known else math.nan


@dataclass(frozen=True, slots=True)
class Folder:
    """All cases of a folder."""

    home: Path
    entries: tuple[Entry, ...]
    """By name."""
    skipped: tuple[tuple[str, str], ...] = ()
    """Folders with a case.json that could not be read, and why."""

    @property
    def methods(self) -> tuple[str, ...]:
        """Methods with maps, in the order of their first appearance."""
        named = (method for entry in self.entries for method, _ in entry.methods)
        return tuple(dict.fromkeys(method for method in named if method not in SUMMARIES))


def case_folders(home: Path) -> list[Path]:
    """Folders directly below `home` that hold a case, by name; hidden ones are left out."""
    try:
        found = [path for path in home.iterdir() if not path.name.startswith(".")]
    except OSError as error:
        raise DataError(f"'{home}' cannot be read: {error.strerror or error}.") from error
    return sorted(path for path in found if (path / "case.json").is_file())


def read_folder(home: Path, tell: Tell | None = None) -> Folder:
    """Read every case below `home`, one at a time. Raises: DataError where there is none that can be read."""
    places = case_folders(home)
    entries: list[Entry] = []
    skipped: list[tuple[str, str]] = []
    for count, place in enumerate(places, 1):
        try:
            entries.append(read_entry(load_case(place), place))
        except DermaXAIError as error:
            skipped.append((place.name, error.message))
        if tell is not None:
            tell(count, len(places))
    if not entries:
        raise DataError(
            f"There is no case below '{home}' that can be read.",
            hint="'dermaxai explain photos/*.jpg -o cases' makes a folder of cases.",
        )
    return Folder(home, tuple(entries), tuple(skipped))


def read_entry(case: Case, place: Path) -> Entry:
    """What is kept of a case that lies at `place`."""
    return Entry(
        name=place.name,
        sha256=case.image.sha256,
        caption=case.caption.text,
        language=case.caption.language,
        said=_said(case),
        outside=bool(case.outside and case.outside.flag),
        warnings=len(case.warnings),
        maps=tuple(_notes(case)),
        methods=tuple(dict.fromkeys((heat.method, heat.variant) for heat in case.maps)),
        agreements=tuple(_agreements(case)),
        pairs=tuple(_pairs(case)),
        checks=tuple(score for score in case.scores if score.metric.startswith(SANITY)),
        made_by=case.made_by,
        has_report=(place / "report.html").is_file(),
    )


def margin_of(scores: Mapping[str, Score]) -> float:
    """Insertion minus deletion of a map, less what random maps get; NaN where something is missing."""
    gaps = {}
    for metric in JUDGED:
        score = scores.get(metric)
        if score is None or score.baseline is None:
            return math.nan
        gaps[metric] = score.value - score.baseline
    return gaps["insertion"] - gaps["deletion"]


def _said(case: Case) -> tuple[Said, ...]:
    evidence = {entry.word: entry for entry in case.evidence}
    said = []
    for index, word in enumerate(case.caption.words):
        known = evidence.get(index)
        nats, from_image = (known.nats, known.from_image) if known else (math.nan, False)
        said.append(Said(word.text, nats, from_image, word.logprob))
    return tuple(said)


def _notes(case: Case) -> Iterator[MapNote]:
    for heat, scores in zip(case.maps, scores_by_map(case), strict=True):
        found = tuple(scores[metric] for metric in JUDGED if metric in scores)
        if found and heat.method not in SUMMARIES:
            yield MapNote(heat.method, verdict_of(scores), found, margin_of(scores))


def _agreements(case: Case) -> Iterator[float]:
    for entry in case.agreements:
        if pairs := pairs_of(entry):
            yield _mean(tuple(value for _, _, value in pairs))


def _pairs(case: Case) -> Iterator[tuple[str, float]]:
    for entry in case.agreements:
        for one, other, value in pairs_of(entry):
            yield from ((method.partition(":")[0], value) for method in (one, other))


def _mean(values: tuple[float, ...]) -> float:
    """Of the finite ones; NaN without any."""
    known = [value for value in values if math.isfinite(value)]
    return float(np.mean(known)) if known else math.nan
