"""BLEU: how many of the caption's runs of words a reference also has, and a penalty for short captions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from jaxtyping import Float

from dermaxai.measure.captions.ngrams import LONGEST, Counts, Cut, Integers, Numbered, cut, look_up
from dermaxai.measure.captions.written import Tools, Written
from dermaxai.measure.columns import Scored
from dermaxai.measure.estimates import Numbers, Statistic
from dermaxai.measure.scale import Scale

SOURCE = "Papineni et al. (2002), closest reference length; as pycocoevalcap 1.2"
TINY, SMALL = 1e-15, 1e-9
"""Added above and below each fraction, as the COCO evaluation does: where nothing matches, the product of
four precisions is not 0 but very small."""


def bleu(written: Sequence[Written], tools: Tools) -> list[Scored]:
    """BLEU-1 to BLEU-4 of the whole set, from sums of counts; of one row: of that caption.

    Parts: matched runs of 1, 2, 3, 4 words, runs of 1 to 4 words, words of the caption, words of the
    reference nearest in length (the shorter of two equally near). A caption whose references hold no word
    counts nowhere.
    """
    parts = bleu_parts(cut(written))
    return [
        Scored(Scale(f"bleu_{n}", f"BLEU-{n}", "higher", "share", source=SOURCE), parts, STATISTICS[n - 1])
        for n in range(1, LONGEST + 1)
    ]


def bleu_parts(texts: Cut) -> Float[np.ndarray, "captions 10"]:
    """Sufficient numbers of each caption; see `bleu`."""
    captions = len(texts.captions)
    owner = np.array([row for row, some in enumerate(texts.references) for _ in some], np.int64)
    numbered = Numbered.of([*texts.captions, *(words for some in texts.references for words in some)])
    said = numbered.lengths[:captions]
    parts = np.zeros((captions, 2 * LONGEST + 2))
    for n, counts in enumerate(numbered.count()):
        parts[:, n] = _matched(counts, captions, owner)
        parts[:, LONGEST + n] = np.maximum(said - n, 0)
    parts[:, 2 * LONGEST] = said
    for row, some in enumerate(texts.references):
        lengths = [len(words) for words in some]
        parts[row, -1] = min(lengths, key=lambda length: (abs(length - said[row]), length), default=0)
    parts[parts[:, -1] == 0] = 0
    return parts


def _matched(counts: Counts, captions: int, owner: Integers) -> Float[np.ndarray, "captions"]:
    """Runs of each caption that a reference has too, each at most as often as the reference with most."""
    is_caption = counts.text < captions
    size = max(counts.runs, 1)
    held = owner[counts.text[~is_caption] - captions] * size + counts.run[~is_caption]
    order = np.argsort(held, kind="stable")
    keys, first = np.unique(held[order], return_index=True)
    most = np.maximum.reduceat(counts.count[~is_caption][order], first) if len(first) else np.zeros(0)
    text = counts.text[is_caption]
    allowed = look_up(keys, most.astype(np.float64), text * size + counts.run[is_caption])
    return np.bincount(text, np.minimum(allowed, counts.count[is_caption]), captions)


def bleu_of_sums(sums: Numbers, longest: int) -> Numbers:
    """BLEU-`longest` of summed parts, (..., 10) to (...); NaN where no caption counts."""
    matched, all_runs = sums[..., :longest], sums[..., LONGEST : LONGEST + longest]
    precision = ((matched + TINY) / (all_runs + SMALL)).prod(-1) ** (1 / longest)
    length = (sums[..., 2 * LONGEST] + TINY) / (sums[..., -1] + SMALL)
    found: Numbers = precision * np.exp(np.minimum(1 - 1 / length, 0))
    return np.where(sums[..., -1] > 0, found, np.nan)


STATISTICS = tuple(
    Statistic(f"corpus BLEU-{n}", of_sums=partial(bleu_of_sums, longest=n)) for n in range(1, LONGEST + 1)
)
