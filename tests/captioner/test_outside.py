"""The rule for photos outside what the model knows: what it flags, what it leaves alone, that it is exact."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from dermaxai.captioner import load_captioner, save_captioner
from dermaxai.captioner.checkpoint import save_statistics
from dermaxai.captioner.outside import (
    PREFIX,
    STATISTICS,
    Ellipsoid,
    OutsideRule,
    Samples,
    describe,
    describe_photo,
    shrink_covariance,
)
from dermaxai.embedded.outside import Rate, measure_outside, to_markdown, wilson
from dermaxai.embedded.strangers import DRAWN, as_photo, draw_set, read_folder
from dermaxai.errors import SettingError, ShapeError
from dermaxai.types import Encoded
from tests.captioner import tiny

CELLS = 4
FEATURES = 6


def skin(seed: int, side: int = 112):
    """Skin with one soft brown spot, in the light of many dermoscopes."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:side, 0:side] / side
    wobble = 1 + 0.2 * np.sin(3 * np.arctan2(y - 0.5, x - 0.5) + random.uniform(0, 6))
    distance = np.hypot(y - random.uniform(0.4, 0.6), x - random.uniform(0.4, 0.6)) / wobble
    spot = 1 / (1 + np.exp((distance - random.uniform(0.1, 0.3)) / 0.02))[..., None]
    tone = np.array([225, 172, 158]) * random.uniform(0.85, 1.05) + random.normal(0, 5, 3)
    brown = np.array([120, 75, 60]) * random.uniform(0.6, 1.4)
    pixels = tone * (1 - spot) + brown * spot + random.normal(0, 3, (side, side, 1))
    return as_photo(np.clip(pixels, 0, 255).astype(np.uint8))


class Means:
    """An encoder in name: colours and contrast of a few cells."""

    def encode(self, images):
        return [self._encode(image) for image in images]

    def _encode(self, image):
        square = describe_photo(image.pixels)
        tokens = torch.tensor(np.tile(square[:FEATURES], (CELLS + 1, 1)), dtype=torch.float32)
        return Encoded(tokens[1:], tokens[0], tokens, (2, 2), tiny.encoded().placement, "planted")


def samples(photos) -> Samples:
    rows = [describe(*pair) for pair in zip(Means().encode(photos), photos, strict=True)]
    return Samples(*(np.concatenate([getattr(row, name) for row in rows]) for name in ("photo", "features")))


@pytest.fixture(scope="module")
def rule() -> OutsideRule:
    train = samples([skin(seed) for seed in range(120)])
    return OutsideRule.fit(train, samples([skin(seed) for seed in range(1000, 1060)]), false_flags=0.05)


def flags(rule, photos) -> list[bool]:
    return [rule.check(*pair).flag for pair in zip(Means().encode(photos), photos, strict=True)]


@pytest.mark.parametrize("name", sorted(DRAWN))
def test_flags_what_is_no_skin(rule, name):
    assert all(flags(rule, draw_set(name, 9)))


def test_leaves_skin_alone(rule):
    assert sum(flags(rule, [skin(seed) for seed in range(2000, 2040)])) <= 6


def test_the_size_of_the_photo_does_not_matter(rule):
    photo = skin(7, side=448)
    half = as_photo(photo.pixels.reshape(224, 2, 224, 2, 3).mean(axis=(1, 3)).round().astype(np.uint8))
    wide = as_photo(np.pad(photo.pixels, ((0, 0), (60, 60), (0, 0))))
    scores = [
        rule.check(*pair).score
        for pair in zip(Means().encode([photo, half, wide]), (photo, half, wide), strict=True)
    ]
    assert scores[1] == pytest.approx(scores[0], rel=0.05)
    assert scores[2] == pytest.approx(scores[0], rel=0.05)


def test_answers_in_words_and_numbers(rule):
    photo = draw_set("noise", 1)[0]
    found = rule.check(Means().encode([photo])[0], photo)
    assert found.flag
    assert found.threshold == 1.0 < found.score
    assert "120 training photos" in found.rule
    assert "60 validation photos" in found.rule


def test_thresholds_flag_the_stated_share(rule):
    train, validation = (samples([skin(s) for s in range(*bounds)]) for bounds in ((0, 80), (500, 600)))
    for share in (0.02, 0.1):
        made = OutsideRule.fit(train, validation, false_flags=share)
        flagged = (made.score(validation) > 1).mean()
        assert flagged == made.false_flags
        assert 0 < flagged <= share
    with pytest.raises(SettingError, match="100 validation photos"):
        OutsideRule.fit(train, validation, false_flags=0.001)


