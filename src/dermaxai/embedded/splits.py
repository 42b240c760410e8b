"""Which photos train, which choose, which are kept for the figures; by lesion, always."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from dermaxai.embedded.photos import Measured


@dataclass(frozen=True, slots=True)
class Split:
    """Indices into the measured photos; one lesion never stands in two of them."""

    train: tuple[int, ...]
    validation: tuple[int, ...]
    test: tuple[int, ...]


def split_by_lesion(data: Measured, test_ids: frozenset[str], validation: float) -> Split:
    """Test: the listed photos; validation: a share of the other lesions chosen by the hash of their id.

    Photos of a test lesion that are not listed themselves are left out of everything.
    """
    tested = {row.lesion for row in data.rows if row.image in test_ids}
    parts: dict[str, list[int]] = {"train": [], "validation": [], "test": []}
    for index, row in enumerate(data.rows):
        if row.image in test_ids:
            parts["test"].append(index)
        elif row.lesion not in tested:
            draw = int(hashlib.sha256(row.lesion.encode()).hexdigest()[:8], 16) / 0xFFFFFFFF
            parts["validation" if draw < validation else "train"].append(index)
    return Split(tuple(parts["train"]), tuple(parts["validation"]), tuple(parts["test"]))
