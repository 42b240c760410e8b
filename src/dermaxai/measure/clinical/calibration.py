"""Whether facts are as often right as the decoder is sure of them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray

from dermaxai.measure.clinical.judging import DIAGNOSES, support
from dermaxai.measure.clinical.stated import Stated
from dermaxai.measure.columns import Scored
from dermaxai.measure.estimates import Statistic
from dermaxai.measure.scale import Scale
from dermaxai.statements.reading import Mention
from dermaxai.types import Caption

BINS = 10
FEWEST = 30
"""Facts of a slot, or mentions of a finding, from which on there are figures of its own."""
_ARTICLES = frozenset({"a", "an"})
_ECE = "Naeini et al. 2015, doi 10.1609/aaai.v29i1.9602; Guo et al. 2017, arXiv:1706.04599, equation 3"
_MASS = "Nixon et al. 2019, arXiv:1904.01685"
_BRIER = "Brier 1950, doi 10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2"


@dataclass(frozen=True, slots=True)
class Told:
    """A fact of a caption, how sure the decoder was of it, and whether it is right."""

    row: int
    """Which caption."""
    slot: str
    value: str
    confidence: float
    """0 to 1."""
    right: bool


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Facts of about the same confidence."""

    confidence: float
    """Mean, 0 to 1."""
    accuracy: float
    """Share that is right."""
    n: int


@dataclass(frozen=True, slots=True)
class Reliability:
    """A reliability curve: bins of facts from the least to the most sure, empty ones left out."""

    bins: tuple[ReliabilityBin, ...]


def confidence_of(caption: Caption, mention: Mention) -> float:
    """Probability of the words that state a fact, given the photo and all words before; NaN without words.

    The tokens of these words count once each. An indefinite article right before them belongs to them: 'an'
    tells 'irregular' from 'regular', and after it the adjective is nearly certain.
    """
    places = [
        place
        for place, word in enumerate(caption.words)
        if word.start < mention.stop and mention.start < word.stop
    ]
    if places and places[0] and caption.words[places[0] - 1].text.casefold() in _ARTICLES:
        places.insert(0, places[0] - 1)
    tokens = sorted({token for place in places for token in caption.words[place].tokens})
    if not tokens:
        return float("nan")
    return math.exp(min(0.0, sum(caption.token_logprobs[token] for token in tokens)))


def told_facts(stated: Sequence[Stated]) -> list[Told]:
    """Every fact with a probability that can be judged, a fact of a caption once, denied findings too."""
    return [one for row, caption in enumerate(stated) for one in _told(row, caption)]


def _told(row: int, one: Stated) -> Iterator[Told]:
    seen = set()
    for mention, confidence in zip(one.caption.mentions, one.confidences, strict=False):
        slot = "diagnosis" if mention.slot in DIAGNOSES else mention.slot
        fact = (slot, mention.value, mention.polarity)
        right = support(mention, one)
        if right is not None and not math.isnan(confidence) and fact not in seen:
            seen.add(fact)
            yield Told(row, slot, mention.value, confidence, right)


def calibration(stated: Sequence[Stated]) -> list[Scored]:
    """Expected calibration error in bins of equal width and of equal mass, Brier score, overconfidence.

    For all facts, and for each slot and each finding that is told at least `FEWEST` times: fewer facts look
    badly calibrated by chance alone. () without probabilities.
    """
    facts, count = told_facts(stated), len(stated)
    found = _figures(facts, count, "", "all facts") if facts else []
    for slot in _often(one.slot for one in facts):
        found += _figures([one for one in facts if one.slot == slot], count, f"_{slot}", slot)
    for value in _often(one.value for one in facts if one.slot == "finding"):
        own = [one for one in facts if (one.slot, one.value) == ("finding", value)]
        found += _figures(own, count, f"_finding_{value}", value.replace("_", " "))
    return found


def _often(names: Iterable[str]) -> list[str]:
    return sorted(name for name, times in Counter(names).items() if times >= FEWEST)


def _figures(facts: Sequence[Told], count: int, suffix: str, of: str) -> list[Scored]:
    rows = np.array([one.row for one in facts])
    confidence = np.array([one.confidence for one in facts])
    right = np.array([one.right for one in facts])
    return calibrate(rows, confidence, right, count, suffix=suffix, of=of)


