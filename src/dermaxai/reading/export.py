"""Everything of a study as a table: answers, blind readings, cases, events; as CSV or JSON, row by row.

The same content gives the same bytes. No file name and no path is in any table.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from dermaxai.reading.agreement import LONGEST
from dermaxai.reading.forms import Format, What
from dermaxai.reading.judging import newest
from dermaxai.reading.looking import hash_caption
from dermaxai.reading.regions import area_share, draw_mask, read_regions
from dermaxai.store.shelf import Shelf
from dermaxai.store.tables import CaseRow, Event, Feedback, Reader, Reading

Row = dict[str, Any]

MADE = ("encoder", "encoder_sha256", "captioner", "captioner_sha256", "dermaxai")
COLUMNS: dict[str, tuple[str, ...]] = {
    "feedback": (
        "case", "photo_sha256", *MADE, "caption_sha256", "revision", "word", "text", "method", "answer",
        "counts", "regions", "area_share", "comment", "pseudonym", "time",
    ),
    "readings": (
        "case", "photo_sha256", "findings", "diagnosis", "confidence", "seconds", "answers_before",
        "pseudonym", "time",
    ),
    "cases": (
        "case", "photo_sha256", "state", "revision", "language", "caption", "caption_sha256", *MADE, "width",
        "height", "maps", "disagreement", "faithfulness", "unfaithful", "outside", "owner", "created",
        "changed",
    ),
    "events": ("seq", "time", "actor", "action", "subject", "detail", "previous", "hash"),
}  # fmt: skip
"""Columns of each table, in order."""
BOM = "\ufeff"
"""Before a CSV file, for spreadsheets that do not expect UTF-8."""
AT_ONCE = 200
"""Rows that are asked of the database, and sent, at once."""
_FORMULA = "=+-@\t\r\n＝＋－＠"
"""A text that begins so is a formula to a spreadsheet."""


def export(session: Session, shelf: Shelf, what: What, form: Format, *, bom: bool = False) -> Iterator[str]:
    """A table, piece by piece; `bom`: a mark before CSV that it is UTF-8.

    In CSV a text that a spreadsheet would calculate has an apostrophe before it; JSON has texts as they are.
    """
    rows = _TABLES[what](session, shelf)
    return _as_json(rows) if form == "json" else _as_csv(rows, COLUMNS[what], bom=bom)


def safe_cell(value: object) -> object:
    """A cell of a CSV file: no formula, lists as JSON, nothing for None.

    >>> safe_cell("=1+1"), safe_cell(-0.5), safe_cell(None), safe_cell([1])
    ("'=1+1", -0.5, '', '[1]')
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if isinstance(value, str) and value.lstrip(" ").startswith(tuple(_FORMULA)):
        return f"'{value}"
    return value


def _as_csv(rows: Iterable[Row], columns: tuple[str, ...], *, bom: bool) -> Iterator[str]:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    buffer.write(BOM if bom else "")
    writer.writerow(columns)
    for number, row in enumerate(rows, 1):
        writer.writerow([safe_cell(row[column]) for column in columns])
        if number % AT_ONCE == 0:
            yield _taken(buffer)
    yield _taken(buffer)


def _taken(buffer: io.StringIO) -> str:
    """What is in the buffer, which is empty afterwards."""
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text


def _as_json(rows: Iterable[Row]) -> Iterator[str]:
    before = "[\n"
    for row in rows:
        yield before + json.dumps(row, ensure_ascii=False, allow_nan=False)
        before = ",\n"
    yield "\n]\n" if before != "[\n" else "[]\n"


def _feedback(session: Session, shelf: Shelf) -> Iterator[Row]:
    """One row per answer ever given; `counts` is false for one that was replaced, or of another caption."""
    asked = (
        select(Feedback, CaseRow, Reader.pseudonym)
        .join(CaseRow, CaseRow.id == Feedback.case_id)
        .join(Reader, Reader.id == Feedback.reader_id)
        .order_by(Feedback.case_id, Feedback.id)
    )
    for case, group in _by_case(session.execute(asked).yield_per(AT_ONCE)):
        sha256, made = hash_caption(case.caption), _made(case, shelf)
        counting = {row.id for row in newest(row for row, _ in group) if row.caption_sha256 == sha256}
        for row, pseudonym in group:
            current = row.caption_sha256 == sha256
            yield {
                "case": row.case_id,
                "photo_sha256": case.sha256,
                **(made if current else dict.fromkeys(MADE)),
                "caption_sha256": row.caption_sha256,
                "revision": row.revision,
                "word": row.word,
                "text": row.text,
                "method": row.method,
                "answer": row.answer,
                "counts": row.id in counting,
                "regions": row.regions,
                "area_share": _area(row, case),
                "comment": row.comment,
                "pseudonym": pseudonym,
                "time": _time(row.created),
            }


