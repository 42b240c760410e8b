"""The photo of a case described anew, by another model or in another language: a case of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter

from dermaxai.api.access import check_seen
from dermaxai.api.asking import State, Who
from dermaxai.api.errors import refusals
from dermaxai.api.questions_asked import Again
from dermaxai.api.receiving import Key, check_wish, expect_room, take_in
from dermaxai.api.schemas import Accepted, CaseId
from dermaxai.errors import NotFound
from dermaxai.store.cases import find_case
from dermaxai.store.faults import telling_faults
from dermaxai.store.shelf import Shelf

if TYPE_CHECKING:
    from dermaxai.store.tables import CaseRow
    from dermaxai.types import SkinImage

router = APIRouter(prefix="/api/cases/{case_id}", tags=["cases"])


@router.post(
    "/again",
    status_code=202,
    responses=refusals(403, 404, 409, 507),
    summary="Describe the photo of a case anew",
)
def describe_again(case_id: CaseId, again: Again, state: State, actor: Who, key: Key = None) -> Accepted:
    """The same pixels as a new case, which belongs to who asks; the old one stays as it is. For two models on
    one photo, and for a photo whose job failed or was cancelled.
    """
    with state.store.read() as session:
        row = find_case(session, case_id)
        check_seen(session, state, actor, case_id)
    wanted = check_wish(state, again.model, again.methods, again.lang or row.language, ())
    expect_room(state, actor, key)
    image = _photo_of(Shelf(state.store.folder), row)
    return take_in(state, actor, image, row.name, wanted, key=key)


def _photo_of(shelf: Shelf, row: CaseRow) -> SkinImage:
    """Every pixel of it, made or not. Raises: NotFound where the photo is gone, DataError, StoreError."""
    with telling_faults():
        try:
            return shelf.load(row).image
        except NotFound:
            return shelf.read_upload(row.id)
