"""The whole of a reader study in one object: who answered how much, agreement, regions, methods."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from dermaxai.errors import DermaXAIError
from dermaxai.reading.against_maps import Against, against_maps
from dermaxai.reading.agreement import Collected, Concord, Overlap, collect, concord, overlap
from dermaxai.reading.looking import Looked, read_page
from dermaxai.store.readers import alike
from dermaxai.store.shelf import Shelf
from dermaxai.store.tables import CaseRow, Reader, Reading


@dataclass(frozen=True, slots=True)
class Share:
    """What one reader has done."""

    pseudonym: str
    cases: int
    """With an answer that counts."""
    answers: int
    readings: int
    """Photos read before the machine's caption."""


@dataclass(frozen=True, slots=True)
class Summary:
    """A study of readers."""

    readers: tuple[Share, ...]
    cases: int
    """With an answer that counts."""
    collected: Collected
    words: Concord
    captions: Concord
    regions: Overlap
    methods: tuple[Against, ...]
    alike: tuple[tuple[str, ...], ...] = ()
    """Pseudonyms that differ only in spelling: if they are one person, agreement counts that person twice."""

    def as_json(self) -> dict[str, Any]:
        """All numbers, as `dermaxai agreement --json` and the API give them."""
        return {
            "readers": [
                {
                    "pseudonym": one.pseudonym,
                    "cases": one.cases,
                    "answers": one.answers,
                    "readings": one.readings,
                }
                for one in self.readers
            ],
            "alike": [list(names) for names in self.alike],
            "cases": self.cases,
            "answers": len(self.collected.given),
            "replaced": self.collected.replaced,
            "outdated": self.collected.outdated,
            "words": self.words.as_json(),
            "captions": self.captions.as_json(),
            "regions": self.regions.as_json(),
            "methods": [one.as_json() for one in self.methods],
        }


def summarise_study(session: Session, shelf: Shelf) -> Summary:
    """Everything that readers have answered in this store, and how far they agree."""
    collected = collect(session)
    words = [entry for entry in collected.given if entry.word is not None]
    return Summary(
        readers=_shares(session, collected),
        cases=len({entry.case for entry in collected.given}),
        collected=collected,
        words=concord(words),
        captions=concord([entry for entry in collected.given if entry.word is None]),
        regions=overlap(words),
        methods=tuple(against_maps(words, _looker(session, shelf))),
        alike=tuple(map(tuple, alike(_active(session, collected)))),
    )


def _looker(session: Session, shelf: Shelf) -> Callable[[str], Looked | None]:
    """What a case shows, or None where its folder cannot be read."""

    def look(case_id: str) -> Looked | None:
        row = session.get(CaseRow, case_id)
        if row is None:
            return None
        try:
            return read_page(shelf.page(row))
        except (DermaXAIError, OSError):
            return None

    return look


def _active(session: Session, collected: Collected) -> list[Reader]:
    """The readers who have said something."""
    said = {entry.reader for entry in collected.given} | set(session.scalars(select(Reading.reader_id)))
    return [reader for reader in session.scalars(select(Reader)) if reader.id in said]


def _shares(session: Session, collected: Collected) -> tuple[Share, ...]:
    names = {reader.id: reader.pseudonym for reader in _active(session, collected)}
    counted = select(Reading.reader_id, func.count()).group_by(Reading.reader_id)
    readings = {reader: count for reader, count in session.execute(counted)}
    shares = [
        Share(
            names[reader],
            len({entry.case for entry in collected.given if entry.reader == reader}),
            sum(entry.reader == reader for entry in collected.given),
            readings.get(reader, 0),
        )
        for reader in names
    ]
    return tuple(sorted(shares, key=lambda share: share.pseudonym))