def _by_case(rows: Iterable[Any]) -> Iterator[tuple[CaseRow, list[tuple[Feedback, str]]]]:
    """Rows of one case together; they come in that order."""
    case: CaseRow | None = None
    group: list[tuple[Feedback, str]] = []
    for row, found, pseudonym in rows:
        if case is not None and found.id != case.id:
            yield case, group
            group = []
        case = found
        group.append((row, pseudonym))
    if case is not None:
        yield case, group


def _area(row: Feedback, case: CaseRow) -> float | None:
    """The share of the photo that is marked; None where nothing is, or where points have no area."""
    if not any(region["kind"] != "point" for region in row.regions):
        return None
    regions = read_regions(row.regions, case.height, case.width)
    return round(area_share(draw_mask(regions, case.height, case.width, LONGEST)), 4)


def _readings(session: Session, _shelf: Shelf) -> Iterator[Row]:
    """One row per blind reading; `answers_before` above 0 says that the reader knew the caption already."""
    before = (
        select(func.count(Feedback.id))
        .where(
            Feedback.case_id == Reading.case_id,
            Feedback.reader_id == Reading.reader_id,
            Feedback.created < Reading.created,
        )
        .scalar_subquery()
    )
    asked = (
        select(Reading, CaseRow.sha256, Reader.pseudonym, before)
        .join(CaseRow, CaseRow.id == Reading.case_id)
        .join(Reader, Reader.id == Reading.reader_id)
        .order_by(Reading.case_id, Reading.id)
    )
    for row, sha256, pseudonym, answers in session.execute(asked).yield_per(AT_ONCE):
        yield {
            "case": row.case_id,
            "photo_sha256": sha256,
            "findings": row.findings,
            "diagnosis": row.diagnosis,
            "confidence": row.confidence,
            "seconds": row.seconds,
            "answers_before": answers,
            "pseudonym": pseudonym,
            "time": _time(row.created),
        }


def _cases(session: Session, shelf: Shelf) -> Iterator[Row]:
    plain = (
        "state", "revision", "language", "caption", "width", "height", "maps", "disagreement", "faithfulness",
        "unfaithful", "outside", "owner",
    )  # fmt: skip
    for row in session.scalars(select(CaseRow).order_by(CaseRow.id)).yield_per(AT_ONCE):
        values = {name: getattr(row, name) for name in plain}
        known = {
            "case": row.id,
            "photo_sha256": row.sha256,
            "caption_sha256": hash_caption(row.caption),
            **_made(row, shelf),
            "created": _time(row.created),
            "changed": _time(row.changed),
        }
        yield {column: {**values, **known}[column] for column in COLUMNS["cases"]}


def _events(session: Session, _shelf: Shelf) -> Iterator[Row]:
    for row in session.scalars(select(Event).order_by(Event.seq)).yield_per(AT_ONCE):
        values = {name: getattr(row, name) for name in COLUMNS["events"]}
        yield values | {"time": _time(row.time), "detail": json.loads(row.detail)}


def _made(row: CaseRow, shelf: Shelf) -> Row:
    """Who made a case, with the hashes of the weights; nothing where its folder cannot be read."""
    try:
        document = json.loads((Path(shelf.case_folder(row)) / "case.json").read_bytes())
        made = document["case"]["made_by"]
        return {name: str(made[name]) for name in MADE}
    except (OSError, ValueError, KeyError, TypeError):
        return dict.fromkeys(MADE)


def _time(moment: datetime) -> str:
    """UTC, to the microsecond: '2026-11-23T09:41:00.000000Z'."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


_TABLES: dict[str, Callable[[Session, Shelf], Iterator[Row]]] = {
    "feedback": _feedback,
    "readings": _readings,
    "cases": _cases,
    "events": _events,
}
