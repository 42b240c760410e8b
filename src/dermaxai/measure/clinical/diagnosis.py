"""Whether a caption names the right diagnosis, a relative of it, or one on the other side of malignancy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dermaxai.measure.clinical.judging import diagnoses_said, truths
from dermaxai.measure.clinical.kinship import related
from dermaxai.measure.clinical.stated import Stated
from dermaxai.measure.columns import Scored
from dermaxai.measure.estimates import Statistic, mean_parts
from dermaxai.measure.scale import Better, Scale
from dermaxai.vocabulary import diagnosis as known_diagnosis

NAN = float("nan")
_SOURCE = "docs/clinical_metrics.md"


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a photo shows and what its caption names, the main diagnosis of each first."""

    true: tuple[str, ...]
    said: tuple[str, ...]


def diagnosis(stated: Sequence[Stated]) -> list[Scored]:
    """Diagnosis named, right, related, of the right group, on the right side; balanced accuracy.

    The first diagnosis that a caption names is its diagnosis. Every one that the photo is labelled with is
    right; class and malignancy are those of its first. Captions of photos without a label count only in
    'diagnosis_named'; a caption that names none is wrong in all others.
    """
    answers = [_Answer(_true(one), diagnoses_said(one.caption)) for one in stated]
    shares: tuple[tuple[str, str, Better, Callable[[_Answer], float]], ...] = (
        ("diagnosis_exact", "Diagnosis", "higher", _exact),
        ("diagnosis_any", "Diagnosis, any mention", "higher", _any),
        ("diagnosis_kind", "Diagnosis, or coarser or finer", "higher", _kind),
        ("diagnosis_group", "Group of diagnoses", "higher", _group),
        ("malignancy", "Malignant or benign", "higher", _malignancy),
        ("malignant_called_benign", "Malignant called benign", "lower", _flip(True)),
        ("benign_called_malignant", "Benign called malignant", "lower", _flip(False)),
    )
    named = [float(bool(answer.said)) for answer in answers]
    scale = Scale("diagnosis_named", "Diagnosis named", "neither", "share", source=_SOURCE)
    found = [Scored(scale, mean_parts(named))]
    for name, title, better, judge in shares:
        values = [judge(answer) for answer in answers]
        if not np.isnan(values).all():
            found.append(Scored(Scale(name, title, better, "share", source=_SOURCE), mean_parts(values)))
    return [*found, *_balanced(answers)]


def balanced_accuracy(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over the classes present of the share of right answers, from (right of each, count of each)."""
    right, counts = np.split(np.asarray(sums, np.float64), 2, axis=-1)
    present = counts > 0
    shares = np.divide(right, counts, out=np.zeros_like(right), where=present)
    classes = present.sum(-1)
    found: NDArray[np.float64] = np.divide(
        shares.sum(-1), classes, out=np.full(np.shape(classes), NAN), where=classes > 0
    )
    return found


BALANCED = Statistic("balanced accuracy", of_sums=balanced_accuracy)


def _balanced(answers: Sequence[_Answer]) -> list[Scored]:
    """Parts: for each diagnosis in alphabetical order 1 if right, then 1 if it is this photo's."""
    classes = sorted({answer.true[0] for answer in answers if answer.true})
    if not classes:
        return []
    parts = np.zeros((len(answers), 2 * len(classes)))
    for row, answer in enumerate(answers):
        if answer.true:
            place = classes.index(answer.true[0])
            parts[row, place] = _exact(answer)
            parts[row, len(classes) + place] = 1.0
    scale = Scale("diagnosis_balanced", "Diagnosis, balanced accuracy", "higher", "share", source=_SOURCE)
    return [Scored(scale, parts, BALANCED)]


def _true(one: Stated) -> tuple[str, ...]:
    """Of references any one's diagnosis will do; the first one's is the class."""
    return tuple(dict.fromkeys(name for values in truths(one, "diagnosis") for name in values))


def _exact(answer: _Answer) -> float:
    return float(answer.said[:1] != () and answer.said[0] in answer.true) if answer.true else NAN


def _any(answer: _Answer) -> float:
    return float(not set(answer.said).isdisjoint(answer.true)) if answer.true else NAN


def _kind(answer: _Answer) -> float:
    if not answer.true:
        return NAN
    return float(any(related(said, true) for said in answer.said[:1] for true in answer.true))


def _group(answer: _Answer) -> float:
    """A label that is itself a collection of diagnoses has no group to agree with."""
    groups = {known_diagnosis(name).group for name in answer.true} - {"category"}
    if not groups:
        return NAN
    said = answer.said[:1]
    return float(any(name in answer.true or known_diagnosis(name).group in groups for name in said))


def _malignancy(answer: _Answer) -> float:
    true = _side(answer.true)
    return NAN if true is None else float(_side(answer.said) is true)


def _flip(malignant: bool) -> Callable[[_Answer], float]:
    """1 where a photo of one side is called the other; a premalignant or undecided answer is no flip."""

    def judge(answer: _Answer) -> float:
        if _side(answer.true) is not malignant:
            return NAN
        return float(_side(answer.said) is (not malignant))

    return judge


def _side(names: Sequence[str]) -> bool | None:
    """True for a malignant first diagnosis, False for a benign one, None for neither or none."""
    return known_diagnosis(names[0]).malignant if names else None
