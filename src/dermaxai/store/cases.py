"""The rows of cases: made, filled from a case, found, searched and sorted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, final, get_args

from sqlalchemy import ColumnElement, collate, func, select
from sqlalchemy.orm import Session

from dermaxai.errors import NotFound, UsageError
from dermaxai.store.adopting import adopt_folders
from dermaxai.store.indexing import STAMP, index_case, search_words
from dermaxai.store.names import check_case_id, new_case_id
from dermaxai.store.tables import CaseRow, now

if TYPE_CHECKING:
    from dermaxai.types import SkinImage

__all__ = [
    "CasePage",
    "CaseSearch",
    "Sort",
    "add_waiting",
    "adopt_folders",
    "case_summary",
    "find_case",
    "index_case",
    "list_cases",
    "new_case_id",
    "order_of",
]

LIMIT = 500
"""Cases in one part of the list."""
Sort = Literal["created", "disagreement", "faithfulness", "caption", "name"]


@final
@dataclass(frozen=True, slots=True)
class CaseSearch:
    """Which cases are wanted, in which order."""

    text: str = ""
    """Words that captions, concepts or name hold, all of them; case is ignored."""
    sort: Sort = "created"
    descending: bool = True
    state: str = ""
    """'' for all but those whose folder is gone."""
    limit: int = 50
    """1 to 500."""
    after: int = 0
    """How many are left out at the beginning."""


@final
@dataclass(frozen=True, slots=True)
class CasePage:
    """A part of the list."""

    rows: tuple[CaseRow, ...]
    total: int
    """How many fit the search."""


def add_waiting(session: Session, case_id: str, image: SkinImage, *, name: str, owner: str) -> CaseRow:
    """A row for a photo that is not described yet; its pixels are kept by `Shelf.keep_upload`.

    Raises: NotFound for an id that can be none.
    """
    made, clean = now(), _storable(name)
    height, width = image.pixels.shape[:2]
    row = CaseRow(
        id=check_case_id(case_id),
        folder=case_id,
        sha256=image.sha256,
        name=clean,
        state="waiting",
        created=made,
        changed=made,
        owner=owner,
        width=width,
        height=height,
        facts={"removed": list(image.removed), "notes": list(image.notes)},
        words=search_words([clean, case_id]),
    )
    session.add(row)
    session.flush()
    return row


def _storable(name: str) -> str:
    """A file name as both databases take it: valid Unicode without NUL."""
    return name.encode("utf-8", "replace").decode().replace("\0", "")


def find_case(session: Session, case_id: str) -> CaseRow:
    """Raises: NotFound."""
    row = session.get(CaseRow, check_case_id(case_id))
    if row is None:
        raise NotFound(f"There is no case '{case_id}'.", hint="The list of cases shows what there is.")
    return row


def list_cases(
    session: Session, search: CaseSearch = CaseSearch(), only: ColumnElement[bool] | None = None
) -> CasePage:
    """The cases that fit, in the order wanted; where the number is missing they come last.

    `only`: one more condition on their rows. Raises: UsageError for an order that is none, or a limit out
    of range.
    """
    _check(search)
    fits = [*_fitting(search), *([] if only is None else [only])]
    total = session.scalar(select(func.count()).select_from(CaseRow).where(*fits)) or 0
    wanted = select(CaseRow).where(*fits).order_by(*order_of(session, search))
    rows = session.scalars(wanted.limit(search.limit).offset(search.after))
    return CasePage(tuple(rows), total)


def _check(search: CaseSearch) -> None:
    if search.sort not in get_args(Sort):
        raise UsageError(
            f"Cases cannot be sorted by '{search.sort}'.", hint=f"Known: {', '.join(get_args(Sort))}."
        )
    if not 1 <= search.limit <= LIMIT or not 0 <= search.after < 2**31:
        raise UsageError(
            f"A part of the list has 1 to {LIMIT} cases.", hint="Ask for the next part with 'after'."
        )


def _fitting(search: CaseSearch) -> list[ColumnElement[bool]]:
    """Every word of the search stands somewhere in what a case says."""
    words = search_words([search.text]).split()
    state = CaseRow.state == search.state if search.state else CaseRow.state != "gone"
    return [state, *(CaseRow.words.contains(word, autoescape=True) for word in words)]


def order_of(session: Session, search: CaseSearch) -> list[ColumnElement[Any]]:
    """The same order in both databases, and never two cases in the same place."""
    column: ColumnElement[Any] = getattr(CaseRow, search.sort)
    if search.sort in ("caption", "name"):
        postgres = session.get_bind().dialect.name == "postgresql"
        column = func.lower(column if not postgres else collate(column, "C"))
    turned = column.desc() if search.descending else column.asc()
    last = CaseRow.id.desc() if search.descending else CaseRow.id.asc()
    return [turned.nulls_last(), last]


def case_summary(row: CaseRow, *, blind: bool = False) -> dict[str, Any]:
    """What the list shows of a case, as JSON; `blind` leaves out all that the model says."""
    told = {
        "id": row.id,
        "state": row.state,
        "revision": row.revision,
        "name": row.name,
        "created": row.created.isoformat(),
        "changed": row.changed.isoformat(),
        "owner": row.owner,
        "width": row.width,
        "height": row.height,
    }
    return told if blind else told | _machine(row)


def _machine(row: CaseRow) -> dict[str, Any]:
    """What the model says of it, and how far that is to be trusted."""
    facts = {name: value for name, value in row.facts.items() if name != STAMP}
    return {
        "language": row.language,
        "caption": row.caption,
        "encoder": row.encoder,
        "captioner": row.captioner,
        "maps": row.maps,
        "disagreement": row.disagreement,
        "faithfulness": row.faithfulness,
        "unfaithful": row.unfaithful,
        "outside": row.outside,
        "facts": facts,
    }
