"""How far readers agree with each other: Fleiss' kappa of their answers, Dice of their regions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select
from sqlalchemy.orm import Session

from dermaxai.reading.intervals import Interval, estimate, mean
from dermaxai.reading.judging import newest
from dermaxai.reading.kappa import agreement_of, category_kappas_of, kappa_of, kappa_parts, shares_of
from dermaxai.reading.looking import hash_caption
from dermaxai.reading.regions import Mask, draw_mask, read_regions
from dermaxai.store.tables import Answer, CaseRow, Feedback

Bits = NDArray[np.uint8]

ANSWERS: tuple[Answer, ...] = get_args(Answer)
LONGEST = 256
"""Pixels on the longer side of the masks that are compared: enough for regions drawn by hand."""
PLACED = ("agree", "wrong_place")
"""Answers whose regions say where the word is; with a wrong word there is no such place."""


@dataclass(frozen=True)
class Given:
    """An answer that counts, with what the photo's size makes of its regions."""

    case: str
    reader: int
    word: int | None
    method: str
    answer: str
    regions: tuple[Any, ...]
    height: int
    width: int

    @property
    def is_marked(self) -> bool:
        """Whether there is an area that says where the word is."""
        return self._bits is not None

    @property
    def mask(self) -> Mask | None:
        """Where the reader sees what the word says, `LONGEST` pixels; None where no area is marked."""
        if self._bits is None:
            return None
        shape, bits = self._bits
        return np.unpackbits(bits, count=shape[0] * shape[1]).reshape(shape).astype(bool)

    @cached_property
    def _bits(self) -> tuple[tuple[int, int], Bits] | None:
        """Drawn once and kept small: a study has thousands."""
        if self.answer not in PLACED or not self.regions:
            return None
        regions = read_regions(self.regions, self.height, self.width)
        mask = draw_mask(regions, self.height, self.width, LONGEST)
        return ((mask.shape[0], mask.shape[1]), np.packbits(mask)) if mask.any() else None


@dataclass(frozen=True, slots=True)
class Collected:
    """All answers of a study."""

    given: tuple[Given, ...]
    """One per case, reader and word."""
    replaced: int
    """Answers that the same reader replaced later."""
    outdated: int
    """Answers to a caption that the case no longer has."""


@dataclass(frozen=True, slots=True)
class Concord:
    """Agreement of answers to the same questions."""

    items: int
    """Questions with two readers or more."""
    single: int
    """Questions with one reader only, which are left out."""
    fewest: int
    """Readers of an item."""
    most: int
    mixed: int
    """Items whose readers looked at maps of different methods."""
    agreement: Interval
    """Share of pairs of readers that gave the same answer."""
    kappa: Interval
    shares: dict[str, Interval]
    """Of each answer."""
    kappas: dict[str, Interval]
    """Of each answer against the two others."""

    @property
    def undefined(self) -> str:
        """Why kappa is not defined: 'no_items', 'one_answer', or '' where it is."""
        if not self.items:
            return "no_items"
        return "" if self.kappa.value is not None else "one_answer"

    def as_json(self) -> dict[str, Any]:
        """All fields; `undefined` says why kappa is null."""
        plain = {name: getattr(self, name) for name in ("items", "single", "fewest", "most", "mixed")}
        return {
            **plain,
            "undefined": self.undefined,
            "agreement": self.agreement.as_json(),
            "kappa": self.kappa.as_json(),
            "answers": {
                name: {"share": self.shares[name].as_json(), "kappa": self.kappas[name].as_json()}
                for name in ANSWERS
            },
        }


@dataclass(frozen=True, slots=True)
class Overlap:
    """How far regions of different readers for the same word are the same place."""

    items: int
    """Words that two readers or more marked."""
    dice: Interval
    """Mean over pairs of readers; n is the number of pairs."""
    single: int
    """Words that one reader marked, which are left out."""

    def as_json(self) -> dict[str, Any]:
        """All fields."""
        return {"items": self.items, "single": self.single, "dice": self.dice.as_json()}


def collect(session: Session) -> Collected:
    """The answers of everybody that count."""
    asked = (
        select(Feedback, CaseRow.caption, CaseRow.height, CaseRow.width)
        .join(CaseRow, CaseRow.id == Feedback.case_id)
        .order_by(Feedback.id)
    )
    current, sizes, outdated, captions = [], {}, 0, dict[str, str]()
    for row, caption, height, width in session.execute(asked):
        sha256 = captions.setdefault(row.case_id, hash_caption(caption))
        if row.caption_sha256 != sha256:
            outdated += 1
            continue
        sizes[row.case_id] = height, width
        current.append(row)
    counted = newest(current)
    given = tuple(_given(row, *sizes[row.case_id]) for row in counted)
    return Collected(given, len(current) - len(counted), outdated)


def _given(row: Feedback, height: int, width: int) -> Given:
    return Given(
        row.case_id, row.reader_id, row.word, row.method, row.answer, tuple(row.regions), height, width
    )


def by_item(given: Iterable[Given]) -> dict[tuple[str, int | None], list[Given]]:
    """Answers by case and word."""
    items: dict[tuple[str, int | None], list[Given]] = defaultdict(list)
    for entry in given:
        items[entry.case, entry.word].append(entry)
    return dict(items)


def concord(given: Sequence[Given]) -> Concord:
    """Agreement of answers; intervals over resampled cases."""
    items = by_item(given)
    shared = {key: entries for key, entries in items.items() if len(entries) > 1}
    counts = [
        [sum(entry.answer == name for entry in entries) for name in ANSWERS] for entries in shared.values()
    ]
    parts = kappa_parts(np.array(counts, np.int64).reshape(-1, len(ANSWERS)))
    numbers = estimate(parts, [case for case, _ in shared], _numbers)
    found = iter(numbers)
    readers = [len(entries) for entries in shared.values()]
    return Concord(
        items=len(shared),
        single=len(items) - len(shared),
        fewest=min(readers, default=0),
        most=max(readers, default=0),
        mixed=sum(len({entry.method for entry in entries}) > 1 for entries in shared.values()),
        agreement=next(found),
        kappa=next(found),
        shares={name: next(found) for name in ANSWERS},
        kappas={name: next(found) for name in ANSWERS},
    )


def _numbers(sums: np.ndarray[Any, np.dtype[np.float64]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Agreement, kappa, shares and kappas of the answers, side by side."""
    alone = [agreement_of(sums)[..., None], kappa_of(sums)[..., None]]
    return np.concatenate([*alone, shares_of(sums), category_kappas_of(sums)], -1)


def overlap(given: Sequence[Given]) -> Overlap:
    """Dice of regions, pair by pair; intervals over resampled cases."""
    marked = by_item(entry for entry in given if entry.is_marked)
    values: list[float] = []
    cases: list[str] = []
    for (case, _), entries in marked.items():
        found = _pairwise([entry.mask for entry in entries if entry.mask is not None])
        values += found
        cases += [case] * len(found)
    several = sum(len(entries) > 1 for entries in marked.values())
    return Overlap(several, mean(values, cases), len(marked) - several)


def _pairwise(masks: Sequence[Mask]) -> list[float]:
    """`regions.dice` of every pair of masks that are not empty, in one product of matrices."""
    table = np.stack([mask.ravel() for mask in masks]).astype(np.float32)
    common = (table @ table.T).astype(np.float64)
    areas = common.diagonal()
    first, second = np.triu_indices(len(masks), 1)
    return list(map(float, 2 * common[first, second] / (areas[first] + areas[second])))
