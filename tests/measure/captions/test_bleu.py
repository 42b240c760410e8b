import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dermaxai.measure.captions.bleu import bleu
from dermaxai.measure.captions.written import Tools, Written
from dermaxai.measure.estimates import estimate
from tests.measure.captions.drawing import WORDS, captions, corpus, each, some_words


def runs(words, n):
    return Counter(tuple(words[start : start + n]) for start in range(len(words) - n + 1))


def slow_bleu(written, longest):
    """By the definition, runs counted one by one."""
    product, said, held = 1.0, 0, 0
    for one in written:
        size = len(one.text.split())
        sizes = [len(text.split()) for text in one.references]
        said += size
        held += sorted(sizes, key=lambda other: (abs(other - size), other))[0]
    for n in range(1, longest + 1):
        matched = total = 0
        for one in written:
            ours = runs(one.text.split(), n)
            total += sum(ours.values())
            for run, count in ours.items():
                matched += min(count, max(runs(text.split(), n)[run] for text in one.references))
        product *= (matched + 1e-15) / (total + 1e-9)
    short = (said + 1e-15) / (held + 1e-9)
    return product ** (1 / longest) * (math.exp(1 - 1 / short) if short < 1 and short > 1e-12 else short >= 1)


@settings(max_examples=40)
@given(captions)
def test_is_the_definition(written):
    found = corpus(bleu, written)
    assert found == pytest.approx([slow_bleu(written, n) for n in (1, 2, 3, 4)], rel=1e-9, abs=1e-15)
    for n, scored in enumerate(bleu(written, Tools()), 1):
        assert each(scored) == pytest.approx([slow_bleu([one], n) for one in written], rel=1e-9, abs=1e-15)


@pytest.mark.shared
def test_agrees_with_the_coco_evaluation(golden, golden_written):
    scored = bleu(golden_written, Tools())
    assert corpus(bleu, golden_written) == pytest.approx(golden["bleu"]["corpus"], abs=1e-12)
    for one, expected in zip(scored, golden["bleu"]["per_caption"], strict=True):
        assert each(one) == pytest.approx(expected, abs=1e-12)


@given(st.lists(st.lists(st.sampled_from(WORDS), min_size=4, max_size=9), min_size=1, max_size=5))
def test_the_reference_itself_scores_one(texts):
    written = [Written(str(row), " ".join(text), (" ".join(text),)) for row, text in enumerate(texts)]
    assert corpus(bleu, written) == pytest.approx([1] * 4, abs=1e-8)


@settings(max_examples=40)
@given(captions, st.randoms())
def test_the_order_of_captions_does_not_matter(written, random):
    mixed = random.sample(written, len(written))
    assert corpus(bleu, mixed) == corpus(bleu, written)


@settings(max_examples=40)
@given(captions, some_words)
def test_another_reference_never_takes_matches_away(written, words):
    more = [Written(one.item, one.text, (*one.references, " ".join(words))) for one in written]
    before, after = bleu(written, Tools())[0].parts, bleu(more, Tools())[0].parts
    assert (after[:, :4] >= before[:, :4]).all()
    assert (after[:, 4:9] == before[:, 4:9]).all()


def test_an_empty_caption_scores_nothing_and_lowers_the_set():
    whole = Written("1", "a dark lesion with a border", ("a dark lesion with a border",))
    empty = Written("2", "", ("a dark lesion",))
    assert corpus(bleu, [empty]) == pytest.approx([0] * 4, abs=1e-12)
    assert all(value < 0.9 for value in corpus(bleu, [whole, empty]))


def test_without_a_reference_nothing_is_defined():
    assert np.isnan(corpus(bleu, [Written("1", "a lesion", ("?",))])).all()
    assert np.isnan(corpus(bleu, [])).all()


def test_the_set_can_be_resampled():
    written = [Written(str(row), f"a dark {word}", ("a dark lesion",)) for row, word in enumerate(WORDS * 4)]
    found = estimate(*[getattr(bleu(written, Tools())[0], name) for name in ("parts", "statistic")])
    assert found.low < found.value < found.high
    assert found.n == len(written)
