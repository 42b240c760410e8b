"""BERTScore: the nearest token of the other text, near as a language model sees them in their context."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from dermaxai.measure.captions.text_model import Read, TextModel, load_text_model
from dermaxai.measure.captions.written import Tools, Written
from dermaxai.measure.columns import Scored
from dermaxai.measure.estimates import mean_parts
from dermaxai.measure.scale import Scale

SOURCE = "Zhang et al. (2020), arXiv:1904.09675, section 3; not rescaled, best of the references"
SCALES = tuple(
    Scale(f"bert_{name}", f"BERTScore {title}", "higher", "cosine", low=low, source=SOURCE)
    for name, title, low in (("precision", "precision", -1.0), ("recall", "recall", -1.0), ("f1", "F1", 0.0))
)
CAPTIONS_AT_ONCE = 256
"""Vectors are kept for the texts of so many captions, and for those that come back later."""


@dataclass(frozen=True, slots=True)
class IdfWeights:
    """How much a token counts, by how many of the references hold it."""

    references: int
    often: Mapping[int, int]

    @classmethod
    def of(cls, references: Sequence[Sequence[int]]) -> IdfWeights:
        """Count in tokens of all references."""
        held = Counter(token for reference in references for token in set(reference))
        return cls(len(references), held)

    def weigh(self, token: int) -> float:
        """log((N + 1) / (n + 1)) for n of N references; 0 or more."""
        return math.log((self.references + 1) / (self.often.get(token, 0) + 1))


def bert_score(written: Sequence[Written], tools: Tools) -> list[Scored]:
    """Cosines with the nearest token of the other text: precision, recall and F1, means over captions.

    Nothing without `tools.bert`. Of several references the best is taken, for each of the three by itself. An
    empty caption scores 0; one whose references hold no token counts nowhere.
    Raises: WeightsMissing, WeightsCorrupt, WeightsMismatch.
    """
    if tools.bert is None or not written:
        return []
    values = score_captions(load_text_model(tools.bert), written)
    return [Scored(scale, mean_parts(column)) for scale, column in zip(SCALES, values.T, strict=True)]


def score_captions(
    model: TextModel, written: Sequence[Written], *, idf: bool = False, as_published: bool = False
) -> Float[np.ndarray, "captions 3"]:
    """Precision, recall, F1 of each caption.

    `idf`: tokens of many references count less, by log((N + 1) / (n + 1)) for n of the N references.
    `as_published`: as the authors' program, where a word's nearest token may also be the one that begins or
    ends the other text.
    """
    tokens = model.cut(sorted({text for one in written for text in (one.text, *one.references)}))
    weights = IdfWeights.of([tokens[text] for one in written for text in one.references]) if idf else None
    last = {text: row for row, one in enumerate(written) for text in (one.text, *one.references)}
    values, held = np.full((len(written), 3), np.nan), dict[str, Read]()
    for first in range(0, len(written), CAPTIONS_AT_ONCE):
        rows = range(first, min(first + CAPTIONS_AT_ONCE, len(written)))
        asked = {text for row in rows for text in (written[row].text, *written[row].references)}
        held |= model.read({text: tokens[text] for text in sorted(asked - held.keys())})
        for row in rows:
            one = written[row]
            references = [held[text] for text in one.references if held[text].is_word.any()]
            if references:
                found = [match(held[one.text], other, weights, specials=as_published) for other in references]
                values[row] = np.max(found, 0)
        held = {text: read for text, read in held.items() if last[text] >= rows.stop}
    return values


def match(
    caption: Read, reference: Read, weights: IdfWeights | None = None, *, specials: bool = False
) -> tuple[float, float, float]:
    """Precision, recall, F1: the mean over tokens of the largest cosine with any token of the other text.

    Precision is over the caption's tokens, recall over the reference's; special tokens are in neither, and
    are matched only with `specials`. F1 is 0 where one of the two is not positive.
    """
    ours, theirs = caption.is_word, reference.is_word
    if not ours.any():
        return 0.0, 0.0, 0.0
    cosines = np.clip(caption.vectors @ reference.vectors.T, -1, 1)
    nearest = cosines[ours].max(1, initial=-1, where=theirs | specials)
    precision = _mean(nearest, caption.ids[ours], weights)
    nearest = cosines[:, theirs].T.max(1, initial=-1, where=ours | specials)
    recall = _mean(nearest, reference.ids[theirs], weights)
    both = precision > 0 and recall > 0
    return precision, recall, 2 * precision * recall / (precision + recall) if both else 0.0


def _mean(
    values: Float[np.ndarray, "tokens"], ids: Int[np.ndarray, "tokens"], weights: IdfWeights | None
) -> float:
    counts = (
        np.ones(len(ids)) if weights is None else np.array([weights.weigh(token) for token in ids.tolist()])
    )
    return float(values @ counts / counts.sum()) if counts.sum() else float("nan")
