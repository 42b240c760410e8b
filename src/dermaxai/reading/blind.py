"""Blind reading: the reader's own reading first, then the machine's."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from dermaxai.errors import Conflict, NotAllowed, NotSignedIn, UsageError
from dermaxai.messages import with_said
from dermaxai.reading.typed import DIAGNOSIS, FINDINGS, clean_text
from dermaxai.store.audit import append
from dermaxai.store.cases import find_case
from dermaxai.store.tables import Reading, now

OF_THE_PHOTO = frozenset({"id", "state", "revision", "created", "name", "owner", "width", "height"})
"""What the list of cases tells of one that is still to be read: nothing that the model made."""
SORTS = frozenset({"created", "name"})
"""Orders of the list that tell nothing of the machine's."""
LONGEST = 24 * 3600.0
"""Seconds; a page that stood open for longer says nothing of reading."""


class Person(Protocol):
    """Who is asking, as the API knows it."""

    @property
    def name(self) -> str:
        """Pseudonym."""
        ...

    @property
    def reader(self) -> int | None:
        """Id in `readers`."""
        ...

    @property
    def by(self) -> str:
        """How they came in: local, session, token."""
        ...

    @property
    def is_admin(self) -> bool:
        """Whether everything is allowed."""
        ...


@dataclass(frozen=True, slots=True)
class OwnReading:
    """What a reader saw before the machine's caption was shown."""

    findings: str
    diagnosis: str = ""
    """Under test, like every diagnosis here."""
    confidence: int | None = None
    """1, a guess, to 5, certain."""
    seconds: float | None = None
    """Between opening the photo and the answer."""

    def checked(self) -> OwnReading:
        """The same with clean texts. Raises: UsageError."""
        findings = clean_text(self.findings, FINDINGS, "A reading")
        if not findings:
            raise UsageError("A reading says what you see.", hint="Write at least one finding.")
        if self.confidence is not None and not 1 <= self.confidence <= 5:
            raise UsageError(f"Confidence is 1, a guess, to 5, certain; not {self.confidence}.")
        seconds = self.seconds
        if seconds is not None and not (math.isfinite(seconds) and seconds >= 0):
            raise UsageError("Seconds are a number from 0.")
        seconds = None if seconds is None else min(seconds, LONGEST)
        return OwnReading(
            findings, clean_text(self.diagnosis, DIAGNOSIS, "A diagnosis"), self.confidence, seconds
        )


def must_read_first(actor: Person, blind: bool) -> bool:
    """Whether anything of the machine's is kept from this person until they have read the photo.

    An admin who signed in with a token leads the study and sees everything. Whoever sits at the machine
    itself without a token may be a reader like any other.
    """
    return blind and not (actor.is_admin and actor.by != "local")


def may_see(session: Session, actor: Person, case_id: str, blind: bool) -> bool:
    """Whether the machine's caption and maps of a case may leave for this person."""
    if not must_read_first(actor, blind):
        return True
    if actor.reader is None:
        return False
    asked = select(Reading.id).where(Reading.case_id == case_id, Reading.reader_id == actor.reader)
    return session.scalar(asked) is not None


def read_cases(session: Session, actor: Person) -> frozenset[str]:
    """Ids of the cases that this reader has read."""
    if actor.reader is None:
        return frozenset()
    return frozenset(session.scalars(select(Reading.case_id).where(Reading.reader_id == actor.reader)))


def veil(summary: Mapping[str, Any]) -> dict[str, Any]:
    """A case of the list as somebody sees it who has not read it: only what was there before the model."""
    return {key: value for key, value in summary.items() if key in OF_THE_PHOTO} | {"hidden": True}


def veil_jobs(
    session: Session, actor: Person, blind: bool, views: Iterable[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Jobs as this person may see them: of an unread case without texts that may repeat the model's."""
    seen = read_cases(session, actor) if must_read_first(actor, blind) else None
    return [dict(view) if seen is None or view["case"] in seen else _veiled(view) for view in views]


def _veiled(view: Mapping[str, Any]) -> dict[str, Any]:
    """States and times stay; names of stages are texts where a text was asked about."""
    asked = view["kind"] in ("query", "contrast")
    silent = {"note": "", "said": {}}
    stages = [
        {**stage, **silent, "name": view["kind"] if asked else stage["name"]} for stage in view["stages"]
    ]
    error = view["error"] and with_said({**view["error"], "message": "It did not work.", "hint": ""})
    return {**view, "stages": stages, "error": error}


def check_search(actor: Person, blind: bool, text: str, sort: str) -> None:
    """A list must not tell what it hides.

    Raises: NotAllowed for a search, or an order by what the model made.
    """
    if must_read_first(actor, blind) and (text.strip() or sort not in SORTS):
        raise NotAllowed(
            "In blind mode the list can be neither searched nor sorted by what the model said.",
            hint=f"Sort by {' or '.join(sorted(SORTS))}, without a search.",
        )


def own_reading(session: Session, actor: Person, case_id: str) -> Reading | None:
    """What this reader has said of a photo, or None."""
    return session.scalar(
        select(Reading).where(Reading.case_id == case_id, Reading.reader_id == actor.reader)
    )


def give_reading(session: Session, actor: Person, case_id: str, given: OwnReading, *, blind: bool) -> Reading:
    """Keep a reader's own reading, once and for all, with its event.

    Raises: NotFound for an unknown case; UsageError for a reading that says nothing or too much; Conflict
    where it was given before, or where the caption was in sight; NotSignedIn without a pseudonym.
    """
    if actor.reader is None:
        raise NotSignedIn("A reading needs a pseudonym.", hint="Choose one first.")
    row, said = find_case(session, case_id), given.checked()
    if not must_read_first(actor, blind):
        raise Conflict(
            "The caption was in sight: this is no blind reading.",
            hint="A server started with --blind hides it from readers until they have read the photo.",
        )
    if own_reading(session, actor, case_id) is not None:
        raise _given_before()
    reading = Reading(
        case_id=row.id,
        reader_id=actor.reader,
        findings=said.findings,
        diagnosis=said.diagnosis,
        confidence=said.confidence,
        seconds=said.seconds,
        created=now(),
    )
    session.add(reading)
    try:
        session.flush()
    except IntegrityError as error:
        raise _given_before() from error
    append(
        session,
        actor.name,
        "reading.given",
        row.id,
        revision=row.revision,
        confidence=said.confidence,
        characters=len(said.findings) + len(said.diagnosis),
    )
    return reading


def reading_json(reading: Reading) -> dict[str, Any]:
    """A reading as the API sends it."""
    return {
        "findings": reading.findings,
        "diagnosis": reading.diagnosis,
        "confidence": reading.confidence,
        "seconds": reading.seconds,
        "created": reading.created.isoformat(),
    }


def _given_before() -> Conflict:
    return Conflict("You have read this photo before; a reading cannot be changed.")
