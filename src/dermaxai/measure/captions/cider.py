"""CIDEr-D: cosine of runs of words, those that the references of every photo have counting little."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from dermaxai.errors import DataError
from dermaxai.measure.captions.ngrams import LONGEST, Counts, Cut, Integers, Numbered, cut, look_up
from dermaxai.measure.captions.ptb_tokens import words_of
from dermaxai.measure.captions.written import Tools, Written
from dermaxai.measure.columns import Scored
from dermaxai.measure.estimates import mean_parts
from dermaxai.measure.scale import Scale
from dermaxai.types import Language

SIGMA = 6.0
"""Words by which caption and reference may differ in length before it costs much."""
SCALE = Scale(
    "cider_d",
    "CIDEr-D",
    "higher",
    "points",
    high=10.0,
    source="Vedantam et al. (2015), arXiv:1411.5726, equation 6; as pycocoevalcap 1.2",
)
FROZEN = Scale(
    "cider_d_frozen",
    "CIDEr-D, fixed frequencies",
    "higher",
    "points",
    high=10.0,
    source="as CIDEr-D, with the frequencies of another set of references",
)


@dataclass(frozen=True, slots=True)
class Frequencies:
    """In how many documents each run of one to four words stands; a document is a photo's references."""

    documents: int
    runs: dict[str, int]
    """Words of a run with a space between them."""

    @classmethod
    def of(cls, documents: Iterable[Sequence[str]], language: Language = "en") -> Frequencies:
        """Count in the references of photos, one sequence of texts each, such as those of a training set."""
        found: Counter[str] = Counter()
        number = 0
        for texts in documents:
            number += 1
            cuts = [words_of(text, language) for text in texts]
            found.update(
                {
                    " ".join(words[start : start + n])
                    for words in cuts
                    for n in range(1, LONGEST + 1)
                    for start in range(len(words) - n + 1)
                }
            )
        return cls(number, dict(found))

    def save(self, path: Path) -> None:
        """Write as JSON, runs in order, so that the same frequencies are the same file."""
        document = {"documents": self.documents, "runs": dict(sorted(self.runs.items()))}
        path.write_text(json.dumps(document, ensure_ascii=False, indent=0) + "\n", "utf-8")

    @classmethod
    def read(cls, path: Path) -> Frequencies:
        """Read what `save` wrote. Raises: DataError."""
        try:
            document = json.loads(path.read_text("utf-8"))
            runs = {str(run): int(count) for run, count in document["runs"].items()}
            documents = int(document["documents"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(
                f"{path} holds no frequencies of words: {error}.",
                hint="Make one with Frequencies.of(references).save(path).",
            ) from error
        if documents < 1 or any(not 1 <= count <= documents for count in runs.values()):
            raise DataError(f"{path}: every run of words is in 1 to {documents} documents; some are not.")
        return cls(documents, runs)


def cider_d(written: Sequence[Written], tools: Tools) -> list[Scored]:
    """Cosine of runs of words weighted by how rare they are, 0 to 10, mean over captions.

    How rare a run of words is, is counted in the references of the captions given: the value belongs to this
    set, and for one photo alone, where everything is in every document, it is 0, as in the reference.
    With `tools.frequencies` the same by those. NaN for a caption whose references hold no word. Resamples
    keep the frequencies of the whole set. Raises: DataError.
    """
    texts = cut(written)
    found = [Scored(SCALE, mean_parts(cider_values(texts)))]
    if tools.frequencies is not None:
        frequencies = Frequencies.read(tools.frequencies)
        found.append(Scored(FROZEN, mean_parts(cider_values(texts, frequencies))))
    return found


def cider_values(texts: Cut, frequencies: Frequencies | None = None) -> Float[np.ndarray, "captions"]:
    """CIDEr-D of each caption, by the frequencies of its own set or by given ones."""
    captions = len(texts.captions)
    owner = np.array([row for row, some in enumerate(texts.references) for _ in some], np.int64)
    numbered = Numbered.of([*texts.captions, *(words for some in texts.references for words in some)])
    cosines = np.zeros(len(owner))
    for n, counts in enumerate(numbered.count(), 1):
        if frequencies is None:
            idf = _own_idf(counts, captions, owner)
        else:
            idf = _given_idf(numbered, counts, n, frequencies)
        cosines += _cosines(counts, idf, captions, owner)
    # The reference counts pairs of words here, so that a text of one word is as long as one of none.
    lengths = np.maximum(numbered.lengths - 1, 0)
    apart = lengths[owner] - lengths[captions:]
    cosines *= 10 / LONGEST * np.exp(-(apart**2) / (2 * SIGMA**2))
    number = np.bincount(owner, minlength=captions)
    total = np.bincount(owner, cosines, captions)
    values: Float[np.ndarray, "captions"] = np.full(captions, np.nan)
    np.divide(total, number, out=values, where=number > 0)
    return values


def _own_idf(counts: Counts, captions: int, owner: Integers) -> Float[np.ndarray, "runs"]:
    """Logarithm of photos over photos whose references have the run; one where none has it."""
    held = counts.text >= captions
    size = max(counts.runs, 1)
    documents = np.unique(owner[counts.text[held] - captions] * size + counts.run[held])
    often = np.bincount(documents % size, minlength=size)
    photos = max(len(np.unique(owner)), 1)
    idf: Float[np.ndarray, "runs"] = np.log(photos) - np.log(np.maximum(often, 1))
    return idf


def _given_idf(numbered: Numbered, counts: Counts, n: int, given: Frequencies) -> Float[np.ndarray, "runs"]:
    """Logarithm of documents over documents that have the run; one where none has it."""
    often = [given.runs.get(numbered.spell(place, n), 1) for place in counts.place.tolist()]
    idf: Float[np.ndarray, "runs"] = np.log(given.documents) - np.log(np.array(often, np.float64))
    return idf


def _cosines(
    counts: Counts, idf: Float[np.ndarray, "runs"], captions: int, owner: Integers
) -> Float[np.ndarray, "references"]:
    """Clipped cosine of each reference with its caption, over runs of one length."""
    weight = counts.count * idf[counts.run]
    texts = captions + len(owner)
    norm = np.sqrt(np.bincount(counts.text, weight**2, texts))
    is_caption = counts.text < captions
    size = max(counts.runs, 1)
    keys = counts.text[is_caption] * size + counts.run[is_caption]
    reference = counts.text[~is_caption] - captions
    theirs = weight[~is_caption]
    ours = look_up(keys, weight[is_caption], owner[reference] * size + counts.run[~is_caption])
    product = np.bincount(reference, np.minimum(ours, theirs) * theirs, len(owner))
    norms = norm[owner] * norm[captions:]
    cosines: Float[np.ndarray, "references"] = np.zeros(len(owner))
    np.divide(product, norms, out=cosines, where=norms > 0)
    return cosines
