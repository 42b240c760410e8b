"""Checks, builds and counts of datasets as a reader sees them in a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from itertools import groupby
from typing import TYPE_CHECKING, Any

from dermaxai.commands.console import plain_table, say, say_table

if TYPE_CHECKING:
    from dermaxai.data.building import BuildReport
    from dermaxai.data.checking import CheckReport, Pair
    from dermaxai.data.drawing import Chart
    from dermaxai.data.splitting import JoinReport
    from dermaxai.data.statistics import ManifestStatistics

SHOWN = 20
"""Faults of a kind that are named unless all are asked for."""


def say_check(found: CheckReport, *, show_all: bool) -> None:
    """Faults kind by kind, then what is worth knowing and no fault."""
    say(f"{found.dataset}: {found.samples:,} samples read, {found.photos:,} photos on disk")
    for kind, count in found.kinds.items():
        of_kind = [fault for fault in found.faults if fault.kind == kind]
        say(f"\n{kind}: {count:,}")
        for fault in of_kind if show_all else of_kind[:SHOWN]:
            say(f"  {fault.place}: {fault.message}")
        if not show_all and count > SHOWN:
            say(f"  … and {count - SHOWN:,} more (--all names them)")
    _say_remarks(found)
    say("\nNo faults." if found.is_clean else f"\n{counted(found.wrong, 'fault')}.")


def counted(count: int, what: str) -> str:
    """A number with its English noun.

    >>> counted(1, "photo"), counted(2000, "photo")
    ('1 photo', '2,000 photos')
    """
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _say_remarks(found: CheckReport) -> None:
    apart = [pair for pair in found.near if not pair.grouped]
    remarks = [
        (len(found.near), "pair", f"of near-duplicates, {len(apart):,} under no common key"),
        (len(found.unnamed), "photo", "that no row names"),
    ]
    told = [f"{counted(count, noun)} {what}" for count, noun, what in remarks if count]
    if told:
        say(f"\nNo fault, but to know: {'; '.join(told)}.")
    for pair in apart[:SHOWN]:
        say(f"  {pair.one.name} and {pair.other.name} ({pair.flips} of 256 bits differ)")


def check_row(found: CheckReport) -> dict[str, Any]:
    """A check as JSON holds it, nothing left out."""

    def pairs(told: Iterable[Pair]) -> list[dict[str, Any]]:
        return [asdict(pair) | {"one": str(pair.one), "other": str(pair.other)} for pair in told]

    return {
        "dataset": found.dataset,
        "root": str(found.root),
        "samples": found.samples,
        "photos": found.photos,
        "clean": found.is_clean,
        "kinds": dict(found.kinds),
        "labels": dict(found.labels),
        "faults": [asdict(fault) for fault in found.faults],
        "same": pairs(found.same),
        "near": pairs(found.near),
        "unnamed": [str(path) for path in found.unnamed],
    }


def say_build(made: BuildReport, *, pinned: bool = False) -> None:
    """What came in and what was left out, then what was joined and what was overruled.

    `pinned`: a published split or pins were asked for.
    """
    table = plain_table("dataset", "rows", "kept", "no photo", "unusable", "faults")
    for one in made.datasets:
        table.add_row(
            one.dataset,
            *(f"{number:,}" for number in (one.rows, one.kept, one.missing, one.unreadable, one.faults)),
        )
    say_table(table)
    for line in _joins(made.joined, pinned=pinned):
        say(line)
    if any(one.faults for one in made.datasets):
        say(f"All faults: {made.faults}")
    say(f"{made.path}\t{made.sha256}")


_REASONS = {
    "cluster": "their cluster is",
    "not kept": "that split is not kept",
    "no validation": "the publisher keeps nothing for validation",
}


def _joins(joined: JoinReport, *, pinned: bool) -> Iterator[str]:
    """`pinned`: parts were asked for; then it is told also if no photo is meant."""
    yield (
        f"{counted(joined.photos, 'photo')} in {counted(joined.clusters, 'cluster')}, the largest of "
        f"{joined.largest:,}; {joined.repeated:,} show a photo again; "
        f"{joined.by_near:,} fewer clusters through near-duplicates."
    )
    yield f"Photos per part: {', '.join(f'{part} {count:,}' for part, count in joined.parts.items())}."
    if pinned:
        yield f"{counted(joined.pinned, 'photo')} in the part that the published split or the pins name."
    if joined.pinned_elsewhere:
        yield f"{counted(joined.pinned_elsewhere, 'photo')} in a stricter part than that, with their cluster."
    for dataset, shared in groupby(joined.overlaps, key=lambda one: one.dataset):
        others = (f"{one.joined:,} with {one.other} ({one.same:,} the same photo)" for one in shared)
        yield f"{dataset}: photos joined: {', '.join(others)}."
    for one in joined.overruled:
        told = f"{one.dataset}: {counted(one.photos, 'photo')} of its {one.official} in {one.given}"
        yield f"{told}, because {_REASONS[one.reason]}."
    for part in (part for part, count in joined.parts.items() if not count):
        yield f"No photo is in {part}: publishers' splits and the fractions leave it empty (see --own-split)."


def build_row(made: BuildReport) -> dict[str, Any]:
    """A build as JSON holds it."""
    return asdict(made) | {"path": str(made.path), "faults": str(made.faults)}


def say_charts(charts: Iterable[Chart], counted: ManifestStatistics) -> None:
    """A table for every chart that counts anything, but the histogram, then the lengths of captions."""
    for chart in charts:
        if not chart.total or chart.name == "caption_lengths":
            continue
        say(f"{chart.title}{f' ({chart.note})' if chart.note else ''}")
        table = plain_table("", *chart.series, "all")
        for label, counts in chart.rows:
            table.add_row(label, *(f"{count:,}" for count in (*counts, sum(counts))))
        say_table(table)
        say("")
    if not counted.lengths:
        return
    say("Captions of all rows, in words")
    table = plain_table("", "language", "kind", "captions", "photos", "least", "median", "mean", "most")
    for one in counted.lengths:
        numbers = (
            f"{one.captions:,}",
            f"{one.photos:,}",
            str(one.least),
            f"{one.median:g}",
            f"{one.mean:.1f}",
        )
        table.add_row(one.dataset, one.language, one.kind, *numbers, str(one.most))
    say_table(table)
