"""METEOR of exact words and stems: words in common, those that carry meaning counting more, in few pieces.

No synonyms and no paraphrases, which METEOR 1.5 reads from WordNet and large tables: values lie beside those
of that program, not on them (docs/caption_metrics.md says by how much).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from typing import TypeAlias

import numpy as np

from dermaxai.errors import NotSupported
from dermaxai.measure.captions.ngrams import Words, cut
from dermaxai.measure.captions.stemming import stem
from dermaxai.measure.captions.written import Tools, Written
from dermaxai.measure.columns import Scored
from dermaxai.measure.estimates import Numbers, Statistic
from dermaxai.measure.scale import Scale
from dermaxai.types import Language

Pair = tuple[int, int]
CHUNK, INEXACT = 1 << 24, 1 << 40
"""Prices, in words of distance: one chunk outweighs all distance, one match that is not exact all chunks."""
Linked: TypeAlias = "tuple[Pair, Linked] | None"
Way = tuple[int, Linked]
Ways = dict[tuple[int, int], Way]
"""By the reference's place of the match just before, and the places taken that still matter, as bits."""
NOWHERE = -2
SOURCE = "Denkowski & Lavie (2014), METEOR 1.5, equations 1 to 4; exact and stem matches only"
WIDTH = 40
"""Ways of matching that are followed at once; a word that stands once on both sides adds none."""
NEAREST = 8
"""Places of one word that are tried from each way."""
FUNCTION_WORDS: dict[Language, str] = {
    "en": "a an the this that these those some any each i he she it they we you his her its their my your "
    "who which whose what in on at of to for with from by as into over under about after before between "
    "through during up out than and or but if so not no is are was were be been being am has have had do "
    "does did can could may might will would shall should must there also 's 't n't ca",
    "ru": "и а но или да же ли не ни бы в во на с со по к ко у о об от до из за для при без под над между "
    "через про как что чтобы если так то это этот эта эти тот та те его ее их он она оно они мы вы я ты "
    "который которая которое которые быть был была было были есть нет также еще уже",
}
"""Words of grammar, which count less; own lists."""
_BRACKETS = frozenset({"-lrb-", "-rrb-", "-lsb-", "-rsb-", "-lcb-", "-rcb-"})


@dataclass(frozen=True, slots=True)
class Weights:
    """Parameters that were fitted to people's judgements of translations."""

    alpha: float
    """Of recall against precision."""
    beta: float
    """Power of fragmentation."""
    gamma: float
    """Largest penalty of fragmentation."""
    delta: float
    """Of words of content; those of grammar weigh 1 - delta."""
    stem: float
    """Of a match of stems; an exact one weighs 1."""


WEIGHTS: dict[Language, Weights] = {
    "en": Weights(0.85, 0.2, 0.6, 0.75, 0.6),
    "ru": Weights(0.75, 1.4, 0.7, 0.5, 0.5),
}
"""METEOR 1.5: English as fitted, Russian as its setting for languages without judgements."""


def meteor(written: Sequence[Written], tools: Tools) -> list[Scored]:
    """METEOR of the whole set, from sums over captions of their best reference; of one row: of that caption.

    Parts: weight matched and whole weight of the caption, the same of the reference, matched words, chunks
    (0 where both texts are one). A caption whose references hold no word counts nowhere.
    Raises: NotSupported for captions in several languages, whose parameters differ.
    """
    languages = sorted({one.language for one in written}) or ["en"]
    if len(languages) > 1:
        raise NotSupported(
            f"METEOR's parameters belong to a language; captions in {' and '.join(languages)} were given.",
            hint="Measure the captions of each language by themselves.",
        )
    language, texts = languages[0], cut(written)
    parts = np.zeros((len(written), 6))
    for row, (caption, references) in enumerate(zip(texts.captions, texts.references, strict=True)):
        said = parted(caption)
        compared = [compare(said, held, language) for one in references if (held := parted(one))]
        if compared:
            scores = score_of_sums(np.array(compared), WEIGHTS[language])
            parts[row] = compared[int(np.argmax(scores))]
    return [Scored(SCALE, parts, STATISTICS[language])]


@lru_cache(maxsize=1 << 16)
def compare(said: Words, held: Words, language: Language) -> tuple[float, ...]:
    """The parts of one caption and one reference, both `parted`; see `meteor`."""
    weights = WEIGHTS[language]
    pairs = align(said, held, language)
    ours, theirs = (
        [1 - weights.delta if word in function_words(language) else weights.delta for word in words]
        for words in (said, held)
    )
    # One whole chunk is not broken: an identical caption scores 1.
    is_whole = count_chunks(pairs) == 1 and len(said) == len(held) == len(pairs)
    kinds = [1.0 if said[i] == held[j] else weights.stem for i, j in pairs]
    return (
        sum(kind * ours[i] for kind, (i, _) in zip(kinds, pairs, strict=True)),
        sum(ours),
        sum(kind * theirs[j] for kind, (_, j) in zip(kinds, pairs, strict=True)),
        sum(theirs),
        float(len(pairs)),
        0.0 if is_whole else float(count_chunks(pairs)),
    )


