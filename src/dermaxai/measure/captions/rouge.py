"""ROUGE-L: the longest sequence of words that caption and reference share, in order, gaps allowed."""

from __future__ import annotations

from collections.abc import Sequence

from dermaxai.measure.captions.ngrams import Words, cut
from dermaxai.measure.captions.written import Tools, Written
from dermaxai.measure.columns import Scored
from dermaxai.measure.estimates import mean_parts
from dermaxai.measure.scale import Scale

BETA = 1.2
"""Weight of recall, as in the COCO evaluation; other programs take 1."""
SCALE = Scale(
    "rouge_l", "ROUGE-L", "higher", "share", source="Lin (2004), F with beta 1.2; as pycocoevalcap 1.2"
)


def rouge_l(written: Sequence[Written], tools: Tools) -> list[Scored]:
    """F of the longest sequence of words in common, mean over captions.

    NaN for a caption whose references hold no word.
    """
    texts = cut(written)
    values = [rouge_of(*one) for one in zip(texts.captions, texts.references, strict=True)]
    return [Scored(SCALE, mean_parts(values))]


def rouge_of(caption: Words, references: Sequence[Words]) -> float:
    """F of the best precision and the best recall, which may be of two references; 0 to 1."""
    if not references:
        return float("nan")
    shared = [common_length(caption, reference) for reference in references]
    precision = max(shared) / max(len(caption), 1)
    recall = max(length / len(reference) for length, reference in zip(shared, references, strict=True))
    if precision == 0 or recall == 0:
        return 0.0
    return (1 + BETA**2) * precision * recall / (recall + BETA**2 * precision)


def common_length(first: Words, second: Words) -> int:
    """Length of the longest common subsequence.

    One row of the usual table is the bits of one number: a bit is 0 where the table steps up.
    Source: Hyyrö (2004), "Bit-parallel LCS-length computation revisited", figure 3.
    """
    places: dict[str, int] = {}
    for place, word in enumerate(first):
        places[word] = places.get(word, 0) | 1 << place
    all_bits = (1 << len(first)) - 1
    row = all_bits
    for word in second:
        matched = row & places.get(word, 0)
        row = (row + matched | row - matched) & all_bits
    return len(first) - row.bit_count()
