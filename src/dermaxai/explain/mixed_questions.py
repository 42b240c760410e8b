"""Lists of questions that a method answers in several ways: kinds apart, one text rather than another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from dermaxai.explain.base import WORDS, Answer
from dermaxai.progress import steps
from dermaxai.types import Target


def answer_apart(
    targets: Sequence[Target],
    of_words: Callable[[Sequence[Target]], Answer],
    of_texts: Callable[[Sequence[Target]], Answer],
) -> Answer:
    """Questions to the decoder and questions to the two towers answered apart, and put back in order."""
    found: dict[int, tuple[Tensor, str, str]] = {}
    parts = (
        (ask, [place for place, target in enumerate(targets) if (target.kind in WORDS) == wanted])
        for wanted, ask in ((True, of_words), (False, of_texts))
    )
    for ask, places in steps([(ask, places) for ask, places in parts if places]):
        answer = ask([targets[place] for place in places])
        layers = [answer.layer] * len(places) if isinstance(answer.layer, str) else answer.layer
        found |= dict(zip(places, zip(answer.values, answer.scalars, layers, strict=True), strict=True))
    rows = [found[place] for place in range(len(targets))]
    values = torch.stack([values.float().cpu() for values, _, _ in rows])
    return Answer(values, [scalar for _, scalar, _ in rows], [layer for _, _, layer in rows])


def answer_differences(targets: Sequence[Target], of_texts: Callable[[Sequence[Target]], Answer]) -> Answer:
    """For methods that keep only what speaks for a text: one text rather than another, as a signed map.

    Asked of the difference itself they would lose what speaks against it, so two maps are subtracted.
    """
    rivals = [replace(one, text=one.against, against=None) for one in targets if one.against]
    plain = [replace(one, against=None) for one in targets]
    answer = of_texts(list(dict.fromkeys([*plain, *rivals])))
    rows = dict(zip(dict.fromkeys([*plain, *rivals]), answer.values, strict=True))
    names = dict(zip(dict.fromkeys([*plain, *rivals]), answer.scalars, strict=True))
    values, scalars = [], []
    for target, own in zip(targets, plain, strict=True):
        rival = replace(target, text=target.against, against=None) if target.against else None
        values.append(rows[own] - rows[rival] if rival else rows[own])
        scalars.append(f"{names[own]} difference" if rival else names[own])
    return Answer(torch.stack(values), scalars, answer.layer)
