"""Near-duplicates are found among all pairs, and by samples of bits what all pairs would find."""

import time

import numpy as np
import pytest

from dermaxai.data import duplicates
from dermaxai.data.duplicates import NEAR, find_near
from dermaxai.data.hashing import count_flips, sign, to_words
from tests.data.copies import draw_skin

RANDOM = np.random.default_rng(5)


def random_hashes(count):
    return RANDOM.integers(1, 2**63, (count, 4)).astype(np.uint64)


def flip(words, bits):
    flipped = words.copy()
    for bit in bits:
        flipped[bit // 64] ^= np.uint64(1 << (63 - bit % 64))
    return flipped


def by_hand(hashes):
    return [
        [one, other]
        for one in range(len(hashes))
        for other in range(one + 1, len(hashes))
        if count_flips(hashes[one : one + 1], hashes[other : other + 1])[0] <= NEAR
    ]


@pytest.fixture
def sampled(monkeypatch):
    """Samples of bits also for few photos."""
    monkeypatch.setattr(duplicates, "ALL_PAIRS", 0)


def planted(count=60):
    hashes = random_hashes(count)
    for place in range(0, count - 1, 6):
        hashes[place + 1] = flip(hashes[place], RANDOM.choice(256, place % 30 + 1, replace=False))
    return hashes


def test_every_pair_within_the_radius():
    hashes = planted()
    assert find_near(hashes).tolist() == by_hand(hashes) != []


def test_samples_find_the_same(sampled):
    hashes = planted()
    assert find_near(hashes).tolist() == by_hand(hashes)


@pytest.mark.parametrize("flips", range(1, 8))
def test_fewer_than_eight_flips_are_always_found(sampled, monkeypatch, flips):
    monkeypatch.setattr(duplicates, "SAMPLES", 0)
    hashes = random_hashes(1)
    for word in range(flips):
        hashes = np.concatenate([hashes, flip(hashes[0], [32 * each for each in range(word + 1)])[None]])
    assert [0, flips] in find_near(hashes).tolist()


def test_the_radius_is_sharp():
    hashes = random_hashes(1)
    within, beyond = flip(hashes[0], range(NEAR)), flip(hashes[0], range(NEAR + 1))
    assert find_near(np.stack([hashes[0], within])).tolist() == [[0, 1]]
    assert find_near(np.stack([hashes[0], beyond])).tolist() == []


def test_equal_hashes_are_chained():
    hashes = np.repeat(random_hashes(1), 5, axis=0)
    assert find_near(hashes).tolist() == [[0, 1], [1, 2], [2, 3], [3, 4]]


def test_blank_photos_have_no_duplicates():
    assert find_near(np.zeros((50, 4), np.uint64)).tolist() == []
    assert find_near(np.zeros((0, 4), np.uint64)).shape == (0, 2)


def test_a_crowded_sample_stays_bounded(sampled, monkeypatch):
    """All photos agree in the frequencies that are sampled: each is compared with its next ones only."""
    monkeypatch.setattr(duplicates, "WINDOW", 4)
    hashes = random_hashes(4000)
    hashes[:, :2] = 7
    hashes[-1] = flip(hashes[0], [250])
    begun = time.process_time()
    assert [0, 3999] in find_near(hashes).tolist()
    assert time.process_time() - begun < 20


def test_a_cropped_copy_needs_the_thumbnail():
    pixels = draw_skin(2)
    signed = [sign(pixels), sign(np.ascontiguousarray(pixels[4:-4, 4:-4])), sign(draw_skin(3))]
    hashes = to_words([each.phash for each in signed])
    thumbnails = np.stack([np.frombuffer(each.thumbnail, np.uint8) for each in signed])
    assert find_near(hashes).tolist() == []
    assert find_near(hashes, thumbnails).tolist() == [[0, 1]]
    thumbnails[1] = thumbnails[2]
    assert find_near(hashes, thumbnails).tolist() == []
