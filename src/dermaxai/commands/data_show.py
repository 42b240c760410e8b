"""Cards and samples of datasets as a reader sees them in a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from dermaxai.commands.console import say

if TYPE_CHECKING:
    from dermaxai.data.cards import DatasetCard
    from dermaxai.data.manifest import ManifestSample
    from dermaxai.data.samples import Sample

WIDTH = 18
"""Columns of the names on the left."""


def say_how(card: DatasetCard) -> None:
    """Terms first, then how to get it and what to do next."""
    say(f"{card.title}: terms")
    for term in card.terms:
        say(f"  - {term}")
    say(f"\nLicence         {card.licence}")
    say(f"Redistribution  {card.redistribution}")
    say(f"Cite            {card.citation}{f', doi:{card.doi}' if card.doi else ''}")
    say(f"\nHow to get it ({card.page})")
    for step in (*card.steps, *fetch_step(card)):
        say(f"  {step}")
    say("\nWhat is there afterwards")
    for line in card.layout.strip("\n").splitlines():
        say(f"  {line}")
    say(f"\nThen\n  $ {next_command(card)}")


def fetch_step(card: DatasetCard) -> tuple[str, ...]:
    """How this program fetches it, where the terms allow that."""
    if not card.fetchable:
        return ()
    which = "" if card.collections else "--collection 249 "
    told = "" if card.fetched_as == card.name else f"; it is then checked and built as {card.fetched_as}"
    command = f"$ dermaxai data fetch {card.name} -o DIR {which}--accept-terms"
    return (f"Or by this program, resumable{told}.", command)


def next_command(card: DatasetCard) -> str:
    """What to type once the folder is there."""
    return f"dermaxai data check {card.name} DIR"


def say_card(card: DatasetCard, counts: dict[str, int]) -> None:
    """Every field that says something, and the publisher's counts per label."""
    for field in fields(card):
        value = getattr(card, field.name)
        if value in ("", (), {}, 0) or field.name.startswith("counted"):
            continue
        lines = list(_lines(value))
        say(f"{field.name.replace('_', ' '):{WIDTH}}{lines[0]}")
        for line in lines[1:]:
            say(f"{'':{WIDTH}}{line}")
    if counts:
        say(f"{'counts':{WIDTH}}by {card.counted}{f', of {card.counted_of}' if card.counted_of else ''}")
    for label, count in sorted(counts.items(), key=lambda entry: -entry[1]):
        say(f"{'':{WIDTH}}{count:>7,}  {label}")


def _lines(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (f"{name}: {told}" for name, told in value.items())
    elif isinstance(value, tuple):
        for entry in value:
            yield entry if isinstance(entry, str) else _plain(entry)
    elif isinstance(value, str):
        yield from value.strip("\n").splitlines()
    else:
        yield _plain(value)


def _plain(value: Any) -> str:  # noqa: ANN401 - a number, a flag or a file of a card
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    told = {name: entry for name, entry in asdict(value).items() if entry}
    return "  ".join(f"{entry:,} bytes" if name == "bytes" else str(entry) for name, entry in told.items())


def say_sample(sample: Sample, more: dict[str, str]) -> None:
    """A photo's facts in both languages, then its captions with the source of every sentence."""
    for name, told in {**sample_facts(sample), **more}.items():
        if told:
            say(f"{name:{WIDTH}}{told}")
    for caption in sample.captions:
        say(f"\n{caption.language}  ({caption.field})")
        for sentence in caption.sentences:
            say(f"  {sentence.source:{WIDTH - 4}}{sentence.text}")


def sample_facts(sample: Sample) -> dict[str, str]:
    """Everything but the captions, in words; '' where the publisher says nothing."""
    from dermaxai.vocabulary import findings

    def named(found: tuple[str, ...]) -> str:
        return "; ".join(_both(findings()[entry].name) if entry in findings() else entry for entry in found)

    return {
        "id": sample.id,
        "photo": str(sample.path or "not on disk"),
        "place": sample.place,
        "licence": sample.licence,
        "label": sample.label,
        "diagnosis": _diagnosis(sample.diagnosis),
        "other diagnoses": "; ".join(map(_diagnosis, sample.other_diagnoses)),
        "publisher says": sample.source_malignancy,
        "present": named(sample.present),
        "absent": named(sample.absent),
        "site": _site(sample),
        "age": "" if sample.age is None else f"{sample.age:g}",
        "sex": sample.sex or "",
        "skin type": sample.skin_type or "",
        "modality": sample.modality or "",
        "votes": "; ".join(f"{name} {count}" for name, count in sample.votes),
        "groups": "; ".join(sample.groups),
        "official split": sample.official_split or "",
        "sha256": sample.sha256,
    }


def manifest_facts(found: ManifestSample) -> dict[str, str]:
    """What a manifest knows of a sample beyond the sample, in words."""
    measured = found.appearance
    colours = ", ".join(f"{name} {share:.2f}" for name, share in measured.colours) if measured else ""
    return {
        "split": found.split,
        "cluster": found.cluster,
        "repeats": found.duplicate_of,
        "size": f"{found.width} x {found.height} px" if found.width else "",
        "measured": (
            measured
            and f"area {measured.area:.2f}, asymmetry {measured.asymmetry:.2f}, irregularity "
            f"{measured.irregularity:.2f}, contrast {measured.contrast:.1f}; {colours}"
        )
        or "",
    }


def _diagnosis(name: str | None) -> str:
    from dermaxai.vocabulary import diagnoses

    if name is None or name not in diagnoses():
        return name or ""
    found = diagnoses()[name]
    return f"{_both(found.name)} ({found.malignancy.replace('_', ' ')})"


def _site(sample: Sample) -> str:
    from dermaxai.vocabulary import sites

    known = sites().get(sample.site or "")
    return _both(known.name) if known else sample.site_text


def _both(names: Any) -> str:  # noqa: ANN401 - a mapping by language
    return f"{names['en']} / {names['ru']}"


def sample_row(sample: Sample, more: dict[str, str]) -> dict[str, Any]:
    """A sample as JSON holds it."""
    return {**asdict(sample), "path": None if sample.path is None else str(sample.path), **more}
