"""What readers said of a case, as plain JSON for its page and its report."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from dermaxai.reading.blind import reading_json
from dermaxai.reading.judging import feedback_json, newest
from dermaxai.reading.looking import hash_caption
from dermaxai.store.cases import find_case
from dermaxai.store.tables import Feedback, Reader, Reading


def readings_of(session: Session, case_id: str, reader: int | None = None) -> list[dict[str, Any]]:
    """The answers that count, by reader and word: pseudonym, word, text, method, answer, regions, comment.

    Answers to an earlier caption are left out. `reader`: only those of one reader, which is all that a reader
    may see; None: those of all. Raises: NotFound.
    """
    sha256 = hash_caption(find_case(session, case_id).caption)
    asked = (
        select(Feedback, Reader.pseudonym)
        .join(Reader, Reader.id == Feedback.reader_id)
        .where(Feedback.case_id == case_id, Feedback.caption_sha256 == sha256)
        .order_by(Feedback.id)
    )
    if reader is not None:
        asked = asked.where(Feedback.reader_id == reader)
    names: dict[int, str] = {}
    rows = []
    for row, pseudonym in session.execute(asked):
        names[row.reader_id] = pseudonym
        rows.append(row)
    told = [{"pseudonym": names[row.reader_id], **feedback_json(row, sha256)} for row in newest(rows)]
    return sorted(
        told, key=lambda entry: (entry["pseudonym"], -1 if entry["word"] is None else entry["word"])
    )


def blind_readings_of(session: Session, case_id: str, reader: int | None = None) -> list[dict[str, Any]]:
    """What readers saw alone, by pseudonym: findings, diagnosis, confidence, seconds; `reader` as above."""
    asked = (
        select(Reading, Reader.pseudonym)
        .join(Reader, Reader.id == Reading.reader_id)
        .where(Reading.case_id == case_id)
        .order_by(Reader.pseudonym)
    )
    if reader is not None:
        asked = asked.where(Reading.reader_id == reader)
    return [
        {"pseudonym": pseudonym, **reading_json(reading)} for reading, pseudonym in session.execute(asked)
    ]
