"""Scores of classes or concepts against what is known: accuracy, recall, area under the ROC curve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from dermaxai.errors import ShapeError
from dermaxai.measure.columns import Column
from dermaxai.measure.estimates import MEAN, Numbers, Statistic, mean_parts
from dermaxai.measure.scale import Scale

ACCURACY = Scale("accuracy", "Accuracy", "higher", "share")
BALANCED_ACCURACY = Scale(
    "balanced_accuracy", "Balanced accuracy", "higher", "share",
    source="Brodersen et al. (2010), doi 10.1109/ICPR.2010.764: mean recall of the classes present",
)  # fmt: skip
MACRO_AUROC = Scale(
    "auroc", "AUROC, mean over classes", "higher", "share",
    source="Hanley & McNeil (1982), doi 10.1148/radiology.143.1.7063747: each class against the rest",
)  # fmt: skip
CONCEPT_AUROC = Scale(
    "concept_auroc", "Concept AUROC, mean over concepts", "higher", "share",
    source="Hanley & McNeil (1982), doi 10.1148/radiology.143.1.7063747: photos with and without each",
)  # fmt: skip
UNKNOWN = -2.0
"""In parts of AUROC: a row that does not count."""
DEPTHS = (3, 5)
"""Of top-k accuracy."""


@dataclass(frozen=True, slots=True, eq=False)
class Classified:
    """How alike each photo is to each class, and which class it is of."""

    rows: tuple[str, ...]
    """Ids of the items."""
    scores: Float[np.ndarray, "rows classes"]
    """More is more alike; of any unit, but the same within a row and within a column."""
    labels: Int[np.ndarray, "rows"]
    """Number of the class."""
    classes: tuple[str, ...]
    """Names for tables; `recall_<name>` is made from them."""

    def __post_init__(self) -> None:
        if self.scores.shape != (len(self.rows), len(self.classes)) or len(self.labels) != len(self.rows):
            raise ShapeError(
                f"{len(self.rows)} photos and {len(self.classes)} classes do not fit scores of shape "
                f"{self.scores.shape} and {len(self.labels)} labels."
            )

    @property
    def right(self) -> Bool[np.ndarray, "rows"]:
        """Whether the class is the most alike; of equals the first counts."""
        return np.asarray(self.scores.argmax(1) == self.labels)


def classification_columns(
    contestant: str, condition: str, found: Classified, *, is_baseline: bool = False
) -> list[Column]:
    """Accuracy, balanced accuracy, AUROC, top-k accuracy, and the recall of each class.

    Baselines have the first three only: of one that always says the same, the others are 0, 1 or arbitrary.
    """
    scored = [
        (ACCURACY, mean_parts(found.right.astype(np.float64)), MEAN),
        (BALANCED_ACCURACY, recall_parts(found.right, found.labels, len(found.classes)), MEAN_RECALL),
        (MACRO_AUROC, auroc_parts(found.scores, _membership(found)), MEAN_AUROC),
    ]
    if not is_baseline:
        scored += [(scale, mean_parts(hits), MEAN) for scale, hits in (*_top(found), *_recalls(found))]
    return [
        Column(contestant, condition, scale, found.rows, parts, statistic, is_baseline)
        for scale, parts, statistic in scored
    ]


def _top(found: Classified) -> list[tuple[Scale, Float[np.ndarray, "rows"]]]:
    order = np.argsort(-found.scores, axis=1, kind="stable")
    hits = order == found.labels[:, None]
    return [
        (Scale(f"top_{depth}", f"Top-{depth} accuracy", "higher", "share"), hits[:, :depth].any(1) * 1.0)
        for depth in DEPTHS
        if depth < len(found.classes)
    ]


def _recalls(found: Classified) -> list[tuple[Scale, Float[np.ndarray, "rows"]]]:
    """Of each class that occurs; NaN in the rows of the others."""
    return [
        (
            Scale(f"recall_{name}", f"Recall: {name.replace('_', ' ')}", "higher", "share"),
            np.where(found.labels == number, found.right * 1.0, np.nan),
        )
        for number, name in enumerate(found.classes)
        if (found.labels == number).any()
    ]


def _membership(found: Classified) -> Float[np.ndarray, "rows classes"]:
    return np.asarray(found.labels[:, None] == np.arange(len(found.classes)), np.float64)


def recall_parts(
    right: Bool[np.ndarray, "rows"], labels: Int[np.ndarray, "rows"], classes: int
) -> Float[np.ndarray, "rows 2*classes"]:
    """Parts of `MEAN_RECALL`: hits per class, then photos per class."""
    own = labels[:, None] == np.arange(classes)
    return np.concatenate([own & right[:, None], own], axis=1).astype(np.float64)


def _mean_recall(sums: Numbers) -> Numbers:
    hits, photos = np.split(sums, 2, axis=-1)
    recalls = np.divide(hits, photos, out=np.zeros_like(hits), where=photos > 0)
    present = (photos > 0).sum(-1)
    found: Numbers = np.divide(
        recalls.sum(-1), present, out=np.full(np.shape(present), np.nan), where=present > 0
    )
    return found


MEAN_RECALL = Statistic("mean recall of the classes present", of_sums=_mean_recall)


def auroc_parts(
    scores: Float[np.ndarray, "rows k"], truth: Float[np.ndarray, "rows k"]
) -> Float[np.ndarray, "rows k"]:
    """Parts of `MEAN_AUROC`: twice the place of a score among the different ones of its column, plus truth.

    Truth is 1 (true), 0 (false) or NaN (not known); where it or the score is NaN the part is `UNKNOWN`.
    """
    known = ~np.isnan(truth) & ~np.isnan(scores)
    parts = np.full(scores.shape, UNKNOWN)
    for column, use in enumerate(known.T):
        places = np.unique(scores[use, column], return_inverse=True)[1]
        parts[use, column] = 2 * places + truth[use, column]
    return parts


def _mean_auroc(parts: Numbers) -> float:
    areas = _areas(parts)
    known = areas[~np.isnan(areas)]
    return float(known.mean()) if known.size else float("nan")


MEAN_AUROC = Statistic("mean AUROC of the columns that hold both answers", of_rows=_mean_auroc)


def aurocs(scores: Float[np.ndarray, "rows k"], truth: Float[np.ndarray, "rows k"]) -> Float[np.ndarray, "k"]:
    """Area under the ROC curve of each column: share of pairs (true, false) that are ordered rightly.

    Equal scores count half. NaN where a column lacks one of the answers; rows without a score or an answer
    do not count. Source: Hanley & McNeil (1982): the area is the Mann-Whitney statistic over its maximum.
    """
    return _areas(auroc_parts(scores, truth))


def _areas(parts: Numbers) -> Float[np.ndarray, "k"]:
    """By counting how many true and false rows have each place: thousands of resamples need no sorting."""
    columns, length = parts.shape[1], int(parts.max(initial=0)) // 2 + 1
    shift = -int(UNKNOWN)
    cells = parts.astype(np.int64) + shift + (shift + 2 * length) * np.arange(columns)
    counted = np.bincount(cells.ravel(), minlength=columns * (shift + 2 * length))
    false, true = np.moveaxis(counted.reshape(columns, -1)[:, shift:].reshape(columns, length, 2), 2, 0)
    below = np.cumsum(false, axis=1) - false
    above = (true * (below + false / 2)).sum(1)
    pairs = (true.sum(1) * false.sum(1)).astype(np.float64)
    found: Float[np.ndarray, "k"] = np.divide(above, pairs, out=np.full(columns, np.nan), where=pairs > 0)
    return found


def concept_columns(
    contestant: str,
    condition: str,
    rows: Sequence[str],
    detected: Mapping[str, tuple[Float[np.ndarray, "rows"], Float[np.ndarray, "rows"]]],
    *,
    is_baseline: bool = False,
) -> list[Column]:
    """The mean AUROC over concepts, and that of each: name -> (scores, truth with NaN for not known)."""
    if not detected:
        return []
    scores = np.stack([score for score, _ in detected.values()], 1)
    truth = np.stack([known for _, known in detected.values()], 1)
    columns = [
        Column(
            contestant,
            condition,
            CONCEPT_AUROC,
            tuple(rows),
            auroc_parts(scores, truth),
            MEAN_AUROC,
            is_baseline,
        )
    ]
    for place, name in enumerate(detected):
        scale = Scale(f"auroc_{name}", f"AUROC: {name.replace('_', ' ')}", "higher", "share")
        use = ~np.isnan(truth[:, place])
        own = auroc_parts(scores[use][:, [place]], truth[use][:, [place]])
        kept = tuple(row for row, known in zip(rows, use, strict=True) if known)
        columns.append(Column(contestant, condition, scale, kept, own, MEAN_AUROC, is_baseline))
    return columns
