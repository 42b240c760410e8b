"""What a reader has still to read: which cases, how many, and which comes next.

A case is read in blind mode with the reader's own reading of the photo, otherwise with an answer that counts.
Only cases that are made can be read.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import BindParameter, ColumnElement, and_, bindparam, exists, false, func, not_, or_, select
from sqlalchemy.orm import Session

from dermaxai.reading.blind import Person, must_read_first
from dermaxai.reading.looking import hash_caption
from dermaxai.store.cases import CaseSearch, order_of
from dermaxai.store.tables import CaseRow, Feedback, Reading

NEWEST_FIRST = CaseSearch()


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a reader is."""

    case: str | None
    """Id of the next case to read; None where there is no other."""
    read: int
    cases: int
    """That can be read."""


def is_unread(session: Session, actor: Person, blind: bool) -> ColumnElement[bool]:
    """Whether a row of `cases` is made and this person has not read it; without a pseudonym nobody has."""
    return and_(CaseRow.state == "ready", not_(_is_read(session, actor, blind)))


def find_next(
    session: Session, actor: Person, *, blind: bool, order: CaseSearch = NEWEST_FIRST, case_id: str = ""
) -> Progress:
    """How far this person is, and the next case to read behind `case_id` in an order of the list.

    After the last one it goes on with the first; `case_id` itself is never the next.
    """
    unread = is_unread(session, actor, blind)
    place = func.row_number().over(order_by=order_of(session, order))
    listed = select(CaseRow.id, place.label("place"), unread.label("unread")).where(CaseRow.state != "gone")
    ranks = listed.cte("ranks")
    here = func.coalesce(select(ranks.c.place).where(ranks.c.id == case_id).scalar_subquery(), 0)
    wanted = select(ranks.c.id).where(ranks.c.unread, ranks.c.id != case_id)
    following = session.scalar(wanted.order_by(ranks.c.place <= here, ranks.c.place).limit(1))
    cases = session.scalar(select(func.count()).where(CaseRow.state == "ready")) or 0
    left = session.scalar(select(func.count()).select_from(CaseRow).where(unread)) or 0
    return Progress(following, cases - left, cases)


def _is_read(session: Session, actor: Person, blind: bool) -> ColumnElement[bool]:
    if actor.reader is None:
        return false()
    if must_read_first(actor, blind):
        return exists().where(Reading.case_id == CaseRow.id, Reading.reader_id == actor.reader)
    mine = Feedback.case_id == CaseRow.id, Feedback.reader_id == actor.reader
    kept: BindParameter[list[str]] = bindparam(
        None, _still_counting(session, actor), expanding=True, literal_execute=True
    )
    return or_(exists().where(*mine, Feedback.revision == CaseRow.revision), CaseRow.id.in_(kept))


def _still_counting(session: Session, actor: Person) -> list[str]:
    """Cases that have changed since this reader's answer, their caption apart: rare, and not seen by SQL."""
    asked = (
        select(CaseRow.id, CaseRow.caption, Feedback.caption_sha256)
        .join(Feedback, Feedback.case_id == CaseRow.id)
        .where(Feedback.reader_id == actor.reader, Feedback.revision != CaseRow.revision)
        .distinct()
    )
    return sorted(
        {row.id for row in session.execute(asked) if hash_caption(row.caption) == row.caption_sha256}
    )
