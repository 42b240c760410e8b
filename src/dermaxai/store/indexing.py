"""What of a case is searched and sorted by: its row, and the rows of its maps."""

from __future__ import annotations

import hashlib
import math
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert
from sqlalchemy.orm import Session

from dermaxai.concepts.inflection import folded
from dermaxai.concepts.tree import read_tree
from dermaxai.overlay import summarise
from dermaxai.scores import JUDGED, scores_by_map, verdict_of
from dermaxai.store.names import check_case_id, check_folder_name
from dermaxai.store.tables import CaseRow, MapRow, now

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dermaxai.types import Agreement, Case, HeatMap, Score

MADE_OF_OTHERS = ("consensus", "spread")
"""Methods of maps that are computed from the maps of other methods."""
BETTER = {"deletion": -1, "insertion": 1}
"""Which way a judged metric is better."""
STAMP = "case_sha256"
"""Where `CaseRow.facts` holds the sha256 of case.json, by which a changed folder is known."""


def index_case(session: Session, case_id: str, case: Case) -> CaseRow:
    """Fill the row of a case, made where there is none, and the rows of its maps; the revision is raised.

    The case folder is saved before. Raises: NotFound for an id that can be none.
    """
    row = session.get(CaseRow, check_case_id(case_id))
    if row is None:
        row = CaseRow(id=case_id, folder=case_id, created=now(), name="", revision=0, owner="")
        session.add(row)
    _fill(row, case)
    row.facts = _facts(case) | {STAMP: _stamp_beside(session, row.folder)}
    session.flush()
    session.execute(delete(MapRow).where(MapRow.case_id == case_id))
    maps = [{"case_id": case_id, **entry} for entry in _map_rows(case)]
    if maps:
        session.execute(insert(MapRow), maps)
    return row


def stamp_of(folder: Path) -> str:
    """sha256 of the case.json of a case folder; '' where there is none that can be read."""
    try:
        return hashlib.sha256((folder / "case.json").read_bytes()).hexdigest()
    except OSError:
        return ""


def search_words(texts: Iterable[str]) -> str:
    """Texts as they are searched: one spelling of letters, case, hyphens and 'ё' ignored.

    >>> search_words(["Тёмно-коричневый", "Streaks"])
    'темно коричневый streaks'
    """
    return folded(" ".join(unicodedata.normalize("NFC", text).replace("\0", "") for text in texts))


def _stamp_beside(session: Session, folder: str) -> str:
    """Of the folder as it lies beside the database, where the session knows the place."""
    home = session.info.get("folder")
    return stamp_of(home / check_folder_name(folder)) if isinstance(home, Path) else ""


def _fill(row: CaseRow, case: Case) -> None:
    judged = scores_by_map(case)
    height, width = case.image.pixels.shape[:2]
    row.state, row.revision, row.changed = "ready", row.revision + 1, now()
    row.sha256, row.width, row.height = case.image.sha256, width, height
    row.language, row.caption = case.caption.language, case.caption.text
    row.encoder, row.captioner = case.made_by.encoder[:200], case.made_by.captioner[:200]
    row.maps = len(case.maps)
    row.disagreement = _disagreement(case.agreements)
    row.faithfulness = _least(map(_faithfulness, judged))
    row.unfaithful = sum(verdict_of(scores) == "no" for scores in judged)
    row.outside = bool(case.outside and case.outside.flag)
    row.words = search_words(_spoken(row, case))


def _spoken(row: CaseRow, case: Case) -> Iterator[str]:
    """Everything that a search looks through."""
    yield row.name
    yield row.id
    for caption in case.captions:
        yield caption.text
    for concept in case.concepts:
        yield concept.name
        for node in read_tree().matches(concept.name, "en")[:1]:
            yield from node.names.values()


def _facts(case: Case) -> dict[str, Any]:
    methods = dict.fromkeys(heat.method for heat in case.maps if heat.method not in MADE_OF_OTHERS)
    return {
        "methods": list(methods),
        "concepts": [concept.name for concept in case.concepts if concept.weight > 0][:8],
        "languages": [caption.language for caption in case.captions],
        "removed": list(case.image.removed),
        "notes": list(case.image.notes),
        "warnings": len(case.warnings),
    }


def _disagreement(agreements: Iterable[Agreement]) -> float | None:
    """1 - the mean over questions of the mean correlation of two methods."""
    means = [mean for entry in agreements if (mean := _mean_correlation(entry)) is not None]
    return 1 - sum(means) / len(means) if means else None


def _mean_correlation(agreement: Agreement) -> float | None:
    """Over the pairs of different methods; None where all of them have a constant map."""
    count = len(agreement.methods)
    pairs = [value for place, value in enumerate(agreement.correlations) if place % (count + 1)]
    told = [value for value in pairs if math.isfinite(value)]
    return sum(told) / len(told) if told else None


def _least(values: Iterable[float | None]) -> float | None:
    return min((value for value in values if value is not None), default=None)


def _faithfulness(scores: Mapping[str, Score]) -> float | None:
    """How far a map is better than random ones by the metric that likes it least."""
    gains = [
        BETTER[metric] * (score.value - score.baseline)
        for metric in JUDGED
        if (score := scores.get(metric)) is not None and score.baseline is not None
    ]
    return _least(gain for gain in gains if math.isfinite(gain))


def _map_rows(case: Case) -> Iterator[dict[str, Any]]:
    for place, (heat, scores) in enumerate(zip(case.maps, scores_by_map(case), strict=True)):
        yield {"position": place, **_asked(heat), **_seen(heat), **_judged(scores)}


def _asked(heat: HeatMap) -> dict[str, Any]:
    target = heat.target
    asked = {"kind": target.kind, "text": target.text, "word": target.word, "against": target.against}
    return {"method": heat.method, "variant": heat.variant, **asked}


def _seen(heat: HeatMap) -> dict[str, Any]:
    """Where a map is hottest; nothing for one that is empty or not finite."""
    peak = float(abs(heat.values).max(initial=0))
    if not math.isfinite(peak):
        return {"peak": None, "region": "", "share": None}
    summary = summarise(heat)
    return {"peak": peak, "region": summary.region, "share": summary.share}


def _judged(scores: Mapping[str, Score]) -> dict[str, Any]:
    values = {metric: scores[metric].value if metric in scores else None for metric in JUDGED}
    finite = {name: None if value is None or math.isnan(value) else value for name, value in values.items()}
    return {**finite, "verdict": verdict_of(scores)}
