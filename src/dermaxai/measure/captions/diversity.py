"""How long captions are, and how much they repeat one another; no reference is read."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

from dermaxai.measure.captions.ngrams import Numbered, cut
from dermaxai.measure.captions.written import Tools, Written
from dermaxai.measure.columns import Scored
from dermaxai.measure.estimates import mean_parts
from dermaxai.measure.scale import Scale

LENGTH = Scale("length", "Words per caption", "neither", "words", high=math.inf)
DISTINCT = tuple(
    Scale(
        f"distinct_{n}",
        f"Distinct-{n}",
        "neither",
        "share",
        source="Li et al. (2016), arXiv:1510.03055, section 5",
    )
    for n in (1, 2)
)
UNIQUE = Scale("unique_captions", "Different captions", "neither", "share")


def length(written: Sequence[Written], tools: Tools) -> list[Scored]:
    """Words of each caption, punctuation not counted."""
    return [Scored(LENGTH, mean_parts([len(words) for words in cut(written).captions]))]


def distinct(written: Sequence[Written], tools: Tools) -> list[Scored]:
    """Different words over words, different pairs over pairs, different captions over captions.

    Each occurrence adds one over how often the whole set has it, so that the sums are the numbers of
    different ones, and a row tells how rare its words are in the set. Resamples keep these frequencies: an
    interval says how much the value depends on which captions are in the set, not on how many there are.
    Drawing captions twice would by itself lower the share, and no interval would hold its value.
    """
    texts = cut(written).captions
    found = []
    for scale, counts in zip(DISTINCT, Numbered.of(texts).count(len(DISTINCT)), strict=True):
        often = np.bincount(counts.run, counts.count, max(counts.runs, 1))
        share = counts.count / often[counts.run] if len(counts.run) else np.zeros(0)
        parts = [np.bincount(counts.text, weights, len(texts)) for weights in (share, counts.count)]
        found.append(Scored(scale, np.stack(parts, 1).astype(np.float64)))
    same = Counter(texts)
    return [*found, Scored(UNIQUE, mean_parts([1 / same[text] for text in texts]))]