def count_chunks(pairs: Sequence[Pair]) -> int:
    """Runs of matches that are next to each other, in order, in both texts; pairs in the caption's order."""
    return sum(
        place == 0 or pair != (pairs[place - 1][0] + 1, pairs[place - 1][1] + 1)
        for place, pair in enumerate(pairs)
    )


def align(caption: Words, reference: Words, language: Language) -> list[Pair]:
    """Which word of the caption is which of the reference: pairs of places, in the caption's order.

    As many matches as there can be; among those the most exact ones, then the fewest chunks, then the least
    distance. Exact search unless more than `WIDTH` ways are open, or a word is left in more than `NEAREST`
    places, as in texts that go round in circles.
    """
    if caption == reference:
        return [(place, place) for place in range(len(caption))]
    places: dict[str, list[int]] = {}
    for place, word in enumerate(reference):
        places.setdefault(stem(word, language), []).append(place)
    stems = [stem(word, language) for word in caption]
    left = Counter(stems)
    ways: Ways = {(NOWHERE, 0): (0, None)}
    for place, one in enumerate(stems):
        left[one] -= 1
        steps = [
            (other, 1 << other, abs(place - other) + INEXACT * (reference[other] != caption[place]))
            for other in places.get(one, ())
        ]
        ways = _extend(ways, place, steps, left[one])
        if len(ways) > WIDTH:
            ways = dict(sorted(ways.items(), key=_rank)[:WIDTH])
    return _unlink(min(ways.items(), key=_rank)[1][1])


def _extend(ways: Ways, place: int, steps: Sequence[tuple[int, int, int]], left: int) -> Ways:
    """Every way one word of the caption further; `left`: how often the word comes again.

    `steps`: place in the reference, its bit, and the price of matching it.
    """
    # Places of a word that does not come again need not be told apart any more.
    kept = -1 if left else ~sum(bit for _, bit, _ in steps)
    found: Ways = {}
    for (before, used), (cost, pairs) in ways.items():
        free = [step for step in steps if not used & step[1]]
        # Left out only where words still to come can take every place.
        if len(free) <= left:
            key = (NOWHERE, used & kept)
            if key not in found or cost < found[key][0]:
                found[key] = (cost, pairs)
        if len(free) > NEAREST:
            free = sorted(free, key=lambda step: (step[0] != before + 1, step[2], step[0]))[:NEAREST]
        for other, bit, price in free:
            added = cost + price + (0 if other == before + 1 else CHUNK)
            key = (other, (used | bit) & kept)
            if key not in found or added < found[key][0]:
                found[key] = (added, ((place, other), pairs))
    return found


def _rank(item: tuple[tuple[int, int], Way]) -> tuple[int, tuple[int, int]]:
    key, (cost, _) = item
    return cost, key


def _unlink(pairs: Linked) -> list[Pair]:
    found = []
    while pairs is not None:
        pair, pairs = pairs
        found.append(pair)
    return found[::-1]


@lru_cache(maxsize=1 << 16)
def parted(words: Words) -> Words:
    """Words as METEOR counts them: cut at hyphens and slashes, without brackets."""
    return tuple(part for word in words if word not in _BRACKETS for part in re.split("[-/]", word) if part)


@cache
def function_words(language: Language) -> frozenset[str]:
    """Words of grammar of a language."""
    return frozenset(FUNCTION_WORDS[language].split())


def score_of_sums(sums: Numbers, weights: Weights) -> Numbers:
    """METEOR of summed parts, (..., 6) to (...); NaN where no caption counts."""
    ours, our_weight, theirs, their_weight, matches, chunks = np.moveaxis(sums, -1, 0)
    precision, recall = _over(ours, our_weight), _over(theirs, their_weight)
    mean = _over(precision * recall, weights.alpha * precision + (1 - weights.alpha) * recall)
    penalty = weights.gamma * _over(chunks, matches) ** weights.beta
    found: Numbers = np.where(their_weight > 0, mean * (1 - penalty), np.nan)
    return found


def _over(above: Numbers, below: Numbers) -> Numbers:
    """A fraction that is 0 where there is nothing below."""
    found: Numbers = np.divide(above, below, out=np.zeros(np.shape(above)), where=below != 0)
    return found


SCALE = Scale("meteor", "METEOR (exact, stem)", "higher", "share", source=SOURCE)
STATISTICS: dict[Language, Statistic] = {
    language: Statistic(f"METEOR, {language}", of_sums=partial(score_of_sums, weights=weights))
    for language, weights in WEIGHTS.items()
}