def calibrate(
    rows: Int[np.ndarray, "facts"],
    confidence: Float[np.ndarray, "facts"],
    right: Bool[np.ndarray, "facts"],
    count: int,
    *,
    suffix: str = "",
    of: str = "all facts",
) -> list[Scored]:
    """The figures of `calibration` for facts of `count` captions; `rows` says which caption each is of.

    Parts of the errors are, for each bin, numbers, sums of confidences and numbers of right facts, so that
    `curve` draws the reliability curve from them.
    """
    width = bin_parts(rows, confidence, right, equal_width(), count)
    mass = bin_parts(rows, confidence, right, equal_mass(confidence), count)
    squares, gaps = (confidence - right) ** 2, confidence - right
    return [
        Scored(
            Scale(f"ece{suffix}", f"Calibration error, {of}", "lower", "share", source=_ECE), width, ERROR
        ),
        Scored(
            Scale(
                f"ece_mass{suffix}", f"Calibration error, equal mass, {of}", "lower", "share", source=_MASS
            ),
            mass,
            ERROR,
        ),
        Scored(
            Scale(f"brier{suffix}", f"Brier score, {of}", "lower", "share", source=_BRIER),
            _sums(rows, squares, count),
        ),
        Scored(
            Scale(
                f"overconfidence{suffix}", f"Confidence minus accuracy, {of}", "neither", "share", -1.0, 1.0
            ),
            _sums(rows, gaps, count),
        ),
    ]


def equal_width(bins: int = BINS) -> Float[np.ndarray, "inner"]:
    """Inner bounds of bins of equal width; a value on a bound belongs to the lower bin."""
    return np.linspace(0.0, 1.0, bins + 1)[1:-1]


def equal_mass(confidence: Float[np.ndarray, "facts"], bins: int = BINS) -> Float[np.ndarray, "inner"]:
    """Inner bounds of bins that hold about as many facts each; equal values stay together, so some merge."""
    if not len(confidence):
        return np.zeros(0)
    # In whole numbers: as a float 0.3 x 20 is a little more than 6.
    lasts = (np.arange(1, bins) * len(confidence) + bins - 1) // bins - 1
    return np.unique(np.sort(confidence)[lasts])


def bin_parts(
    rows: Int[np.ndarray, "facts"],
    confidence: Float[np.ndarray, "facts"],
    right: Bool[np.ndarray, "facts"],
    inner: Float[np.ndarray, "inner"],
    count: int,
) -> Float[np.ndarray, "rows parts"]:
    """For each caption and bin: facts, then sums of confidence, then right facts; (rows, 3 x bins)."""
    places = rows * (len(inner) + 1) + np.searchsorted(inner, confidence, side="left")
    values = (np.ones(len(rows)), confidence, right.astype(np.float64))
    sums = [np.bincount(places, one, count * (len(inner) + 1)).reshape(count, -1) for one in values]
    return np.concatenate(sums, 1)


def calibration_error(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over facts of their bin's distance between confidence and accuracy."""
    counts, confidence, right = np.split(np.asarray(sums, np.float64), 3, axis=-1)
    gaps, total = np.abs(confidence - right).sum(-1), counts.sum(-1)
    found: NDArray[np.float64] = np.divide(gaps, total, out=np.full(np.shape(total), np.nan), where=total > 0)
    return found


ERROR = Statistic("expected calibration error", of_sums=calibration_error)


def curve(parts: Float[np.ndarray, "rows parts"]) -> Reliability:
    """The reliability curve of the parts of a calibration error.

    >>> curve(np.array([[1.0, 2.0, 0.1, 1.8, 0.0, 2.0]])).bins[1]
    ReliabilityBin(confidence=0.9, accuracy=1.0, n=2)
    """
    counts, confidence, right = np.split(np.asarray(parts, np.float64).sum(0), 3)
    held = zip(counts, confidence, right, strict=True)
    return Reliability(
        tuple(
            ReliabilityBin(float(sure / number), float(true / number), int(number))
            for number, sure, true in held
            if number
        )
    )


def _sums(
    rows: Int[np.ndarray, "facts"], values: Float[np.ndarray, "facts"], count: int
) -> Float[np.ndarray, "rows 2"]:
    """Parts of `MEAN` over facts: of each caption the sum and the number."""
    return np.stack([np.bincount(rows, values, count), np.bincount(rows, minlength=count)], 1)
