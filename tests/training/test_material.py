import numpy as np
import pytest
import torch

from dermaxai.training.batches import Draws
from dermaxai.training.material import ManifestMaterial
from dermaxai.training.texts import Texts
from tests.training.small import APPEARANCE, samples
from tests.training.test_texts import ALL, Photo


class Shelf:
    def __init__(self):
        self.photos = [Photo(one, APPEARANCE) for one in samples(12)]

    def samples(self, rows):
        return [self.photos[row] for row in rows]


class Numbered:
    """Patches that say which photo and view they are of."""

    width, views = 2, 3

    def missing(self):
        return np.zeros(0, dtype=np.int64)

    def read(self, places, views):
        return torch.tensor(np.stack([places, views], axis=1), dtype=torch.float32)[:, None]

    def coverage(self, places, views):
        return [0.5 if view else None for view in views]


def material(**changes):
    texts = Texts("composed", ("en", "ru"), ALL)
    return ManifestMaterial(Shelf(), np.array([3, 5, 7]), Numbered(), texts, **changes)


def draws(*numbers):
    return Draws(np.array([number % 3 for number in numbers]), np.array(numbers))


def test_what_is_read_hangs_on_the_draw_alone():
    one, other = material(seed=1), material(seed=1)
    together, alone = one.read(draws(4, 8)), other.read(draws(8))
    assert torch.equal(together.patches[1], alone.patches[0])
    assert together.texts[2:] == alone.texts
    assert together.photos == (0, 0, 1, 1)
    assert material(seed=2).read(draws(4, 8)).texts != together.texts


def test_views_are_drawn_and_their_size_is_said():
    read = material().read(draws(*range(60)))
    views = read.patches[:, 0, 1]
    assert set(views.tolist()) == {0, 1, 2}
    for place, view in enumerate(views.tolist()):
        english = read.texts[read.photos.index(place)]
        assert ("large" in english.lower()) == bool(view)


def test_one_language_is_drawn_with_its_weight():
    read = material(languages={"en": 1, "ru": 4}).read(draws(*range(300)))
    assert len(read.texts) == 300
    assert read.languages.count("ru") / 300 == pytest.approx(0.8, abs=0.07)


def test_plain_photos_are_as_they_are():
    read = material(languages={"en": 1, "ru": 1}).plain(np.array([2, 0]))
    assert read.patches[:, 0].tolist() == [[2, 0], [0, 0]]
    assert read.languages == ("en", "ru", "en", "ru")
    assert read.texts == material(seed=7).plain(np.array([2, 0])).texts