def test_is_deterministic_and_comes_back_exactly(rule):
    again = OutsideRule.fit(
        samples([skin(seed) for seed in range(120)]),
        samples([skin(seed) for seed in range(1000, 1060)]),
        false_flags=0.05,
    )
    tensors = rule.to_tensors()
    assert all(torch.equal(value, again.to_tensors()[name]) for name, value in tensors.items())
    back = OutsideRule.from_tensors(tensors | {"mean_patches": torch.zeros(2)})
    assert back is not None
    assert (back.counts, back.false_flags, back.words) == (rule.counts, rule.false_flags, rule.words)
    rows = samples([skin(1), *draw_set("documents", 2)])
    assert np.array_equal(back.score(rows), rule.score(rows))
    assert OutsideRule.from_tensors({}) is None


def test_travels_with_the_captioner(rule, tmp_path):
    made = tiny.captioner()
    assert made.outside is None
    made.outside, made.mean_patches = rule, tiny.patches()[0]
    save_captioner(made, tmp_path / "model")
    back = load_captioner(tmp_path / "model")
    assert torch.equal(back.mean_patches, tiny.patches()[0])
    tensors = rule.to_tensors()
    assert all(torch.equal(value, tensors[name]) for name, value in back.outside.to_tensors().items())
    assert {name for name in back.statistics if name.startswith(PREFIX)} == set(tensors)
    other = Path(tmp_path, "model")
    before = {path: path.read_bytes() for path in other.rglob("*") if path.is_file()}
    back.mean_patches = tiny.patches(seed=3)[0]
    sha256 = save_statistics(back, other)
    changed = {path.name for path, content in before.items() if path.read_bytes() != content}
    assert changed == {"captioner.json", "statistics.safetensors"}
    third = load_captioner(other)
    assert third.sha256 == sha256 != made.sha256
    assert torch.equal(third.mean_patches, tiny.patches(seed=3)[0])


def test_another_encoder_is_refused(rule):
    photo = skin(3)
    with pytest.raises(ShapeError, match="6 numbers"):
        rule.check(tiny.encoded(), photo)


def test_one_statistic_per_name():
    for pixels in (skin(1).pixels, np.zeros((5, 9, 3), np.uint8), np.full((40, 30, 3), 255, np.uint8)):
        found = describe_photo(pixels)
        assert found.shape == (len(STATISTICS),)
        assert np.isfinite(found).all()
    table = dict(zip(STATISTICS, describe_photo(np.full((40, 30, 3), 255, np.uint8)), strict=True))
    assert table["lightness mean"] == pytest.approx(100, abs=0.01)
    assert (table["grey share"], table["white share"], table["black share"]) == (1, 1, 0)


def test_shrinkage_is_that_of_the_paper():
    rows = np.random.default_rng(0).standard_normal((4000, 3)) * [1, 2, 3]
    assert np.allclose(np.diag(shrink_covariance(rows)), [1, 4, 9], rtol=0.1)
    few = np.random.default_rng(1).standard_normal((10, 40))
    assert np.linalg.cond(shrink_covariance(few)) < 20
    assert np.linalg.matrix_rank(few.T @ few) == 10


def test_distance_is_mahalanobis():
    random = np.random.default_rng(2)
    rows = random.standard_normal((5000, 4)) * [1, 2, 3, 40] + 5
    rows[:, 0] += 0.4 * rows[:, 1]
    cloud = Ellipsoid.fit(rows)
    assert np.mean(cloud.distance(rows) ** 2) == pytest.approx(4, rel=0.05)
    constant = np.concatenate([rows, np.ones((5000, 1))], axis=1)
    assert np.isfinite(Ellipsoid.fit(constant).distance(constant)).all()
    assert np.allclose(cloud.scaled(2.0).distance(rows) * 2, cloud.distance(rows))


def test_rates_of_sets_with_their_intervals(rule, tmp_path):
    from PIL import Image

    (tmp_path / "dogs").mkdir()
    Image.fromarray(draw_set("noise", 1)[0].pixels).save(tmp_path / "dogs" / "rex.png")
    cut = read_folder(tmp_path / "dogs", crops=True)
    assert [photo.pixels.shape for photo in cut] == [(360, 480, 3)] + [(180, 240, 3)] * 4
    inside, outside = {"skin": [skin(s) for s in range(3000, 3010)], "none": []}, {"dogs": cut}
    rates = measure_outside(rule, Means(), inside, outside)
    assert [(rate.name, rate.inside, rate.photos) for rate in rates] == [
        ("skin", True, 10),
        ("dogs", False, 5),
    ]
    assert rates[1].flagged == 5
    assert "| dogs | right | 5 of 5 | 1.000 (0.566–1.000) |" in to_markdown(rates)
    assert Rate("x", True, 0, 200).interval == pytest.approx((0, 0.01885), abs=1e-4)
    with pytest.raises(SettingError):
        wilson(0, 0)


def test_drawn_sets_are_the_same_for_the_same_seed():
    first, second, other = (
        draw_set("documents", 3),
        draw_set("documents", 3),
        draw_set("documents", 3, seed=1),
    )
    assert [photo.sha256 for photo in first] == [photo.sha256 for photo in second]
    assert not {photo.sha256 for photo in first} & {photo.sha256 for photo in other}
