from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermaxai.measure.captions.rouge import BETA, common_length, rouge_l
from dermaxai.measure.captions.written import Tools, Written
from tests.measure.captions.drawing import captions, corpus, each, words


def slow_length(first, second):
    @cache
    def longest(i, j):
        if i == len(first) or j == len(second):
            return 0
        if first[i] == second[j]:
            return 1 + longest(i + 1, j + 1)
        return max(longest(i + 1, j), longest(i, j + 1))

    return longest(0, 0)


def slow_rouge(one):
    caption, references = one.text.split(), [text.split() for text in one.references]
    shared = [slow_length(tuple(caption), tuple(words)) for words in references]
    if not caption or not any(shared):
        return 0.0
    precision = max(length / len(caption) for length in shared)
    recall = max(length / len(words) for length, words in zip(shared, references, strict=True))
    return (1 + BETA**2) * precision * recall / (recall + BETA**2 * precision)


@given(words, words)
def test_the_common_length_is_that_of_the_table(first, second):
    assert common_length(tuple(first), tuple(second)) == slow_length(tuple(first), tuple(second))


@given(st.text("ab", min_size=80, max_size=150), st.text("abc", min_size=80, max_size=150))
def test_long_texts_too(first, second):
    assert common_length(tuple(first), tuple(second)) == slow_length(first, second)


@given(captions)
def test_is_the_definition(written):
    expected = [slow_rouge(one) for one in written]
    assert each(rouge_l(written, Tools())[0]) == pytest.approx(expected)
    assert corpus(rouge_l, written) == pytest.approx([np.mean(expected)])


@pytest.mark.shared
def test_agrees_with_the_coco_evaluation(golden, golden_written):
    (scored,) = rouge_l(golden_written, Tools())
    assert each(scored) == pytest.approx(golden["rouge_l"]["per_caption"], abs=1e-12)
    assert corpus(rouge_l, golden_written) == pytest.approx([golden["rouge_l"]["corpus"]], abs=1e-12)


def test_the_reference_itself_scores_one_and_nothing_scores_nothing():
    texts = ("a dark lesion", "", "other words")
    written = [Written(str(row), text, ("a dark lesion",)) for row, text in enumerate(texts)]
    assert each(rouge_l(written, Tools())[0]) == [1, 0, 0]
    assert np.isnan(corpus(rouge_l, [Written("1", "a lesion", ("",))])).all()
