"""Near-duplicates among up to a million photos, by their signatures.

Two photos are near-duplicates where their hashes differ in at most `NEAR` bits, or in at most `FAR` while a
small motion explains their thumbnails but for `MOVED` (see `hashing`). Up to `ALL_PAIRS` photos every pair is
looked at; beyond that, pairs that agree in one of many samples of bits.

Of the copies that `hashing` measured, all but the last two kinds are found either way; with 3 % cropped
off each side 94 % of all pairs and 89 % by samples, off two sides 87 % and 76 %. Of 15.3 million pairs of
HAM10000 photos one is taken for a near-duplicate, and is one: a lesion that has two ids. A photo that was
mirrored, turned, or cropped to a square is not found.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Int64, UInt8, UInt64

from dermaxai.data.hashing import count_flips, unexplained

NEAR = 32
"""Bits. No two of 5,534 lesions are so alike; every copy but cropped ones is."""
FAR = 68
"""Bits, with a thumbnail that tells the rest."""
MOVED = 0.03
"""Share of the variance; of different lesions within `FAR` bits the most alike leave 0.044."""

ALL_PAIRS = 10_000
SAMPLES = 64
SAMPLED = 20
"""Bits in a sample, of the `LOWEST` frequencies, which a crop disturbs least."""
LOWEST = 96
WORDS = 8
"""Further samples: the hash cut into words of 32 bits, so that fewer than 8 flips always leave one whole."""
WINDOW = 128
"""Photos that a photo is compared with where more agree in a sample; the next in the order of hashes."""

_CHUNK = 1 << 20
_Pairs = tuple[Int64[np.ndarray, " k"], Int64[np.ndarray, " k"]]


def find_near(
    hashes: UInt64[np.ndarray, "n 4"], thumbnails: UInt8[np.ndarray, "n 256"] | None = None
) -> Int64[np.ndarray, "k 2"]:
    """Pairs of near-duplicates, the smaller number first, sorted; blank photos have none.

    Photos of one and the same hash are chained, each to the one before it. Without thumbnails only `NEAR`
    counts. Time grows with the number of photos, memory by some 200 bytes for each.
    Source: bit sampling, Indyk & Motwani (1998), doi 10.1145/276698.276876; words: Norouzi, Punjani & Fleet,
    Fast search in Hamming space with multi-index hashing (2012).
    """
    patterned = np.flatnonzero(hashes.any(axis=1))
    different, first, chains = _collapse(hashes[patterned])
    own = patterned[first]
    shown = None if thumbnails is None else thumbnails[own]
    found = [_keep_near(pairs, different, shown) for pairs in _candidates(different)]
    codes = np.unique(np.concatenate(found)) if found else np.empty(0, np.int64)
    near = np.stack([own[codes // max(len(own), 1)], own[codes % max(len(own), 1)]], axis=1)
    pairs = np.concatenate([near, patterned[chains]])
    pairs.sort(axis=1)
    return np.asarray(pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))])


def _collapse(
    hashes: UInt64[np.ndarray, "n 4"],
) -> tuple[UInt64[np.ndarray, "m 4"], Int64[np.ndarray, " m"], Int64[np.ndarray, "c 2"]]:
    """Each hash once, the first photo that has it, and the chains of photos that share one."""
    order = np.lexsort(hashes.T[::-1])
    ordered = hashes[order]
    fresh = np.ones(len(order), bool)
    fresh[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    again = np.flatnonzero(~fresh)
    return ordered[fresh], order[fresh], np.stack([order[again - 1], order[again]], axis=1)


def _candidates(hashes: UInt64[np.ndarray, "n 4"]) -> Iterator[_Pairs]:
    if len(hashes) <= ALL_PAIRS:
        yield from _all_pairs(len(hashes))
        return
    for key in _sampled_keys(hashes):
        yield from _agreeing(key)


def _all_pairs(count: int) -> Iterator[_Pairs]:
    step = max(_CHUNK // max(count, 1), 1)
    for start in range(0, count, step):
        one, other = np.meshgrid(
            np.arange(start, min(start + step, count)), np.arange(start, count), indexing="ij"
        )
        upper = one < other
        yield one[upper], other[upper]


def _sampled_keys(hashes: UInt64[np.ndarray, "n 4"]) -> Iterator[UInt64[np.ndarray, " n"]]:
    """For each sample the bits of every hash in it, in the lower half of a word."""
    for word in range(WORDS):
        yield hashes[:, word // 2] >> np.uint64(32 * (1 - word % 2)) & np.uint64(0xFFFFFFFF)
    random = np.random.default_rng(0)
    for _ in range(SAMPLES):
        key = np.zeros(len(hashes), np.uint64)
        for bit in np.sort(random.choice(LOWEST, SAMPLED, replace=False)):
            key <<= np.uint64(1)
            key |= hashes[:, bit // 64] >> np.uint64(63 - bit % 64) & np.uint64(1)
        yield key


def _agreeing(key: UInt64[np.ndarray, " n"]) -> Iterator[_Pairs]:
    """Pairs whose keys are equal, at most `WINDOW` apart in the order of keys."""
    order = np.argsort(key, kind="stable")
    ordered = key[order]
    left = np.arange(len(order) - 1)
    for apart in range(1, WINDOW + 1):
        left = left[: np.searchsorted(left, len(order) - apart)]
        left = left[ordered[left] == ordered[left + apart]]
        if not left.size:
            return
        for start in range(0, len(left), _CHUNK):
            chosen = left[start : start + _CHUNK]
            yield order[chosen], order[chosen + apart]


def _keep_near(
    pairs: _Pairs, hashes: UInt64[np.ndarray, "n 4"], thumbnails: UInt8[np.ndarray, "n 256"] | None
) -> Int64[np.ndarray, " k"]:
    """Those pairs that are near-duplicates, as smaller number times n plus larger."""
    one, other = pairs
    flips = count_flips(hashes[one], hashes[other])
    near = flips <= NEAR
    if thumbnails is not None:
        doubtful = np.flatnonzero(~near & (flips <= FAR))
        for start in range(0, len(doubtful), 4096):
            chosen = doubtful[start : start + 4096]
            near[chosen] = unexplained(thumbnails[one[chosen]], thumbnails[other[chosen]]) <= MOVED
    low, high = np.minimum(one[near], other[near]), np.maximum(one[near], other[near])
    return np.asarray(low * len(hashes) + high)
