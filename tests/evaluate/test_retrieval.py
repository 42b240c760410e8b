from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermaxai.data.samples import Sample, SampleCaption, Sentence
from dermaxai.errors import ShapeError
from dermaxai.evaluate import retrieval
from dermaxai.evaluate.items import Item
from dermaxai.evaluate.retrieval import captions_of, ranks_both_ways, retrieval_columns, scales
from dermaxai.measure.estimates import evaluate_all


def slow_ranks(images, texts, names):
    """Every candidate is looked at; equals count half."""

    def place(likeness, right):
        best = max(value for value, fits in zip(likeness, right, strict=True) if fits)
        others = [value for value, fits in zip(likeness, right, strict=True) if not fits]
        return 1 + sum(value > best for value in others) + sum(value == best for value in others) / 2

    different = list(dict.fromkeys(names))
    vectors = [texts[names.index(name)] for name in different]
    to_text, to_photo = [], []
    for image, name in zip(images, names, strict=True):
        to_text.append(place([image @ one for one in vectors], [name == other for other in different]))
        own = vectors[different.index(name)]
        to_photo.append(place([own @ one for one in images], [name == other for other in names]))
    return to_text, to_photo


@given(st.integers(0, 1000), st.integers(1, 12), st.integers(1, 5), st.booleans())
def test_ranks_are_those_of_a_slow_search(seed, count, kinds, coarse):
    generator = np.random.default_rng(seed)
    names = [f"text {one}" for one in generator.integers(0, kinds, count)]
    images = generator.integers(-1, 2, (count, 3)) if coarse else generator.normal(size=(count, 3))
    written = {name: generator.integers(-1, 2, 3) for name in sorted(set(names))}
    texts = np.array([written[name] for name in names], float)
    found = ranks_both_ways(images.astype(float), texts, names)
    np.testing.assert_allclose(found, slow_ranks(images.astype(float), texts, names))


def test_large_sets_are_searched_in_pieces(monkeypatch):
    generator = np.random.default_rng(0)
    images, texts = generator.normal(size=(2, 50, 4))
    names = [str(one % 40) for one in range(50)]
    texts = texts[[int(name) for name in names]]
    whole = ranks_both_ways(images, texts, names)
    monkeypatch.setattr(retrieval, "CANDIDATES_AT_ONCE", 130)
    np.testing.assert_array_equal(ranks_both_ways(images, texts, names), whole)


def test_a_perfect_and_a_blind_encoder():
    texts = np.eye(20)
    names = [str(one) for one in range(20)]
    best = {
        one.scale.name: evaluate_all(one.parts, one.statistic)
        for one in retrieval_columns("perfect", "set", names, ranks_both_ways(texts, texts, names))
    }
    assert {name: value for name, value in best.items() if value != 1} == {}
    blind = ranks_both_ways(np.ones((20, 20)), np.ones((20, 20)), names)
    assert set(blind[0]) == set(blind[1]) == {10.5}


def test_columns_count_hits_and_the_median():
    ranks = np.array([1.0, 4, 6, 11]), np.array([1.0, 1, 2, 9])
    columns = {one.scale.name: one for one in retrieval_columns("a", "set", list("wxyz"), ranks)}
    value = {name: evaluate_all(one.parts, one.statistic) for name, one in columns.items()}
    assert value == {
        "image_to_text_recall_1": 0.25, "image_to_text_recall_5": 0.5, "image_to_text_recall_10": 0.75,
        "image_to_text_median_rank": 5.0, "text_to_image_recall_1": 0.5, "text_to_image_recall_5": 0.75,
        "text_to_image_recall_10": 1.0, "text_to_image_median_rank": 1.5,
    }  # fmt: skip
    assert [one.name for one in scales()] == list(columns)
    assert columns["image_to_text_median_rank"].scale.better == "lower"


def test_what_does_not_fit_is_refused():
    with pytest.raises(ShapeError, match="2 photos, 3 texts and 3 names"):
        ranks_both_ways(np.ones((2, 2)), np.ones((3, 2)), ["a", "b", "c"])


def caption(text, field="caption", language="en"):
    return SampleCaption(language, (Sentence(text, "label"),), field)


def test_real_and_composed_captions_are_apart():
    captions = (caption("родинка", language="ru"), caption("composed", "composed"), caption("a mole."))
    sample = Sample("set/0", "set", None, "", captions=captions)
    bare = Sample("set/1", "set", None, "")
    items = [Item(one.id, Path("none"), "0" * 64, one) for one in (sample, bare)]
    assert captions_of(items, "real") == {"set/0": "a mole."}
    assert captions_of(items, "composed") == {"set/0": "composed"}
