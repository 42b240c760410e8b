"""A job's case is kept and the job ended: both, once, whatever is killed when.

1. The case is written as a folder aside, `.making/<case>.<claim>/new`, to the disk.
2. In one transaction that only the holder of the claim can begin: the job ends, the audit trail says so, the
   folder is put into its place (an earlier one aside, as `old`), the case is indexed.
3. Photo, partial page and what was aside are dropped.

Killed before the end of 2, the job is done again and gives the same. Killed after it, nothing is left to do
but to drop what is aside, which `tidy` does.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from dermaxai.cases import save_case
from dermaxai.errors import Conflict
from dermaxai.jobs.queue import finish
from dermaxai.jobs.under_way import Interrupted
from dermaxai.store.cases import find_case, index_case
from dermaxai.store.faults import telling_faults
from dermaxai.store.files import keep_folder
from dermaxai.store.places import WAITING
from dermaxai.store.tables import CaseRow, Job

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from dermaxai.jobs.under_way import UnderWay
    from dermaxai.store.opening import Store
    from dermaxai.store.shelf import Shelf
    from dermaxai.types import Case

MAKING, NEW, OLD = ".making", "new", "old"


def keep(way: UnderWay, case: Case) -> None:
    """End the job at hand with its case. Raises: Interrupted where it is another's by now; StoreError."""
    job = way.job
    aside = way.shelf.folder / MAKING / f"{job.case_id}.{way.claim}"
    detail: dict[str, Any] = {
        "encoder": case.made_by.encoder_sha256,
        "captioner": case.made_by.captioner_sha256,
        "maps": len(case.maps),
    }
    try:
        with telling_faults():
            _write_aside(case, aside)
        with way.store.write() as session:
            ended = _end(session, way, detail)
            ended.stages = way.stages.rows()
            ended.content += 1
            _put_in_place(aside, way.shelf.case_folder(find_case(session, job.case_id)))
            index_case(session, job.case_id, case)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    way.shelf.drop_upload(job.case_id)


def _end(session: Session, way: UnderWay, detail: dict[str, Any]) -> Job:
    try:
        return finish(session, way.job.id, way.claim, detail=detail)
    except Conflict:
        raise Interrupted("lost") from None


def _write_aside(case: Case, aside: Path) -> None:
    """The case folder, on the disk to its last byte."""
    shutil.rmtree(aside, ignore_errors=True)
    keep_folder(save_case(case, aside / NEW))


def _put_in_place(aside: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        os.replace(target, aside / OLD)
    os.replace(aside / NEW, target)


def tidy(store: Store, shelf: Shelf) -> None:
    """Remove what killed workers left, and bring a case back that was aside when its worker was killed.

    Raises: StoreError.
    """
    places = _inside(shelf.folder / MAKING)
    if places:
        with store.write() as session:
            held = set(session.scalars(select(Job.claim).where(Job.state == "running")))
            for place in places:
                case_id, _, claim = place.name.partition(".")
                if claim not in held:
                    row = session.get(CaseRow, case_id)
                    if row is not None:
                        _bring_back(place, shelf.case_folder(row))
                    shutil.rmtree(place, ignore_errors=True)
    _drop_described(store, shelf)


def _bring_back(aside: Path, target: Path) -> None:
    if (aside / OLD).is_dir() and not target.exists():
        os.replace(aside / OLD, target)


def _drop_described(store: Store, shelf: Shelf) -> None:
    """Photos whose case is made; those without a case are `store.tidying`'s."""
    names = {place.name for place in _inside(shelf.folder / WAITING)}
    if not names:
        return
    with store.read() as session:
        made = select(CaseRow.id).where(CaseRow.state == "ready", CaseRow.id.in_(names))
        described = session.scalars(made).all()
    for case_id in described:
        shelf.drop_upload(case_id)


def _inside(folder: Path) -> list[Path]:
    return [place for place in folder.iterdir() if place.is_dir()] if folder.is_dir() else []
