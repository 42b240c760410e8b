"""Signatures survive what copies go through, and tell different photos apart."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.fft import dctn

from dermaxai.data.duplicates import FAR, MOVED, NEAR
from dermaxai.data.hashing import BLANK, SIDE, count_flips, sign, to_words, unexplained
from tests.data.copies import CHANGES, change, draw_skin, open_pixels

DATA = Path(os.environ.get("DERMAXAI_DATA", Path(__file__).parents[2] / "../shared/data"))


def flips(one, other):
    return int(count_flips(to_words([one.phash]), to_words([other.phash]))[0])


def left_over(one, other):
    first, second = (np.frombuffer(each.thumbnail, np.uint8)[None] for each in (one, other))
    return float(unexplained(first, second)[0])


@pytest.mark.parametrize("name", CHANGES)
def test_copies_are_near(name):
    pixels = draw_skin(1)
    one, other = sign(pixels), sign(open_pixels(change(pixels, name)))
    assert flips(one, other) <= NEAR
    assert left_over(one, other) <= MOVED


def test_a_larger_crop_is_told_by_the_thumbnail():
    pixels = draw_skin(2)
    one, other = sign(pixels), sign(np.ascontiguousarray(pixels[4:-4, 4:-4]))
    assert NEAR < flips(one, other) <= FAR
    assert left_over(one, other) <= MOVED


def test_different_photos_are_far():
    signed = [sign(draw_skin(seed)) for seed in range(30)]
    words = to_words([each.phash for each in signed])
    one, other = np.triu_indices(len(words), 1)
    assert count_flips(words[one], words[other]).min() > FAR


def test_bits_are_the_signs_of_the_lowest_waves():
    pixels = draw_skin(3, side=SIDE)
    grey = np.asarray(Image.fromarray(pixels).convert("L"), float)
    heights = dctn(grey, norm="ortho")
    order = sorted((r + c, r, c) for r in range(SIDE) for c in range(SIDE) if r or c)[:256]
    expected = [heights[r, c] > 0 for _, r, c in order]
    bits = np.unpackbits(np.frombuffer(sign(pixels).phash, np.uint8)).astype(bool)
    agree = np.array([abs(heights[r, c]) < 0.1 for _, r, c in order]) | (bits == expected)
    assert agree.all()


def test_words_keep_the_order_of_bits():
    first = bytes([0x80]) + bytes(31)
    assert to_words([first])[0].tolist() == [1 << 63, 0, 0, 0]


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_photo_without_pattern_is_blank(level):
    assert sign(np.full((40, 60, 3), level, np.uint8)).phash == BLANK


def test_thumbnails_without_gradients_divide_by_nothing():
    flat = np.full((1, 256), 90, np.uint8)
    ramp = np.arange(256, dtype=np.uint8)[None]
    assert 0 <= unexplained(flat, flat)[0] < 1e-6
    assert unexplained(flat, ramp)[0] > 0.9


@pytest.mark.shared
def test_lesions_of_ham10000_are_told_apart_and_copies_found():
    folder = DATA / "ham10000"
    if not folder.is_dir():
        pytest.skip("needs HAM10000 in DERMAXAI_DATA or ../shared/data")
    paths = sorted(folder.rglob("*.jpg"))[::14]
    photos = [open_pixels(path.read_bytes()) for path in paths]
    words = to_words([sign(pixels).phash for pixels in photos])
    one, other = np.triu_indices(len(words), 1)
    assert count_flips(words[one], words[other]).min() > NEAR
    for name in ("jpeg", "larger", "smaller", "grey"):
        copies = to_words([sign(open_pixels(change(pixels, name))).phash for pixels in photos[::5]])
        assert count_flips(words[::5], copies).max() <= NEAR
