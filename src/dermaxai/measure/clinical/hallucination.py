"""Facts that a caption claims and nobody knows of: neither references, label, annotation nor measurement."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dermaxai.measure.clinical.judging import claims, support, truths
from dermaxai.measure.clinical.stated import Stated
from dermaxai.measure.columns import Scored
from dermaxai.measure.estimates import MEAN, mean_parts
from dermaxai.measure.scale import Scale
from dermaxai.statements.lexicon import FactSlot

_SOURCE = "CHAIR (Rohrbach et al. 2018, arXiv:1809.02156) of facts; docs/clinical_metrics.md"
_SLOTS: tuple[FactSlot, ...] = (
    "size", "symmetry", "border", "outline", "colour", "finding", "site", "modality", "age", "sex",
    "diagnosis",
)  # fmt: skip


def hallucination(stated: Sequence[Stated]) -> list[Scored]:
    """Unfounded facts per caption, captions with one, and their share of all facts that can be judged.

    Only claims of a slot of which something is known can be judged (`judging.support`); a photo of which
    nothing is known counts nowhere. () where that is every photo.
    """
    counts = np.array([_counts(one) for one in stated], np.float64).reshape(len(stated), 2)
    known = np.array([_is_judged(one) for one in stated], bool)
    if not known.any():
        return []
    unfounded = np.where(known, counts[:, 0], np.nan)
    infinite = float("inf")
    per = Scale("hallucinated_facts", "Unfounded facts per caption", "lower", "facts", 0, infinite, _SOURCE)
    any_of = Scale(
        "hallucinating_captions", "Captions with an unfounded fact", "lower", "share", source=_SOURCE
    )
    share = Scale("hallucinated_share", "Facts that are unfounded", "lower", "share", source=_SOURCE)
    return [
        Scored(per, mean_parts(unfounded)),
        Scored(any_of, mean_parts(np.where(known, np.minimum(unfounded, 1.0), np.nan))),
        Scored(share, counts, MEAN),
    ]


def _counts(one: Stated) -> tuple[int, int]:
    """Facts that are unfounded, and facts that can be judged."""
    judged = [support(mention, one) for _, mention in claims(one.caption)]
    return judged.count(False), len(judged) - judged.count(None)


def _is_judged(one: Stated) -> bool:
    return bool(one.known.absent) or any(truths(one, slot) for slot in _SLOTS)
