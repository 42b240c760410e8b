"""What readers say of a word and its map: agree, wrong place, wrong word, with regions and a comment.

Nothing is overwritten. Of one reader's answers to one word of one case the newest counts, and only while the
caption is the one that was looked at.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast, get_args

from sqlalchemy import select
from sqlalchemy.orm import Session

from dermaxai.errors import Conflict, NotSignedIn, UsageError
from dermaxai.reading.blind import Person
from dermaxai.reading.looking import Looked, hash_caption
from dermaxai.reading.regions import read_regions, write_regions
from dermaxai.reading.typed import COMMENT, clean_text
from dermaxai.store.audit import append
from dermaxai.store.tables import Answer, CaseRow, Feedback, now


@dataclass(frozen=True, slots=True)
class Judgement:
    """One answer as it arrives."""

    answer: str
    """agree, wrong_place or wrong_word."""
    caption: str
    """The caption that was looked at, word for word."""
    word: int | None = None
    """Index in its words; None speaks of the caption as a whole."""
    method: str = ""
    """Whose map was shown; '' for none."""
    regions: object = ()
    """As `regions.read_regions` takes them: where the reader sees what the word says."""
    comment: str = ""


def give_feedback(
    session: Session, actor: Person, row: CaseRow, looked: Looked, given: Judgement
) -> Feedback:
    """Keep an answer beside all earlier ones, with its event.

    `looked`: what the case `row` shows now. Raises: NotSignedIn without a pseudonym; Conflict where the
    caption is another by now; UsageError for an unknown answer, word, method, region, or a long comment.
    """
    if actor.reader is None:
        raise NotSignedIn("An answer needs a pseudonym.", hint="Choose one first.")
    if hash_caption(given.caption) != looked.caption_sha256:
        raise Conflict("The case has another caption by now.", hint="Load the case again and look once more.")
    if given.answer not in get_args(Answer):
        raise UsageError(f"'{given.answer}' is no answer.", hint=f"Say {', '.join(get_args(Answer))}.")
    if given.method and given.method not in looked.methods:
        raise UsageError(
            f"The case has no map of '{given.method}'.", hint=f"It has {', '.join(looked.methods) or 'none'}."
        )
    regions = read_regions(given.regions, looked.height, looked.width)
    feedback = Feedback(
        case_id=row.id,
        reader_id=actor.reader,
        revision=row.revision,
        caption_sha256=looked.caption_sha256,
        word=given.word,
        text=looked.word(given.word),
        method=given.method,
        answer=cast(Answer, given.answer),
        regions=write_regions(regions),
        comment=clean_text(given.comment, COMMENT, "A comment"),
        created=now(),
    )
    session.add(feedback)
    session.flush()
    append(
        session,
        actor.name,
        "feedback.given",
        row.id,
        feedback=feedback.id,
        revision=row.revision,
        word=given.word,
        answer=feedback.answer,
        method=feedback.method,
        regions=len(regions),
        characters=len(feedback.comment),
    )
    return feedback


def own_feedback(session: Session, actor: Person, case_id: str) -> list[Feedback]:
    """The answers of this reader to a case that count, by word; to earlier captions too."""
    asked = (
        select(Feedback)
        .where(Feedback.case_id == case_id, Feedback.reader_id == actor.reader)
        .order_by(Feedback.id)
    )
    return newest(session.scalars(asked))


def newest(rows: Iterable[Feedback]) -> list[Feedback]:
    """The last answer of each reader to each word of each caption; `rows` in the order they were given."""
    last: dict[tuple[str, int, str, int | None], Feedback] = {}
    for row in rows:
        key = row.case_id, row.reader_id, row.caption_sha256, row.word
        last.pop(key, None)
        last[key] = row
    return list(last.values())


def feedback_json(row: Feedback, caption_sha256: str) -> dict[str, Any]:
    """An answer as the API sends it; `current` says whether it was given to the caption of now."""
    return {
        "id": row.id,
        "word": row.word,
        "text": row.text,
        "answer": row.answer,
        "method": row.method,
        "regions": row.regions,
        "comment": row.comment,
        "revision": row.revision,
        "current": row.caption_sha256 == caption_sha256,
        "created": row.created.isoformat(),
    }
